#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/prg.h"
#include "net/interposer.h"
#include "net/trace.h"
#include "net/transport.h"

namespace flexroom::net {

/// One party's end of the mesh as protocols see it: labelled, length-checked messages; broadcast
/// with echo; the scope (eid, sid) and counters of every random-oracle call; its randomness.
///
/// One thread per party; protocols block on it. Every message carries its label and the receiver
/// states which label and which length it expects; anything else aborts (kUnexpectedMessage, class
/// network). n = 2: broadcast is a send. n > 2: broadcasts are absorbed into a hash, and echo()
/// compares the hashes at the checkpoints of boolean-engine.md §3.1.
class Party {
 public:
  Party(std::unique_ptr<Transport> transport, Prg prg);
  ~Party();
  Party(const Party&) = delete;
  Party& operator=(const Party&) = delete;

  PartyId id() const { return id_; }
  size_t num_parties() const { return num_parties_; }
  /// All parties but this one, ascending.
  const std::vector<PartyId>& peers() const { return peers_; }

  void send(PartyId to, std::string_view label, ByteView payload);
  /// A message of exactly `bytes` bytes.
  Bytes receive(PartyId from, std::string_view label, size_t bytes);
  /// A message of at most `max_bytes` bytes.
  Bytes receive_up_to(PartyId from, std::string_view label, size_t max_bytes);
  /// Receives straight into `out`, whose size is the expected length.
  void receive_into(PartyId from, std::string_view label, std::span<uint8_t> out);

  /// The same bytes to all peers, covered by the next echo().
  void broadcast(std::string_view label, ByteView payload);
  /// A broadcast of `from`, exactly `bytes` long.
  Bytes receive_broadcast(PartyId from, std::string_view label, size_t bytes);
  Bytes receive_broadcast_up_to(PartyId from, std::string_view label, size_t max_bytes);
  /// Sends `payload` to all and returns everybody's, own included, indexed by party.
  std::vector<Bytes> exchange(std::string_view label, ByteView payload);

  /// Checkpoint: all parties saw the same broadcasts since the last one, else kEcho (boolean
  /// cheat), or `mismatch` where relayed bytes are compared. No-op for n = 2.
  void echo(std::string_view label, AbortCode mismatch = AbortCode::kEcho);

  /// coin(label): 128 random bits that no coalition of n-1 can bias except by aborting
  /// (boolean-engine.md §3.2: commit, echo, open). 3 flows for n = 2.
  Digest coin(std::string_view label);

  /// Scope of all random-oracle calls; set_scope after epoch set-up resp. session hello.
  const RoScope& scope() const { return scope_; }
  void set_scope(const RoScope& scope) { scope_ = scope; }
  /// Counts uses of a tag, from 0; equal at all parties because all run the same protocol.
  uint64_t next_counter(std::string_view tag);

  Prg& prg() { return prg_; }

  const Traffic& traffic() const { return traffic_; }
  /// Called before each of this party's messages leaves (tests: a corrupted party).
  void set_tamper(Tamper tamper) { tamper_ = std::move(tamper); }
  /// Called after each of this party's messages left, with the payload that left.
  void set_observer(std::function<void(const MessageId&, ByteView payload)> observer) {
    observer_ = std::move(observer);
  }
  /// Called for each message that left or arrived, after its label was checked and before its
  /// length is. Costs a hash of all traffic, unless null.
  void set_trace(std::function<void(const TraceEntry&)> trace) { trace_ = std::move(trace); }
  /// Zero-sharing keys with each peer (n > 2; boolean-engine.md §3.3), set at set-up.
  void set_zero_keys(std::vector<Block> keys) { zero_keys_.swap(keys); }
  const std::vector<Block>& zero_keys() const { return zero_keys_; }

  /// Some parties of this mesh, this one with them, among themselves: party k there is members[k]
  /// here. The links are these ones; both ends use them for nothing else meanwhile. Sequence
  /// numbers, counters, scope and randomness are its own; what watches or alters messages here
  /// (set_tamper, set_observer) does so there, with the ids and indices of this mesh, and what it
  /// sends counts as this party's when it ends. Who aborts does it here, so that all hear it. This
  /// party must outlive it.
  std::unique_ptr<Party> among(std::vector<PartyId> members);

  /// Tells the peers "abort" without any detail and closes the mesh. Never throws.
  void abort() noexcept;
  Transport& transport() { return *transport_; }

 private:
  /// A whole frame and where its payload begins; the payload should have at most `max_bytes`.
  std::pair<Bytes, size_t> receive_frame(PartyId from, std::string_view label, size_t max_bytes);
  void require_size(PartyId from, std::string_view label, size_t got, size_t bytes) const;
  void trace(const MessageId& message, ByteView payload);
  void absorb(PartyId sender, std::string_view label, ByteView payload);

  Party* of_ = nullptr;  // whose mesh this is a part of, and which
  std::vector<PartyId> part_;
  std::unique_ptr<Transport> transport_;
  Prg prg_;
  PartyId id_;
  size_t num_parties_;
  std::vector<PartyId> peers_;
  RoScope scope_;
  std::map<std::string, uint64_t, std::less<>> counters_;
  std::map<std::pair<PartyId, std::string>, size_t> sent_with_label_, received_with_label_;
  std::vector<uint64_t> next_send_, next_receive_;  // sequence numbers per peer
  std::vector<std::vector<Digest>> echo_log_;       // per sender, since the last checkpoint
  std::vector<Block> zero_keys_;
  Traffic traffic_;
  bool last_was_send_ = false;
  Tamper tamper_;
  std::function<void(const MessageId&, ByteView)> observer_;
  std::function<void(const TraceEntry&)> trace_;
};

/// Payload helpers for arrays of blocks.
void send_blocks(Party& party, PartyId to, std::string_view label, std::span<const Block> blocks);
void receive_blocks(Party& party, PartyId from, std::string_view label, std::span<Block> out);

}  // namespace flexroom::net
