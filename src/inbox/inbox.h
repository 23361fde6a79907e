#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/configuration.h"
#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "agreement/statement.h"
#include "inbox/rules.h"
#include "inbox/start.h"
#include "inbox/terms.h"
#include "net/identity.h"
#include "store/audit_log.h"
#include "store/once_db.h"
#include "store/sealed_db.h"

// Proposals that wait, and the statements of all members about them (members.md §5, §6, §8).

namespace flexroom::inbox {

/// Numbers of members.md §5.3, of one author each. CONF's `quotas` is empty as the program writes
/// it: then these hold.
struct Quotas {
  uint32_t open_proposals = 64;               // of one author
  uint64_t open_bytes = uint64_t{16} << 20;   // of their bytes
  uint32_t statements_a_minute = 30;          // by the statements' own times
  uint32_t statements_a_day = 2000;           // by when they arrive
  uint64_t bytes_a_day = uint64_t{64} << 20;  // the same, of all kinds
  /// Bytes of one take(): the proof of a fork of two of the longest statements, and 128 KiB.
  static constexpr size_t kMaxBundle = (8 << 20) + (128 << 10);
  static constexpr size_t kMaxHeads = 1024;         // chains in one heads()
  static constexpr size_t kMaxForks = kMaxHeads;    // one a chain
  static constexpr uint32_t kMaxIncarnations = 64;  // of one author
  static constexpr uint64_t kPruneAfter = uint64_t{90} * 86400;
};

/// What a room's store says of a secret now.
struct SecretNow {
  uint32_t version = 0;
  Digest provenance{};  // the proposal that made this version (D of a run of 8.1)
};

/// Where a proposal stands, as this member sees it (members.md §6.3).
enum class State : uint8_t {
  kProposed,  // inputs are missing
  kComplete,  // approvals are missing
  kReady,     // all members approved and every approval counts now
  kRejected,
  kWithdrawn,
  kExpired,
  kVoid,     // an approval that was given does not count any more: terms, version or rule changed
  kRunning,  // a run is armed and has no outcome yet
  kDone,     // no further run is possible; the last outcome
  kFailed,
  kUnknown
};
std::string_view to_string(State state);

/// Why an approval does not count (members.md §6.2), in the order in which it is judged.
enum class Counts : uint8_t {
  kYes,
  kNone,    // there is none
  kKey,     // signed with a key that is not the author's of the configuration in force
  kDigest,  // of another D
  kTerms,
  kVersions,
  kWithdrawn,    // the author's newest statement about D is not this approval
  kIncarnation,  // the author lost its state since and began anew
  kRule,         // not under the author's newest RULE
  kEarly,        // `now` before its window
  kLate,
  kFork  // its author signed two statements with one number
};
std::string_view to_string(Counts why);

/// What a member said about D last.
struct Decision {
  MemberId member{};
  std::string name;
  Counts counts = Counts::kNone;
  std::optional<agreement::ApproveBody> approval;  // its newest, also one that does not count
  uint64_t time = 0;                               // of that statement, by its author's clock
  std::optional<std::string> rejected;             // the reason
};

/// One line of the inbox.
struct Item {
  Digest proposal{};               // D0
  std::optional<Digest> complete;  // D, once all inputs are there
  MemberId proposer{};
  std::string proposer_name, kind, title;
  uint64_t time = 0;  // of PROPOSE, by its author's clock
  size_t bytes = 0;   // of the canonical form
  Terms terms;
  std::vector<WantedInput> missing_inputs;
  std::vector<Decision> decisions;  // of every member, in the order of CONF
  State state = State::kProposed;
  std::string why;               // of a state that needs words: who said no, what is void
  std::vector<uint32_t> runs;    // indices that were armed
  std::optional<uint32_t> next;  // the index that could begin now
};

/// Two statements of one author with one number.
struct Fork {
  Digest id{};  // RO("fork", author, incarnation): one a chain, whichever two prove it
  MemberId author{};
  uint32_t incarnation = 0;
  uint64_t number = 0;
  Bytes first, second;            // signed, as they came
  std::vector<MemberId> gone_on;  // whose people said that it may go on
};

/// What came of a bundle.
struct TakeReport {
  size_t taken = 0, known = 0;
  /// Chains that stop here, and why, by author: over a quota (they wait), a signature, a link.
  struct Stop {
    MemberId author{};
    std::string name, why;
    uint64_t until = 0;  // seconds since 1970: waits until then; 0: not by time
  };
  std::vector<Stop> stopped;
  std::vector<Fork> forks;              // new ones
  std::vector<Digest> touched;          // D0 of proposals about which something new is here
  bool own_log_is_whole_again = false;  // the last lost statement of this member came back
};

/// The inbox of one member in one room.
///
/// Purpose    keeps the chains of all members' statements, what follows from them for every
///            proposal, and what may begin now; signs this member's own
/// Guarantee  a statement stands here only if its author signed it and it follows from the one
///            before; two with one number are kept as proof, and nothing starts with their author
///            until people of all others said so and it began a new chain (M28)
///            what this member refused, took back or let expire stays so when state.db is put back
///            (M29); a run is armed at most once for each step and attempt (M33), once a slot and
///            at most `times` altogether (M31, M32), whatever is put back but once.db a flood of
///            one author keeps only its own chain waiting (M37)
/// Durable    every call that changes something is on disk when it returns: state.db first, then
///            once.db (the mark of a withdrawal and a refusal before the statement); killed in
///            between it is completed at the next opening
/// Cost       opening reads summaries alone, no body
/// Threads    one at a time
/// Errors     InputError: of this member's own commands, naming what is wrong and what to do;
///            ProtocolAbort(kBadFrame): a message that no honest member sends. What is wrong with
///            single statements of others is reported, not thrown
class Inbox {
 public:
  struct Settings {
    Digest room{};  // rid
    MemberId self{};
    /// All that are known, oldest first; the last one is in force.
    std::vector<agreement::Configuration> configurations;
    /// What the store has now of a record; nothing: it has none. Called when something is judged.
    std::function<std::optional<SecretNow>(const std::array<uint8_t, 16>& record)> secret;
    /// Fills the requests in from digests, arguments and inputs and throws InputError where the
    /// bytes of the proposal are not those (members.md §6.1, M27). Called before this member
    /// approves, by whomever, and before it takes part in a run.
    std::function<void(const agreement::Proposal&, const Terms&,
                       const std::vector<agreement::GivenInput>&)>
        check;
    Quotas quotas;
    /// Tests: called with the name of every durable step, which it may end by throwing.
    std::function<void(std::string_view)> fault;
  };
  /// Completes what a killed process began. Refuses nothing: whether this member may sign shows
  /// own_log_is_whole(). Throws InputError on damage.
  Inbox(store::SealedDb& state, store::OnceDb& once, const net::Identity& identity,
        Settings settings);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // What this member says. Each is in its log when it returns. `now`: this member's clock. All
  // throw InputError when its own log is not whole (a state.db of before was put back).

