#pragma once

#include <optional>

#include "net/party.h"

namespace flexroom::net {

/// Why a member ended a run, as it tells the others: only what no check of a protocol decided
/// (boolean-engine.md §10.2). The numbers travel.
enum class AbortReason : uint8_t {
  kNothing = 0,  // a failed check, a lost link: an abort without any detail
  kSaidNo = 1,   // its operator, or a rule of its own
  kStopped = 2,  // by its operator
  kOwn = 3,      // a file, a disk, a program of its own
};

/// Only what no check of a protocol decided has a word (boolean-engine.md §10.2).
AbortReason reason_of(const ProtocolAbort& abort);

/// Party::abort(), saying first which of these it is. Never throws.
void abort_saying(Party& party, AbortReason reason) noexcept;

/// Of a run that is over since a member is gone: what that member said of it, if it stands among
/// what came from it and was not read yet. Nothing can be received from it afterwards.
std::optional<ProtocolAbort> said_why(Party& party, const ProtocolAbort& lost);

}  // namespace flexroom::net
