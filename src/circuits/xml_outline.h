#pragma once

#include "circuits/text.h"

namespace flexroom::circuits {

/// Where the tags of a secret XML text are (tls-in-mpc.md §5.4), a bit for every byte: every '<'
/// that opens a tag; in a tag, outside quotes, `< > / ! ?` and blanks. Nothing is marked behind a
/// `<!` (a comment or CDATA section may hold a secret), but that '!' is: the text is refused.
/// 36.0 ANDs a byte.
Bits xml_outline(const Text& text);

/// In    dyn "text" [8 bytes]
/// Out   keep "marks" [bytes]
/// Size  36.0 ANDs a byte
mpc::Circuit xml_outline_circuit(size_t bytes);

}  // namespace flexroom::circuits
