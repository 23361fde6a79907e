#pragma once

#include <array>
#include <string>
#include <string_view>

#include "agreement/configuration.h"
#include "agreement/statement.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "people/rule.h"

namespace flexroom::people {

using Ticket = std::array<uint8_t, 16>;

/// Domain of a key file's signature, and tag of the challenge (members.md 7.2).
inline constexpr std::string_view kPersonDomain = "flexroom/person/1";

/// st: what one person signs, all of it (members.md §7.2, Appendix A). Made by the node for one
/// view; never by a page or a program.
struct PersonStatement {
  Digest room{};
  agreement::MemberId member{};
  std::string person;
  Role role = Role::kApprove;
  uint32_t rule_version = 0;  // of the rule it is signed under
  /// kApprove, kReject, kWithdraw (of Role::kApprove) or kRule (of Role::kAdminister).
  agreement::StatementKind kind = agreement::StatementKind::kApprove;
  Digest what{};  // D, or the digest of a RULE document
  Digest terms{}, versions{};
  uint64_t not_before = 0, not_after = 0;  // Unix seconds; of a RULE zeros
  Ticket ticket{};

  bool operator==(const PersonStatement&) const = default;
  Bytes encode() const;
  /// Refuses other roles for a kind, other kinds, names that are none. Throws InputError.
  static PersonStatement decode(ByteView bytes, std::string_view place);
  /// Equal but for person and ticket: voices that add up (M41).
  bool same_matter(const PersonStatement& other) const;
};

/// RO("reason", reason): stands in `versions` of a REJECT or WITHDRAW, which has none.
Digest reason_digest(std::string_view reason);

/// The role that a kind takes; kRule: kAdminister. Throws InputError for kinds nobody signs.
Role role_for(agreement::StatementKind kind);

/// RO("flexroom/person/1", st): what a key file signs under kPersonDomain, and what WebAuthn is
/// asked for as `challenge`.
Digest challenge_of(ByteView st);

}  // namespace flexroom::people
