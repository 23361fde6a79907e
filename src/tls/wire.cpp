#include "tls/wire.h"

namespace flexroom::tls {

ServerFault::ServerFault(std::string_view step, std::string_view detail, Alert alert)
    : ProtocolAbort(AbortCode::kServer, "tls/" + std::string(step), detail), alert_(alert) {}

void server_fault(std::string_view step, std::string_view detail, Alert alert) {
  throw ServerFault(step, detail, alert);
}

ByteView WireReader::raw(size_t n) {
  if (n > in_.size()) {
    fail("the server's message ends " + std::to_string(n - in_.size()) + " bytes too early",
         Alert::kDecodeError);
  }
  const ByteView out = in_.first(n);
  in_ = in_.subspan(n);
  return out;
}

uint16_t WireReader::u16() {
  const ByteView v = raw(2);
  return static_cast<uint16_t>(v[0] << 8 | v[1]);
}

uint32_t WireReader::u24() {
  const ByteView v = raw(3);
  return static_cast<uint32_t>(v[0]) << 16 | static_cast<uint32_t>(v[1]) << 8 | v[2];
}

void WireReader::finish() const {
  if (!in_.empty()) {
    fail("the server's message has " + std::to_string(in_.size()) + " bytes too many",
         Alert::kDecodeError);
  }
}

}  // namespace flexroom::tls
