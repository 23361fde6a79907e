#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agreement/people_bodies.h"
#include "agreement/statement.h"
#include "net/identity.h"
#include "net/party.h"
#include "store/log_entry.h"
#include "store/once_db.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// This member's log of one room: the chain of the statements that it signed (members.md §5.1,
/// §5.4; docs/log-format.md), in state.db, with number and digest of the last one in once.db.
///
/// Guarantee  an entry that was written stays where it is and as it is: what was altered, left out
///            or cut off is named; so is a state.db of an earlier time, before anything is signed
///            that would take the number of a lost entry
///            readable for ever: each entry is held against the keys of the configuration that the
///            log itself says was in force, not against today's
///            a joint entry carries all members' signatures and its place in their session, so that
///            nobody can repeat one
/// Not given  a member can leave its newest entries out of a copy that it hands over, and one that
///            controls its whole machine can begin a new chain: the others' copies show both, and
///            exchange_heads() names it
/// Errors     InputError naming the entry and the way back
class AuditLog {
 public:
  /// Whose log: `room` is rid, `self` this member's mid.
  AuditLog(SealedDb& db, OnceDb& once, const net::Identity& identity, const Digest& room,
           const agreement::MemberId& self);

  // With all members.

  /// First thing in a session. Every member shows where its log and, as far as it saw them, those
  /// of the others end; throws kRefusedByRule or kDisagreement naming who shows an older or another
  /// one than before. Then `now`, which all members derive alike from what they agreed, is the
  /// configuration in force: if the last one in the log is another, all sign it and it is entered
  /// (a member that was stopped in between takes the entry over from the others).
  void exchange_heads(net::Party& party, const agreement::Configuration& now);
  /// All members call it with the same entry: kDisagreement otherwise, and nothing is written.
  void append(net::Party& party, const LogEntry& entry);

  // Alone.

  /// An approval (kApproved: from here on the run is open until an outcome is entered), an outcome
  /// after an abort, or a note.
  void append_alone(const LogEntry& entry);
  /// A note that says what `change` does to state.db: both are durable in one step, or neither is.
  void append_with(const LogEntry& note, const std::function<void()>& change);
  /// An APPROVE or RULE of this member (agreement/people_bodies.h), and what `change` does to
  /// state.db, durable in one step.
  void append_approve(const agreement::ApproveBody& body,
                      const std::function<void()>& change = nullptr);
  void append_rule(const agreement::RuleBody& body, const std::function<void()>& change = nullptr);
  /// A statement about a change of members (members.md §4, §5.1): START, READY, BIND, LEFT, VOID,
  /// OLD, or CHANGE once it is complete. `change`: what else is written in the same step.
  agreement::Statement append_of_change(
      agreement::StatementKind kind, Bytes body,
      const std::function<void(const agreement::Statement&)>& change = nullptr);
  /// Enters that this member said no; returns the statement, for the others.
  Bytes refuse(const Digest& proposal, const std::string& reason);
  /// Another member's refusal of this proposal: enters it and returns the reason. Throws
  /// kRefusedByRule if it is not that.
  std::string heard_refusal(PartyId who, const Digest& proposal, ByteView statement);

  /// Signs any other statement of this member; `with` is part of the same durable step of state.db.
  agreement::Statement append_statement(
      agreement::StatementKind kind, Bytes body, uint64_t unix_seconds,
      const std::function<void(const agreement::Statement&)>& with = nullptr);
  /// A statement of this member that comes back from another one after a state.db of before was put
  /// back (members.md §5.1): taken if it is the next one here and signed with one of `keys`, else
  /// InputError. `keys` are this member's in the order in which they were in force: one of before
  /// that of the last entry here says nothing any more, in any incarnation (M24). state.db alone;
  /// settle_head() is called when that is durable.
  void take_back(const agreement::Statement& statement, const std::vector<net::SigningKey>& keys);
  /// The same of an incarnation before the newest one here, which does not go on: `previous` is the
  /// digest of the one before it in its chain; zeros: it is the first.
  void take_back_older(const agreement::Statement& statement, const Digest& previous,
                       const std::vector<net::SigningKey>& keys);
  /// once.db knows of every entry that is here: one that it did not know was signed by a copy of
  /// this member, or before once.db was put back.
  void settle_head();

