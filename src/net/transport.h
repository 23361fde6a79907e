#pragma once

#include <chrono>
#include <memory>

#include "base/bytes.h"

namespace flexroom::net {

/// Moves whole frames between one party and its peers, in order, authenticated and encrypted by the
/// implementation. Sending never waits for the peer to receive (two members that send large
/// messages at the same time do not deadlock); memory is bounded by `max_queued_bytes`.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual PartyId self() const = 0;
  virtual size_t num_parties() const = 0;
  /// Throws ProtocolAbort(kPeerLost) when the peer is gone.
  virtual void send(PartyId to, Bytes frame) = 0;
  /// The next frame of that peer. Throws ProtocolAbort: kPeerLost, kTimeout, kBadFrame.
  virtual Bytes receive(PartyId from) = 0;
  /// How long receive() waits from now on; returns what it was.
  virtual std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) = 0;
  /// Throws if the link to some peer has ended, for whoever waits for something else meanwhile.
  virtual void check() {}
  /// Gives up: every later call here and at the peers throws kPeerLost. Any thread may call it.
  virtual void close() = 0;
};

}  // namespace flexroom::net
