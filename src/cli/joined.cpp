#include "cli/joined.h"

#include <fmt/core.h>

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>

#include "base/codec.h"
#include "call/run_script.h"

namespace flexroom::cli {
namespace {

std::atomic<bool> cancelled{false};

void on_signal(int) {
  cancelled = true;
  // Whatever waits (for a member, the service, an answer at the terminal) looks at the flag.
  static const char kText[] = "\nstopping: telling the other members\n";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
}

// People read and decide; a member that is gone shows as a lost connection long before.
constexpr std::chrono::hours kApprovalWait{1};

bool printable(const Bytes& value) {
  for (const uint8_t c : value) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace

const std::atomic<bool>& cancel_flag() { return cancelled; }

void throw_if_cancelled() {
  if (!cancelled) return;
  throw ProtocolAbort(AbortCode::kCancelled, "operator", "stopped by the operator");
}

session::MemberState open_state(const Common& common) {
  MemberConfig member = MemberConfig::load(common.member_file);
  RoomConfig room = RoomConfig::load(member.room_file);
  return {std::move(room), std::move(member), common.fault};
}

Joined::Joined(Output& out, const Common& common,
               const std::function<void(session::MemberState&)>& check)
    : out_(out), state_(open_state(common)) {
  if (check) check(state_);
  if (common.trace) trace_.emplace(*common.trace);
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  session::SessionOptions options;
  options.note = [&out](const std::string& text) { out.note(text); };
  options.progress = [&out](std::string_view phase, uint64_t done, uint64_t total) {
    out.progress(phase, done, total);
    throw_if_cancelled();
  };
  options.cancel = &cancelled;
  session_ = std::make_unique<session::MemberSession>(state_, options);
  if (trace_) {
    session_->party().set_trace([this](const net::TraceEntry& entry) { trace_->write(entry); });
  }
  if (common.connected) common.connected(session_->party());
}

Digest Joined::approve(const agreement::Proposal& proposal, bool yes) {
  net::Party& party = session_->party();
  const Digest digest = proposal.digest();
  proposed_ = digest;
  bool same = true;
  for (const Bytes& other : party.exchange("approve/digest", digest)) {
    same = same && other == Bytes(digest.begin(), digest.end());
  }
  if (same) {
    out_.summary("");
    size_t width = 0;
    for (const agreement::Proposal::Field& field : proposal.fields) {
      width = std::max(width, field.name.size());
    }
    for (const agreement::Proposal::Field& field : proposal.fields) {
      out_.summary(fmt::format("  {:<{}} {}", field.name, width,
                               field.secret             ? "(private)"
                               : printable(field.value) ? to_text(field.value)
                                                        : to_hex(field.value)));
    }
    out_.summary(fmt::format("  {:<{}} {}\n", "proposal", width, to_hex(digest)));
    nlohmann::json fields;
    for (const auto& field : proposal.fields) {
      fields[field.name] = field.secret             ? "(private)"
                           : printable(field.value) ? to_text(field.value)
                                                    : to_hex(field.value);
    }
    out_.event("proposal", {{"digest", to_hex(digest)}, {"fields", fields}});
    throw_if_cancelled();
    if (!yes && !state_.member().auto_approve && !out_.confirm("Approve?", &cancelled)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                          "the operator said no; nothing was contacted");
    }
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
  out_.note("waiting for the other members to approve");
  net::Transport& mesh = party.transport();
  const auto usual = mesh.set_receive_timeout(kApprovalWait);
  agreement::Approval approval =
      agreement::approve(party, state_.identity(), state_.signing_keys(), proposal);
  mesh.set_receive_timeout(usual);
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
  out.run = session_->party().scope().sid;
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
    out_.note(fmt::format("the other members did not sign the log entry: {}", error.what()));
  }
  log_failure(outcome, text + " (the others did not sign)");
}

void Joined::log_failure(store::LogOutcome outcome, const std::string& text) noexcept {
  if (!proposed_) return;
  try {
    log_alone(outcome, text);
  } catch (const std::exception& error) {
    out_.note(fmt::format("the log could not be written ({}); it would have said: {}: {}",
                          error.what(), text, store::to_string(outcome)));
  }
}

}  // namespace flexroom::cli
