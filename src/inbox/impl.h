#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "inbox/board.h"
#include "inbox/chains.h"
#include "inbox/inbox.h"
#include "inbox/judge.h"
#include "inbox/ledger.h"

namespace flexroom::inbox {

/// What Inbox is made of: the chains, the index of what follows from them, and what once.db says.
class Inbox::Impl {
 public:
  Impl(store::SealedDb& state, store::OnceDb& once, const net::Identity& identity,
       Settings settings);

  const agreement::Configuration& conf() const { return settings_.configurations.back(); }
  const MemberId& self() const { return settings_.self; }
  std::string name_of(const MemberId& member) const;
  void fault(std::string_view step) const {
    if (settings_.fault) settings_.fault(step);
  }

  // Own statements.
  void catch_up();
  void apply_own(const agreement::Statement& one);
  agreement::Statement sign(agreement::StatementKind kind, Bytes body, uint64_t now);
  void require_can_sign();
  /// By D0 or D; InputError if it is not known.
  const Entry& known(const Digest& id) const;
  const Entry& complete(const Digest& id) const;
  void require_open(const Entry& entry, uint64_t now) const;
  void require_approvable(const Entry& entry, uint64_t now);
  void approve(const Entry& entry, const Window& window, uint32_t rule_version,
               const std::string& automatic, const Digest& evidence, uint64_t now);
  /// A refusal or withdrawal: mark, statement, and the mark's end.
  void say_no(agreement::StatementKind kind, Bytes body, const Digest& about,
              const std::vector<std::pair<Digest, Closed>>& ids,
              const std::optional<Digest>& consent_of, uint64_t now);
  /// What a killed process, or one whose log was not whole, left.
  void complete_pending();
  /// Of own approvals whose mark was not written, or that were signed around the inbox.
  void mark_consents();
  bool is_said(const Ledger::Intent& intent) const;
  /// What others' statements closed gets its mark.
  void close_by_statements(const std::vector<Digest>& proposals);
  std::vector<std::pair<Digest, Closed>> expired_by(uint64_t time) const;
  std::vector<std::pair<Digest, Closed>> both_ids(const Entry& entry, Closed why) const;

  // Judging.
  bool versions_hold(const Entry& entry) const;
  bool forked(const MemberId& member);
  Failures failures(const Entry& entry, const MemberId& member, bool versions, uint64_t now);
  std::optional<Closed> closed(const Entry& entry) const;
  /// By a statement of a member, whatever else closed it.
  std::optional<Closed> refused(const Entry& entry) const;
  bool is_late(const Entry& entry, uint64_t now) const;
  /// Indices that could begin at `now`.
  std::vector<uint32_t> free_indices(const Entry& entry, uint64_t now) const;
  bool can_go_on(const Entry& entry, const Ledger::Run& run) const;
  OwnMarks own_marks(const Entry& entry, uint32_t index, uint64_t now);
  bool consents(const Entry& entry);
  Item item(const Entry& entry, uint64_t now);
  void put_state(const Entry& entry, Item& item, uint64_t now);
  std::optional<State> outcome_of(const Entry& entry) const;
  /// Which proposal a run is of: by an index of the ids of all runs that proposals have.
  const Entry* entry_of_run(const Digest& run);
  bool conflict(const Entry& a, const Entry& b) const;
  /// Another run is armed that cannot be under way together with this one.
  bool conflicts_with_armed(const Entry& entry, const Digest& run);
  /// Of the first step that is armed next.
  uint32_t attempt(const Entry& entry, const Ledger::Run& run) const;
  /// Settings::check, of what is here.
  void refill(const Entry& entry);

  Chains::Authors authors() const;
  bool is_late_arrival(const agreement::Statement& s, uint64_t now) const;
  std::pair<uint32_t, uint64_t> open_of(const MemberId& author, uint64_t now) const;

  Settings settings_;
  store::SealedDb& state_;
  store::OnceDb& once_;
  const net::Identity& identity_;
  store::AuditLog log_;
  Ledger ledger_;
  Chains chains_;
  Board board_;
  std::vector<agreement::Configuration::Member> joiners_;
  struct Failed {
    std::vector<uint64_t> times;
    uint64_t pause = 0, until = 0;
  };
  std::map<MemberId, Failed> failed_;
  std::map<Digest, Digest> run_ids_;  // run -> D
  std::set<Digest> indexed_;          // D whose runs stand there
};

}  // namespace flexroom::inbox
