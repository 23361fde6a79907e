#include "room/joined.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "agreement/time.h"
#include "base/codec.h"
#include "base/display.h"

namespace flexroom::room {
namespace {

// People read and decide; a member that is gone shows as a lost connection long before.
constexpr std::chrono::hours kApprovalWait{1};

bool printable(const Bytes& value) {
  return std::all_of(value.begin(), value.end(), [](uint8_t c) { return c >= 0x20 && c < 0x7f; });
}

std::string shown(const agreement::Proposal::Field& field) {
  if (field.secret) return "(private)";
  return printable(field.value) ? to_text(field.value) : to_hex(field.value);
}

/// Waits longer for messages while it lives.
class LongWait {
 public:
  LongWait(net::Transport& mesh, std::chrono::milliseconds time)
      : mesh_(mesh), usual_(mesh.set_receive_timeout(time)) {}
  ~LongWait() { mesh_.set_receive_timeout(usual_); }
  LongWait(const LongWait&) = delete;
  LongWait& operator=(const LongWait&) = delete;

 private:
  net::Transport& mesh_;
  std::chrono::milliseconds usual_;
};

}  // namespace

std::unique_ptr<session::MemberState> open_state(const std::filesystem::path& member_file,
                                                 const Hooks* hooks) {
  MemberConfig member = MemberConfig::load(member_file);
  RoomConfig room = RoomConfig::load(member.room_file);
  return std::make_unique<session::MemberState>(std::move(room), std::move(member),
                                                hooks != nullptr ? hooks->fault : nullptr);
}

Summary summary_of(const agreement::Proposal& proposal) {
  Summary out;
  size_t width = 0;
  for (const auto& field : proposal.fields) width = std::max(width, field.name.size());
  for (const auto& field : proposal.fields) {
    const std::string value = shown(field);
    out.fields.push_back({display(field.name), field.secret ? "" : value, field.secret});
    out.text += fmt::format("  {:<{}} {}\n", display(field.name), width, value);
  }
  out.command = out.fields.empty() ? "" : out.fields.front().value;
  out.digest = to_hex(proposal.digest());
  out.text += fmt::format("  {:<{}} {}\n", "proposal", width, out.digest);
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
  session.command = options_.command;
  try {
    session_ = std::make_unique<session::MemberSession>(state_, session);
  } catch (const ProtocolAbort& abort) {
    if (abort.code() != AbortCode::kTimeout || abort.operation() != "connect") throw;
    throw ProtocolAbort(
        AbortCode::kTimeout, "connect",
        fmt::format("{}\n  Nobody came within {} s. Start the same command at every member; "
                    "timeout_seconds in [room] of {} says how long the first one waits. If the "
                    "other one waits too, the [[member]] entries are in another order there.",
                    abort.detail(), state_.room().timeout.count(), state_.room().file.string()),
        abort.peer());
  }
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

void Joined::progress(std::string_view phase, uint64_t done, uint64_t total) noexcept {
  try {
    if (const auto now = meter_.update(phase, done, total)) decider_.progress(*now);
  } catch (...) {  // telling is no part of the outcome
  }
}

void Joined::note(const std::string& text) noexcept {
  try {
    decider_.note(text);
  } catch (...) {  // telling is no part of the outcome
  }
}

void Joined::throw_if_cancelled() const {
  if (options_.cancel == nullptr || !*options_.cancel) return;
  throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
}

// Everybody hears what everybody decided before anybody signs, so that who said no is named.
void Joined::tell_decision(Decider::Answer own) {
  net::Party& party = session_->party();
  const Bytes word(1, static_cast<uint8_t>(own));
  for (const PartyId j : party.peers()) party.send(j, "approve/decision", word);
  if (own != Decider::Answer::kYes) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                        own == Decider::Answer::kNo
                            ? "the operator said no; nothing was contacted"
                            : "nobody is here to decide now; nothing was contacted");
  }
  note("waiting for the other members to approve");
  const LongWait wait(party.transport(), kApprovalWait);
  for (const PartyId j : party.peers()) {
    const uint8_t said = party.receive(j, "approve/decision", 1)[0];
    if (said == static_cast<uint8_t>(Decider::Answer::kYes)) continue;
    const std::string& name = state_.room().members[j].name;
    throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                        name + (said == static_cast<uint8_t>(Decider::Answer::kNo)
                                    ? " said no; nothing was contacted"
                                    : " has nobody there to decide now; nothing was contacted"),
                        j);
  }
}

