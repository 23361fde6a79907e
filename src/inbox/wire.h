#pragma once

#include <vector>

#include "agreement/configuration.h"
#include "base/bytes.h"
#include "base/hash.h"

// What nodes send each other about their members' chains (members.md §5.2). Every list is bounded,
// sorted and without doubles; everything else is refused with ProtocolAbort(kBadFrame).

namespace flexroom::inbox {

using agreement::MemberId;

/// Where a chain ends.
struct ChainHead {
  MemberId author{};
  uint32_t incarnation = 0;
  uint64_t number = 0;
  Digest digest{};
};
/// u8 1, u32, (raw16, u32, u64, raw32).., u32, raw32 ids of forks..
struct Heads {
  std::vector<ChainHead> chains;
  std::vector<Digest> forks;
  Bytes encode() const;
  static Heads decode(ByteView bytes);
};

/// u8 1, u32, (raw16, u32, u64 first, u64 last).., u32, raw32 ids of forks..
struct Wants {
  struct Range {
    MemberId author{};
    uint32_t incarnation = 0;
    uint64_t first = 0, last = 0;
  };
  std::vector<Range> ranges;
  std::vector<Digest> forks;
  Bytes encode() const;
  static Wants decode(ByteView bytes);
};

/// u8 1, u32, f statement..
struct Bundle {
  static constexpr size_t kMaxStatements = 4096;
  std::vector<Bytes> statements;
  Bytes encode() const;
  static Bundle decode(ByteView bytes);
};

}  // namespace flexroom::inbox
