#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom::tls {

/// The service misbehaved: network class, no strike (tls-in-mpc.md §0.3(10)). `step` names the
/// message, `detail` is a sentence that says what the server did.
[[noreturn]] void server_fault(std::string_view step, std::string_view detail);

/// Reads TLS presentation language (RFC 8446 §3) from a server's bytes. Every read is checked
/// against what is there; a violation is a server_fault() in `step`.
class WireReader {
 public:
  WireReader(ByteView in, std::string_view step) : in_(in), step_(step) {}

  uint8_t u8() { return raw(1)[0]; }
  uint16_t u16();
  uint32_t u24();
  ByteView raw(size_t n);
  /// Vectors with a length prefix of one, two or three bytes.
  ByteView vector8() { return raw(u8()); }
  ByteView vector16() { return raw(u16()); }
  ByteView vector24() { return raw(u24()); }
  bool empty() const { return in_.empty(); }
  size_t remaining() const { return in_.size(); }
  void finish() const;
  [[noreturn]] void fail(std::string_view detail) const { server_fault(step_, detail); }

 private:
  ByteView in_;
  std::string step_;
};

}  // namespace flexroom::tls
