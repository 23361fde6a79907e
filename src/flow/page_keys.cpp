#include "flow/page_keys.h"

#include "base/codec.h"
#include "base/hash.h"
#include "flow/run_state.h"

namespace flexroom::flow {

std::string page_key_name(std::string_view host) {
  std::string out = std::string(kPageKeyNames) + std::string(host);
  if (is_value_name(out)) return out;
  return std::string(kPageKeyNames) + base32_name(sha256(as_bytes(host)));
}

std::string page_key_digest(std::string_view n, std::string_view e) {
  return to_hex(RandomOracle("page key", RoScope{}).field(n).field(e).digest());
}

std::map<std::string, std::string> page_keys_of(const Step& step) {
  std::map<std::string, std::string> out;
  for (const SlotUse& use : step.slots) {
    if (use.is_jwe()) out[use.key_host] = use.key;
  }
  return out;
}

}  // namespace flexroom::flow
