#include "net/tcp_link.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace flexroom::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRecordBytes = 16384;
// Frames up to this size reach the protocol, which says best what is wrong with them.
constexpr size_t kSmallFrame = size_t{64} << 10;
// What a queued frame costs beside its bytes: a flood of empty frames is bounded too.
constexpr size_t kFrameOverhead = 64;
constexpr int kStepsPerTurn = 64;
constexpr int kPausePollMs = 20;
/// How often whoever waits looks whether it was cancelled.
constexpr std::chrono::milliseconds kCancelPoll{100};

/// One more send() of the mesh waits while this lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count) { count_.fetch_add(1); }
  ~Counted() { count_.fetch_sub(1); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& count_;
};

size_t cost_of(const Bytes& frame) { return frame.size() + kFrameOverhead; }

}  // namespace

TcpLink::TcpLink(OpensslPtr<SSL> ssl, Socket socket, PartyId peer, std::string peer_name,
                 const LinkLimits& limits, std::atomic<int>* senders_waiting, FramePool* frames)
    : socket_(std::move(socket)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      buffer_(socket_.get()),
      ssl_(std::move(ssl)),
      peer_(peer),
      peer_name_(std::move(peer_name)),
      limits_(limits),
      senders_waiting_(*senders_waiting),
      frames_(*frames) {
  FLEXROOM_ASSERT(wake_.valid());
  BIO* bio = buffer_.make_bio();
  SSL_set_bio(ssl_.get(), bio, bio);
  thread_ = std::thread([this] { run(); });
}

TcpLink::~TcpLink() {
  close();
  thread_.join();
}

void TcpLink::wake() {
  const uint64_t one = 1;
  // A full counter means that the thread has been woken already.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void TcpLink::throw_failure(std::string_view operation) const {
  throw ProtocolAbort(failure_->first, operation, failure_->second, peer_);
}

void TcpLink::send(Bytes frame) {
  if (frame.size() > limits_.max_frame_bytes) {
    throw InputError("message to " + peer_name_,
                     std::to_string(frame.size()) + " bytes, the limit of a message is " +
                         std::to_string(limits_.max_frame_bytes),
                     "raise the limit at every member, or lower the batch size");
  }
  std::unique_lock lock(mutex_);
  const size_t cost = cost_of(frame);
  const auto has_room = [&] {
    return failure_ || outgoing_bytes_ == 0 || outgoing_bytes_ + cost <= limits_.max_queued_bytes;
  };
  if (!has_room()) {
    const Counted waiting(senders_waiting_);
    ++waiting_to_send_;
    struct Leave {
      int& count;
      ~Leave() { --count; }
    } const leave{waiting_to_send_};  // under the lock
    if (std::exchange(paused_, false)) wake();
    uint64_t seen = bytes_written_;
    auto deadline = std::chrono::steady_clock::now() + limits_.send_timeout;
    while (!sent_.wait_for(lock, std::min(limits_.send_timeout, kCancelPoll), has_room)) {
      throw_if_cancelled("send");
      if (bytes_written_ != seen) {
        seen = bytes_written_;
        deadline = std::chrono::steady_clock::now() + limits_.send_timeout;
      } else if (std::chrono::steady_clock::now() >= deadline) {
        throw ProtocolAbort(AbortCode::kTimeout, "send", peer_name_ + " takes no more data", peer_);
      }
    }
  }
  if (failure_) throw_failure("send");
  outgoing_bytes_ += cost;
  outgoing_.push_back(std::move(frame));
  const bool was_idle = std::exchange(idle_, false);
  lock.unlock();
  if (was_idle) wake();
}

Bytes TcpLink::receive(std::chrono::milliseconds timeout, size_t max_bytes) {
  std::unique_lock lock(mutex_);
  if (incoming_.empty()) {
    asked_for_ = max_bytes;
    if (std::exchange(paused_, false)) wake();
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto has_news = [&] { return closing_ || !incoming_.empty() || failure_; };
  // In slices: a signal handler may set a flag but not wake a thread.
  while (true) {
    throw_if_cancelled("receive");
    const auto left = deadline - std::chrono::steady_clock::now();
    if (received_.wait_for(lock, std::min<std::chrono::nanoseconds>(left, kCancelPoll), has_news)) {
      break;
    }
    if (std::chrono::steady_clock::now() < deadline) continue;
    asked_for_.reset();
    throw ProtocolAbort(
        AbortCode::kTimeout, "receive",
        "nothing from " + peer_name_ + " for " + std::to_string(timeout.count()) + " ms", peer_);
  }
  if (incoming_.empty() || closing_) throw_failure("receive");
  Bytes frame = std::move(incoming_.front());
  incoming_.pop_front();
  incoming_bytes_ -= cost_of(frame);
  const bool resume = paused_ && incoming_bytes_ < limits_.max_ahead_bytes / 2;
  if (resume) paused_ = false;
  lock.unlock();
  if (resume) wake();
  return frame;
}

void TcpLink::check() {
  const std::lock_guard lock(mutex_);
  if (failure_) throw_failure("wait");
}

void TcpLink::throw_if_cancelled(std::string_view operation) const {
  if (limits_.cancel == nullptr || !*limits_.cancel) return;
  throw ProtocolAbort(AbortCode::kCancelled, operation, "stopped by the operator");
}

void TcpLink::close() {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    // From here on the link is dead for its user, whatever the thread still flushes.
    if (!failure_) failure_.emplace(AbortCode::kPeerLost, "connection closed by this member");
  }
  received_.notify_all();
  sent_.notify_all();
  wake();
}

void TcpLink::fail(AbortCode code, std::string detail) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_.emplace(code, std::move(detail));
    outgoing_.clear();
    outgoing_bytes_ = 0;
  }
  received_.notify_all();
  sent_.notify_all();
}

