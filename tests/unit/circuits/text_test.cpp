#include "circuits/text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>

#include "support/circuit_run.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

/// What a Text circuit makes of secret bytes. Constant output bits are XORed with a dummy input,
/// which is 0, since outputs must be wires.
class TextCircuit {
 public:
  template <typename Encoder>
  TextCircuit(size_t bytes, Encoder encode) {
    Builder builder;
    const Bit zero = builder.add_input("zero", InputKind::kPriv, 1)[0];
    const Text in =
        text_of(builder.add_input("in", InputKind::kZero, static_cast<uint32_t>(8 * bytes)));
    Bits out = bits_of(encode(in));
    for (Bit& bit : out) bit ^= zero;
    builder.add_output("out", OutputKind::kOpenAll, out);
    circuit_ = builder.finish();
  }
  std::string operator()(ByteView in) const {
    CircuitRun run(circuit_);
    run.set("in", in).run();
    return to_text(run.bytes("out"));
  }
  uint32_t num_ands() const { return circuit_.num_ands; }

 private:
  mpc::Circuit circuit_;
};

TEST(TextCircuit, HexAndEscapesOfEveryByte) {
  const TextCircuit hex(1, hex_lower), percent(1, percent_encode), json(1, json_escape),
      xml(1, xml_escape);
  for (const auto* circuit : {&hex, &percent, &json, &xml}) EXPECT_EQ(circuit->num_ands(), 8u);
  for (unsigned v = 0; v < 256; ++v) {
    const Bytes in = {static_cast<uint8_t>(v)};
    EXPECT_EQ(hex(in), fmt::format("{:02x}", v));
    EXPECT_EQ(percent(in), fmt::format("%{:02X}", v));
    EXPECT_EQ(json(in), fmt::format("\\u00{:02x}", v));
    EXPECT_EQ(xml(in), fmt::format("&#x{:02X};", v));
  }
}

TEST(TextCircuit, Base64OfEveryLengthAndEveryByte) {
  std::mt19937_64 random(1);
  for (size_t size = 0; size <= 9; ++size) {
    const TextCircuit encode(size, base64);
    if (size % 3 == 0) {
      // The design's 17 a character include the carry into the top bit, which ASCII does not need.
      EXPECT_EQ(encode.num_ands(), 16 * (size / 3 * 4));
    }
    for (int v = 0; v < 256; ++v) {
      Bytes in(size);
      for (uint8_t& byte : in) byte = static_cast<uint8_t>(random());
      if (size > 0) in[static_cast<size_t>(v) % size] = static_cast<uint8_t>(v);
      std::string want(4 * ((size + 2) / 3) + 1, '\0');
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(want.data()), in.data(),
                      static_cast<int>(size));
      want.pop_back();
      ASSERT_EQ(encode(in), want);
    }
  }
}

TEST(TextCircuit, Base64InsideAFormEscapesEveryCharacter) {
  const auto both = [](const Text& in) { return percent_encode(base64(in)); };
  const TextCircuit encode(3, both);
  // Of the design's 17 + 8, the top bit's carry and, characters being ASCII, the hex of the high
  // nibble fold away.
  EXPECT_EQ(encode.num_ands(), 4u * (16 + 4));
  EXPECT_EQ(encode(as_bytes("a?>")), "%59%54%38%2B");  // YT8+
  const TextCircuit padded(2, both);
  EXPECT_EQ(padded(as_bytes("hi")), "%61%47%6B%3D");  // aGk=
  EXPECT_EQ(padded(Bytes{0xff, 0xff}), "%2F%2F%38%3D");
}

TEST(TextCircuit, ConstantTextCostsNothing) {
  const auto constant = [](const Text&) {
    return percent_encode(base64(hex_lower(constant_text(as_bytes("public")))));
  };
  EXPECT_EQ(TextCircuit(0, constant).num_ands(), 0u);
}

struct NamedSet {
  const char* name;
  ByteSet set;
};

std::vector<NamedSet> request_classes() {
  const std::string digits = "0123456789", lower = "abcdefghijklmnopqrstuvwxyz",
                    upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", alnum = upper + lower + digits;
  ByteSet printable, cookie;
  for (size_t c = 0x20; c <= 0x7e; ++c) printable.set(c);
  cookie = printable & ~byte_set(" \",;\\");
  return {{"DIGITS", byte_set(digits)},
          {"HEX", byte_set(digits + "abcdefABCDEF")},
          {"B64", byte_set(alnum + "+/=")},
          {"URLSAFE", byte_set(alnum + "-._~")},
          {"SHELLURL", byte_set(alnum + "._~/?=&%+:-")},
          {"COOKIE", cookie},
          {"JSONSAFE", printable & ~byte_set("\"\\")},
          {"XMLTEXT", printable & ~byte_set("<>&")},
          {"PRINTABLE", printable}};
}

TEST(ByteClasses, AreRightForEveryByteAndCheap) {
  for (const NamedSet& named : request_classes()) {
    Builder builder;
    const Text in = text_of(builder.add_input("in", InputKind::kZero, 8));
    builder.add_output("ok", OutputKind::kOpenAll, {is_member(in[0], named.set)});
    const auto circuit = builder.finish();
    EXPECT_LE(circuit.num_ands, 22u) << named.name;
    RecordProperty(named.name, static_cast<int>(circuit.num_ands));
    for (unsigned v = 0; v < 256; ++v) {
      CircuitRun run(circuit);
      run.set("in", Bytes{static_cast<uint8_t>(v)}).run();
      EXPECT_EQ(run.bits("ok")[0], named.set[v]) << named.name << " " << v;
    }
  }
}

TEST(ByteClasses, RandomSetsAreRight) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100; ++i) {
    ByteSet set;
    const uint64_t density = 1 + random() % 8;
    for (size_t v = 0; v < 256; ++v) set[v] = random() % 8 < density && random() % 8 != 0;
    const TextCircuit check(1,
                            [&](const Text& in) { return Text{ByteBits{is_member(in[0], set)}}; });
    for (unsigned v = 0; v < 256; ++v) {
      ASSERT_EQ(check(Bytes{static_cast<uint8_t>(v)})[0] != 0, set[v]);
    }
  }
}

TEST(ByteClasses, OneBadByteAnywhereClearsTheSlot) {
  const ByteSet set = request_classes()[4].set;
  const size_t size = 7;
  const TextCircuit check(size,
                          [&](const Text& in) { return Text{ByteBits{all_members(in, set)}}; });
  const Bytes good = to_bytes("s3/a?b=");
  EXPECT_EQ(check(good)[0], 1);
  for (size_t i = 0; i < size; ++i) {
    for (const char bad : {'\'', '\n', ' ', ';', '$', '\\', '`'}) {
      Bytes in = good;
      in[i] = static_cast<uint8_t>(bad);
      EXPECT_EQ(check(in)[0], 0);
    }
  }
  EXPECT_TRUE(all_members({}, set).constant_value());
}

}  // namespace
}  // namespace flexroom::circuits
