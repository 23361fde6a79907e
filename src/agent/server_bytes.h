#pragma once

#include <functional>
#include <memory>

#include "base/stream.h"
#include "net/party.h"

namespace flexroom::agent {

/// The bytes of the service as every member sees them: the courier reads them from its socket and
/// forwards each piece with its stream offset; the others take them from the courier and nothing
/// else (tls-in-mpc.md §3.8). All members call next() at the same points of the handshake, because
/// all run the same public state machine on the same bytes.
///
/// The courier is trusted with nothing: it can drop, delay and truncate; whether it told everybody
/// the same is checked by comparing digest() in the view hashes A1..A4.
class ServerBytes {
 public:
  /// Opens the connection to the service.
  using Connect = std::function<std::unique_ptr<ByteStream>()>;
  /// `connect` is called at the courier only.
  ServerBytes(net::Party& party, PartyId courier, Connect connect);

  /// Courier: connects and writes the first flight. The others: nothing.
  void open(ByteView first_flight);

  /// The next piece, empty at the end of the stream. Bounded: 64 KiB a piece, 1 MiB in all by
  /// default; more aborts (kServer).
  Bytes next();
  /// Courier: writes to the service. Others: nothing.
  void write(ByteView bytes);
  void close();

  bool ended() const { return ended_; }
  uint64_t offset() const { return offset_; }
  /// Hash of everything received so far.
  Digest digest() const { return hash_.digest(); }
  void set_limit(uint64_t bytes) { limit_ = bytes; }
  bool is_courier() const { return party_.id() == courier_; }

 private:
  template <typename Action>
  void at_courier(Action action);
  void notify_of_failure();

  net::Party& party_;
  PartyId courier_;
  Connect connect_;
  std::unique_ptr<ByteStream> socket_;
  Sha256 hash_;
  uint64_t offset_ = 0;
  uint64_t limit_ = 1 << 20;
  bool ended_ = false;
};

}  // namespace flexroom::agent