void TcpLink::run() {
  // A peer that vanishes must be an error code of write(), not a signal of the process.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);

  while (true) {
    bool progress = false;
    for (int i = 0; i < kStepsPerTurn; ++i) {
      const Step wrote = write_some();
      if (wrote == Step::kStopped) return;
      const Step read = read_some();
      if (read == Step::kStopped) return;
      progress = wrote == Step::kProgress || read == Step::kProgress;
      if (!progress) break;
    }
    {
      const std::lock_guard lock(mutex_);
      if (closing_) break;
    }
    if (!progress) wait_for_socket();
  }
  shut_down();
}

bool TcpLink::has_output() const {
  return buffer_.has_output() || !staging_.empty() || !frame_.empty();
}

// Fills staging_ and frame_ with what goes out next: several small frames together, or the head of
// a large one so that its length does not travel in a record of its own.
bool TcpLink::next_chunk() {
  const std::lock_guard lock(mutex_);
  while (!outgoing_.empty() && staging_.size() < kRecordBytes) {
    Bytes& frame = outgoing_.front();
    const size_t size = frame.size();
    for (int shift = 24; shift >= 0; shift -= 8) {
      staging_.push_back(static_cast<uint8_t>(size >> shift));
    }
    chunk_cost_ += cost_of(frame);
    const size_t room = kRecordBytes > staging_.size() ? kRecordBytes - staging_.size() : 0;
    const size_t head = std::min(size, room);
    append(staging_, ByteView(frame).first(head));
    if (head < size) {
      frame_ = std::move(frame);
      frame_done_ = head;
    } else {
      frames_.give(std::move(frame));
    }
    outgoing_.pop_front();
    if (!frame_.empty()) break;
  }
  return !staging_.empty();
}

void TcpLink::forget_chunk() {
  const std::lock_guard lock(mutex_);
  outgoing_bytes_ -= std::min(outgoing_bytes_, chunk_cost_);
  chunk_cost_ = 0;
  if (waiting_to_send_ > 0) sent_.notify_all();
}

