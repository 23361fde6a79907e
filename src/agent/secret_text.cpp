#include "agent/secret_text.h"

#include <fmt/core.h>

#include "base/error.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

ScriptWriter& ScriptWriter::text(std::string_view public_text) {
  for (const char c : public_text) {
    bytes_.push_back({ScriptByte::Kind::kPublic, static_cast<uint8_t>(c), 0, 0});
  }
  return *this;
}

ScriptWriter& ScriptWriter::nonce() {
  for (uint32_t k = 0; k < kNonceBytes; ++k) {
    bytes_.push_back({ScriptByte::Kind::kNonce, 0, 0, k});
  }
  return *this;
}

ScriptWriter& ScriptWriter::private_bytes(PartyId member, uint32_t size) {
  FLEXROOM_ASSERT(member < member_bytes_.size());
  for (uint32_t k = 0; k < size; ++k) {
    bytes_.push_back({ScriptByte::Kind::kMember, 0, member, member_bytes_[member]++});
  }
  return *this;
}

std::array<bool, 256> private_link_class() {
  std::array<bool, 256> allowed{};
  for (const char c : kAlphabet) allowed[static_cast<uint8_t>(c)] = true;
  for (const char c : std::string_view("._/=&%+:-")) allowed[static_cast<uint8_t>(c)] = true;
  return allowed;
}

}  // namespace flexroom::agent
