#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/approval.h"
#include "agreement/configuration.h"
#include "agreement/proposal.h"

// A change of a room from CONF_g to CONF_{g+1} (members.md §1.2, 2): who takes part, what is
// proposed, and what shows later that it was decided.

namespace flexroom::agreement {

/// Members of the two configurations (members.md §1.2): S = stay + leave, T = stay + join.
struct ChangeSets {
  std::vector<MemberId> stay, join, leave;
  /// U: S in its order, each with name, key and certificate of CONF_{g+1} if it has them there,
  /// then those who join. In everything about a change a member signs with that key: a lost one
  /// cannot block it, a stolen one cannot speak.
  std::vector<Configuration::Member> all;

  bool stays(const MemberId& id) const;
  bool joins(const MemberId& id) const;
  bool leaves(const MemberId& id) const;
  std::optional<size_t> index_of(const MemberId& id) const;  // in `all`
  std::vector<net::SigningKey> keys() const;                 // of `all`
};
ChangeSets change_sets(const Configuration& before, const Configuration& next);

/// `next` may follow `before`: same room, name and profile, its number and predecessor right, 2 to
/// 16 members, one at least of before; who stays keeps its place, who joins stands behind; no key
/// of another member. Throws InputError at `place` saying what is wrong, also where nothing
/// changes.
void check_change(const Configuration& before, const Configuration& next, std::string_view place);

/// Whether secrets need new rows: a member, key or certificate is another one. Names, addresses,
/// couriers and providers do without (members.md §2).
bool needs_rows(const Configuration& before, const Configuration& next);

/// The proposal of kind "change": C_g, C_{g+1}, all of CONF_{g+1} as text, what is another than
/// before, and what that means (members.md §1.3). A function of the two configurations: whoever
/// verifies it makes it again.
Proposal change_proposal(const Configuration& before, const Configuration& next);

/// START of a change: all of U approved it, for this attempt.
struct ChangeStart {
  static constexpr uint8_t kForm = 3;  // of a START's body; 1 is StartBody, 2 JointStart

  Configuration before, next;
  std::vector<Digest> nonces;  // of U, in its order
  Approval approval;           // by U

  /// a = RO("attempt", proposal digest, nonces of all of U).
  Digest attempt() const;
  /// Throws InputError at `place`: a change that may not be, another proposal than that of the two
  /// configurations, a signature that is wrong.
  void verify(std::string_view place) const;
  Bytes encode() const;
  /// Does not verify.
  static ChangeStart decode(ByteView body, std::string_view place);
  /// Whether a START's body is one.
  static bool is(ByteView body) { return !body.empty() && body[0] == kForm; }
};

/// Body of BIND, LEFT, VOID and OLD, and the beginning of that of READY.
struct AttemptBody {
  Digest attempt{};
  Bytes encode() const;
  static AttemptBody decode(ByteView body, std::string_view place);
};
/// READY: this member holds all that it needs in CONF_{g+1}, on disk.
struct ReadyBody {
  Digest attempt{};
  Digest metas{};  // of all secrets that were handed over
  Digest epoch{};  // eid of E_T; without rows that of the room
  bool operator==(const ReadyBody&) const = default;
  Bytes encode() const;
  static ReadyBody decode(ByteView body, std::string_view place);
};

}  // namespace flexroom::agreement