// Records of queued frames into the buffer, until it is full or nothing is queued.
TcpLink::Step TcpLink::fill_output() {
  while (!buffer_.full()) {
    if (staging_.empty() && frame_.empty()) {
      if (since_rekey_ >= limits_.rekey_bytes) {
        since_rekey_ = 0;
        SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
      }
      if (!next_chunk()) break;
    }
    const bool staged = !staging_.empty();
    const ByteView rest =
        staged ? ByteView(staging_).subspan(staging_done_) : ByteView(frame_).subspan(frame_done_);
    ERR_clear_error();
    const int n = SSL_write(ssl_.get(), rest.data(),
                            static_cast<int>(std::min(rest.size(), size_t{1} << 20)));
    if (n <= 0) return ssl_problem(n, "write");
    since_rekey_ += static_cast<uint64_t>(n);
    size_t& done = staged ? staging_done_ : frame_done_;
    done += static_cast<size_t>(n);
    if (staged && staging_done_ == staging_.size()) {
      staging_.clear();
      staging_done_ = 0;
    }
    if (!staged && frame_done_ == frame_.size()) {
      frames_.give(std::exchange(frame_, Bytes()));
      frame_done_ = 0;
    }
    if (staging_.empty() && frame_.empty()) forget_chunk();
  }
  return Step::kProgress;
}

TcpLink::Step TcpLink::write_some() {
  Step step = fill_output();
  if (step != Step::kStopped) {
    errno = 0;
    const ssize_t n = buffer_.flush();
    if (n > 0) {
      const std::lock_guard lock(mutex_);
      bytes_written_ += static_cast<uint64_t>(n);
      return Step::kProgress;
    }
    if (n == 0) return Step::kBlocked;
    connection_broke(errno);
    ::shutdown(socket_.get(), SHUT_WR);
    step = Step::kStopped;
  }
  // What the peer said before it went (such as "abort") still counts.
  while (read_some() == Step::kProgress) {
  }
  return step;
}

// Whether the frame that begins may be read now: it is the one that receive() waits for, or there
// is room for what comes later.
bool TcpLink::room_for_frame(size_t size) {
  const std::lock_guard lock(mutex_);
  paused_ = false;
  dropping_ = closing_;  // read and dropped, so that the peer's socket is not reset early
  if (dropping_) return true;
  if (incoming_.empty() && asked_for_) {
    const size_t most = std::max(*asked_for_, kSmallFrame);
    if (size <= most) return true;
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, "receive",
                        peer_name_ + " announced a message of " + std::to_string(size) +
                            " bytes where the protocol expects at most " +
                            std::to_string(*asked_for_),
                        peer_);
  }
  const size_t cost = size + kFrameOverhead;
  if (incoming_bytes_ + cost <= limits_.max_ahead_bytes) return true;
  if (senders_waiting_.load() > 0) {
    if (incoming_bytes_ + cost <= limits_.max_backlog_bytes) return true;
    throw ProtocolAbort(AbortCode::kBadFrame, "receive",
                        peer_name_ + " sent more than " +
                            std::to_string(limits_.max_backlog_bytes) +
                            " bytes that no step of the protocol asked for",
                        peer_);
  }
  paused_ = true;
  return false;
}

TcpLink::Step TcpLink::read_some() {
  Step step = Step::kBlocked;
  try {
    // As much as one turn of writing moves, so that neither side of the link starves the other.
    for (size_t moved = 0; moved < SocketBuffer::kBytes;) {
      if (!in_body_ && length_done_ == length_.size()) begin_frame();
      if (length_done_ == length_.size() && !in_body_) return step;
      uint8_t* to = length_.data() + length_done_;
      size_t want = length_.size() - length_done_;
      if (in_body_) {
        to = body_.data() + (dropping_ ? 0 : body_done_);
        want =
            dropping_ ? std::min(body_size_ - body_done_, body_.size()) : body_size_ - body_done_;
      }
      if (want > 0) {
        ERR_clear_error();
        const int n = SSL_read(ssl_.get(), to, static_cast<int>(std::min(want, size_t{1} << 20)));
        if (n <= 0) {
          const Step end = ssl_problem(n, "read");
          return end == Step::kStopped ? end : step;
        }
        step = Step::kProgress;
        moved += static_cast<size_t>(n);
        (in_body_ ? body_done_ : length_done_) += static_cast<size_t>(n);
      }
      if (in_body_ && body_done_ == body_size_) {
        in_body_ = false;
        length_done_ = body_done_ = 0;
        deliver(std::exchange(body_, Bytes()));
      }
    }
  } catch (const ProtocolAbort& abort) {
    fail(abort.code(), abort.detail());
    ::shutdown(socket_.get(), SHUT_RDWR);
    return Step::kStopped;
  }
  return step;
}

