#pragma once

#include "circuits/text.h"

namespace flexroom::circuits {

/// Where the lines of a secret HTTP header are (tls-in-mpc.md §5.4), a bit for every byte of the
/// window. Nothing is marked behind the end of the header. The marks up to any byte depend on the
/// bytes up to it alone, so those of a window that is partly filled are right as far as it is.
struct HeaderOutline {
  Bits line_ends;  // LF of a CRLF
  Bits colons;     // the first ':' of a line
  Bits details;    // in a value: every ';', the first '=' of each piece between them, and the
                   // blanks that lead a piece or follow that '='
  Bits ends;       // the LF that ends the header: at most one
  Bits bad;        // up to here: a bare CR or LF, a folded line, a blank or control byte in a name,
                   // a line without ':'. Never 0 again before the end
};

/// 41.0 ANDs a byte.
HeaderOutline header_outline(const Text& window);

/// The outline of a window as a circuit of its own.
///
/// In    dyn "text" [8 bytes]
/// Out   keep "line_ends", "colons", "details", "ends", "bad": a bit a byte, of the last bytes of
///       the window where a group is shorter (the first bytes cannot be marked)
/// Size  41.0 ANDs a byte
/// Opens nothing by itself: `bad` is opened at the last byte that has arrived, marks behind it
///       never (there is bare keystream), marks before it only if `bad` is 0 and the header ended.
mpc::Circuit header_outline_circuit(size_t bytes);

}  // namespace flexroom::circuits
