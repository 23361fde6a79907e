#pragma once

#include "base/block.h"
#include "base/hash.h"
#include "base/locked_blocks.h"
#include "base/prg.h"
#include "base/secret.h"

namespace flexroom::ot {

/// One ordered pair of an epoch set-up or of a session; part of every hash. In a set-up the scope's
/// eid and sid are suid.
struct PairContext {
  RoScope scope;
  PartyId cot_sender = 0;
  PartyId cot_receiver = 0;
  uint16_t lane = 0;
  uint64_t batch_id = 0;  // of the trees; 0: those of Delta, made in the set-up
};

inline constexpr size_t kBaseOts = 128;
inline constexpr size_t kPointBytes = 32;
inline constexpr size_t kBaseOtReceiverBytes = kBaseOts * 2 * kPointBytes;

struct BaseOtSenderKeys {
  BlockVec key0, key1;  // [128]
};

/// 128 base OTs in one round; the two messages may cross. The COT sender is the base-OT receiver.
///
/// Protocol   boolean-engine.md §4.1: endemic OT of [MR19] (ePrint 2019/706) over ristretto255; one
///            B for the batch, every hash separated by the instance
/// Guarantee  a corrupted party may bias its own keys, never learn the other key of an instance
/// Aborts     kBaseOt: invalid encoding, identity, or identity as a product
/// Timing     independent of choice bits and scalars
class BaseOtReceiver {
 public:
  /// `choices`: bit q of the block is the choice of instance q.
  BaseOtReceiver(const PairContext& pair, LockedBlock choices, Prg& prg);
  /// (R_0, R_1)[128], to the base-OT sender.
  const Bytes& message() const { return message_; }
  /// k_c [128] from the sender's point B (32 bytes).
  BlockVec keys(ByteView sender_message) const;

 private:
  PairContext pair_;
  LockedBlock choices_;  // bits of Delta in another order
  SecretBytes scalars_;  // a_q, [128][32]
  Bytes message_;
};

class BaseOtSender {
 public:
  BaseOtSender(const PairContext& pair, Prg& prg);
  /// B, to the base-OT receiver.
  const Bytes& message() const { return message_; }
  BaseOtSenderKeys keys(ByteView receiver_message) const;

 private:
  PairContext pair_;
  SecretBytes scalar_;
  Bytes message_;
};

}  // namespace flexroom::ot
