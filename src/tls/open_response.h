#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "tls/record_layer.h"

namespace flexroom::tls {

/// What was frozen at A4 of an open connection (tls-in-mpc.md §4.6), equal at all parties.
struct FrozenResponse {
  std::vector<RawRecord> records;  // every record after the server's Finished
  uint64_t request_offset = 0;     // server bytes received when the request was released (A3)
  bool trailing_partial = false;   // a record had begun that is not whole; it was dropped
  const CipherSuite* suite = &aes128_gcm_sha256();
};

/// Tickets, KeyUpdates, empty records and alerts by the bounds of tls-complete.md §9.
struct OpenedResponse {
  /// All that the server sent up to the first thing that is wrong: what verified is kept.
  Bytes application_data;
  bool close_notify = false;
  /// The outcome cannot be known from what was frozen (§5.8), and why: the server broke the
  /// protocol, or what it sent is not whole. Checked by the caller together with the HTTP framing;
  /// a request with an unknown outcome is not repeated under this key.
  std::optional<std::string> unknown_outcome;
  size_t tickets = 0;      // NewSessionTickets, ignored
  size_t key_updates = 0;  // receive generations passed
};

/// R2: verifies and decrypts all frozen records under the opened s_ap. The records must have been
/// fixed at every honest party before any share of s_ap was sent; then a record that verifies was
/// sent by the server in this place.
///
/// The request is out, so nothing is thrown away: at the first violation it stops, says so in
/// `unknown_outcome` and returns what came before. Violations are a tag that does not verify, an
/// alert (but for close_notify, and up to four user_canceled before one), application data that
/// began before the request was released, a post-handshake message other than NewSessionTicket (at
/// most 64) and KeyUpdate (at most 8), more than 32 empty records in a row, all-zero padding, a bad
/// content type. Behind close_notify nothing is read (RFC 8446 §6.1).
OpenedResponse open_response(const FrozenResponse& frozen, const HashValue& s_ap);

inline constexpr std::chrono::milliseconds kQuietAfterClose{1000};
inline constexpr std::chrono::milliseconds kQuietAfterAnswer{10000};

/// When the stream may be frozen although the server has not closed it (§4.6): how long nothing may
/// have come. A last record of the length of a close_notify: one second, since data of two bytes
/// looks the same. Else ten seconds, unless the room waits for the close (`await_close`, R2-5) or
/// what came since the request cannot be an answer yet: no record, or two to four of about one
/// length, as session tickets are.
///
/// Freezing early or late costs at most a known outcome, never a wrong one: framing decides.
std::optional<std::chrono::milliseconds> quiet_before_freeze(const std::vector<RawRecord>& records,
                                                             uint64_t request_offset,
                                                             bool trailing_partial,
                                                             bool await_close);

}  // namespace flexroom::tls
