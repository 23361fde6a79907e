#pragma once

#include <memory>
#include <span>

#include "math/re_hash.h"
#include "net/party.h"
#include "prep/epoch.h"
#include "prep/prep.h"

namespace flexroom::prep {

class KeyedBits;

/// Authenticated bits of one session, made in batches by COT extension and served from buffers.
///
/// Protocol   boolean-engine.md §4.2 (SoftSpoken COT with row check), §4.3 (consistency across
///            peers, n > 2), §4.5 (random OT); engine-v2.md §2.2, §2.3 (masking keys)
/// Guarantee  everything handed out passed its checks; each bit is handed out once
/// Cost       k = 4: 3.9 bytes a bit and direction; a batch takes 3 flows
/// Aborts     kRowCheck, kBitConsistency, kEcho, kCoin, kPprf; afterwards the session is dead
/// Threads    one generator per thread (lane); every call is made by all parties in the same order
///            with equal arguments, except rot_*, which the two parties concerned call
class BitGenerator {
 public:
  static constexpr size_t kDefaultBatch = size_t{1} << 17;
  /// session_hello() must have set the party's scope; `epoch` must outlive it. `batch` bits are
  /// made at a time (more when more are asked for at once). `lane` separates generators of one
  /// session; each (session, lane) exists once. `safety` outlives it; without one, verdicts of
  /// its checks are the caller's to note.
  BitGenerator(net::Party& party, const EpochState& epoch, size_t batch = kDefaultBatch,
               uint16_t lane = 0, Safety* safety = nullptr);
  ~BitGenerator();
  BitGenerator(const BitGenerator&) = delete;
  BitGenerator& operator=(const BitGenerator&) = delete;

  const Block& delta() const;
  /// H keyed with S_ses.
  const math::ReHash& hash() const;

  /// aBit(all).
  AuthBits random_bits(size_t count);
  /// What the next random_bits(count) will need and is not there yet is started now, so that it
  /// crosses the network and is worked on while the caller waits for messages of its own. Then that
  /// call follows, or continue_random_bits() kStepsAhead times; messages of other protocols that
  /// left after a step are received after the next one, by all parties alike.
  void begin_random_bits(size_t count);
  /// One step of what was begun: a wait for one message of each peer. Nothing if nothing was.
  void continue_random_bits();
  static constexpr size_t kStepsAhead = 3;
  /// aBit(owner), random.
  AuthBits owned_bits(PartyId owner, size_t count);
  /// aBit(owner) of bits that the owner chooses (one byte 0/1 each; read at the owner only).
  AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits);

  /// A fresh masking key of `key_bits` bits a party (64 or 128) with `count` y bits of one batch,
  /// in one COT batch a pair whose row check covers both (engine-v2.md §2.2, §2.3).
  KeyedBits keyed_bits(size_t count, unsigned key_bits);

  /// rot(receiver <- this party), called by the two parties only. The receiver sends one bit an OT
  /// (zero where its choice is random).
  Source::RotSender rot_send(PartyId receiver, size_t count);
  /// `choices` [count] of 0/1, or empty for random ones.
  Source::RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices);

  /// Bits made so far, for progress reports.
  uint64_t bits_made() const;

 private:
  std::vector<PartyId> everybody() const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexroom::prep
