#include "agent/slot_circuit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"
#include "support/program_interpreter.h"

// http::encode_slot and OpenSSL's SHA-256 are the oracle.

namespace flexroom::agent {
namespace slot_circuit_test {

using http::CharClass;
using http::Encoding;
using http::Slot;
using http::SlotSource;

Slot slot_of(SlotSource source, Encoding encoding, CharClass char_class, uint32_t length,
             std::string name = "s") {
  Slot slot;
  slot.name = std::move(name);
  slot.source = source;
  slot.encoding = encoding;
  slot.char_class = char_class;
  slot.length = length;
  return slot;
}

/// Uniform bytes of what the slot takes.
Bytes random_value(Prg& prg, const Slot& slot) {
  Bytes alphabet;
  for (unsigned c = 0; c < 256; ++c) {
    if (slot.checked_set().contains(static_cast<uint8_t>(c))) {
      alphabet.push_back(static_cast<uint8_t>(c));
    }
  }
  Bytes out;
  for (uint32_t k = 0; k < slot.length; ++k) out.push_back(alphabet[prg.below(alphabet.size())]);
  return out;
}

struct Plain {
  std::vector<bool> ok;
  std::vector<bool> hash;
  Bytes text;
};

/// Runs the circuit in the clear. `values` by input group name without its prefix; nonces by digit
/// value.
Plain interpret(const SlotCircuit& circuit, const std::map<std::string, Bytes>& values) {
  const mpc::Program& program = *circuit.program;
  std::vector<bool> inputs(program.num_inputs());
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    const mpc::InputGroup& group = program.inputs[g];
    const Bytes& value = values.at(group.name.substr(group.name.find('_') + 1));
    const size_t width = group.size / value.size();
    for (size_t t = 0; t < group.size; ++t) {
      inputs[program.input_offset(g) + t] = (value[t / width] >> (t % width) & 1) != 0;
    }
  }
  const auto outputs = support::interpret(program, inputs);
  Plain out;
  if (!circuit.checked.empty()) out.ok = outputs[program.output_group("ok")];
  if (circuit.hashes_body) out.hash = outputs[program.output_group("body_hash")];
  out.text = circuit.public_text;
  const auto& chars = outputs[program.output_group("chars")];
  for (size_t k = 0; k < chars.size(); ++k) {
    const uint32_t bit = circuit.secret_bits[k];
    EXPECT_TRUE(k == 0 || circuit.secret_bits[k - 1] < bit);
    EXPECT_EQ(out.text[bit / 8] >> (bit % 8) & 1, 0);
    if (chars[k]) out.text[bit / 8] = static_cast<uint8_t>(out.text[bit / 8] | 1u << (bit % 8));
  }
  return out;
}

Bytes with_slot(std::string_view before, size_t encoded, std::string_view after) {
  Bytes out = to_bytes(before);
  out.resize(out.size() + encoded);
  append(out, after);
  return out;
}

TEST(SlotCircuitTest, EveryEncodingEqualsTheEncoderInTheClear) {
  Prg prg(Block(1, 2));
  for (const SlotSource source : {SlotSource::kSecret, SlotSource::kMember}) {
    for (const Encoding encoding :
         {Encoding::kNone, Encoding::kBase64, Encoding::kBase64InForm, Encoding::kHex,
          Encoding::kPercent, Encoding::kJsonU, Encoding::kBase64Url, Encoding::kXml}) {
      for (const CharClass char_class : {CharClass::kRaw, CharClass::kCookie, CharClass::kDigits}) {
        for (const uint32_t length : {1u, 2u, 3u, 16u}) {
          const Slot slot = slot_of(source, encoding, char_class, length);
          const Bytes text = with_slot("a: ", slot.encoded_length(), "\r\n");
          const SlotCircuit circuit = build_slot_circuit(text, {{slot, 3, 0}}, std::nullopt);
          for (int repeat = 0; repeat < 8; ++repeat) {
            const Bytes value = random_value(prg, slot);
            const Plain got = interpret(circuit, {{"s", value}});
            Bytes want = to_bytes("a: ");
            append(want, http::encode_slot(slot, value));
            append(want, "\r\n");
            EXPECT_EQ(to_text(got.text), to_text(want)) << to_string(encoding);
            for (const bool ok : got.ok) EXPECT_TRUE(ok);
          }
        }
      }
    }
  }
}

// tls-in-mpc.md §5.3. Base64 characters need 16 instead of 17: the top bit of ASCII needs no carry.
TEST(SlotCircuitTest, CostsWhatTheDesignSays) {
  const auto ands = [](SlotSource source, Encoding encoding, CharClass char_class) {
    const Slot slot = slot_of(source, encoding, char_class, 30);
    return build_slot_circuit(Bytes(slot.encoded_length()), {{slot, 0, 0}}, std::nullopt)
        .program->num_ands();
  };
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kNone, CharClass::kCookie), 0u);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kHex, CharClass::kRaw), 30u * 2 * 4);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kPercent, CharClass::kUrlSafe), 30u * 8);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kJsonU, CharClass::kJsonSafe), 30u * 8);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kXml, CharClass::kXmlText), 30u * 8);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kBase64, CharClass::kRaw), 40u * 16);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kBase64Url, CharClass::kRaw), 40u * 16);
  EXPECT_EQ(ands(SlotSource::kSecret, Encoding::kBase64InForm, CharClass::kRaw), 40u * (16 + 4));
  for (const CharClass char_class :
       {CharClass::kHex, CharClass::kB64, CharClass::kUrlSafe, CharClass::kCookie,
        CharClass::kJsonSafe, CharClass::kXmlText, CharClass::kDigits, CharClass::kShellUrl}) {
    // One more AND a byte joins the bytes' bits.
    EXPECT_LE(ands(SlotSource::kMember, Encoding::kNone, char_class), 30u * 23 - 1)
        << to_string(char_class);
  }
  EXPECT_EQ(ands(SlotSource::kMember, Encoding::kNone, CharClass::kRaw), 0u);
}

