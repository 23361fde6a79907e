#pragma once

#include "circuits/text.h"

namespace flexroom::circuits {

/// What the outlines of sealed answers (tls-in-mpc.md §5.4) have in common as circuits.

/// The text: dyn "text" [8 bytes].
Text add_secret_text(mpc::Builder& builder, size_t bytes);

/// Declares marks, a bit a byte, as outputs that are kept. The first bytes of a text often cannot
/// be marked; their constants are left out, so that a group is of the last bytes of the text.
void keep_marks(mpc::Builder& builder, std::string_view name, const Bits& marks);

}  // namespace flexroom::circuits
