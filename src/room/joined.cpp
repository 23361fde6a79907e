#include "room/joined.h"

#include <fmt/core.h>

#include <ctime>
#include <utility>

#include "agreement/render.h"
#include "agreement/time.h"
#include "base/codec.h"
#include "room/failure.h"
#include "room/people.h"
#include "room/secret_removal.h"

namespace flexroom::room {
namespace {

constexpr const char* kChangedText =
    "; it may have been stored: the next command that meets all members finishes it or drops it, "
    "at all of them alike";

}  // namespace

std::unique_ptr<session::MemberState> open_state(const std::filesystem::path& member_file,
                                                 const Hooks* hooks,
                                                 store::SealedDb::Access access) {
  MemberConfig member = MemberConfig::load(member_file);
  RoomConfig room = RoomConfig::load(member.room_file);
  return std::make_unique<session::MemberState>(std::move(room), std::move(member),
                                                hooks != nullptr ? hooks->fault : nullptr, access);
}

Summary summary_of(const session::Shown& shown) {
  Summary out;
  std::string section;
  for (const auto& field : shown.proposal.fields) {
    if (field.form == agreement::Proposal::Form::kSection) {
      section = field.name;
      continue;
    }
    out.fields.push_back(
        {section, field.name, field.secret ? "" : agreement::value_text(field), field.secret});
  }
  out.command = shown.proposal.kind;
  out.title = shown.proposal.title;
  out.digest = to_hex(shown.digest);
  out.text = shown.text;
  out.since = shown.since;
  out.new_each_run = shown.new_each_run;
  return out;
}

Joined::Joined(session::MemberState& state, Decider& decider, const Options& options)
    : state_(state), decider_(decider), options_(options) {
  if (!options_.trace_file.empty()) trace_.emplace(options_.trace_file);
  session::SessionOptions session;
  session.note = [this](const std::string& text) { note(text); };
  session.progress = [this](std::string_view phase, uint64_t done, uint64_t total) {
    progress(phase, done, total);
    throw_if_cancelled();
  };
  session.cancel = options_.cancel;
  if (options_.hooks != nullptr) session.incoming = options_.hooks->incoming;
  session.command = options_.command;
  try {
    session_ = std::make_unique<session::MemberSession>(state_, session);
  } catch (const ProtocolAbort& abort) {
    if (abort.code() != AbortCode::kTimeout || abort.operation() != "connect") throw;
    if (session.incoming != nullptr) throw;
    throw ProtocolAbort(
        AbortCode::kTimeout, "connect",
        fmt::format("{}\n  Nobody came within {} s. Start the same command at every member; "
                    "timeout_seconds in [room] of {} says how long the first one waits. If the "
                    "other one waits too, the [[member]] entries are in another order there.",
                    abort.detail(), state_.room().timeout.count(), state_.room().file.string()),
        abort.peer());
  }
  connections_ = std::make_unique<ServiceConnections>(
      *session_, [this](const std::string& text) { note(text); });
  if (trace_) {
    session_->party().set_trace([this](const net::TraceEntry& entry) { trace_->write(entry); });
  }
  if (options_.hooks != nullptr && options_.hooks->connected) {
    options_.hooks->connected(session_->party());
  }
}

std::vector<std::string> Joined::members() const {
  std::vector<std::string> out;
  for (const MemberEntry& member : state_.room().members) out.push_back(member.name);
  return out;
}

void Joined::start() {
  if (std::exchange(started_, true)) return;
  session_->start();
  settle_removals(*this);
}

void Joined::reached(std::string_view step) const {
  if (options_.hooks != nullptr && options_.hooks->fault) options_.hooks->fault(step);
}

void Joined::progress(std::string_view phase, uint64_t done, uint64_t total) noexcept {
  try {
    if (const auto now = meter_.update(phase, done, total)) decider_.progress(*now);
  } catch (...) {  // no memory to tell it in
  }
}

void Joined::note(const std::string& text) noexcept { decider_.note(text); }

void Joined::throw_if_cancelled() const {
  if (options_.cancel == nullptr || !*options_.cancel) return;
  throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
}

// Everybody's approval is here, and START: what is left is that this is what they approved.
Digest Joined::begin_approved(const agreement::Proposal& proposal, const Hooks::Begun& begun) {
  const agreement::Proposal framed = session::of_this_room(state_, begun.framed(proposal));
  const session::Shown shown = session::shown(state_, framed);
  throw_if_cancelled();
  const bool same = shown.digest == begun.proposal;
  if (!same || decider_.approve(summary_of(shown)) != Decider::Answer::kYes) {
    throw ProtocolAbort(
        AbortCode::kRefusedByRule, "approve",
        same ? std::string("the stored approval does not count any more")
             : fmt::format("what would run is not what was approved: it makes the proposal {}, and "
                           "{} was approved",
                           to_hex(shown.digest), to_hex(begun.proposal)));
  }
  proposed_ = begun.complete;
  stored_before_ = stored();
  run_ = session_->party().scope().sid;
  // If this process is killed from here on, the next one says in the log what may have happened.
  store::OnceDb::OpenRun open;
  open.session = run_;
  open.room = state_.rid();
  open.proposal = begun.complete;
  open.what = framed.kind + (framed.title.empty() ? "" : " " + framed.title);
  state_.once().open_run(open);
  state_.once().set_before_release(begun.before_release);
  return begun.complete;
}

Digest Joined::approve(const agreement::Proposal& proposal) {
  if (options_.hooks != nullptr && options_.hooks->begun != nullptr) {
    return begin_approved(proposal, *options_.hooks->begun);
  }
  proposed_ = session::of_this_room(state_, proposal).digest();
  stored_before_ = stored();
  run_ = session_->party().scope().sid;  // a refresh ends in another one
  session::Approving approving;
  approving.decide = [&](const session::Shown& shown, std::string&) {
    throw_if_cancelled();
    const Summary summary = summary_of(shown);
    Decider::Answer answer = Decider::Answer::kYes;
    if (const auto rule = state_.people().current()) {
      answer = approve_by_people(shown, summary);
    } else if (state_.member().auto_approve) {
      decider_.approved_by_rule(summary);
    } else {
      answer = decider_.approve(summary);
    }
    throw_if_cancelled();
    switch (answer) {
      case Decider::Answer::kYes:
        return agreement::Answer::kYes;
      case Decider::Answer::kNotNow:
        return agreement::Answer::kNotNow;
      case Decider::Answer::kNo:
        break;
    }
    return agreement::Answer::kNo;
  };
  approving.waiting = [this] { note("waiting for the other members to approve"); };
  return session::approve(*session_, proposal, approving);
}

// Neither --yes nor auto_approve nor a typed yes: its people's signatures, in the log before this
// member signs (members.md 7.2, 9.1).
Decider::Answer Joined::approve_by_people(const session::Shown& shown, const Summary& summary) {
  PeopleApproval voices(state_, shown.proposal);
  const Decider::Answer answer = decider_.approve_by_people(summary, voices);
  if (answer == Decider::Answer::kNo) return answer;
  if (answer == Decider::Answer::kYes && voices.enter()) return answer;
  note(voices.lack());
  return Decider::Answer::kNotNow;
}

void Joined::run(const std::string& what, const std::function<void()>& body) {
  try {
    session_->guard(body);
  } catch (const std::exception& error) {
    const auto* const abort = dynamic_cast<const ProtocolAbort*>(&error);
    const bool changed = proposed_ && !is_as_proposed();
    log_failure(
        changed ? store::LogOutcome::kEffectMayHaveHappened : store::LogOutcome::kNothingHappened,
        fmt::format("{}: {}{}", what, abort != nullptr ? to_string(abort->code()) : "failed here",
                    changed ? kChangedText : ""));
    throw;
  }
}

Digest Joined::stored() {
  RandomOracle out("stored", RoScope{});
  for (const store::RecordMeta& meta : state_.secrets().list()) out.field(meta.digest());
  out.field(uint64_t{state_.secrets().num_staged()}).field(num_staged_removals(state_));
  out.field(uint64_t{store::EpochChange(state_.db(), state_.rid()).staged() ? 1u : 0u});
  return out.digest();
}

// A disk that cannot even be read now may hold anything.
bool Joined::is_as_proposed() noexcept {
  try {
    return stored() == stored_before_;
  } catch (...) {
    return false;
  }
}

store::LogEntry Joined::entry(store::LogOutcome outcome, const std::string& text,
                              int status) const {
  FLEXROOM_ASSERT(proposed_.has_value());
  store::LogEntry out;
  out.proposal = *proposed_;
  out.outcome = outcome;
  out.text = text;
  out.status = static_cast<uint32_t>(status);
  out.run = run_;
  return out;
}

void Joined::log_together(store::LogEntry joint) {
  joint.unix_seconds = static_cast<uint64_t>(agree_on_time(session_->party()));
  state_.log().append(session_->party(), joint);
  proposed_.reset();
}

void Joined::log_alone(store::LogEntry own) {
  own.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  state_.log().append_alone(own);
  proposed_.reset();
}

bool Joined::log_outcome(store::LogOutcome outcome, const std::string& text, int status) noexcept {
  try {
    session_->guard([&] { log_together(entry(outcome, text, status)); });
    return true;
  } catch (...) {
    note("the other members did not sign the log entry: " + words_of_caught());
  }
  return log_failure(outcome, text + " (the others did not sign)", status);
}

bool Joined::log_failure(store::LogOutcome outcome, const std::string& text, int status) noexcept {
  if (!proposed_) return false;
  try {
    log_alone(entry(outcome, text, status));
    return true;
  } catch (...) {
    note("the log could not be written (" + words_of_caught() + "); it would have said: " + text +
         ": " + std::string(store::to_string(outcome)));
    return false;
  }
}

}  // namespace flexroom::room