TEST(SlotCircuitTest, EveryByteOutsideTheClassClearsTheBitOfItsOwner) {
  Prg prg(Block(3, 4));
  for (const CharClass char_class : {CharClass::kCookie, CharClass::kJsonSafe, CharClass::kUrlSafe,
                                     CharClass::kHex, CharClass::kXmlText}) {
    const Slot mine = slot_of(SlotSource::kMember, Encoding::kNone, char_class, 3, "mine");
    const Slot other = slot_of(SlotSource::kMember, Encoding::kNone, char_class, 3, "other");
    const SlotCircuit circuit =
        build_slot_circuit(Bytes(6), {{mine, 0, 0}, {other, 3, 1}}, std::nullopt);
    for (unsigned c = 0; c < 128; ++c) {
      Bytes value = random_value(prg, mine);
      value[c % 3] = static_cast<uint8_t>(c);
      const Plain got = interpret(circuit, {{"mine", value}, {"other", random_value(prg, other)}});
      ASSERT_EQ(got.ok.size(), 2u);
      EXPECT_EQ(got.ok[0], http::char_set(char_class).contains(static_cast<uint8_t>(c))) << c;
      EXPECT_TRUE(got.ok[1]);
    }
  }
}

TEST(SlotCircuitTest, HashesTheBodyBehindANonce) {
  Prg prg(Block(5, 6));
  for (const size_t before : {0u, 10u, 63u, 64u, 200u}) {
    Slot nonce = slot_of(SlotSource::kRandom, Encoding::kNone, CharClass::kHex, 32, "n");
    const Slot slot = slot_of(SlotSource::kSecret, Encoding::kJsonU, CharClass::kJsonSafe, 9);
    Bytes text = to_bytes("POST / HTTP/1.1\r\n\r\n");
    const size_t body = text.size();
    text.resize(text.size() + before, 'p');
    const size_t nonce_at = text.size();
    text.resize(text.size() + 32);
    append(text, "&x=");
    const size_t slot_at = text.size();
    text.resize(text.size() + slot.encoded_length());
    append(text, "&end");
    const SlotCircuit circuit =
        build_slot_circuit(text, {{nonce, nonce_at, 0}, {slot, slot_at, 0}}, body);
    Bytes digits;
    for (int k = 0; k < 32; ++k) digits.push_back(static_cast<uint8_t>(prg.below(16)));
    const Bytes value = random_value(prg, slot);
    const Plain got = interpret(circuit, {{"n", digits}, {"s", value}});
    const Digest want = sha256(ByteView(got.text).subspan(body));
    for (size_t t = 0; t < 256; ++t) ASSERT_EQ(got.hash[t], (want[t / 8] >> (t % 8) & 1) != 0);
    for (size_t k = 0; k < 32; ++k) {
      EXPECT_EQ(got.text[nonce_at + k], static_cast<uint8_t>("0123456789abcdef"[digits[k]]));
    }
    EXPECT_EQ(to_text(ByteView(got.text).subspan(slot_at, slot.encoded_length())),
              to_text(http::encode_slot(slot, value)));
  }
}

