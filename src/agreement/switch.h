#pragma once

#include <map>
#include <set>
#include <vector>

#include "agreement/change.h"
#include "agreement/statement.h"

// The switch from (S, g) to (T, g+1) at one member, as a function of its register and of the
// statements that it holds (members.md §4.2). No file, no clock, no message: whoever keeps the
// register makes each move durable before what it says is signed.

namespace flexroom::agreement {

/// Where a member stands in an attempt; the numbers stand in once.db (members.md, Appendix A).
enum class Place : uint8_t { kIdle, kReady, kBound, kOld, kNew, kFrozen, kLeft };
std::string_view to_string(Place place);

enum class Part : uint8_t { kStays, kJoins, kLeaves };
Part part_of(const ChangeSets& sets, const MemberId& id);

/// A member's register about one attempt.
struct Standing {
  Part part = Part::kStays;
  Place place = Place::kIdle;
  bool said_ready = false;  // READY was due at some time
  bool said_bind = false;   // BIND was due at some time
  bool staged = false;      // its rows of T are on disk
  bool operator==(const Standing&) const = default;
};

/// Statements about one attempt that are known, by author.
class Heard {
 public:
  void add(const MemberId& author, StatementKind kind) { by_author_[author].insert(kind); }
  bool has(const MemberId& author, StatementKind kind) const;
  /// Of all of `who`.
  bool all(const std::vector<MemberId>& who, StatementKind kind) const;
  /// Who signed BIND and VOID: the proof of members.md §4.2, which stops both rooms.
  std::vector<MemberId> two_tongued() const;

 private:
  std::map<MemberId, std::set<StatementKind>> by_author_;
};

/// READY of all T and BIND of all K: a is decided.
bool is_certificate(const ChangeSets& sets, const Heard& heard);

enum class Move : uint8_t {
  kBecomeReady,  // the session of all of U ended well here: the caller's to know
  kFreeze,       // before its row goes into the session
  kBind,
  kBecomeNew,
  kLeave,
  kGoBack,      // to `old`
  kDropStaged,  // rows of T are erased
};

/// What a member may do now. `in_session`: this member is in the session of a, which has all of U
/// (kBecomeReady, kFreeze are only offered then). `waived`: its people do without LEFT (4.5).
/// kGoBack is never due where it is offered from idle or ready: a member may wait.
std::vector<Move> moves(const ChangeSets& sets, const MemberId& self, const Standing& standing,
                        const Heard& heard, bool in_session, bool waived);
Standing after(Standing standing, Move move);
/// What it has to say about the attempt, in the order in which it came to it.
std::vector<StatementKind> says(const Standing& standing);

/// Whether a run of (S, g), or of (T, g+1), may have this member.
bool runs_old(const Standing& standing);
bool runs_new(const Standing& standing);
/// Whether it may begin another attempt.
bool is_free(const Standing& standing);

}  // namespace flexroom::agreement
