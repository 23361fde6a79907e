#include "room/leaks.h"

#include "flow/flow.h"
#include "flow/ledger.h"

namespace flexroom::room {

std::vector<LeakAccount> leaks_of(session::MemberState& state) {
  std::vector<LeakAccount> out;
  for (const auto& [name, bits] : flow::booked_accounts(state.once(), state.rid())) {
    out.push_back({name, bits, flow::kLifeBits});
  }
  return out;
}

}  // namespace flexroom::room