// Slots share groups of three bytes with public text and with each other, at every alignment.
TEST(SlotCircuitTest, SlotsInBase64TextEqualTheEncoderInTheClear) {
  Prg prg(Block(7, 8));
  for (size_t before = 0; before < 4; ++before) {
    for (size_t between = 0; between < 4; ++between) {
      // As recipes have it, and as the boot loader.
      const bool hex = (before + between) % 2 == 0;
      const Slot nonce = slot_of(SlotSource::kRandom, Encoding::kNone,
                                 hex ? CharClass::kHex : CharClass::kBase64Url, hex ? 32 : 22, "n");
      const std::string_view alphabet =
          hex ? "0123456789abcdef"
              : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const Slot one = slot_of(SlotSource::kMember, Encoding::kNone, CharClass::kShellPath, 5, "a");
      const Slot two = slot_of(SlotSource::kMember, Encoding::kNone, CharClass::kShellPath, 1, "b");
      PlacedBase64 base64;
      base64.text.parts = {to_bytes("#!" + std::string(before, ' ')),
                           nonce,
                           to_bytes("\nx='" + std::string(between, '/')),
                           one,
                           to_bytes(std::string(between, '/')),
                           two,
                           to_bytes("' ~\xff>>?")};
      while (base64.text.size() % 3 != 0) append(std::get<Bytes>(base64.text.parts.back()), "\n");
      http::Template request;
      request.parts = {to_bytes("POST\r\n\r\na="), base64.text};
      Bytes text = to_bytes("POST\r\n\r\na=");
      base64.offset = text.size();
      append(text, base64.text.encoded('\0').text);
      const SlotCircuit circuit = build_slot_circuit(text,
                                                     {{nonce, base64.offset, 0, true},
                                                      {one, base64.offset, 0, true},
                                                      {two, base64.offset, 1, true}},
                                                     8, {base64});
      Bytes drawn, nonce_text;
      for (uint32_t k = 0; k < nonce.length; ++k) {
        drawn.push_back(static_cast<uint8_t>(prg.below(alphabet.size())));
        nonce_text.push_back(static_cast<uint8_t>(alphabet[drawn.back()]));
      }
      const Bytes a = random_value(prg, one), b = random_value(prg, two);
      const Plain got = interpret(circuit, {{"n", drawn}, {"a", a}, {"b", b}});
      EXPECT_EQ(to_text(got.text),
                to_text(http::render(request, {{"n", nonce_text}, {"a", a}, {"b", b}})));
      const Digest want = sha256(ByteView(got.text).subspan(8));
      for (size_t t = 0; t < 256; ++t) ASSERT_EQ(got.hash[t], (want[t / 8] >> (t % 8) & 1) != 0);
      EXPECT_EQ(got.ok, (std::vector<bool>{true, true}));
    }
  }
}

