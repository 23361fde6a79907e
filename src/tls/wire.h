#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom::tls {

/// What we tell a server that broke the protocol (RFC 8446 §6.2).
enum class Alert : uint8_t {
  kNone = 0,  // nothing is to be told: the server ended the connection, or it is not its fault
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kBadCertificate = 42,
  kUnsupportedCertificate = 43,
  kCertificateRevoked = 44,
  kCertificateExpired = 45,
  kIllegalParameter = 47,
  kUnknownCa = 48,
  kDecodeError = 50,
  kDecryptError = 51,
  kProtocolVersion = 70,
  kMissingExtension = 109,
  kUnsupportedExtension = 110,
  kBadCertificateStatusResponse = 113,
};

/// ProtocolAbort(kServer) with the alert that answers it.
class ServerFault : public ProtocolAbort {
 public:
  ServerFault(std::string_view step, std::string_view detail, Alert alert);
  Alert alert() const { return alert_; }

 private:
  Alert alert_;
};

/// The service misbehaved: network class, no strike (tls-in-mpc.md §0.3(10)). `step` names the
/// message, `detail` is a sentence that says what the server did.
[[noreturn]] void server_fault(std::string_view step, std::string_view detail,
                               Alert alert = Alert::kUnexpectedMessage);

/// Reads TLS presentation language (RFC 8446 §3) from a server's bytes. Every read is checked
/// against what is there; a violation is a server_fault() in `step`. Not base/codec.h's Reader:
/// that one reads the members' own format, with 32-bit lengths, and names the member at fault;
/// what a server sends is nobody's fault here and is answered with an alert.
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
  /// What does not parse is a decode_error, what parses and must not be there something else.
  [[noreturn]] void fail(std::string_view detail, Alert alert = Alert::kIllegalParameter) const {
    server_fault(step_, detail, alert);
  }

 private:
  ByteView in_;
  std::string step_;
};

}  // namespace flexroom::tls
