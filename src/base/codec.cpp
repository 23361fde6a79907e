#include "base/codec.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom {

Writer& Writer::raw(ByteView v) {
  append(out_, v);
  return *this;
}
Writer& Writer::u8(uint8_t v) { return raw({&v, 1}); }
Writer& Writer::u16(uint16_t v) {
  const uint8_t bytes[] = {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)};
  return raw(bytes);
}
Writer& Writer::u32(uint32_t v) {
  return u16(static_cast<uint16_t>(v >> 16)).u16(static_cast<uint16_t>(v));
}
Writer& Writer::u64(uint64_t v) {
  return u32(static_cast<uint32_t>(v >> 32)).u32(static_cast<uint32_t>(v));
}

void Reader::fail(std::string_view problem) const {
  throw ProtocolAbort(AbortCode::kBadFrame, what_, problem,
                      peer_ == kNoParty ? std::nullopt : std::optional<PartyId>(peer_));
}
ByteView Reader::raw(size_t n) {
  if (n > in_.size()) {
    fail("message ends " + std::to_string(n - in_.size()) + " bytes too early");
  }
  const ByteView out = in_.first(n);
  in_ = in_.subspan(n);
  return out;
}
uint8_t Reader::u8() { return raw(1)[0]; }
uint16_t Reader::u16() {
  const ByteView v = raw(2);
  return static_cast<uint16_t>(v[0] << 8 | v[1]);
}
uint32_t Reader::u32() {
  const uint32_t high = u16();
  return high << 16 | u16();
}
uint64_t Reader::u64() {
  const uint64_t high = u32();
  return high << 32 | u32();
}
Digest Reader::digest() {
  Digest out;
  const ByteView v = raw(out.size());
  std::copy(v.begin(), v.end(), out.begin());
  return out;
}
ByteView Reader::field(size_t max) {
  const size_t size = u32();
  if (size > max)
    fail("field of " + std::to_string(size) + " bytes, at most " + std::to_string(max));
  return raw(size);
}
void Reader::finish() const {
  if (!in_.empty()) fail(std::to_string(in_.size()) + " bytes too many");
}

}  // namespace flexroom
