#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/named_group.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// One request of the members to a service and the connection that carried it, as this member saw
/// them. No secret.
struct ConnectionRecord {
  uint64_t unix_seconds = 0;  // by this member's clock
  Digest session{};           // in which it was made
  std::string what;           // "call who-am-i", "FLOW: STEP"
  std::string host;
  NamedGroup group = NamedGroup::kX25519;  // of the key exchange
  bool retried = false;                    // the service asked for another hello
  bool goes_on = false;     // on the connection of the request before it, to the same host
  bool links_kept = false;  // links between members under a key that ML-KEM made
  /// What was seen of it on the line, for cover connections (tls-complete.md §8.3); of one that
  /// goes on: nothing.
  std::optional<uint32_t> delay_ms;    // from its slot, if it waited for one, to the connection
  uint32_t pause_ms = 0;               // from the ServerHello to the request
  std::vector<uint16_t> record_bytes;  // of the request

  /// Who recorded it, and every link between the members, reads none of it with a later quantum
  /// computer (tls-complete.md §2.3).
  bool outlasts_recording() const;
};

/// How many connections to a host were made in one way, since this is counted.
struct ConnectionCount {
  std::string host;
  NamedGroup group = NamedGroup::kX25519;
  bool outlasts_recording = false;
  uint64_t count = 0;
  ConnectionRecord last;
};

/// What a member keeps in state.db of the connections of one room: the newest records, counts of
/// all of them by host and group, and the host facts.
///
/// Size    at most kKept records, a count for each host and group, a fact for each host
/// Errors  as SealedDb; DamagedState
class ConnectionStore {
 public:
  static constexpr size_t kKept = 500;

  ConnectionStore(SealedDb& db, const RoomId& rid);
  /// In one transaction, and the host fact with it.
  void add(ConnectionRecord record);
  std::vector<ConnectionRecord> newest();  // oldest first
  std::vector<ConnectionCount> counts();   // by host, then group

  /// The curve that the host chose the last time, where that was P-256 (tls-complete.md §1.1):
  /// what the next hello is made by. It says what a hello is likely to need and nothing else.
  std::optional<NamedGroup> likely_curve(std::string_view host);
  void forget_curve(std::string_view host);

 private:
  SealedDb& db_;
  const std::string records_, counts_, facts_;  // kinds of rows
};

}  // namespace flexroom::store
