#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "flow/flow.h"

namespace flexroom::flow {

/// AND gates of a step, at most (operations.md (h)): answers are decrypted up to header_max and
/// body_max only where something is selected from them.
struct StepCost {
  uint64_t handshake = 0, request = 0, answer = 0;
  uint64_t more_member = 0;  // of the request, for each member above two
  uint64_t total() const { return handshake + request + answer; }
};
/// Of the answer; of one whose connection is to serve another request the header is read whatever
/// the step selects (tls-in-mpc.md §4.9(4)).
uint64_t answer_cost(const Step& step, bool keeps_connection);
/// Of a step on the connection of another one there is no handshake, unless the service ended it;
/// the first one of a connection prepares for the answers of all that are to follow.
/// With AES-128-GCM; `group` of the provider's entry does not matter at this precision.
StepCost cost_of(const Flow& flow, const Step& step);

/// Gates a byte and a connection, as operations.md (a), (e) and (h) count them; what is printed of
/// them is an upper bound for people, and no protocol depends on it.
struct Gates {
  static constexpr uint64_t kHandshake =
      560'000;  // operations.md (h): both GCs and the key schedule
  static constexpr uint64_t kAesByte = 320;
  static constexpr uint64_t kHeaderByte = 41;
  static constexpr uint64_t kJsonByte = 27;
  static constexpr uint64_t kXmlByte = 36;
  static constexpr uint64_t kSearchByte = 65, kJsonSearchByte = 95;
  static constexpr uint64_t kStatusOnly = 15'000;
  /// Blocks beside those of the text where it is read as it comes: of a header, of a body.
  static constexpr uint64_t kBlock = 5'120;
  static constexpr uint64_t kHeaderPieces = 4 * kBlock, kBodyPieces = 12 * kBlock;
  /// Masks of the records that the answer to a later request of a connection may have, four; made
  /// with the first one (operations.md (c) "Connections").
  static constexpr uint64_t kAnswerToCome = 4 * 2 * kBlock;
  static constexpr uint64_t kRequestByte = 320;
  /// Four HMACs of two secret compressions for the day's key, and one more (tls-in-mpc.md §3.4).
  static constexpr uint64_t kSigV4 = 9 * 22'573;
  /// A JWE under a key of 4096 bits, which the service may choose; each 16 bytes of its secret;
  /// each member above two.
  static constexpr uint64_t kJwe = 540'500;
  static constexpr uint64_t kJweBlock = 7'600;
  static constexpr uint64_t kJweMember = 12'289;
  static constexpr uint64_t kSearched = 511;  // bytes that `after` looks through at most
};

/// What all members are shown of a flow before anything runs: of every step what leaves, is kept
/// and opened, which lengths are seen, what it costs; then what is left at the provider and what is
/// leaked, of names that `room` does not tell both ways (operations.md (a)). `spent`: bits that the
/// ledger has booked, by name; `arguments` show what each member could tell a support desk.
std::string plan_text(const Flow& flow, const std::map<std::string, std::string>& arguments = {},
                      const KnownValues& room = {},
                      const std::map<std::string, unsigned>& spent = {});

}  // namespace flexroom::flow
