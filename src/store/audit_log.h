#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agreement/approval.h"
#include "net/identity.h"
#include "net/party.h"
#include "store/sealed_db.h"

namespace flexroom::store {

enum class LogOutcome : uint8_t {
  kDone,
  kNothingHappened,
  kEffectMayHaveHappened,  // the run aborted after a request may have reached the provider
  kApproved,  // by all members; what came of it stands in a later entry, if this member
              // lived to write one
};
std::string_view to_string(LogOutcome outcome);

struct LogEntry {
  uint64_t unix_seconds = 0;  // agreed by the members for a joint entry
  Digest proposal{};
  LogOutcome outcome = LogOutcome::kNothingHappened;
  std::string text;                             // what was done, no secrets
  std::optional<agreement::Approval> approval;  // of a kApproved entry

  Bytes encode() const;
};

/// Append-only, hash-chained log in state.db. A joint entry carries all members' signatures on its
/// content, the session and its place in it, so that nobody can repeat one; a kApproved entry
/// carries those on the proposal; one written alone (the others were gone) carries ours. Each
/// member signs its own chain head besides: chains differ where a member wrote alone. Not given  a
/// member can leave entries out of its own log; the others' copies show it.
class AuditLog {
 public:
  struct Stored {
    LogEntry entry;
    bool joint = false;  // all members signed it, or the proposal of a kApproved entry
    Digest head{};
  };
  AuditLog(SealedDb& db, const net::Identity& identity, std::vector<net::SigningKey> keys,
           PartyId self);
  /// All members call it with the same entry: kDisagreement otherwise, and nothing is written.
  void append(net::Party& party, const LogEntry& entry);
  /// After an abort, and for kApproved entries.
  void append_alone(const LogEntry& entry);
  /// Recomputes chain and signatures. Throws InputError naming the first entry that is wrong.
  std::vector<Stored> verify();

 private:
  void write(ByteView content);
  SealedDb& db_;
  const net::Identity& identity_;
  std::vector<net::SigningKey> keys_;
  PartyId self_;
};

}  // namespace flexroom::store
