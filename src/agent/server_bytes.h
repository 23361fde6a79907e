#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/stream.h"
#include "net/party.h"

namespace flexroom::agent {

/// Why the bytes of the service end. But for kClosed it is the courier's word; nothing is accepted
/// because of it (the answer's own framing decides).
enum class StreamEnd : uint8_t {
  kOpen,     // not yet
  kClosed,   // FIN
  kQuiet,    // nothing came for as long as next_of_answer() was told
  kTimeout,  // nothing came for as long as a connection may be silent
  kBroken,   // the network failed
};

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
  /// `connect` is called at the courier only. `limit`: bytes in all; more aborts (kServer).
  ServerBytes(net::Party& party, PartyId courier, Connect connect, uint64_t limit);

  /// Courier: connects and writes the first flight. The others: nothing.
  void open(ByteView first_flight);

  /// Courier: writes a second hello. Others: nothing. A socket that fails aborts, as in open().
  void write_hello(ByteView bytes);

  /// The next piece, of at most 64 KiB; empty at the end of the stream. Whatever else happens to
  /// the socket aborts at every member.
  Bytes next();
  /// The same while the answer is awaited: the request is out, so what happens to the socket ends
  /// the stream and does not abort. `quiet`: how long nothing may come; if absent, as long as the
  /// socket's own timeout. Empty at the end; end() says which one it is.
  Bytes next_of_answer(std::optional<std::chrono::milliseconds> quiet);
  /// After kQuiet at all members: what comes later is taken all the same.
  void go_on();
  /// Courier: writes a released request to the service. Others: nothing. The request may be out, so
  /// a socket that fails does not abort: what has come is read, then the stream ends as kBroken.
  void write(ByteView bytes);
  /// Courier: a last word to a service that is given up, if it still listens. Never throws.
  void write_farewell(ByteView bytes) noexcept;
  void close();

  bool ended() const { return end_ != StreamEnd::kOpen; }
  StreamEnd end() const { return end_; }
  /// A sentence for people.
  std::string end_reason() const;
  uint64_t offset() const { return offset_; }
  /// Hash of everything received so far.
  Digest digest() const { return hash_.digest(); }
  bool is_courier() const { return party_.id() == courier_; }

 private:
  template <typename Action>
  void at_courier(Action action);
  void notify_of_failure();
  void forward(StreamEnd end, ByteView piece);
  Bytes read_answer(std::optional<std::chrono::milliseconds> quiet);
  Bytes read_piece(std::optional<std::chrono::milliseconds> quiet);
  Bytes receive(StreamEnd last_kind);
  Bytes take(Bytes piece);

  net::Party& party_;
  PartyId courier_;
  Connect connect_;
  std::unique_ptr<ByteStream> socket_;
  Sha256 hash_;
  uint64_t offset_ = 0;
  const uint64_t limit_;
  StreamEnd end_ = StreamEnd::kOpen;
  std::string reason_;  // at the courier, of kTimeout and kBroken
  std::optional<std::string> write_fault_;
};

}  // namespace flexroom::agent