std::vector<uint8_t> bits_of(ByteView bytes) {
  std::vector<uint8_t> bits;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  return bits;
}

/// All members run the circuit; what the request's secret bits are in the end.
auto run_members(size_t n, const SlotCircuit& circuit, const std::map<std::string, Bytes>& values) {
  support::Dealer dealer(n);
  return support::run_parties(n, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    std::map<std::string, prep::AuthBits> shares;
    SlotValues own;
    for (const PlacedSlot& placed : circuit.slots) {
      const std::string& name = placed.slot.name;
      if (placed.slot.source == SlotSource::kSecret) {
        shares[name] = dealer.share_bits(party.id(), 5, bits_of(values.at(name)));
        own.secrets[name] = &shares[name];
      } else if (placed.slot.source == SlotSource::kMember && placed.member == party.id()) {
        own.own.emplace(name, SecretBytes::copy_of(values.at(name)));
      }
    }
    const auto instance = prepare_slots(engine, source, circuit);
    const FilledSlots filled = run_slots(party, engine, *instance, circuit, own);
    engine.confirm(*instance);
    return prep::open_bits(party, source.delta(), filled.bits, "test");
  });
}

class SlotMembers : public ::testing::TestWithParam<size_t> {};

TEST_P(SlotMembers, FillTheRequestThatNobodyKnows) {
  const size_t n = GetParam();
  const Slot token = slot_of(SlotSource::kSecret, Encoding::kNone, CharClass::kCookie, 8, "t");
  const Slot text = slot_of(SlotSource::kMember, Encoding::kJsonU, CharClass::kRaw, 5, "q");
  const std::map<std::string, Bytes> values{{"t", to_bytes("tok-3n_1")},
                                            {"q", to_bytes("h\"i\\ ")}};
  const Bytes request = Bytes(8 + 2 + 30);
  const SlotCircuit circuit = build_slot_circuit(
      request, {{token, 0, 0}, {text, 10, static_cast<PartyId>(n - 1)}}, std::nullopt);
  const auto run = run_members(n, circuit, values);
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    Bytes got = circuit.public_text;
    for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
      const uint32_t bit = circuit.secret_bits[k];
      got[bit / 8] = static_cast<uint8_t>(got[bit / 8] | (*outcome.value)[k] << (bit % 8));
    }
    EXPECT_EQ(to_text(ByteView(got).first(8)), "tok-3n_1");
    EXPECT_EQ(to_text(ByteView(got).subspan(10)), "\\u0068\\u0022\\u0069\\u005c\\u0020");
  }
}

Slot code_slot() {
  Slot code = slot_of(SlotSource::kTotp, Encoding::kNone, CharClass::kDigits, 6, "c");
  code.key_length = 20;
  return code;
}

// Two codes that follow each other, as an enrolment wants them (RFC 6238, appendix B).
TEST(SlotCircuitTotp, TheNextCodeIsOfTheStepBehind) {
  Slot next = code_slot();
  next.name = "d";
  const SlotCircuit circuit = build_slot_circuit(
      Bytes(12), {{code_slot(), 0, 0, false, false}, {next, 6, 0, false, true}}, std::nullopt);
  support::Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    const prep::AuthBits key =
        dealer.share_bits(party.id(), 7, bits_of(as_bytes("12345678901234567890")));
    SlotValues values;
    values.secrets["c"] = values.secrets["d"] = &key;
    const auto instance = prepare_slots(engine, source, circuit);
    const FilledSlots filled =
        run_slots(party, engine, *instance, circuit, values, 1111111109 / 30);
    engine.confirm(*instance);
    return prep::open_bits(party, source.delta(), filled.bits, "test");
  });
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    std::string got(12, '0');
    for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
      const uint32_t bit = circuit.secret_bits[k];
      got[bit / 8] = static_cast<char>(got[bit / 8] | (*outcome.value)[k] << (bit % 8));
    }
    EXPECT_EQ(got, "081804050471");
  }
}

