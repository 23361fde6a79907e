#pragma once

#include <string>
#include <vector>

#include "session/member_state.h"

namespace flexroom::room {

/// What tests on a short secret have told its service so far: an account of the leak ledger.
struct LeakAccount {
  std::string name;
  unsigned bits = 0, most = 0;  // booked; of its life
};
/// Those on which something was booked, by name.
std::vector<LeakAccount> leaks_of(session::MemberState& state);

}  // namespace flexroom::room