void TcpLink::begin_frame() {
  const size_t size = (size_t{length_[0]} << 24) | (size_t{length_[1]} << 16) |
                      (size_t{length_[2]} << 8) | length_[3];
  if (size > limits_.max_frame_bytes) {
    throw ProtocolAbort(AbortCode::kBadFrame, "receive",
                        peer_name_ + " announced a message of " + std::to_string(size) +
                            " bytes, at most " + std::to_string(limits_.max_frame_bytes) +
                            " are allowed",
                        peer_);
  }
  if (!room_for_frame(size)) return;
  body_size_ = size;
  body_ = frames_.take(dropping_ ? std::min(size, kRecordBytes) : size);
  in_body_ = true;
}

void TcpLink::deliver(Bytes frame) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    incoming_bytes_ += cost_of(frame);
    incoming_.push_back(std::move(frame));
    asked_for_.reset();
  }
  received_.notify_one();
}

TcpLink::Step TcpLink::ssl_problem(int result, std::string_view what) {
  const int error = SSL_get_error(ssl_.get(), result);
  const int system_error = errno;
  switch (error) {
    case SSL_ERROR_WANT_WRITE:
      return Step::kBlocked;
    case SSL_ERROR_WANT_READ:
      return Step::kBlocked;
    case SSL_ERROR_ZERO_RETURN:
      fail(AbortCode::kPeerLost, peer_name_ + " closed the connection");
      break;
    case SSL_ERROR_SYSCALL:
      connection_broke(system_error);
      break;
    default: {
      const unsigned long code = ERR_peek_error();
      const bool cut = ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
      fail(cut ? AbortCode::kPeerLost : AbortCode::kBadFrame,
           cut ? "connection to " + peer_name_ + " was cut"
               : "TLS error from " + peer_name_ + ": " + take_openssl_error());
    }
  }
  (void)buffer_.flush();  // an alert that says why
  ::shutdown(socket_.get(), what == "write" ? SHUT_WR : SHUT_RDWR);
  return Step::kStopped;
}

void TcpLink::connection_broke(int system_error) {
  fail(AbortCode::kPeerLost, "connection to " + peer_name_ + " broke: " +
                                 (system_error != 0 ? std::strerror(system_error) : "cut"));
}

void TcpLink::wait_for_socket() {
  const bool writing = has_output();
  bool paused = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || (!writing && !outgoing_.empty())) return;
    idle_ = !writing;
    paused = paused_;
  }
  const auto events = static_cast<short>((paused ? 0 : POLLIN) | (writing ? POLLOUT : 0));
  pollfd fds[2] = {{wake_.get(), POLLIN, 0}, {socket_.get(), events, 0}};
  // While paused, a hang-up must not spin: what was received is still to be delivered.
  const nfds_t count = events == 0 ? 1 : 2;
  poll(fds, count, paused ? kPausePollMs : -1);
  const std::lock_guard lock(mutex_);
  idle_ = false;
  uint64_t ignored = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &ignored, sizeof ignored);
}

// Queued frames leave, then close_notify, then we wait for the peer's end: closing a socket with
// unread bytes in it would reset the connection and take our last frames with it.
void TcpLink::shut_down() {
  bool notified = false, ended = false;
  auto deadline = Clock::now() + limits_.linger;
  while (Clock::now() < deadline) {
    const Step wrote = ended ? Step::kBlocked : write_some();
    if (wrote == Step::kStopped) return;
    if (wrote == Step::kBlocked && !has_output() && !ended) {
      if (!notified) {
        notified = true;
        SSL_shutdown(ssl_.get());
        continue;
      }
      ended = true;
      ::shutdown(socket_.get(), SHUT_WR);
      deadline = Clock::now() + limits_.linger;
    }
    const Step read = read_some();
    if (read == Step::kStopped) return;
    if (wrote == Step::kProgress) deadline = Clock::now() + limits_.linger;
    if (wrote == Step::kBlocked && read == Step::kBlocked) {
      const auto events = static_cast<short>(POLLIN | (has_output() ? POLLOUT : 0));
      pollfd fd{socket_.get(), events, 0};
      poll(&fd, 1, 50);
    }
  }
}

}  // namespace flexroom::net
