#pragma once

#include <cstring>
#include <string_view>

#include "base/block.h"
#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom {

/// Builds a message; integers big-endian.
class Writer {
 public:
  Writer& u8(uint8_t v);
  Writer& u16(uint16_t v);
  Writer& u32(uint32_t v);
  Writer& u64(uint64_t v);
  Writer& raw(ByteView v);
  Writer& block(const Block& v) { return raw(block_bytes(v)); }
  /// 32-bit length, then the bytes.
  Writer& field(ByteView v) { return u32(static_cast<uint32_t>(v.size())).raw(v); }
  Writer& field(std::string_view v) { return field(as_bytes(v)); }
  size_t size() const { return out_.size(); }
  const Bytes& bytes() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

/// Reads foreign bytes; every read is bounds-checked and throws ProtocolAbort(kBadFrame) naming
/// `what` and `peer` when the input is short or, in finish(), too long.
class Reader {
 public:
  Reader(ByteView in, std::string_view what, uint32_t peer = kNoParty)
      : in_(in), what_(what), peer_(peer) {}
  uint8_t u8();
  uint16_t u16();
  uint32_t u32();
  uint64_t u64();
  ByteView raw(size_t n);
  Block block() { return load_block(raw(16).data()); }
  Digest digest();
  /// A length-prefixed field of at most `max` bytes.
  ByteView field(size_t max);
  size_t remaining() const { return in_.size(); }
  void finish() const;

 private:
  [[noreturn]] void fail(std::string_view problem) const;
  ByteView in_;
  std::string what_;
  uint32_t peer_;
};

}  // namespace flexroom
