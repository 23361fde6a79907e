#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agreement/statement.h"
#include "base/bytes.h"
#include "base/hash.h"

// Bodies of the statements that stand on a member's people (members.md 6.2, 7.1, Appendix A).

namespace flexroom::agreement {

/// A secret as an approval means it.
struct SecretVersion {
  static constexpr uint32_t kNewest = 0xffffffff;
  std::array<uint8_t, 16> record{};
  uint32_t version = kNewest;
  Digest provenance{};
  auto operator<=>(const SecretVersion&) const = default;
};
/// RO("versions", sorted secrets); of none too. Throws InputError for one that stands twice.
Digest versions_digest(std::vector<SecretVersion> secrets);

/// APPROVE: this member wants `proposal` (D), under these terms and versions of secrets, in this
/// window. `evidence` is a commitment to the signatures of its people (people/evidence.h): the
/// other members see that it is there and nothing of it.
struct ApproveBody {
  static constexpr size_t kMaxRuleName = 64;
  Digest proposal{};
  Digest terms{};
  Digest versions{};
  uint64_t not_before = 0, not_after = 0;  // Unix seconds, both included
  uint32_t rule_version = 0;               // of the RULE that the people signed under; 0: none
  std::string automatic;                   // name of a standing rule; empty: people
  Digest evidence{};                       // ev; zeros: there is none

  bool operator==(const ApproveBody&) const = default;
  Bytes encode() const;
  static ApproveBody decode(ByteView body, std::string_view place);
};

/// RULE: who speaks for this member from here on. The document itself (people/rule.h) stays at home
/// and is opened by an export with evidence; `evidence` commits to the signatures of the
/// administrators under the version before (zeros of the first one and of a reset).
struct RuleBody {
  uint32_t version = 0;  // from 1, each by one more
  Digest digest{};       // of the RULE document
  Digest previous{};     // of the one before; zeros of the first one
  bool reset = false;    // by whoever holds the member's machine, not by its people
  Digest evidence{};

  bool operator==(const RuleBody&) const = default;
  Bytes encode() const;
  static RuleBody decode(ByteView body, std::string_view place);
};

}  // namespace flexroom::agreement
