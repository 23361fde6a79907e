#pragma once

#include <ctime>

#include "base/codec.h"
#include "store/once_db.h"

// Where a log ends, in rows and messages.

namespace flexroom::store {

inline Writer& put_head(Writer& out, const OnceDb::LogHead& head) {
  return out.u32(head.incarnation).u64(head.number).raw(head.digest);
}
template <typename In>  // Reader, RowReader
OnceDb::LogHead read_head(In& in) {
  OnceDb::LogHead head;
  head.incarnation = in.u32();
  head.number = in.u64();
  head.digest = in.digest();
  return head;
}

inline uint64_t now_seconds() { return static_cast<uint64_t>(std::time(nullptr)); }

}  // namespace flexroom::store
