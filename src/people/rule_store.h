#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agreement/people_bodies.h"
#include "people/evidence.h"
#include "people/rule.h"
#include "store/audit_log.h"
#include "store/once_db.h"
#include "store/sealed_db.h"

namespace flexroom::people {

/// A version of this member's rule as it lies here.
struct StoredRule {
  Rule rule;
  Evidence evidence;  // voices of the administrators; none of the first one and of a reset
  uint64_t time = 0;  // of its RULE statement, Unix seconds
};

/// The rule of one member in one room, all versions, durable (members.md 7.1, Appendix B):
/// state.db `people@RID` (version), with a RULE statement in the member's log in the same
/// transaction; once.db holds version and digest of the newest, so that a state.db put back does
/// not bring an old rule back (M29). Beside it evidence, by commitment, and the newest signCount of
/// each credential (once.db, so that no copy of a key comes into use by a restore, M43).
///
/// Errors  InputError: state.db is older than once.db says (restore the newest one); a change that
///         does not follow, or that its administrators did not sign
class RuleStore {
 public:
  RuleStore(store::SealedDb& db, store::OnceDb& once, const Digest& room,
            const agreement::MemberId& self);

  /// The newest; nothing: this member has no people, and is its node.
  std::optional<StoredRule> current();
  std::optional<StoredRule> version(uint32_t version);
  /// Oldest first.
  std::vector<StoredRule> all();
  /// The newest version up to `version` that is a reset; 0: none.
  uint32_t newest_reset(uint32_t version);

  /// The first rule, root's: version 1. Throws InputError where there is one.
  void begin(store::AuditLog& log, Rule rule);
  /// The next version, with enough voices of administrators under the present one about exactly
  /// this document. Tickets are the caller's (take_pending()). The counters of their keys are used
  /// up only if all is right and enough. Throws InputError or VoiceRefused.
  enum class Counters : uint8_t { kCount, kWereCounted };  // when their voices came, one by one
  void apply(store::AuditLog& log, const Rule& next, const Evidence& evidence,
             const std::vector<RelyingParty>& parties, Counters counters = Counters::kCount);
  /// The next version, by root: reset = 1. All approvals of the member are void from here on.
  void reset(store::AuditLog& log, Rule rule);

  /// A change that waits for its administrators: its statements may be signed for kPendingLife by
  /// files that go to and fro, over restarts (as built, members.md 7.2: a rule's version comes
  /// once, so that none of them can be used again). One at a time: another one takes its place.
  struct Pending {
    Rule next;
    std::vector<Bytes> statements;  // st of each administrator
    uint64_t until = 0;             // Unix seconds
  };
  static constexpr uint64_t kPendingLife = uint64_t{7} * 24 * 3600;
  void put_pending(const Pending& pending);
  /// Nothing: none, or too old at `now`, or the rule changed since.
  std::optional<Pending> pending(uint64_t now);

  /// By its commitment, as the log names it: in one step with the APPROVE statement.
  void put_evidence(const Evidence& evidence);
  std::optional<Evidence> evidence(const Digest& commitment);

  /// Durable if it returns: the counter of a WebAuthn key that signed. Throws VoiceRefused
  /// (kCounter) unless it is larger than the last one, or both are 0.
  void count(const Key& key, uint32_t sign_count);

 private:
  struct Mark {
    uint32_t version = 0;
    Digest digest{};
  };
  std::optional<Mark> mark();
  void set_mark(const Mark& mark);
  void write(store::AuditLog& log, const Rule& rule, const Evidence& evidence);
  std::optional<StoredRule> newest_here();

  store::SealedDb& db_;
  store::OnceDb& once_;
  const Digest room_;
  const agreement::MemberId self_;
  const std::string kind_, evidence_kind_;
};

}  // namespace flexroom::people
