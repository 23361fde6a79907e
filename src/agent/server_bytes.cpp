#include "agent/server_bytes.h"

#include <fmt/core.h>

#include "base/codec.h"

namespace flexroom::agent {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;
constexpr std::string_view kLabel = "tls/forward";
/// How long is waited for what the service said before it stopped to listen.
constexpr std::chrono::milliseconds kAfterWriteFault{250};

// First byte of a forwarded piece: bytes (kOpen) or why there are no more, or that the courier
// failed.
constexpr uint8_t kFailed = 0xff;

/// Stopped here, or a member is gone: no fault of the service, and the abort says so itself.
bool is_ours(const ProtocolAbort& abort) {
  return abort.code() == AbortCode::kCancelled || abort.peer().has_value();
}

}  // namespace

ServerBytes::ServerBytes(net::Party& party, PartyId courier, Connect connect, uint64_t limit)
    : party_(party), courier_(courier), connect_(std::move(connect)), limit_(limit) {}

// When the courier's socket fails, the others learn at once that nothing more comes, instead of
// waiting for their timeout.
template <typename Action>
void ServerBytes::at_courier(Action action) {
  try {
    action();
  } catch (const ProtocolAbort& abort) {
    if (is_ours(abort)) throw;
    notify_of_failure();
    throw;
  } catch (...) {  // also a name that does not resolve or a file that cannot be read
    notify_of_failure();
    throw;
  }
}

void ServerBytes::notify_of_failure() {
  Writer notice;
  notice.u8(kFailed).u64(offset_);
  for (const PartyId j : party_.peers()) party_.send(j, kLabel, notice.bytes());
}

void ServerBytes::open(ByteView first_flight) {
  if (!is_courier()) return;
  at_courier([&] {
    socket_ = connect_();
    socket_->write(first_flight);
  });
}

void ServerBytes::write_hello(ByteView bytes) {
  if (!is_courier()) return;
  at_courier([&] { socket_->write(bytes); });
}

void ServerBytes::write(ByteView bytes) {
  if (!is_courier()) return;
  at_courier([&] {
    try {
      socket_->write(bytes);
    } catch (const ProtocolAbort& abort) {
      if (is_ours(abort)) throw;
      write_fault_ = abort.detail();
    }
  });
}

void ServerBytes::write_farewell(ByteView bytes) noexcept {
  if (socket_ == nullptr || bytes.empty()) return;
  try {
    socket_->write(bytes);
  } catch (...) {  // it does not listen any more
  }
}

void ServerBytes::close() {
  if (socket_ != nullptr) socket_->close();
}

std::string ServerBytes::end_reason() const {
  const std::string says = is_courier() ? "" : "the courier says that ";
  switch (end_) {
    case StreamEnd::kOpen:
      return "the connection is open";
    case StreamEnd::kClosed:
      return "the service closed the connection";
    case StreamEnd::kQuiet:
      return "the service sent nothing more";
    case StreamEnd::kTimeout:
      return says + (reason_.empty() ? "the service did not answer in time" : reason_);
    case StreamEnd::kBroken:
      return says + "the connection to the service broke" +
             (reason_.empty() ? "" : " (" + reason_ + ")");
  }
  return "";
}

void ServerBytes::forward(StreamEnd end, ByteView piece) {
  Writer message;
  message.u8(static_cast<uint8_t>(end)).u64(offset_);
  message.raw(piece);
  for (const PartyId j : party_.peers()) party_.send(j, kLabel, message.bytes());
  end_ = end;
}

Bytes ServerBytes::receive(StreamEnd last_kind) {
  const Bytes message = party_.receive_up_to(courier_, kLabel, kPieceBytes + 9);
  Reader reader(message, kLabel, courier_);
  const uint8_t kind = reader.u8();
  const uint64_t offset = reader.u64();
  const ByteView bytes = reader.raw(reader.remaining());
  if (kind == kFailed) {
    throw ProtocolAbort(AbortCode::kServer, kLabel,
                        "the courier lost the connection to the service (its own message says why)",
                        courier_);
  }
  if (kind > static_cast<uint8_t>(last_kind) || offset != offset_ ||
      (kind == static_cast<uint8_t>(StreamEnd::kOpen)) == bytes.empty()) {
    throw ProtocolAbort(AbortCode::kBadFrame, kLabel,
                        fmt::format("forwarded bytes at offset {}, expected {}", offset, offset_),
                        courier_);
  }
  end_ = static_cast<StreamEnd>(kind);
  return Bytes(bytes.begin(), bytes.end());
}

Bytes ServerBytes::take(Bytes piece) {
  offset_ += piece.size();
  if (offset_ > limit_) {
    throw ProtocolAbort(AbortCode::kServer, kLabel,
                        fmt::format("the service sent more than {} bytes", limit_));
  }
  hash_.update(piece);
  return piece;
}

Bytes ServerBytes::next() {
  if (ended()) return {};
  if (!is_courier()) return take(receive(StreamEnd::kClosed));
  Bytes piece;
  at_courier([&] { piece = socket_->read_some(kPieceBytes); });
  forward(piece.empty() ? StreamEnd::kClosed : StreamEnd::kOpen, piece);
  return take(std::move(piece));
}

Bytes ServerBytes::read_answer(std::optional<std::chrono::milliseconds> quiet) {
  if (write_fault_) quiet = kAfterWriteFault;
  Bytes piece = read_piece(quiet);
  if (write_fault_ && ended()) {
    end_ = StreamEnd::kBroken;
    reason_ = *write_fault_;
  }
  return piece;
}

Bytes ServerBytes::read_piece(std::optional<std::chrono::milliseconds> quiet) {
  try {
    std::optional<Bytes> piece =
        quiet ? socket_->read_some_within(kPieceBytes, *quiet) : socket_->read_some(kPieceBytes);
    if (!piece) end_ = StreamEnd::kQuiet;
    if (piece && piece->empty()) end_ = StreamEnd::kClosed;
    return std::move(piece).value_or(Bytes());
  } catch (const ProtocolAbort& abort) {
    if (is_ours(abort)) throw;
    end_ = abort.code() == AbortCode::kTimeout ? StreamEnd::kTimeout : StreamEnd::kBroken;
    reason_ = abort.detail();
    return {};
  }
}

void ServerBytes::go_on() {
  if (end_ == StreamEnd::kQuiet) end_ = StreamEnd::kOpen;
}

Bytes ServerBytes::next_of_answer(std::optional<std::chrono::milliseconds> quiet) {
  if (ended()) return {};
  if (!is_courier()) return take(receive(StreamEnd::kBroken));
  Bytes piece;
  at_courier([&] { piece = read_answer(quiet); });
  forward(end_, piece);
  return take(std::move(piece));
}

}  // namespace flexroom::agent
