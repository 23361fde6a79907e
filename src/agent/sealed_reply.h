#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// What was shown of one sealed answer, in numbers: for the leak that a plan states and the ledger
/// (tls-in-mpc.md §5.6). Everything else stayed inside.
struct SealedLeak {
  size_t records = 0;          // whose type byte was opened
  size_t padding_bytes = 0;    // zeros behind type bytes, opened
  size_t alert_bytes = 0;      // level and description, opened
  size_t ticket_headers = 0;   // of 4 bytes, opened
  size_t key_updates = 0;      // of 5 bytes, opened
  size_t header_bytes = 0;     // length of the header, 0: not read
  size_t body_bytes = 0;       // length of the body, 0: not read
  size_t marks = 0;            // structural bytes: where they are
  size_t structure_bytes = 0;  // of these, which one
  size_t escape_bits = 0;
  size_t tests = 0;         // zero tests, one bit each
  size_t class_bits = 0;    // of dates and ages, of gated bytes, of a code search, of all values
  size_t gated_bytes = 0;   // digits of a length, chunk-size lines
  size_t opened_bytes = 0;  // declared openings, and a cookie's date
};

/// What became of one item of the plan, in its order.
struct SealedValue {
  enum class State : uint8_t {
    kNone,       // nothing: the answer was not selected from
    kKept,       // `bits`
    kOpened,     // `text`, or `secret` if to this member alone
    kElsewhere,  // opened to another member
    kTested,     // was what the plan says
    kSame,       // a cookie that the answer does not set: its old version stays
  };
  State state = State::kNone;
  size_t bytes = 0;     // length; public
  prep::AuthBits bits;  // kKept: 8 a byte, bit 0 first
  std::string text;     // kOpened to all
  SecretBytes secret;   // kOpened to this member alone: wiped with the value
};

struct SealedReply {
  int status = 0;  // 0: not even that came
  /// Why nothing was kept or opened, by the names of tls-in-mpc.md §5.6; holds no byte of the
  /// answer.
  std::optional<std::string> failure;
  bool unknown = false;  // with failure: there is no whole answer (§5.8)
  bool none = false;     // no element of the array is the item: an event, no failure
  bool goes_on = false;  // plan with keep_alive: nothing of the answer ends the connection
  std::optional<std::string> code;  // of another status: which listed code, or `other`
  std::vector<SealedValue> values;  // one an item; all in state kNone unless all went well
  SealedLeak leak;

  /// The values are void: nothing of them may be stored.
  void forget_values() {
    for (SealedValue& value : values) value = SealedValue();
  }
};

}  // namespace flexroom::agent
