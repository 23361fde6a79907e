#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "agreement/member_statements.h"
#include "inbox/inbox.h"

// What counts and what may be armed, as functions of what is known: nothing is read or written here
// (members.md §6.2, §6.4, §8.3). Each condition is one bit, so that a test can show what it is for.

namespace flexroom::inbox {

using Failures = std::bitset<16>;

/// An author's newest APPROVE of D.
struct GivenApproval {
  agreement::ApproveBody body;
  net::SigningKey key{};  // that verified it
  uint32_t incarnation = 0;
  uint64_t number = 0;
};

/// What an approval is held against.
struct Asked {
  Digest complete{}, terms{}, versions{};  // D, of the configuration, and of the secrets now
  uint64_t now = 0;
  // Of the author.
  std::optional<net::SigningKey> key;  // in the configuration in force; nothing: it is no member
  uint32_t incarnation = 0;            // its newest
  uint64_t newest = 0;                 // number of its newest statement about D
  bool refused = false;                // one of them is a REJECT: for good
  uint32_t rule_version = 0;           // of its newest RULE
  bool forked = false;
};

/// Why it does not count at START; none: it counts (6.2).
Failures fails(const std::optional<GivenApproval>& given, const Asked& asked);
/// The first of them in the order of Counts.
Counts first_of(const Failures& failures);

/// What a member's once.db says when the first step of a run is to be armed, or when it is asked
/// whether it takes part.
struct OwnMarks {
  bool closed = false;   // REJECT, WITHDRAW of the proposal or expiry
  bool consent = false;  // the own approval is the one that once.db knows as the newest
  bool armed = false;    // this (run, step, attempt), or the run's index
  uint32_t used = 0;     // indices of D that were armed
  uint32_t times = 1;
  bool allowed = false;  // the index is one that D has
  uint64_t now = 0, floor = 0;
  bool late = false;  // `now` is past the proposal's window
};
enum class Stop : uint8_t { kClosed, kConsent, kArmed, kCount, kIndex, kFloor, kWindow };
using Stops = std::bitset<8>;
Stops stops(const OwnMarks& marks);
std::string_view to_string(Stop stop);

}  // namespace flexroom::inbox
