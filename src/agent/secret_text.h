#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace flexroom::agent {

/// Where one byte of a script with private parts comes from.
struct ScriptByte {
  enum class Kind : uint8_t { kPublic, kMember, kNonce };
  Kind kind = Kind::kPublic;
  uint8_t value = 0;   // kPublic
  PartyId member = 0;  // kMember
  uint32_t index = 0;  // byte of that member's private string; character of the nonce
};

/// A script under construction: public text, members' private strings inside single quotes, and the
/// nonce of 132 bits that makes the payload hash hiding (tls-in-mpc.md §6.2).
class ScriptWriter {
 public:
  static constexpr uint32_t kNonceBytes = 22;
  explicit ScriptWriter(size_t num_members) : member_bytes_(num_members) {}
  ScriptWriter& text(std::string_view public_text);
  /// 22 characters of base64url; once, before any private string.
  ScriptWriter& nonce();
  /// The next `size` bytes of that member's private string. The caller has opened a single quote
  /// after a public https://host/ prefix (§5.2, script context).
  ScriptWriter& private_bytes(PartyId member, uint32_t size);
  size_t size() const { return bytes_.size(); }
  const std::vector<ScriptByte>& bytes() const { return bytes_; }

 private:
  std::vector<ScriptByte> bytes_;
  std::vector<uint32_t> member_bytes_;
};

/// The class of private script bytes: [A-Za-z0-9._/=&%+:-]. SHELLURL of §5.2 without '~' and '?':
/// printable text without '>', '?', '~' gives alphanumeric base64 (product.md §6).
std::array<bool, 256> private_link_class();

}  // namespace flexroom::agent
