#pragma once

#include <string>

#include "base/hash.h"

namespace flexroom::room {

/// `{{client-metadata}}`: the field that some sign-in pages want beside a password, with honest
/// content and in the clear (tls-in-mpc.md §5.9): base64 of XXTEA of
/// {"client": "flexroom", "nonce": 32 hex digits} under the key that the page's own script shows to
/// everybody. It says what this program is and pretends to nothing. `release`: another one for each
/// release, the same at all members; the nonce is made of it.
std::string client_metadata(const Digest& release);

/// XXTEA (Needham, Wheeler, "Correction to xtea", 1998) over little-endian words: the text filled
/// up with zeros to whole words, then its length as one more word. `key` has 16 bytes.
Bytes xxtea_seal(std::string_view text, std::string_view key);

}  // namespace flexroom::room
