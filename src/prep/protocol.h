#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/prg.h"

namespace flexroom::prep {

/// The number of the protocol between members (boolean-engine.md §8.3), never the program's
/// version. 1: row 1 of a COT not pinned, leaf streams without an iv; 2: this program. Pools of
/// another number are void; stored shares are pinned when they are loaded (§8.1).
inline constexpr uint16_t kProtocol = 2;

inline constexpr size_t kHelloNonceBytes = 32;

/// This member's nonce of a session or a set-up: 8 bytes that name the protocol, 24 random ones.
/// Members of protocol 1 sent 32 random bytes in its place.
Bytes hello_nonce(Prg& prg);

/// Throws kDisagreement (refuse; nothing is burned) naming both numbers when `peer` speaks another
/// protocol: its MACs, trees and streams would not fit ours, which looks like a cheat.
void require_same_protocol(ByteView nonce, std::string_view label, PartyId peer);

}  // namespace flexroom::prep
