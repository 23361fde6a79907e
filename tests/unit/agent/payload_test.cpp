#include "agent/payload.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "agent/connection_circuits.h"
#include "agent/wires.h"
#include "boolean/engine.h"
#include "circuits/handshake.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"
#include "support/program_interpreter.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kPrefix = "Action=RunInstances&UserData=";

/// A script with the private strings of n members, as the boot loader arranges them.
ScriptWriter script_of(const std::vector<uint32_t>& sizes) {
  ScriptWriter script(sizes.size());
  script.text("#!/bin/sh\n# padding that is not a multiple of anything\n#").nonce().text("\n");
  for (PartyId i = 0; i < sizes.size(); ++i) {
    const std::string head = "D='https://host" + std::to_string(i) + "/";
    script.align_question_mark(head.size(), sizes[i]);
    script.text(head).private_bytes(i, sizes[i]).text("?X-Amz-Expires=60'\n");
  }
  while (script.size() % 3 != 0) script.text("\n");
  return script;
}

/// The body as whoever knew everything would write it, with OpenSSL's base64.
std::string plain_body(const ScriptWriter& script, const std::vector<std::string>& private_text,
                       std::string_view nonce) {
  std::string text;
  for (const ScriptByte& byte : script.bytes()) {
    switch (byte.kind) {
      case ScriptByte::Kind::kPublic:
        text.push_back(static_cast<char>(byte.value));
        break;
      case ScriptByte::Kind::kMember:
        text.push_back(private_text[byte.member][byte.index]);
        break;
      case ScriptByte::Kind::kNonce:
        text.push_back(nonce[byte.index]);
        break;
    }
  }
  std::string base64(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<uint8_t*>(base64.data()),
                      reinterpret_cast<const uint8_t*>(text.data()), static_cast<int>(text.size()));
  std::string out(kPrefix);
  for (int k = 0; k < size; ++k) {
    const char c = base64[static_cast<size_t>(k)];
    out += c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string(1, c);
  }
  return out;
}

std::string random_text(Prg& prg, size_t size) {
  std::string alphabet;
  const auto allowed = private_link_class();
  for (size_t c = 0; c < allowed.size(); ++c) {
    if (allowed[c]) alphabet.push_back(static_cast<char>(c));
  }
  std::string out;
  for (size_t k = 0; k < size; ++k) out.push_back(alphabet[prg.below(alphabet.size())]);
  return out;
}

struct Plain {
  std::vector<uint8_t> ok;
  Digest hash{};
  std::string body;
};

/// Runs the circuit in the clear; nonce bits as given.
Plain interpret(const PayloadCircuit& circuit, const std::vector<std::string>& private_text,
                const std::vector<uint8_t>& nonce_bits) {
  const mpc::Program& program = *circuit.program;
  std::vector<bool> inputs(program.num_inputs());
  for (size_t g = 0; g < program.inputs.size(); ++g) {
    const mpc::InputGroup& group = program.inputs[g];
    const size_t offset = program.input_offset(g);
    for (size_t t = 0; t < group.size; ++t) {
      if (group.kind == mpc::InputKind::kPriv) {
        const auto c = static_cast<uint8_t>(private_text[group.owner][t / 7]);
        inputs[offset + t] = (c >> (t % 7) & 1) != 0;
      } else {
        inputs[offset + t] = nonce_bits[t] != 0;
      }
    }
  }
  const auto outputs = support::interpret(program, inputs);
  Plain out;
  const auto& ok = outputs[program.output_group("ok")];
  for (const bool bit : ok) out.ok.push_back(bit ? 1 : 0);
  const auto& hash = outputs[program.output_group("payload_hash")];
  for (size_t t = 0; t < 256; ++t) {
    if (hash[t]) out.hash[t / 8] = static_cast<uint8_t>(out.hash[t / 8] | 1u << (t % 8));
  }
  Bytes body = circuit.public_text;
  const auto& chars = outputs[program.output_group("chars")];
  for (size_t k = 0; k < chars.size(); ++k) {
    const uint32_t bit = circuit.secret_bits[k];
    EXPECT_EQ(body[bit / 8] >> (bit % 8) & 1, 0);
    if (chars[k]) body[bit / 8] = static_cast<uint8_t>(body[bit / 8] | 1u << (bit % 8));
  }
  out.body = to_text(body);
  return out;
}

