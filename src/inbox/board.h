#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agreement/member_statements.h"
#include "agreement/statement.h"
#include "inbox/judge.h"
#include "inbox/terms.h"
#include "store/sealed_db.h"

namespace flexroom::inbox {

/// Which statement, of an author that is known.
struct StatementRef {
  uint32_t incarnation = 0;
  uint64_t number = 0;
  auto operator<=>(const StatementRef&) const = default;
};

/// What is known of a proposal without its bytes.
struct Entry {
  Digest proposal{};  // D0
  MemberId author{};
  StatementRef propose;
  uint64_t time = 0;
  std::string kind, title;
  uint32_t bytes = 0;
  Digest room_terms{};
  Terms terms;
  Digest versions{};                        // of `terms`
  uint64_t arrived = 0;                     // by this member's clock
  std::map<uint32_t, StatementRef> inputs;  // by place in terms.inputs
  std::optional<Digest> complete;
};

/// What one author said about one id (D0 or D).
struct Said {
  StatementRef newest;
  uint64_t time = 0;
  Digest statement{};  // the newest one's
  bool withdrew_proposal = false;
  std::optional<std::string> rejected;  // the reason
  std::optional<GivenApproval> approval;
};

/// The index of what follows from the statements of all members: in memory, with a summary of each
/// in state.db that is written in the transaction of its statement (Appendix B). Knows no time and
/// no configuration.
class Board {
 public:
  /// Reads one statement of an author, whole.
  using Fetch =
      std::function<std::optional<agreement::Statement>(const MemberId&, const StatementRef&)>;
  Board(store::SealedDb& db, const Digest& room, Fetch fetch);
  /// Of the disk, after a transaction that was not.
  void reload();

  /// A verified statement, in the transaction that stores it. Returns D0 of what it is about, if
  /// that is known. A body that cannot be read, or is about nothing, has no effect.
  /// `arrived`: by this member's clock. In whatever order the statements of an author arrive, what
  /// follows is the same: the newest approval, the first input.
  std::optional<Digest> apply(const agreement::Statement& statement, const net::SigningKey& key,
                              uint64_t arrived);
  /// The terms of a PROPOSE that apply() would take; nothing: it has no effect.
  static std::optional<Terms> readable(const agreement::Statement& statement);

  const std::map<Digest, Entry>& entries() const { return entries_; }
  /// By D0 or D.
  const Entry* find(const Digest& id) const;
  /// What a member said about a proposal, under D0 and D together; the approval is of D.
  Said said(const Entry& entry, const MemberId& member) const;
  std::vector<agreement::GivenInput> inputs(const Entry& entry) const;
  struct Rule {
    uint32_t version = 0;
    Digest digest{};
    uint32_t incarnation = 0;  // that stated it
    /// Whether `body` is what may follow in a chain of that incarnation; as the verifier of the log
    /// judges it.
    bool is_followed_by(const agreement::RuleBody& body, uint32_t in) const;
  };
  Rule rule(const MemberId& member) const;
  /// Whose people said that the author of this fork may go on.
  std::vector<MemberId> gone_on(const Digest& fork) const;
  /// Forgets a proposal and what was said about it. In a transaction.
  void forget(const Digest& proposal);

  /// NOTE that says so, of the fork in its `proposal`.
  static constexpr std::string_view kGoOn = "its people say that the author of this fork may go on";

 private:
  std::optional<Digest> propose(const agreement::Statement& s, uint64_t arrived);
  std::optional<Digest> input(const agreement::Statement& s);
  std::optional<Digest> say(const agreement::Statement& s, const Digest& about,
                            const std::function<void(Said&)>& change);
  void keep_loose(const Digest& proposal, const agreement::Statement& s);
  void take_loose(const Digest& proposal);
  void rule(const agreement::Statement& s);
  void note(const agreement::Statement& s);
  void save(const Entry& entry);
  void load_entry(const store::SealedDb::Label& label);
  void load_said(const store::SealedDb::Label& label);
  std::string kind(std::string_view name) const;

  store::SealedDb& db_;
  const Digest room_;
  Fetch fetch_;
  std::map<Digest, Entry> entries_;
  std::map<Digest, Digest> of_complete_;  // D -> D0
  std::map<Digest, std::map<MemberId, Said>> said_;
  /// INPUTs that came before their proposal.
  std::map<Digest, std::vector<std::pair<MemberId, StatementRef>>> loose_;
  std::map<MemberId, Rule> rules_;
  std::map<Digest, std::vector<MemberId>> gone_on_;
};

}  // namespace flexroom::inbox
