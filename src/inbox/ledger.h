#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "agreement/statement.h"
#include "base/hash.h"
#include "inbox/inbox.h"
#include "store/once_db.h"

namespace flexroom::inbox {

/// Why a proposal is over for good.
enum class Closed : uint8_t { kRejected = 1, kWithdrawn, kExpired };

/// What stands in once.db of a room's proposals: what a state.db that is put back must not bring
/// back (members.md §6.3, §6.4, §8.3, Appendix B). Every call is durable when it returns.
class Ledger {
 public:
  Ledger(store::OnceDb& once, const Digest& room);

  uint64_t floor() const { return floor_; }
  /// Sets it, also lower.
  void set_floor(uint64_t floor);
  /// By D0 or D.
  std::optional<Closed> closed(const Digest& id) const;
  void close(const std::vector<std::pair<Digest, Closed>>& ids);

  /// This member's own last word on D: number of its APPROVE; nothing: it took it back, or never
  /// approved.
  struct Consent {
    uint32_t incarnation = 0;
    uint64_t number = 0;  // 0: taken back
    bool operator==(const Consent&) const = default;
  };
  std::optional<Consent> consent(const Digest& complete);
  void set_consent(const Digest& complete, const Consent& consent);

  /// A refusal or withdrawal whose mark is here and whose statement may not be signed yet.
  struct Intent {
    agreement::StatementKind kind = agreement::StatementKind::kReject;
    uint64_t time = 0;
    Digest about{};  // as its body says it
    Bytes body;
  };
  std::optional<Intent> intent();
  /// With its mark: of a withdrawn approval no consent, of the others `closed` under all `ids`.
  void intend(const Intent& intent, const std::vector<std::pair<Digest, Closed>>& ids,
              const std::optional<Digest>& consent_of);
  void forget_intent();

  enum class RunStatus : uint8_t { kTried, kArmed, kSuspended, kEnded };
  struct Run {
    Digest complete{};
    uint32_t index = 0, tries = 0;
    RunStatus status = RunStatus::kTried;
    agreement::Outcome outcome = agreement::Outcome::kNothingHappened;
    uint32_t attempt = 0;  // of the steps that were armed last; 0: none was
  };
  const std::map<Digest, Run>& runs() const { return runs_; }
  const Run* run(const Digest& id) const;
  void save_run(const Digest& id, const Run& run);
  /// Indices of D that were armed.
  std::set<uint32_t> used(const Digest& complete) const;
  static Digest armed_id(const Digest& run, std::string_view step, uint32_t attempt);
  bool armed(const Digest& id);
  /// With the run, in one step. The caller asked armed() before.
  void arm(const Digest& armed_id, const Digest& run_id, const Run& run);
  /// A try with the floor of its time, and what expired by it, in one step.
  void begin(const Digest& run_id, const Run& run, uint64_t floor,
             const std::vector<std::pair<Digest, Closed>>& expired);

  uint32_t given(const std::string& rule, int64_t day);
  void count(const std::string& rule, int64_t day);
  /// One more than any before.
  uint64_t next_session();

 private:
  void put_floor(uint64_t floor);
  void put_closed(const std::vector<std::pair<Digest, Closed>>& ids);
  void put_run(const Digest& id, const Run& run);
  std::string kind(std::string_view name) const { return store::rows_of_room(name, room_); }
  store::SealedDb& db_;
  const Digest room_;
  uint64_t floor_ = 0;
  std::map<Digest, Closed> closed_;
  std::map<Digest, Run> runs_;
  std::map<Digest, std::set<uint32_t>> used_;
};

}  // namespace flexroom::inbox
