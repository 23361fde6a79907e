#pragma once

#include <span>
#include <string>

#include "circuits/word.h"

namespace flexroom::circuits {

/// Text from uniform bits that nobody knows (tls-in-mpc.md §5.2a). Every alphabet has 2^k symbols,
/// so that k bits give each of them with the same probability: no modulo, no bias. Decimal digits
/// are drawn by rejection. (Hexadecimal: hex_digit_lower of text.h, 4 bits, 4 ANDs.)

/// `a-z2-7` (RFC 4648 §6 in lower case) of a 5-bit value: 7 ANDs.
ByteBits base32_char(std::span<const Bit> value);

/// 1 if a 4-bit candidate is one of the ten digits; the digit is then '0' | candidate: 2 ANDs. May
/// be opened: it says nothing about a digit that was accepted, and who was not is dropped.
Bit is_decimal(std::span<const Bit> candidate);

/// Candidates that are drawn for so many digits: the smallest number of which fewer are accepted
/// with probability at most 2^-40 (each with 10/16). 46, 57, 72 for 6, 10, 16 digits.
size_t digit_candidates(size_t digits);

/// entries[index]: one-hot of the index, then XORs of public texts.
///
/// In     index [k bits]; entries [2^k], all of one length, at least two
/// Size   272 / 528 / 1,056 ANDs for 256 / 512 / 1,024 entries, whatever their length
Text pick(std::span<const Bit> index, std::span<const std::string> entries);

}  // namespace flexroom::circuits
