#pragma once

#include <optional>

#include "circuits/text.h"

namespace flexroom::circuits {

/// What `after "LIT"` and `pattern "LIT" CLASS "TERM"` find in a secret text (tls-in-mpc.md §5.5).
struct CodeSearch {
  Bits run;   // the run, a bit for every byte; all 0 unless it is good
  Bit found;  // one literal, and a run behind it that is good
  Bit seen;   // the literal is there at all (for `absent`)
};

/// The run of `run_class` directly behind the only place where `literal` stands. It is not empty
/// and ends inside the text, at a byte of `terminator` if one is asked for, and not at `\u`. A
/// literal that stands twice, overlapping or not, finds nothing. The run is never more than the
/// secret itself, and no complement of it is an output.
/// 64 ANDs a byte for 21 bytes and digits, 57 for 13 bytes, digits and blanks, with a terminator.
CodeSearch code_search(const Text& text, std::string_view literal, const ByteSet& run_class,
                       const std::optional<ByteSet>& terminator = std::nullopt);

/// The same in a JSON string as it is sent, with the quote that closes it: what a reader finds who
/// decodes the string and looks for the decoded literal (tls-in-mpc.md §5.5). The literal begins
/// where a character does; nothing is found where one of its characters stands in another spelling,
/// where the run may go on with an escape, or where an escape is none.
/// What follows the quote must be no byte of class or literal, and none below 0x20.
///
/// `literal`    whole characters as they are sent, without `\u` (asserted; http::is_json_literal)
/// `run_class`  without quote and backslash (asserted), and without bytes below 0x20
/// Cost         95 ANDs a byte for 21 bytes and digits
CodeSearch json_code_search(const Text& text, std::string_view literal, const ByteSet& run_class);

/// In    dyn "text" [8 bytes], longer than the literal
/// Out   keep "found" [1], "seen" [1], "run": a bit a byte, of the last bytes
/// Opens nothing by itself: `found` is opened before `run`, `seen` for `absent` alone.
mpc::Circuit code_search_circuit(size_t bytes, std::string_view literal, const ByteSet& run_class,
                                 const std::optional<ByteSet>& terminator = std::nullopt);

/// In and out as above; `found` is opened before `run`.
mpc::Circuit json_code_search_circuit(size_t bytes, std::string_view literal,
                                      const ByteSet& run_class);

/// Whether `literal` stands in a secret text at all: for `absent` (tls-in-mpc.md §5.5). As `seen`
/// above, at the price of the literal alone.
///
/// In    dyn "text" [8 bytes], longer than the literal
/// Out   keep "seen" [1]
mpc::Circuit literal_circuit(size_t bytes, std::string_view literal);

/// The beginning of an answer (tls-in-mpc.md §5.6, phase 1): `HTTP/1.1 `, three digits, a blank or
/// CR, in a record of application data.
struct StatusGate {
  Bit ok;
  Bits digits;  // low nibbles of the three digits, first digit first; 0 unless ok
};
/// `start` [13]; 126 ANDs with the record's type.
StatusGate status_gate(const Text& start, const ByteBits& record_type);

/// In    dyn "text" [104], "type" [8]
/// Out   open "ok" [1], "digits" [12]
mpc::Circuit status_circuit();

}  // namespace flexroom::circuits
