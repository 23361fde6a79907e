#include "agent/secret_text.h"

#include <fmt/core.h>

#include "base/error.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void put_form_char(std::string& out, char c) {
  switch (c) {
    case '+':
      out += "%2B";
      break;
    case '/':
      out += "%2F";
      break;
    case '=':
      out += "%3D";
      break;
    default:
      out += c;
  }
}

bool is_public(const ScriptByte& byte) { return byte.kind == ScriptByte::Kind::kPublic; }

void put_public_group(std::string& out, const ScriptByte* bytes, size_t count) {
  uint32_t v = 0;
  for (size_t k = 0; k < 3; ++k) v = v << 8 | (k < count ? bytes[k].value : 0u);
  for (size_t k = 0; k < 4; ++k) {
    put_form_char(out, k <= count ? kAlphabet[v >> (18 - 6 * k) & 63] : '=');
  }
}

}  // namespace

ScriptWriter& ScriptWriter::text(std::string_view public_text) {
  for (const char c : public_text) {
    bytes_.push_back({ScriptByte::Kind::kPublic, static_cast<uint8_t>(c), 0, 0});
  }
  return *this;
}

ScriptWriter& ScriptWriter::nonce() {
  for (uint32_t k = 0; k < SecretText::kNonceDigits; ++k) {
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

ScriptWriter& ScriptWriter::align_question_mark(size_t before, size_t private_size) {
  while ((bytes_.size() + before + private_size) % 3 == 2) text(" ");
  return *this;
}

SecretText ScriptWriter::finish(std::string_view form_prefix) const {
  SecretText out;
  out.text = std::string(form_prefix);
  out.member_bytes = member_bytes_;
  for (size_t at = 0; at < bytes_.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes_.size() - at);
    bool all_public = true;
    for (size_t k = 0; k < count; ++k) all_public = all_public && is_public(bytes_[at + k]);
    if (all_public) {
      put_public_group(out.text, &bytes_[at], count);
      continue;
    }
    FLEXROOM_ASSERT(count == 3);  // the caller ends the script with public text
    SecretGroup group;
    group.body_offset = out.text.size();
    for (size_t k = 0; k < 3; ++k) {
      group.bytes[k] = bytes_[at + k];
      const uint8_t value = group.bytes[k].value;
      if (is_public(group.bytes[k]) &&
          (value >= 0x7f || (k == 2 && (value == '>' || value == '?' || value == '~')))) {
        throw InputError("script",
                         fmt::format("public character at offset {} cannot stand beside a "
                                     "private one",
                                     at + k),
                         "this is a mistake in the boot loader");
      }
    }
    out.groups.push_back(group);
    out.text.append(4, '\0');
  }
  return out;
}

std::array<bool, 256> private_link_class() {
  std::array<bool, 256> allowed{};
  for (const char c : kAlphabet) allowed[static_cast<uint8_t>(c)] = true;
  for (const char c : std::string_view("._/=&%+:-")) allowed[static_cast<uint8_t>(c)] = true;
  return allowed;
}

}  // namespace flexroom::agent
