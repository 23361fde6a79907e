#pragma once

#include <string>

namespace flexroom::cloud {

/// What a prepaid card's voucher says.
struct Voucher {
  std::string number, expiry, code;
};

/// The voucher as a PDF 1.4 of one page (ISO 32000-1, 7.5): the text of the page stands in it as
/// `(Card number: 4111 1111 1111 1111) Tj`, unless the page is compressed (FlateDecode).
std::string voucher_pdf(const Voucher& voucher, bool compressed);

/// A zlib stream (RFC 1950) with one block of fixed Huffman codes, literals alone: no text of the
/// input can be read in it.
std::string zlib_stream(std::string_view text);

}  // namespace flexroom::cloud