  /// PROPOSE; returns D0. The proposal must begin with its Terms, name this member and the terms in
  /// force, and be within the quotas.
  Digest propose(const agreement::Proposal& proposal, uint64_t now);
  /// INPUT of this member for a slot that is wanted of it. The first one counts: another value is
  /// another proposal.
  void input(const Digest& proposal, std::string_view slot, ByteView public_part,
             const Digest& commitment, uint64_t now);
  /// What stands behind an approval.
  struct Consent {
    uint32_t rule_version = 0;     // of people's roles; must be the newest RULE of this member
    Digest evidence{};             // ev
    std::optional<Window> window;  // within the proposal's; nothing: the proposal's
  };
  /// APPROVE of a complete proposal that is neither closed nor expired and passes Settings::check.
  void approve(const Digest& complete, const Consent& consent, uint64_t now);
  /// REJECT, for good. Also of a proposal that is not complete (by D0).
  void reject(const Digest& proposal, const std::string& reason, uint64_t now);
  /// WITHDRAW of this member's own proposal (D0 or D), for good.
  void withdraw_proposal(const Digest& proposal, uint64_t now);
  /// WITHDRAW of its own approval of D; approve() may follow.
  void withdraw_approval(const Digest& complete, uint64_t now);
  /// RULE: a body as people/ made it, of the version after the last one. One that people/ enters
  /// through AuditLog::append_rule() counts as well.
  /// This member's approvals under another version count no more from here on.
  void rule(ByteView body, uint64_t now);
  /// Version of this member's newest RULE; 0: none.
  uint32_t rule_version() const;
  /// Approves what the rules cover and nothing else (members.md §6.5): what it counts a day is
  /// durable in once.db before APPROVE is signed. Returns the D of what it approved.
  std::vector<Digest> apply(const StandingRules& rules, uint32_t rule_version, uint64_t now);
  /// NOTE about a fork that is known here: this member's people say that its author may go on.
  void go_on_after(const Digest& fork, uint64_t now);

  // Reading.

  /// Newest first. `now`: shown is what would hold at that time.
  std::vector<Item> list(uint64_t now);
  /// By D0 or D.
  std::optional<Item> show(const Digest& proposal, uint64_t now);
  /// The bytes of PROPOSE. Throws InputError if it is not known or was pruned.
  agreement::Proposal proposal(const Digest& proposal);
  /// The inputs that are there, in the order of Terms::inputs.
  std::vector<agreement::GivenInput> inputs(const Digest& proposal);
  std::vector<Fork> forks() const;
  /// A statement as its author signed it, of any member.
  std::optional<Bytes> statement(const MemberId& author, uint32_t incarnation, uint64_t number);