std::string nonce_text(const std::vector<uint8_t>& bits) {
  std::string out;
  for (size_t d = 0; d < SecretText::kNonceDigits; ++d) {
    unsigned v = 0;
    for (unsigned b = 0; b < 4; ++b) v |= static_cast<unsigned>(bits[4 * d + b]) << b;
    out.push_back("0123456789abcdef"[v]);
  }
  return out;
}

std::vector<uint8_t> random_bits(Prg& prg, size_t count) {
  std::vector<uint8_t> out(count);
  for (uint8_t& bit : out) bit = static_cast<uint8_t>(prg.below(2));
  return out;
}

TEST(PayloadCircuitTest, EqualsBase64AndSha256OfRandomLinks) {
  Prg prg(Block(1, 2));
  for (const std::vector<uint32_t>& sizes :
       {std::vector<uint32_t>{1, 2}, {64, 65}, {0, 30}, {17, 0, 31}, {5, 6, 7}}) {
    const ScriptWriter script = script_of(sizes);
    const PayloadCircuit circuit = build_payload_circuit(script.finish(kPrefix));
    std::vector<std::string> texts;
    for (const uint32_t size : sizes) texts.push_back(random_text(prg, size));
    const auto nonce = random_bits(prg, 128);
    const std::string want = plain_body(script, texts, nonce_text(nonce));
    const Plain got = interpret(circuit, texts, nonce);
    EXPECT_EQ(got.body, want);
    EXPECT_EQ(got.hash, sha256(as_bytes(want)));
    EXPECT_EQ(got.ok, std::vector<uint8_t>(circuit.members.size(), 1));
  }
}

// Secret characters never need percent-encoding: their number does not depend on a secret.
TEST(PayloadCircuitTest, AllowedBytesGiveAlphanumericBase64) {
  std::string all;
  const auto allowed = private_link_class();
  for (size_t c = 0; c < allowed.size(); ++c) {
    if (allowed[c]) all.push_back(static_cast<char>(c));
  }
  for (size_t shift = 0; shift < 3; ++shift) {
    const std::string text = std::string(shift, 'x') + all;
    const std::vector<uint32_t> sizes{static_cast<uint32_t>(text.size()), 0};
    const ScriptWriter script = script_of(sizes);
    const SecretText layout = script.finish(kPrefix);
    const std::string body =
        plain_body(script, {text, ""}, std::string(SecretText::kNonceDigits, 'f'));
    ASSERT_EQ(body.size(), layout.text.size());
    for (const SecretGroup& group : layout.groups) {
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(body[group.body_offset + k])) != 0);
      }
    }
  }
}

// 47: every byte outside the class, at every position: the owner's bit is 0, the other's stays 1.
TEST(PayloadCircuitTest, EveryIllegalByteClearsTheBitOfItsOwner) {
  Prg prg(Block(3, 4));
  const ScriptWriter script = script_of({4, 4});
  const PayloadCircuit circuit = build_payload_circuit(script.finish(kPrefix));
  const auto allowed = private_link_class();
  const auto nonce = random_bits(prg, 128);
  for (unsigned c = 0; c < 128; ++c) {
    std::vector<std::string> texts{"abcd", "efgh"};
    const PartyId who = c % 2;
    texts[who][c / 2 % 4] = static_cast<char>(c);
    const Plain got = interpret(circuit, texts, nonce);
    ASSERT_EQ(got.ok.size(), 2u);
    EXPECT_EQ(got.ok[who], allowed[c] ? 1 : 0) << c;
    EXPECT_EQ(got.ok[1 - who], 1) << c;
  }
  for (const char c : std::string_view("'\"$`\\\n\r ;|<>()~?{}#*!^@,")) {
    EXPECT_FALSE(allowed[static_cast<uint8_t>(c)]) << c;
  }
}

struct PayloadRun {
  Digest hash{};
  std::vector<uint8_t> chars;
};

auto run_members(size_t n, const PayloadCircuit& circuit, std::vector<std::string> texts) {
  support::Dealer dealer(n);
  return support::run_parties(n, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    boolean::Engine engine(party, source);
    const auto instance = prepare_payload(engine, source, circuit);
    const Payload payload = run_payload(party, engine, *instance, circuit, texts[party.id()]);
    return PayloadRun{payload.hash, prep::open_bits(party, source.delta(), payload.secret, "test")};
  });
}

