#include "circuits/decode.h"

#include <gtest/gtest.h>

#include <random>

#include "http/text.h"
#include "support/circuit_run.h"

// RFC 4648 backwards, of secret text: against encoders of this test's own.

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

class Decoder {
 public:
  Decoder(TextCode code, uint32_t chars) {
    Builder builder;
    const Text text = text_of(builder.add_input("text", InputKind::kDyn, 8 * chars));
    builder.add_output("bytes", OutputKind::kOpenAll, bits_of(decode(code, text)));
    circuit_ = builder.finish();
  }
  Bytes operator()(std::string_view text) const {
    CircuitRun run(circuit_);
    run.set("text", as_bytes(text)).run();
    return run.bytes("bytes");
  }
  uint32_t num_ands() const { return circuit_.num_ands; }

 private:
  mpc::Circuit circuit_;
};

std::string encode(ByteView bytes, std::string_view alphabet, unsigned width) {
  std::string out;
  unsigned have = 0, value = 0;
  for (const uint8_t byte : bytes) {
    value = value << 8 | byte;
    for (have += 8; have >= width; have -= width) {
      out += alphabet[value >> (have - width) & ((1u << width) - 1)];
    }
    value &= (1u << have) - 1;
  }
  if (have > 0) out += alphabet[value << (width - have) & ((1u << width) - 1)];
  return out;
}

constexpr std::string_view kHexDigits = "0123456789abcdef",
                           kBase32Chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                           kBase64Chars =
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

TEST(DecodeCircuit, EveryLengthOfEveryCodeGivesTheBytesBack) {
  std::mt19937 random(7);
  for (const auto& [code, alphabet, width] :
       {std::tuple{TextCode::kHex, kHexDigits, 4u}, std::tuple{TextCode::kBase32, kBase32Chars, 5u},
        std::tuple{TextCode::kBase64, kBase64Chars, 6u}}) {
    for (size_t size = 1; size <= 12; ++size) {
      Bytes bytes(size);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
      const std::string text = encode(bytes, alphabet, width);
      const auto chars = static_cast<uint32_t>(text.size());
      ASSERT_EQ(decoded_bytes(code, chars), size);
      EXPECT_EQ(Decoder(code, chars)(text), bytes) << text;
    }
  }
}

TEST(DecodeCircuit, EveryCharacterHasItsValueInEitherCase) {
  const Decoder hex(TextCode::kHex, 2), base32(TextCode::kBase32, 2), base64(TextCode::kBase64, 2);
  for (unsigned v = 0; v < 256; ++v) {
    const Bytes byte = {static_cast<uint8_t>(v)};
    std::string text = encode(byte, kHexDigits, 4);
    EXPECT_EQ(hex(text), byte);
    std::string upper = text;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(hex(upper), byte);
    text = encode(byte, kBase32Chars, 5);
    EXPECT_EQ(base32(text), byte);
    EXPECT_EQ(base32(http::to_lower(text)), byte);
    EXPECT_EQ(base64(encode(byte, kBase64Chars, 6)), byte);
  }
}

TEST(DecodeCircuit, LengthsThatNoTextHasAreNone) {
  EXPECT_EQ(decoded_bytes(TextCode::kHex, 0), std::nullopt);
  EXPECT_EQ(decoded_bytes(TextCode::kHex, 3), std::nullopt);
  EXPECT_EQ(decoded_bytes(TextCode::kHex, 4, 1), std::nullopt);
  for (const uint32_t chars : {1u, 3u, 6u, 9u}) {
    EXPECT_EQ(decoded_bytes(TextCode::kBase32, chars), std::nullopt) << chars;
  }
  EXPECT_EQ(decoded_bytes(TextCode::kBase32, 64), 40u);
  EXPECT_EQ(decoded_bytes(TextCode::kBase64, 5), std::nullopt);
  EXPECT_EQ(decoded_bytes(TextCode::kBase64, 4, 2), 1u);
  EXPECT_EQ(decoded_bytes(TextCode::kBase64, 4, 1), 2u);
  EXPECT_EQ(decoded_bytes(TextCode::kBase64, 4, 3), std::nullopt);
  EXPECT_EQ(decoded_bytes(TextCode::kBase64, 6, 1), std::nullopt);
}

TEST(DecodeCircuit, PaddingStandsAtTheEndOfAWholeGroupOnly) {
  const auto padding = [](std::string_view text) {
    Builder builder;
    const Text in =
        text_of(builder.add_input("text", InputKind::kDyn, static_cast<uint32_t>(8 * text.size())));
    const Padding found = padding_of(in);
    mpc::Bits out = {found.fits};
    if (text.size() % 4 == 0) out.insert(out.end(), {found.one_or_two, found.two});
    builder.add_output("out", OutputKind::kOpenAll, out);
    const mpc::Circuit circuit = builder.finish();
    CircuitRun run(circuit);
    run.set("text", as_bytes(text)).run();
    std::string said;
    for (const bool bit : run.bits("out")) said += bit ? '1' : '0';
    return said;
  };
  EXPECT_EQ(padding("AAAA"), "100");
  EXPECT_EQ(padding("AAA="), "110");
  EXPECT_EQ(padding("AA=="), "111");
  EXPECT_EQ(padding("AA=A").substr(0, 1), "0");
  EXPECT_EQ(padding("A===").substr(0, 1), "0");
  EXPECT_EQ(padding("=AAA").substr(0, 1), "0");
  EXPECT_EQ(padding("AAAAAAA=AAAA").substr(0, 1), "0");
  EXPECT_EQ(padding("AAAAA="), "0");
  EXPECT_EQ(padding("AAAAAA"), "1");
}

TEST(DecodeCircuit, CostsWhatItsDocumentationSays) {
  EXPECT_LE(Decoder(TextCode::kHex, 64).num_ands(), 64u * 4);
  EXPECT_LE(Decoder(TextCode::kBase32, 64).num_ands(), 64u * 9);
  EXPECT_LE(Decoder(TextCode::kBase64, 64).num_ands(), 64u * 24);
}

}  // namespace
}  // namespace flexroom::circuits
