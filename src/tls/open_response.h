#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "tls/record_layer.h"

namespace flexroom::tls {

/// What was frozen at A4 of an open connection (tls-in-mpc.md §4.6), equal at all parties.
struct FrozenResponse {
  std::vector<RawRecord> records;  // every record after the server's Finished
  uint64_t request_offset = 0;     // server bytes received when the request was released (A3)
  bool trailing_partial = false;   // a record had begun that is not whole; it was dropped
};

struct OpenedResponse {
  Bytes application_data;
  bool close_notify = false;
  /// The outcome cannot be known from what was frozen (§5.8), and why. Checked by the caller
  /// together with the HTTP framing; a request with an unknown outcome is not repeated under this
  /// key.
  std::optional<std::string> unknown_outcome;
  size_t tickets = 0;      // NewSessionTickets, ignored
  size_t key_updates = 0;  // receive generations passed
};

/// R2: verifies and decrypts all frozen records under the opened s_ap. The records must have been
/// fixed at every honest party before any share of s_ap was sent; then a record that verifies was
/// sent by the server in this place.
///
/// Aborts  kServer: a tag that does not verify, an alert, application data that began before the
///         request was released, anything after close_notify, a post-handshake message other than
///         NewSessionTicket and KeyUpdate, more than 8 of either, 40 empty records, all-zero
///         padding
OpenedResponse open_response(const FrozenResponse& frozen, const Digest& s_ap);

/// R2-5 with `await_close`: whether the stream may be frozen now. True when the last record has the
/// length of a close_notify and no record has begun after it, or the relay states that the server
/// closed the connection (`end_of_stream`) after `Connection: close`.
bool may_freeze(const std::vector<RawRecord>& records, bool trailing_partial, bool end_of_stream);

}  // namespace flexroom::tls
