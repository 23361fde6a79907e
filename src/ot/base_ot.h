#pragma once

#include <array>

#include "base/block.h"
#include "base/hash.h"
#include "base/prg.h"
#include "base/secret.h"

namespace flexroom::ot {

struct PairContext;

inline constexpr size_t kBaseOts = 128;
inline constexpr size_t kPointBytes = 32;
inline constexpr size_t kBaseOtReceiverBytes = kBaseOts * 2 * kPointBytes;

/// 128 base OTs (endemic OT of Masny-Rindal, ePrint 2019/706, over ristretto255;
/// boolean-engine.md §4.1). One round: the two messages may cross.
///
/// Guarantee  a corrupted party may bias its own keys, never learn the other key of an instance
/// Aborts     kBaseOt: invalid encoding, identity, or identity as a product
/// Timing     independent of the choice bits and scalars
struct BaseOtSenderKeys {
  BlockVec key0, key1;  // [128]
};

class BaseOtReceiver {
 public:
  /// `choices`: bit q of the block is the choice of instance q.
  BaseOtReceiver(const PairContext& pair, const Block& choices, Prg& prg);
  /// (R_0, R_1)[128], to the base-OT sender.
  const Bytes& message() const { return message_; }
  /// k_c [128] from the sender's point B (32 bytes).
  BlockVec keys(ByteView sender_message) const;

 private:
  const PairContext& pair_;
  Block choices_;
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
  const PairContext& pair_;
  SecretBytes scalar_;
  Bytes message_;
};

}  // namespace flexroom::ot
