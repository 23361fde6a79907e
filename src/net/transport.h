#pragma once

#include <chrono>
#include <memory>

#include "base/bytes.h"

namespace flexroom::net {

/// A receiver that does not say how much it expects.
inline constexpr size_t kAnySize = static_cast<size_t>(-1);

/// Moves whole frames between one party and its peers, in order, authenticated and encrypted by the
/// implementation. Sending never waits for the peer to receive (two members that send large
/// messages at the same time do not deadlock); memory is bounded by LinkLimits.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual PartyId self() const = 0;
  virtual size_t num_parties() const = 0;
  /// Throws ProtocolAbort(kPeerLost) when the peer is gone.
  virtual void send(PartyId to, Bytes frame) = 0;
  /// The next frame of that peer, which the protocol expects to have at most `max_bytes`: what is
  /// longer need not be read and may throw kUnexpectedMessage. Throws ProtocolAbort: kPeerLost,
  /// kTimeout, kBadFrame.
  virtual Bytes receive(PartyId from, size_t max_bytes = kAnySize) = 0;
  /// A buffer of `size` bytes of undefined content for the next frame, and a frame that is not
  /// needed any more: memory goes round instead of being asked for again.
  virtual Bytes buffer(size_t size) { return Bytes(size); }
  virtual void recycle(Bytes) {}
  /// How long receive() waits from now on; returns what it was.
  virtual std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) = 0;
  /// Throws if the link to some peer has ended, for whoever waits for something else meanwhile.
  virtual void check() {}
  /// Gives up: every later call here and at the peers throws kPeerLost. Any thread may call it.
  virtual void close() = 0;
};

}  // namespace flexroom::net