// RFC 6238, appendix B: of the shared key nobody knows, at the step that all say.
TEST_P(SlotMembers, FillAOneTimeCode) {
  const size_t n = GetParam();
  const SlotCircuit circuit = build_slot_circuit(Bytes(6), {{code_slot(), 0, 0}}, std::nullopt);
  EXPECT_TRUE(circuit.has_totp);
  EXPECT_EQ(circuit.program->num_ands(), 41537u);
  support::Dealer dealer(n);
  for (const bool liar : {false, true}) {
    const auto run = support::run_parties(n, [&](net::Party& party) {
      prep::Source& source = dealer.source(party.id());
      boolean::Engine engine(party, source);
      const prep::AuthBits key =
          dealer.share_bits(party.id(), liar ? 6 : 5, bits_of(as_bytes("12345678901234567890")));
      SlotValues values;
      values.secrets["c"] = &key;
      const auto instance = prepare_slots(engine, source, circuit);
      const uint64_t step = 1111111109 / 30 + (liar && party.id() == 1 ? 1 : 0);
      const FilledSlots filled = run_slots(party, engine, *instance, circuit, values, step);
      engine.confirm(*instance);
      return prep::open_bits(party, source.delta(), filled.bits, "test");
    });
    for (const auto& outcome : run.outcomes) {
      EXPECT_EQ(outcome.value.has_value(), !liar);
      if (liar) continue;
      std::string got(6, '0');
      for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
        const uint32_t bit = circuit.secret_bits[k];
        got[bit / 8] = static_cast<char>(got[bit / 8] | (*outcome.value)[k] << (bit % 8));
      }
      EXPECT_EQ(got, "081804");
    }
    // A member with a step of its own: the views differ, nothing is computed.
    const bool noticed = std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& o) {
      return o.code() == AbortCode::kViewMismatch;
    });
    EXPECT_EQ(noticed, liar);
  }
}

// A circuit without a single AND: a token that stands in the request as it is.
TEST_P(SlotMembers, FillATokenAsItIs) {
  const Slot token = slot_of(SlotSource::kSecret, Encoding::kNone, CharClass::kCookie, 4, "t");
  const SlotCircuit circuit = build_slot_circuit(Bytes(4), {{token, 0, 0}}, std::nullopt);
  const auto run = run_members(GetParam(), circuit, {{"t", to_bytes("abcd")}});
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, bits_of(as_bytes("abcd")));
  }
}

// A member that leaves out its own check and gives a quote: refused by all, by name.
TEST_P(SlotMembers, AByteOutsideItsClassIsRefusedByAll) {
  const size_t n = GetParam();
  const auto cheater = static_cast<PartyId>(n - 1);
  for (const char bad : {'"', '\\', '\n', '\r', '\x7f'}) {
    const Slot text = slot_of(SlotSource::kMember, Encoding::kNone, CharClass::kJsonSafe, 4, "q");
    const SlotCircuit circuit = build_slot_circuit(Bytes(4), {{text, 0, cheater}}, std::nullopt);
    Bytes value = to_bytes("abcd");
    value[2] = static_cast<uint8_t>(bad);
    const auto run = run_members(n, circuit, {{"q", value}});
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.abort.has_value());
      EXPECT_EQ(outcome.abort->code(), AbortCode::kRefusedByRule);
      EXPECT_EQ(outcome.abort->peer(), cheater);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, SlotMembers, ::testing::Values(2, 3));

}  // namespace slot_circuit_test
}  // namespace flexroom::agent
