#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "inbox/board.h"
#include "inbox/inbox.h"
#include "inbox/wire.h"
#include "store/audit_log.h"
#include "store/sealed_db.h"

namespace flexroom::inbox {

/// The chains of all members but this one, which is AuditLog's, in state.db: verified, bounded,
/// with the proofs of those that fork (members.md §5.1, §5.2, §5.3).
class Chains {
 public:
  struct Author {
    std::string name;
    std::vector<net::SigningKey> keys;  // of all configurations, oldest first
    bool joiner = false;                // not in the configuration: APPROVE and READY alone
    bool left = false;                  // not in it any more: LEFT, OLD and VOID alone
  };
  using Authors = std::map<MemberId, Author>;

  Chains(store::SealedDb& db, store::AuditLog& log, const Digest& room, const MemberId& self,
         const Quotas& quotas);
  void reload();

  std::optional<Bytes> bytes(const MemberId& author, const StatementRef& ref);
  std::optional<agreement::Statement> statement(const MemberId& author, const StatementRef& ref);
  /// Newest incarnation of an author; 0 if nothing of it is here.
  uint32_t incarnation(const MemberId& author);
  /// Without their bytes.
  const std::map<Digest, Fork>& forks() const { return forks_; }
  /// With them.
  Fork fork(const Digest& id);
  /// The newest chain of the author forks: nothing more of it counts.
  bool is_forked(const MemberId& author);
  /// Ids of all forks of the author, also those whose proof is not here.
  std::vector<Digest> forks_of(const MemberId& author) const;
  /// Whose fork that is, if it is known here, with or without its proof.
  std::optional<MemberId> author_of_fork(const Digest& id) const;

  Heads heads();
  Wants missing(const Heads& theirs, const MemberId& from, const Authors& authors, uint64_t now);
  Bundle give(const Wants& wants);

  struct Taking {
    const Authors& authors;
    uint64_t now = 0;
    /// Proposals and their bytes of an author that are open.
    std::function<std::pair<uint32_t, uint64_t>(const MemberId&)> open;
    /// What a verified statement does, in the same transaction.
    std::function<void(const agreement::Statement&, const net::SigningKey&)> apply;
  };
  /// In a transaction of state.db; reload() when that fails.
  void take(const Bundle& bundle, const MemberId& from, const Taking& taking, TakeReport& report);
  /// Statements of this member that were entered around the inbox (runs, people), oldest first,
  /// are applied, and where its chain ends is kept. One transaction of state.db where there are
  /// any, or part of one; reload() when that fails. Of all incarnations. Returns how many there
  /// were.
  size_t catch_up(const std::function<void(const agreement::Statement&)>& apply);
  /// Drops the bytes of a statement of another member; its digest stays.
  void prune(const MemberId& author, const StatementRef& ref);

 private:
  struct Chain {
    uint64_t number = 0;
    Digest digest{};
    uint64_t time = 0;    // the largest so far, none in the future when it came
    uint64_t minute = 0;  // of `time`
    uint32_t in_minute = 0;
    size_t key = 0;  // place in Author::keys of the newest statement's
    bool forked = false;
  };
  /// What an author used of a day, by when statements arrive.
  struct Day {
    uint64_t at = 0;
    uint64_t statements = 0, bytes = 0;  // used, in 1/86400
  };
  using ChainId = std::pair<MemberId, uint32_t>;

  void note_own(const agreement::Statement& s);
  size_t incarnations_of(const MemberId& author) const;
  std::string kind(std::string_view name) const;
  void save(const ChainId& id, const Chain& chain);
  void save_day(const MemberId& author, const Day& day);
  void take_one(const Bytes& bytes, const Taking& taking, TakeReport& report);
  void take_own(const agreement::Statement& s, const Bytes& bytes, const Taking& taking,
                TakeReport& report);
  void take_next(const agreement::Statement& s, const Bytes& bytes, const Author& author,
                 const Taking& taking, TakeReport& report);
  void take_again(const agreement::Statement& s, const Bytes& bytes, const Author& author,
                  TakeReport& report);
  /// Within the quotas, which it then uses; else why not and until when.
  std::optional<TakeReport::Stop> over_quota(const agreement::Statement& s, size_t size,
                                             const Taking& taking, Chain& chain);
  void add_fork(const agreement::Statement& s, const Author& author, const Bytes& first,
                const Bytes& second, TakeReport& report);
  /// One of two that are not the next of their chain here: with the other one a proof.
  void pair_up(const agreement::Statement& s, const Author& author, const Bytes& bytes,
               TakeReport& report);
  void stop(const MemberId& author, const std::string& name, std::string why, TakeReport& report,
            uint64_t until = 0);
  std::optional<Digest> digest_of(const MemberId& author, const StatementRef& ref);
  std::optional<Wants::Range> wanted(const ChainHead& theirs, const MemberId& from, uint64_t now);

  store::SealedDb& db_;
  store::AuditLog& log_;
  const Digest room_;
  const MemberId self_;
  const Quotas quotas_;
  std::map<ChainId, Chain> chains_;
  std::map<MemberId, Day> days_;
  std::map<Digest, Fork> forks_;
  std::map<MemberId, uint64_t> waits_;  // until when an author's chain waits
  /// Until when a member is not asked for an author whose statements it gave were no good: (from,
  /// author), so that what one member gives keeps no other's from coming.
  std::map<std::pair<MemberId, MemberId>, uint64_t> refused_;
  /// Own chains before this incarnation are applied.
  uint32_t settled_ = 0;
  /// Chains whose next statement did not follow from what is here: whoever has it has another one
  /// with the number of our last.
  std::set<ChainId> suspects_;
  // Of the bundle that is taken.
  MemberId from_{};
  uint64_t now_ = 0;
  std::set<ChainId> changed_;
  std::set<MemberId> spent_, stopped_;
  std::map<std::pair<ChainId, uint64_t>, Bytes> ahead_;  // not the next one of its chain
};

}  // namespace flexroom::inbox
