#include "cloud/voucher_pdf.h"

#include <fmt/format.h>

#include <vector>

namespace flexroom::cloud {

namespace {

/// Bits as deflate packs them (RFC 1951 3.1.1): from the least significant one of each byte.
class BitWriter {
 public:
  /// A Huffman code: its most significant bit first.
  void code(unsigned bits, unsigned count) {
    while (count-- > 0) bit(bits >> count & 1);
  }
  void bit(unsigned one) {
    if (used_ == 0) out_ += '\0';
    out_.back() = static_cast<char>(static_cast<unsigned char>(out_.back()) | one << used_);
    used_ = (used_ + 1) % 8;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  unsigned used_ = 0;
};

uint32_t adler32(std::string_view text) {
  uint32_t a = 1, b = 0;
  for (const char c : text) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

/// "4111 1111 1111 1111"
std::string in_groups(const std::string& number) {
  std::string out;
  for (size_t i = 0; i < number.size(); ++i) {
    if (i != 0 && i % 4 == 0) out += ' ';
    out += number[i];
  }
  return out;
}

}  // namespace

std::string zlib_stream(std::string_view text) {
  BitWriter bits;
  bits.bit(1);  // the last block,
  bits.bit(1);  // of fixed codes
  bits.bit(0);
  for (const char c : text) {
    const unsigned literal = static_cast<unsigned char>(c);
    if (literal < 144) {
      bits.code(0x30 + literal, 8);
    } else {
      bits.code(0x190 + literal - 144, 9);
    }
  }
  bits.code(0, 7);  // the end
  std::string out = "\x78\x01" + bits.take();
  const uint32_t sum = adler32(text);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(sum >> shift & 0xff);
  return out;
}

std::string voucher_pdf(const Voucher& voucher, bool compressed) {
  std::string page = fmt::format(
      "BT /F1 14 Tf 72 760 Td (Your prepaid card) Tj 0 -24 Td (Card number: {}) Tj 0 -24 Td "
      "(Valid until: {}) Tj 0 -24 Td (Code: {}) Tj ET\n",
      in_groups(voucher.number), voucher.expiry, voucher.code);
  if (compressed) page = zlib_stream(page);
  const std::vector<std::string> objects = {
      "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
      "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> "
      "/Contents 4 0 R >>",
      fmt::format("<< /Length {}{} >>\nstream\n{}\nendstream", page.size(),
                  compressed ? " /Filter /FlateDecode" : "", page),
      "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"};
  std::string out = "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", table = "0000000000 65535 f \n";
  for (size_t i = 0; i < objects.size(); ++i) {
    table += fmt::format("{:010} 00000 n \n", out.size());
    out += fmt::format("{} 0 obj\n{}\nendobj\n", i + 1, objects[i]);
  }
  const size_t start = out.size();
  return out + fmt::format(
                   "xref\n0 {0}\n{1}trailer\n<< /Size {0} /Root 1 0 R >>\nstartxref\n{2}\n%%EOF\n",
                   objects.size() + 1, table, start);
}

}  // namespace flexroom::cloud
