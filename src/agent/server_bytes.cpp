#include "agent/server_bytes.h"

#include <fmt/core.h>

#include "base/codec.h"

namespace flexroom::agent {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;
constexpr std::string_view kLabel = "tls/forward";

enum class Kind : uint8_t { kBytes = 0, kEnd = 1, kFailed = 2 };

}  // namespace

ServerBytes::ServerBytes(net::Party& party, PartyId courier, Connect connect)
    : party_(party), courier_(courier), connect_(std::move(connect)) {}

// When the courier's socket fails, the others learn at once that nothing more comes, instead of
// waiting for their timeout.
template <typename Action>
void ServerBytes::at_courier(Action action) {
  try {
    action();
  } catch (const ProtocolAbort& abort) {
    // Stopped here, or a member is gone: the abort that follows says so itself.
    if (abort.code() == AbortCode::kCancelled || abort.peer()) throw;
    notify_of_failure();
    throw;
  } catch (...) {  // also a name that does not resolve or a file that cannot be read
    notify_of_failure();
    throw;
  }
}

void ServerBytes::notify_of_failure() {
  Writer notice;
  notice.u8(static_cast<uint8_t>(Kind::kFailed)).u64(offset_);
  for (const PartyId j : party_.peers()) party_.send(j, kLabel, notice.bytes());
}

void ServerBytes::open(ByteView first_flight) {
  if (!is_courier()) return;
  at_courier([&] {
    socket_ = connect_();
    socket_->write(first_flight);
  });
}

void ServerBytes::write(ByteView bytes) {
  if (!is_courier()) return;
  at_courier([&] { socket_->write(bytes); });
}

void ServerBytes::close() {
  if (socket_ != nullptr) socket_->close();
}

Bytes ServerBytes::next() {
  if (ended_) return {};
  Bytes piece;
  if (is_courier()) {
    at_courier([&] { piece = socket_->read_some(kPieceBytes); });
    Writer message;
    message.u8(static_cast<uint8_t>(piece.empty() ? Kind::kEnd : Kind::kBytes)).u64(offset_);
    message.raw(piece);
    for (const PartyId j : party_.peers()) party_.send(j, kLabel, message.bytes());
  } else {
    const Bytes message = party_.receive_up_to(courier_, kLabel, kPieceBytes + 9);
    Reader reader(message, kLabel, courier_);
    const uint8_t kind = reader.u8();
    const uint64_t offset = reader.u64();
    const ByteView bytes = reader.raw(reader.remaining());
    if (kind == static_cast<uint8_t>(Kind::kFailed)) {
      throw ProtocolAbort(
          AbortCode::kServer, kLabel,
          "the courier lost the connection to the service (its own message says why)", courier_);
    }
    if (kind > static_cast<uint8_t>(Kind::kFailed) || offset != offset_ ||
        (kind == static_cast<uint8_t>(Kind::kEnd)) != bytes.empty()) {
      throw ProtocolAbort(AbortCode::kBadFrame, kLabel,
                          fmt::format("forwarded bytes at offset {}, expected {}", offset, offset_),
                          courier_);
    }
    piece.assign(bytes.begin(), bytes.end());
  }
  ended_ = piece.empty();
  offset_ += piece.size();
  if (offset_ > limit_) {
    throw ProtocolAbort(AbortCode::kServer, kLabel,
                        fmt::format("the service sent more than {} bytes", limit_));
  }
  hash_.update(piece);
  return piece;
}

}  // namespace flexroom::agent
