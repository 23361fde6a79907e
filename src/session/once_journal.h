#pragma once

#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "agent/journal.h"
#include "base/error.h"
#include "store/once_db.h"

namespace flexroom::session {

/// The journal of a session: marks in once.db.
///
/// Guarantee  a mark is on disk when its call returns; an instance starts once, and none in an
///            epoch that is burned, by whatever session
/// Errors     kReuse, kEpochBurned; what the store throws
class OnceJournal final : public agent::Journal {
 public:
  OnceJournal(store::OnceDb& once, const Digest& session) : once_(once), session_(session) {}
  void mark(std::string_view kind, ByteView id) override {
    // Whatever becomes of this process: from here on the request may have left.
    if (kind == "release") once_.run_released(session_);
    if (once_.mark(kind, id)) return;
    used_before(kind);
  }
  /// Only those that are not marked yet: what an answer left over may start in the next one.
  void mark_ahead(std::span<const Digest> instances) override {
    std::vector<Digest> fresh;
    for (const Digest& id : instances) {
      if (!ahead_.contains(id)) fresh.push_back(id);
    }
    if (fresh.empty()) return;
    if (!once_.mark_all(kInstance, fresh)) used_before(kInstance);
    ahead_.insert(fresh.begin(), fresh.end());
  }
  /// Of each instance before its first label leaves (boolean-engine.md §8.2).
  void start(const Digest& instance) {
    if (ahead_.erase(instance) == 0) return mark(kInstance, instance);
    once_.require_not_burned(kInstance);
  }

 private:
  static constexpr std::string_view kInstance = "instance";
  [[noreturn]] static void used_before(std::string_view kind) {
    throw ProtocolAbort(AbortCode::kReuse, kind, "this single-use item was used before");
  }

  store::OnceDb& once_;
  const Digest session_;
  std::set<Digest> ahead_;  // marked and not started
};

}  // namespace flexroom::session