Digest Joined::approve(const agreement::Proposal& proposal) {
  net::Party& party = session_->party();
  const Digest digest = proposal.digest();
  proposed_ = digest;
  bool same = true;
  for (const Bytes& other : party.exchange("approve/digest", digest)) {
    same = same && other == Bytes(digest.begin(), digest.end());
  }
  if (!same) {
    // Nothing was shown and nobody was asked, so nothing that counts may be signed, whatever a peer
    // says next: the field makes this another proposal. The exchange names the field that differs.
    agreement::Proposal refused = proposal;
    refused.fields.push_back({"approval", to_bytes("refused: the proposals differ"), false});
    (void)agreement::approve(party, state_.identity(), state_.signing_keys(), refused);
    throw ProtocolAbort(AbortCode::kDisagreement, "approval",
                        "members propose different things; nothing was contacted");
  }
  throw_if_cancelled();
  Decider::Answer answer = Decider::Answer::kYes;
  if (state_.member().auto_approve) {
    decider_.approved_by_rule(summary_of(proposal));
  } else {
    answer = decider_.approve(summary_of(proposal));
  }
  throw_if_cancelled();
  tell_decision(answer);
  const LongWait wait(party.transport(), kApprovalWait);
  agreement::Approval approval =
      agreement::approve(party, state_.identity(), state_.signing_keys(), proposal);
  // On disk before anything follows from it: however this process ends, the log says that all
  // members wanted this, and shows their signatures.
  store::LogEntry entry;
  entry.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  entry.proposal = digest;
  entry.outcome = store::LogOutcome::kApproved;
  entry.text =
      printable(proposal.fields.front().value) ? to_text(proposal.fields.front().value) : "";
  entry.approval = std::move(approval);
  state_.log().append_alone(entry);
  return digest;
}

void Joined::run(const std::string& what, const std::function<void()>& body) {
  try {
    session_->guard(body);
  } catch (const std::exception& error) {
    const auto* const abort = dynamic_cast<const ProtocolAbort*>(&error);
    log_failure(
        store::LogOutcome::kNothingHappened,
        fmt::format("{}: {}", what, abort != nullptr ? to_string(abort->code()) : "failed here"));
    throw;
  }
}

store::LogEntry Joined::entry(store::LogOutcome outcome, const std::string& text) const {
  FLEXROOM_ASSERT(proposed_.has_value());
  store::LogEntry out;
  out.proposal = *proposed_;
  out.outcome = outcome;
  out.text = text;
  return out;
}

void Joined::log_together(store::LogOutcome outcome, const std::string& text) {
  store::LogEntry joint = entry(outcome, text);
  joint.unix_seconds = static_cast<uint64_t>(agree_on_time(session_->party()));
  state_.log().append(session_->party(), joint);
  proposed_.reset();
}

void Joined::log_alone(store::LogOutcome outcome, const std::string& text) {
  store::LogEntry own = entry(outcome, text);
  own.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  state_.log().append_alone(own);
  proposed_.reset();
}

void Joined::log_outcome(store::LogOutcome outcome, const std::string& text) noexcept {
  try {
    session_->guard([&] { log_together(outcome, text); });
    return;
  } catch (const std::exception& error) {
    note(std::string("the other members did not sign the log entry: ") + error.what());
  }
  log_failure(outcome, text + " (the others did not sign)");
}

void Joined::log_failure(store::LogOutcome outcome, const std::string& text) noexcept {
  if (!proposed_) return;
  try {
    log_alone(outcome, text);
  } catch (const std::exception& error) {
    note(std::string("the log could not be written (") + error.what() +
         "); it would have said: " + text + ": " + std::string(store::to_string(outcome)));
  }
}

}  // namespace flexroom::room