  // Exchange (members.md §5.2): over any link, in any order, with any member. `from`: whose link.

  /// Where all chains end here. At most 96 KiB.
  Bytes heads();
  /// What to ask that member for: what it has and this one has not. Empty: nothing. Throws
  /// ProtocolAbort(kBadFrame) if these are no heads.
  Bytes missing(ByteView heads, const MemberId& from, uint64_t now);
  /// The statements that were asked for, in order, at most Quotas::kMaxBundle; the rest is asked
  /// for again.
  Bytes give(ByteView missing, const MemberId& from);
  /// Takes what give() wrote. One durable step.
  TakeReport take(ByteView bundle, const MemberId& from, uint64_t now);
  /// False: a state.db of before was put back; nothing is signed until take() brought the rest, or
  /// AuditLog::accept_loss() began a new chain.
  bool own_log_is_whole();
  /// Who may sign APPROVE and READY without being in the configuration: joiners of an open change.
  void set_joiners(std::vector<agreement::Configuration::Member> joiners);
  /// Drops the bytes of other members' closed proposals that never ran (5.3). Returns how many.
  size_t prune(uint64_t now);

  // Time (members.md §6.4).

  /// The largest agreed time that this member ever took part in.
  uint64_t floor();
  /// Of an agreed time: throws InputError if it is more than 300 s from `clock` or below the floor.
  void check_time(uint64_t agreed, uint64_t clock);
  /// Takes part at `agreed`: the floor is not below it from here on, and what expired by it stays
  /// expired. Durable.
  void raise_floor(uint64_t agreed);
  /// By people with `administer` (their evidence), shown to all in a NOTE. What expired stays so.
  void lower_floor(uint64_t to, const Digest& evidence, uint64_t now);

  // Sessions: counters that show a copied or restored node (M38).

  struct SessionNumber {
    uint32_t incarnation = 0;
    uint64_t counter = 0;
  };
  /// For this member's hello: larger than any before, durable.
  SessionNumber next_session();
  /// Of a peer's hello. Throws ProtocolAbort(kRefusedByRule), "NAME runs twice, or was restored",
  /// if it is not larger than the last one of this incarnation that was seen.
  void check_session(const MemberId& member, const SessionNumber& number);

  // Runs (members.md §8).

  /// What could begin at `now`: every member's approval counts, no fork, an index that is free.
  std::vector<ReadyRun> ready(uint64_t now);
  /// Runs that are armed and have no outcome, ascending by id.
  std::vector<Digest> unresolved();
  /// Of START flow 1: RO of all that counts about D.
  Digest statements_about(const Digest& complete);
  /// Two runs that cannot be under way together: one replaces a secret that the other names.
  /// A run that is not known here conflicts with every other. One look-up, no search: what
  /// others say in START is compared with it.
  bool conflict(const Digest& run, const Digest& other);
  /// This member's own flow 1 at that time, preferring `chosen`.
  StartSaying saying(const StartContext& context, const std::optional<Digest>& chosen);
  /// Judged again by this member alone: throws InputError naming the first condition of 6.2 that
  /// does not hold, or a check() that fails. START calls it before it signs.
  void require_startable(const ReadyRun& run, uint64_t now);
  /// START happened: counts the try and enters START in the log. Durable.
  void begin(const Started& started);
  /// Of the first step of the run that is armed next: 1, and one more each time its outcome was
  /// unknown and its terms let it be done again.
  uint32_t attempt(const ReadyRun& run) const;
  /// Before the own share of A3 of a step: true the first time for (run, step, attempt), durable on
  /// return; false if it was armed before, or `attempt` is not attempt() (then nothing may leave).
  /// The first one of a run takes its index: false also where the slot, or the count of `times`, is
  /// used up, the approval was taken back since, the versions of its secrets are others now, a run
  /// that conflicts with it is armed, or the member's own log is not whole. Expiry does not end a
  /// run whose first step was armed in time.
  bool arm(const ReadyRun& run, std::string_view step, uint32_t attempt);
  /// The run goes on later in another session (it waits for a person): it is ready again under the
  /// same index, and conflicts with nobody meanwhile.
  void suspend(const ReadyRun& run);
  /// The outcome; the run is resolved. RESULT itself is entered by AuditLog, with the others.
  void finish(const Digest& run, agreement::Outcome outcome);
  /// A START with that peer failed: ten in ten minutes, then a pause that doubles (30 s to 10 min).
  void note_failed_start(const MemberId& peer, uint64_t now);
  /// 0, or until when no START with it is begun.
  uint64_t pause_until(const MemberId& peer, uint64_t now) const;

  const agreement::Configuration& configuration() const;
  const net::Identity& identity() const;
  store::AuditLog& log();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexroom::inbox
