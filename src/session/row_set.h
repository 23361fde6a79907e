#pragma once

#include <algorithm>

#include "base/hash.h"
#include "net/party.h"
#include "store/record_meta.h"

namespace flexroom::session {

/// RO("set", sid, counter) of rows that are made now, in one session by all alike (members.md 3.1).
inline Digest next_set(net::Party& party) {
  return RandomOracle("set", party.scope(), party.next_counter("rows/set")).digest();
}

/// What stands in the metas of its rows.
inline store::RowSet row_set(const Digest& set) {
  store::RowSet out{};
  std::copy_n(set.begin(), out.size(), out.begin());
  return out;
}

}  // namespace flexroom::session
