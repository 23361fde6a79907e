#include "node/log_pages.h"

#include <fmt/core.h>

#include "base/codec.h"
#include "base/error.h"
#include "store/audit_log.h"

namespace flexroom::node {
namespace {

LogEntry shown(const store::VerifiedEntry& stored) {
  return {static_cast<int64_t>(stored.entry.unix_seconds),
          to_hex(stored.entry.proposal),
          std::string(store::to_string(stored.entry.outcome)),
          stored.entry.text,
          stored.joint,
          to_hex(stored.head),
          static_cast<int>(stored.entry.status)};
}

}  // namespace

const std::vector<LogEntry>& LogPages::entries(session::MemberState& state) {
  store::AuditLog log = state.log();
  const auto last = log.last();
  const bool goes_on = verifier_ && verifier_->any() && last &&
                       last->incarnation == verifier_->last().incarnation &&
                       last->number >= verifier_->last().number;
  if (!goes_on) {
    verifier_.reset();
    entries_.clear();
  }
  try {
    follow(state, log);
  } catch (...) {
    verifier_.reset();
    entries_.clear();
    throw;
  }
  return entries_;
}

void LogPages::follow(session::MemberState& state, store::AuditLog& log) {
  const auto take = [&](const agreement::Statement& one) {
    const std::string place = fmt::format("log entry {}", entries_.size() + 1);
    entries_.push_back(shown(verifier_->next(one, place)));
  };
  if (!verifier_) {
    verifier_ = std::make_unique<store::LogVerifier>(state.rid(), state.mids()[state.self()]);
    for (const store::VerifiedEntry& stored : log.verify()) take(stored.statement);
    return;
  }
  const auto last = log.last();
  while (last && verifier_->last() != *last) {
    const store::OnceDb::LogHead at = verifier_->last();
    const std::string place = fmt::format("log entry {}", entries_.size() + 1);
    const auto bytes = log.signed_bytes(at.incarnation, at.number + 1);
    if (!bytes || at.number >= last->number) throw InputError(place, "is missing");
    take(agreement::Statement::decode(*bytes, place));
  }
  if (!log.is_whole()) {
    throw InputError("audit log", "state.db is of before what this member signed last",
                     "meet another member, who gives it back");
  }
}

}  // namespace flexroom::node
