#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/named_group.h"
#include "base/stream.h"
#include "tls/handshake.h"

/// Connections that the courier makes alone and that carry nothing of the members (tls-complete.md
/// §8.3). The layer has neither the store nor an engine below it, so that no code of it could take
/// anything from them; nothing of an answer leaves it (R2-6).
namespace flexroom::cover {

/// What of a real connection is seen on the line beside its hello and its answer.
struct Shape {
  std::chrono::milliseconds delay{0};  // from the slot to the connection
  std::chrono::milliseconds pause{0};  // from the ServerHello to our flight
  std::vector<size_t> record_bytes;    // of the request: content, type and zeros of each record
};

/// Everything of the hello that the members' has too, and the request.
struct Settings {
  std::string host;
  Groups groups = all_groups();
  std::optional<NamedGroup> likely_curve;
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  tls::HandshakeConfig handshake;  // whom this machine believes to be the host
  bool await_close = false;
  std::string request = "HEAD /";  // method and path
};

/// The request as it is sent, whole.
std::string request_text(const Settings& settings);
/// Whether it fits into records of these lengths, each with one byte of it at least.
bool fits(const Settings& settings, const Shape& shape);

/// One connection to the host over `stream`, which is fresh: a hello of the members' form, the
/// request in records as long as the shape says, sent with the Finished when the pause is over.
/// What is answered is read up to where the members would stop reading, and dropped unread.
///
/// `wait` sleeps; it may throw to end it. Asserts fits(). Throws ServerFault and what the stream
/// throws; the connection is of no consequence either way.
void connect_once(ByteStream& stream, const Settings& settings, const Shape& shape,
                  const std::function<void(std::chrono::milliseconds)>& wait);

}  // namespace flexroom::cover