TEST(PayloadTest, MembersHashTheBodyThatNobodyKnows) {
  for (const size_t n : {2u, 3u}) {
    Prg prg(Block(n, 9));
    std::vector<uint32_t> sizes;
    std::vector<std::string> texts;
    for (size_t i = 0; i < n; ++i) {
      sizes.push_back(static_cast<uint32_t>(5 + 3 * i));
      texts.push_back(random_text(prg, sizes.back()));
    }
    const PayloadCircuit circuit = build_payload_circuit(script_of(sizes).finish(kPrefix));
    const auto run = run_members(n, circuit, texts);
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      Bytes body = circuit.public_text;
      for (size_t k = 0; k < circuit.secret_bits.size(); ++k) {
        const uint32_t bit = circuit.secret_bits[k];
        body[bit / 8] = static_cast<uint8_t>(body[bit / 8] | outcome.value->chars[k] << (bit % 8));
      }
      EXPECT_EQ(outcome.value->hash, sha256(body));
      EXPECT_EQ(outcome.value->hash, run.outcomes[0].value->hash);
    }
  }
}

// 47: refused by all, naming the member; the secret characters are not opened.
TEST(PayloadTest, IllegalByteIsRefusedByAllAndNamesItsOwner) {
  const PayloadCircuit circuit = build_payload_circuit(script_of({4, 4}).finish(kPrefix));
  const auto run = run_members(2, circuit, {"ab'd", "efgh"});
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.abort.has_value());
    EXPECT_EQ(outcome.abort->code(), AbortCode::kRefusedByRule);
    EXPECT_EQ(outcome.abort->peer(), PartyId{0});
  }
}

TEST(ScriptWriterTest, RefusesPublicBytesThatWouldNeedEscapingBesidePrivateOnes) {
  for (const char* bad : {"?", ">", "~", "\x7f", "\xc3"}) {
    ScriptWriter script(2);
    script.text("xx").private_bytes(0, 0).text("y");  // whole group
    script.private_bytes(0, 2).text(bad);
    EXPECT_THROW(script.finish(""), InputError) << bad;
  }
  ScriptWriter fine(2);
  fine.private_bytes(0, 1).text("?x");
  EXPECT_NO_THROW(fine.finish(""));
}

// tls-in-mpc.md §7.1: "RunScript, one StartEC2Instance of 1 KB: R2", less the gates whose outputs
// nobody uses: words of key and iv (341), and of the last keystream block all but the content type.
TEST(RequestProgramTest, ASignedKilobyteCostsWhatTheDesignSays) {
  RequestPlan plan;
  plan.bytes = 1024;
  plan.signature_offset = 300;
  const uint32_t gc_a = circuits::gc_a(circuits::EcdhField::k25519, 2).num_ands;
  EXPECT_EQ(gc_a + request_program(plan)->num_ands(), 836752u - 341 - (15 + 12) * 32);
}

TEST(RequestProgramTest, InterpretedWithZeroSlotsOpensKeystreamLengths) {
  RequestPlan plan;
  plan.bytes = 31;
  EXPECT_EQ(plan.inner_bytes(), 32u);
  EXPECT_EQ(plan.keystream_blocks(), 2u);
  const auto program = request_program(plan);
  EXPECT_EQ(program->outputs[program->output_group("c_0")].literals.size(), 8u * 32);
  EXPECT_EQ(program->outputs[program->output_group("d_c")].kind, mpc::OutputKind::kOpenAll);
  EXPECT_EQ(program->outputs[program->output_group("j0_0")].kind, mpc::OutputKind::kKeep);
  EXPECT_EQ(program->outputs[program->output_group("s_ap")].kind, mpc::OutputKind::kKeep);
  size_t opened = 0;
  for (const auto& output : program->outputs) {
    if (output.kind == mpc::OutputKind::kOpenAll) opened += output.literals.size();
  }
  EXPECT_EQ(opened, 8u * 32 + 128);  // 31: nothing else is ever opened
  plan.bytes = 32;
  EXPECT_EQ(plan.keystream_blocks(), 3u);
}

}  // namespace
}  // namespace flexroom::agent
