#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/openssl_ptr.h"
#include "net/frame_pool.h"
#include "net/socket_buffer.h"
#include "net/transport.h"

namespace flexroom::net {

using Socket = Fd;

struct LinkLimits {
  /// A longer frame is refused: before it is sent, and after its length is read.
  size_t max_frame_bytes = size_t{256} << 20;
  /// send() waits above this.
  size_t max_queued_bytes = size_t{64} << 20;
  /// How far the peer may be ahead of what this member asked for. Reading pauses there, so that TCP
  /// slows the peer down; beyond it only the one frame is taken that receive() waits for.
  size_t max_ahead_bytes = size_t{16} << 20;
  /// While a send() of ours waits, reading goes on up to here (both sides may be sending); above it
  /// the link fails with kBadFrame.
  size_t max_backlog_bytes = size_t{64} << 20;
  /// A send() that makes no progress for this long throws kTimeout.
  std::chrono::milliseconds send_timeout = std::chrono::seconds(120);
  /// close() lets queued frames leave for as long as they move at least once in this time.
  std::chrono::milliseconds linger = std::chrono::seconds(3);
  /// Once set, receive() and a send() that waits throw kCancelled; what was queued still leaves.
  const std::atomic<bool>* cancel = nullptr;
  /// TLS KeyUpdate after this many bytes sent (AES-GCM's limit is 2^24.5 records: RFC 8446 §5.5).
  uint64_t rekey_bytes = uint64_t{64} << 30;
};

/// One established TLS connection to one peer and the thread that moves its bytes. Frames are a
/// 32-bit big-endian length and that many bytes. Sending and receiving never wait for each other.
///
/// Memory    what the peer makes this member hold is bounded by what the protocol expects: the
///           frame that receive() waits for, of the size it names, and max_ahead_bytes of later
///           ones (max_backlog_bytes while a send() waits)
/// Speed     frames share TLS records, records share system calls (socket_buffer.h); the thread is
///           woken when there was nothing to send; buffers go round through the FramePool
class TcpLink {
 public:
  /// `senders_waiting` counts send() calls of the whole mesh that wait; all links of a mesh share
  /// it and `frames`.
  TcpLink(OpensslPtr<SSL> ssl, Socket socket, PartyId peer, std::string peer_name,
          const LinkLimits& limits, std::atomic<int>* senders_waiting, FramePool* frames);
  ~TcpLink();
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  void send(Bytes frame);
  /// The next frame. One that is longer than `max_bytes` ends the link with kUnexpectedMessage from
  /// its length alone, if that comes while receive() waits for it.
  Bytes receive(std::chrono::milliseconds timeout, size_t max_bytes = kAnySize);
  /// Throws if the link has ended; for whoever waits for something else meanwhile.
  void check();
  /// Lets queued frames leave (LinkLimits::linger) and ends the connection in the background; the
  /// destructor waits for that.
  void close();

 private:
  enum class Step { kProgress, kBlocked, kStopped };
  void run();
  Step write_some();
  Step fill_output();
  Step read_some();
  bool has_output() const;
  bool next_chunk();
  void forget_chunk();
  void begin_frame();
  bool room_for_frame(size_t size);
  void deliver(Bytes frame);
  void wait_for_socket();
  void shut_down();
  void fail(AbortCode code, std::string detail);
  void connection_broke(int system_error);
  void wake();
  Step ssl_problem(int result, std::string_view what);
  void throw_if_cancelled(std::string_view operation) const;
  [[noreturn]] void throw_failure(std::string_view operation) const;

  const Socket socket_, wake_;
  SocketBuffer buffer_;  // used by ssl_
  const OpensslPtr<SSL> ssl_;
  const PartyId peer_;
  const std::string peer_name_;
  const LinkLimits limits_;
  std::atomic<int>& senders_waiting_;
  FramePool& frames_;

  std::mutex mutex_;
  std::condition_variable received_, sent_;
  std::deque<Bytes> outgoing_, incoming_;
  size_t outgoing_bytes_ = 0, incoming_bytes_ = 0;
  uint64_t bytes_written_ = 0;
  int waiting_to_send_ = 0;
  std::optional<size_t> asked_for_;  // size of the frame that receive() waits for
  bool idle_ = false;                // the thread sleeps with nothing to send
  bool paused_ = false;              // reading waits for receive()
  std::optional<std::pair<AbortCode, std::string>> failure_;
  bool closing_ = false;

  // Touched by the I/O thread only.
  Bytes staging_, frame_;  // what is being written: staging first, then the rest of frame
  size_t staging_done_ = 0, frame_done_ = 0, chunk_cost_ = 0;
  uint64_t since_rekey_ = 0;
  std::array<uint8_t, 4> length_{};
  size_t length_done_ = 0, body_size_ = 0, body_done_ = 0;
  bool in_body_ = false, dropping_ = false;
  Bytes body_;

  std::thread thread_;
};

}  // namespace flexroom::net