  /// Runs without an outcome that no process works on any more get one: a killed member says at its
  /// next start what may have happened. Call it while no session of this member runs. Returns how
  /// many there were.
  size_t settle_open_runs();

  /// The operator's word that lost entries stay lost: the log goes on as a new one (another
  /// incarnation) that says so, and what the other members showed before counts no more. Nothing
  /// is lost: the log stays as it is, unless it is `forked`: a copy of this member signed one of
  /// its numbers, and what follows stands in a new log.
  void accept_loss(bool forked = false);
  /// Where once.db was lost the log goes on as a new one, before anything says where it ends.
  /// Returns whether one began. Call it when a state folder is opened.
  bool begin_anew_if_once_lost();

  // Reading; changes nothing.

  using Stored = VerifiedEntry;
  /// All of it, every chain and signature recomputed.
  std::vector<Stored> verify();
  /// The newest approved proposal of that kind and title, also of a log that another one followed.
  std::optional<Bytes> last_approved(const std::string& kind, const std::string& title);
  std::optional<agreement::Configuration> configuration();
  /// Where the log ends in state.db; nothing: it is empty.
  std::optional<OnceDb::LogHead> last();
  /// Nothing that once.db knows to be signed is missing in state.db.
  bool is_whole();
  /// One entry as it was signed.
  std::optional<Bytes> signed_bytes(uint32_t incarnation, uint64_t number);
  /// Every configuration that this log holds with what shows it, ascending by number.
  std::vector<agreement::ChangeBody> configurations();

 private:
  struct Head {
    OnceDb::LogHead last;
    OnceDb::LogHead change;  // the last CHANGE; its number is 0 if there is none
  };
  using Kind = agreement::StatementKind;

  /// Where the log ends, and whether once.db no longer knows.
  struct End {
    Head head;
    bool once_lost = false;
  };

  std::optional<Head> head_here();
  End end();
  agreement::Statement put(Head& head, Kind kind, Bytes body, uint64_t unix_seconds);
  void begin_again(Head& head, uint32_t after, const std::string& why);
  void begin_again_alone(const std::string& why);
  std::optional<agreement::Statement> newest_statement(const Head& head);
  std::optional<uint32_t> shown_of_self();
  void keep_shown_of_self(uint32_t incarnation);
  void put_head_row(const Head& head);
  agreement::Statement write(
      Kind kind, Bytes body, uint64_t unix_seconds, const std::function<void()>& change = nullptr,
      const std::function<void(const agreement::Statement&)>& with = nullptr);
  Bytes id_of(uint32_t incarnation, uint64_t number) const;
  std::optional<agreement::Statement> statement(uint32_t incarnation, uint64_t number);
  std::optional<agreement::ChangeBody> change_of(const Head& head);
  bool signs_in(const agreement::Configuration& configuration) const;
  OnceDb::LogHead seen_of(const agreement::MemberId& member);
  void check_head(net::Party& party, const agreement::Configuration& now, PartyId whose,
                  const OnceDb::LogHead& head, PartyId by, const OnceDb::LogHead& seen) const;
  void keep_head(const agreement::Configuration::Member& member, const OnceDb::LogHead& head);
  void change_configuration(net::Party& party, const agreement::Configuration& now,
                            const std::optional<agreement::ChangeBody>& own);

  SealedDb& db_;
  OnceDb& once_;
  const net::Identity& identity_;
  const Digest room_;
  const agreement::MemberId self_;
  const std::string kind_, peer_kind_;
};

}  // namespace flexroom::store
