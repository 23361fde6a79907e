#pragma once

#include "circuits/text.h"

namespace flexroom::circuits {

/// Where the structure of a secret JSON text is (tls-in-mpc.md §5.4), a bit for every byte. Depth
/// and paths cost nothing: an ordinary parser finds them on the opened marks.
struct JsonOutline {
  Bits marks;    // unescaped quotes; brackets, commas, colons and blanks outside strings
  Bits escapes;  // kept: at a closing quote, that its string has a backslash
};

/// 27.0 ANDs a byte.
JsonOutline json_outline(const Text& text);

/// The outline of a body as a circuit of its own.
///
/// In    dyn "text" [8 bytes]
/// Out   keep "marks", "escapes" [bytes]
/// Size  27.0 ANDs a byte
mpc::Circuit json_outline_circuit(size_t bytes);

}  // namespace flexroom::circuits
