#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "agent/answer_keys.h"
#include "agent/memory_journal.h"
#include "agent/sealed_circuits.h"
#include "agent/wires.h"
#include "base/prg.h"
#include "circuits/answer.h"
#include "circuits/code_search.h"
#include "support/dealer.h"
#include "support/evaluate_plain.h"
#include "support/hmac_values.h"
#include "support/parties.h"
#include "tls/key_schedule.h"
#include "tls/record_layer.h"

// The circuits of sealed answers in the clear, against the key schedule and AES of OpenSSL, and
// what they cost (tls-in-mpc.md §3.4, §4.2, §5.3, §5.7).

namespace flexroom {
namespace {

const agent::AnswerCipher& kAes = agent::gcm_answer_cipher();

std::vector<bool> bools(ByteView bytes) {
  std::vector<bool> out;
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) out.push_back((byte >> b & 1) != 0);
  }
  return out;
}
Bytes bytes_of(const std::vector<bool>& bits) {
  return agent::bytes_of_bits(std::vector<uint8_t>(bits.begin(), bits.end()));
}
void append_bits(std::vector<bool>& out, const std::vector<bool>& more) {
  out.insert(out.end(), more.begin(), more.end());
}
Bytes aes(const Bytes& key, const Bytes& block) {
  Bytes out(32);
  int size = 0;
  EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
  const EVP_CIPHER* const cipher = key.size() == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
  FLEXROOM_ASSERT(EVP_EncryptInit_ex(ctx, cipher, nullptr, key.data(), nullptr) == 1 &&
                  EVP_EncryptUpdate(ctx, out.data(), &size, block.data(), 16) == 1);
  EVP_CIPHER_CTX_free(ctx);
  out.resize(16);
  return out;
}

Bytes keystream(const tls::TrafficKeys& keys, uint64_t sequence, uint32_t counter) {
  const auto nonce = tls::record_nonce(keys.iv, sequence);
  Bytes block(nonce.begin(), nonce.end());
  for (int shift = 24; shift >= 0; shift -= 8) {
    block.push_back(static_cast<uint8_t>(counter >> shift));
  }
  return aes(keys.key, block);
}

tls::HashValue random_secret(Prg& prg, const tls::HashKind& kind) {
  Bytes out(kind.digest_bytes);
  prg.fill(std::span<uint8_t>(out));
  return tls::HashValue(ByteView(out));
}

/// A suite with AES-GCM, and what its circuits cost.
struct Suite {
  const tls::CipherSuite& tls;
  const circuits::GcmSuite& gcm;
  const agent::AnswerCipher& cipher;
  uint32_t pubmsg, kpads, expansion, block;  // kpads: Kin and Kout
  // Final additions, and the last round's e, of words of key and iv that nobody uses.
  uint32_t unused;
  // The same of the secret of a change of keys, of which the hash gives six words of eight.
  uint32_t unused_of_secret;
};
const Suite& suite_of(const tls::CipherSuite& suite) {
  static const Suite aes128{tls::aes128_gcm_sha256(),
                            circuits::aes128_gcm(),
                            kAes,
                            16248,
                            2 * 21624,
                            1280,
                            5120,
                            (5 + 6) * 31,
                            0};
  static const Suite aes256{tls::aes256_gcm_sha384(),
                            circuits::aes256_gcm(),
                            agent::aes256_answer_cipher(),
                            40984,
                            111469,
                            1664,
                            7168,
                            (5 + 7) * 63,
                            2 * 63};
  return suite.key_bytes == 16 ? aes128 : aes256;
}

class GcmAnswerCircuits : public ::testing::TestWithParam<const tls::CipherSuite*> {};
INSTANTIATE_TEST_SUITE_P(Suites, GcmAnswerCircuits,
                         ::testing::Values(&tls::aes128_gcm_sha256(), &tls::aes256_gcm_sha384()));

TEST_P(GcmAnswerCircuits, KeysTagMasksAndKeystreamAreThoseOfTheSuite) {
  const Suite& suite = suite_of(*GetParam());
  const tls::HashKind& kind = suite.tls.hash();
  Prg prg(Block(1, 2));
  const tls::HashValue secret = random_secret(prg, kind);
  const tls::TrafficKeys keys = tls::traffic_keys(secret, suite.tls);
  const support::HmacValues states = support::hmac_values(kind, secret);
  const auto words = [&](std::string_view label, size_t length) {
    return bools(tls::outer_words(kind, tls::inner_digest(kind, states.inner, label, {}, length)));
  };
  constexpr size_t kRecords = 3;
  const mpc::Circuit gc_c = circuits::gc_c(kRecords, suite.gcm);
  EXPECT_EQ(gc_c.num_ands, 2 * suite.pubmsg + suite.expansion + suite.block +
                               2 * suite.block * kRecords - suite.unused);
  Bytes random(16);
  prg.fill(std::span<uint8_t>(random));
  std::vector<bool> in = bools(states.outer);
  append_bits(in, words("key", suite.tls.key_bytes));
  append_bits(in, words("iv", 12));
  append_bits(in, bools(random));
  const auto out = support::evaluate_plain(gc_c, in);
  Bytes h = aes(keys.key, Bytes(16));
  for (size_t k = 0; k < 16; ++k) h[k] = static_cast<uint8_t>(h[k] ^ random[k]);
  EXPECT_EQ(bytes_of(out[gc_c.output_group("d_s")]), h);
  for (uint32_t record = 0; record < kRecords; ++record) {
    const auto part = [&](std::string_view name) {
      const Bytes all = bytes_of(out[gc_c.output_group(name)]);
      return Bytes(all.begin() + 16 * record, all.begin() + 16 * record + 16);
    };
    EXPECT_EQ(part("tag_masks"), keystream(keys, record, 1));
    EXPECT_EQ(part("first_blocks"), keystream(keys, record, 2));
  }

  // Blocks whose place is an input.
  const std::vector<std::pair<uint32_t, uint32_t>> places = {{0, 3}, {1, 1026}, {0xabcd, 0x123}};
  const mpc::Circuit blocks = circuits::keystream_circuit(places.size(), suite.gcm);
  EXPECT_EQ(blocks.num_ands, suite.block * places.size());
  in = out[gc_c.output_group("iv_s")];
  append_bits(in, out[gc_c.output_group("round_keys_s")]);
  for (const auto& [sequence, counter] : places) {
    for (unsigned b = 0; b < 16; ++b) in.push_back((sequence >> b & 1) != 0);
    for (unsigned b = 0; b < 12; ++b) in.push_back((counter >> b & 1) != 0);
  }
  const Bytes computed = bytes_of(support::evaluate_plain(blocks, in)[0]);
  Bytes expected;
  for (const auto& [sequence, counter] : places)
    append(expected, keystream(keys, sequence, counter));
  EXPECT_EQ(computed, expected);
}

// §3.6: the next traffic secret of the server as HMAC states, and what the five compressions of a
// change and its keys cost (§3.4, §7.1).
TEST_P(GcmAnswerCircuits, KeyUpdateGivesTheNextSecret) {
  const Suite& suite = suite_of(*GetParam());
  const tls::HashKind& kind = suite.tls.hash();
  Prg prg(Block(1, 3));
  const tls::HashValue secret = random_secret(prg, kind);
  const support::HmacValues states = support::hmac_values(kind, secret);
  const mpc::Circuit circuit = circuits::key_update_circuit(suite.gcm.hash);
  EXPECT_EQ(circuit.num_ands, suite.pubmsg + suite.kpads - suite.unused_of_secret);
  std::vector<bool> in = bools(states.outer);
  append_bits(in, bools(tls::outer_words(kind, tls::inner_digest(kind, states.inner, "traffic upd",
                                                                 {}, kind.digest_bytes))));
  const auto out = support::evaluate_plain(circuit, in);
  const support::HmacValues next =
      support::hmac_values(kind, tls::next_traffic_secret(kind, secret));
  EXPECT_EQ(bytes_of(out[circuit.output_group("kin_next")]),
            Bytes(next.inner.begin(), next.inner.end()));
  EXPECT_EQ(bytes_of(out[circuit.output_group("kout_next")]),
            Bytes(next.outer.begin(), next.outer.end()));

  const uint64_t one = agent::AnswerKeys({4, 4096, 0}, suite.cipher, 2).num_ands();
  const uint64_t two = agent::AnswerKeys({4, 4096, 1}, suite.cipher, 2).num_ands();
  EXPECT_EQ(two - one, 3 * suite.pubmsg + suite.kpads + suite.expansion + suite.block +
                           3 * 2 * suite.block - suite.unused - suite.unused_of_secret);
}

// §4.7 on a sealed answer: key and iv, of each record the masked key of its tag and its first
// block; 64 bytes a block of what is read, and one instance a tag.
TEST(AnswerCircuits, CostsOfAnAnswerUnderChaCha) {
  const agent::AnswerCipher& chacha = agent::chacha_answer_cipher();
  for (const uint64_t n : {2u, 3u}) {
    const uint64_t record = 10'136 + 259 * n + 10'400 - 1 + 259 * n + 125;
    for (const uint64_t records : {1u, 4u}) {
      EXPECT_EQ(agent::AnswerKeys({records, 4096, 0}, chacha, n).num_ands(),
                2 * 16'248u - 186 + records * record);
    }
    const uint64_t one = agent::AnswerKeys({4, 4096, 0}, chacha, n).num_ands();
    const uint64_t two = agent::AnswerKeys({4, 4096, 1}, chacha, n).num_ands();
    EXPECT_EQ(two - one, 59'496u + 2 * 16'248 - 186 + 3 * record);
  }
  EXPECT_EQ(chacha.keystream_program(1)->num_ands(), 10'400u);
  EXPECT_EQ(chacha.keystream_program(16)->num_ands(), 16 * 10'400u);
  EXPECT_EQ(kAes.keystream_program(4)->num_ands(), 4 * 5'120u);

  agent::SealedPlan plan;
  plan.records = 1;
  plan.spare_blocks = 0;
  EXPECT_EQ(agent::SealedCircuits(plan, chacha).num_ands(), 10'400u + 126);
  const uint64_t keys = agent::AnswerKeys({1, plan.record_bytes, 0}, chacha, 2).num_ands();
  EXPECT_LT(keys + 10'400 + 126, 65'000u);
  plan.header_max = 2048;
  plan.items.push_back({});
  plan.items.back().at = agent::SealedHeader{"location", "", ""};
  plan.items.back().char_class = http::char_set(http::CharClass::kCookie);
  // The header of the answer costs about half of what it does under AES.
  const auto header = [&](const agent::AnswerCipher& cipher) {
    return agent::SealedCircuits(plan, cipher)
               .keystream_left(agent::SealedCircuits::kHeaderBlocks) *
           cipher.keystream_program(1)->num_ands();
  };
  EXPECT_EQ(header(kAes), 128 * 5'120u);
  EXPECT_EQ(header(chacha), 32 * 10'400u);
}

TEST(AnswerCircuits, GatesOpenNothingOutsideTheirClass) {
  const circuits::ByteSet digits = circuits::byte_set("0123456789");
  const circuits::ByteSet line = circuits::byte_set("0123456789abcdefABCDEF\r\n");
  EXPECT_LE(circuits::gate_circuit(7, digits).num_ands, 7 * 21u);
  EXPECT_LE(circuits::gate_circuit(3, line).num_ands, 3 * 32u);
  const mpc::Circuit gate = circuits::gate_circuit(3, line);
  for (const std::string text : {"1f\r", "0\r\n", "g\r\n", "12;",
                                 "\x80"
                                 "12"}) {
    const auto out = support::evaluate_plain(gate, bools(as_bytes(text)));
    bool in_class = true;
    for (const char c : text) in_class &= line[static_cast<uint8_t>(c)];
    EXPECT_EQ(out[0][0], in_class) << text;
    EXPECT_EQ(to_text(bytes_of(out[1])), in_class ? text : std::string(3, '\0')) << text;
  }
}

TEST(AnswerCircuits, OneClassBitForAllBytes) {
  std::vector<circuits::ByteSet> sets(5, circuits::byte_set("0123456789"));
  sets[2] = circuits::byte_set("xyz");
  sets[4].set();  // anything
  const mpc::Circuit circuit = circuits::class_circuit(sets);
  const auto ok = [&](const std::string& text) {
    return bool{support::evaluate_plain(circuit, bools(as_bytes(text)))[0][0]};
  };
  EXPECT_TRUE(ok("12x3!"));
  EXPECT_FALSE(ok("1ax3!"));
  EXPECT_FALSE(ok("12w3!"));
  EXPECT_FALSE(ok("x2x3!"));
  // ANDs with the one that joins a byte to the others, as tls-in-mpc.md §5.3 says.
  const auto ands = [](http::CharClass char_class) {
    circuits::ByteSet set;
    for (unsigned c = 0; c < 256; ++c) {
      set[c] = http::char_set(char_class).contains(static_cast<uint8_t>(c));
    }
    return circuits::class_circuit(std::vector<circuits::ByteSet>(100, set)).num_ands;
  };
  EXPECT_EQ(ands(http::CharClass::kDigits), 100u * 8 - 1);
  EXPECT_EQ(ands(http::CharClass::kHex), 100u * 12 - 1);
  EXPECT_EQ(ands(http::CharClass::kJsonSafe), 100u * 16 - 1);
  EXPECT_EQ(ands(http::CharClass::kB64), 100u * 17 - 1);
  EXPECT_EQ(ands(http::CharClass::kCookie), 100u * 18 - 1);
  EXPECT_EQ(ands(http::CharClass::kUrlSafe), 100u * 21 - 1);
}

// A4 binds what a circuit of an answer is run on: records, and the keys that they are under.
TEST(PreparedCircuits, ARunIsUnderKeysOfOneGeneration) {
  const auto code_of = [](size_t n, uint32_t of_the_first) {
    support::Dealer dealer(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      prep::Source& source = dealer.source(party.id());
      arith::ArithEngine arith(party, source);
      boolean::Engine engine(party, source);
      agent::MemoryJournal journal;
      const agent::Context context{party, source, arith, engine, journal};
      const agent::Views views(party, {});
      agent::PreparedCircuits circuits;
      circuits.add("digit", std::make_shared<const mpc::Program>(mpc::compile(
                                circuits::class_circuit({circuits::byte_set("0123456789")}))));
      circuits.prepare(context);
      const prep::AuthBits text = dealer.share_bits(party.id(), 1, {1, 0, 0, 0, 1, 1, 0, 0});
      agent::PreparedCircuits::Inputs inputs;
      inputs.dyn = {{"text", &text}};
      inputs.generation = party.id() == 0 ? of_the_first : 1;
      const auto outputs = circuits.run(*circuits.find("digit"), inputs, views, {});
      return int{outputs.opened.at(0).at(0)};
    });
    EXPECT_EQ(run.outcomes[1].value.value_or(0), of_the_first == 1 ? 1 : 0);
    return run.outcomes[1].code();
  };
  for (const size_t n : {2u, 3u}) {
    EXPECT_EQ(code_of(n, 1), std::nullopt);
    EXPECT_EQ(code_of(n, 0), AbortCode::kViewMismatch);
  }
}

// A sealed answer in one record (§7.1): tag mask, type and first block, status; then 5,120 ANDs for
// every block and 41.0 a byte of outline.
TEST(AnswerCircuits, CostsOfAnAnswer) {
  agent::SealedPlan plan;
  plan.records = 1;
  plan.spare_blocks = 0;
  const uint64_t keys = agent::AnswerKeys({1, plan.record_bytes, 0}, kAes, 2).num_ands();
  EXPECT_EQ(keys, 2 * 16248u + 6400 - 341 + 10240);
  const uint64_t status = 5120 + 126;
  EXPECT_EQ(agent::SealedCircuits(plan, kAes).num_ands(), status);
  agent::SealedItem item;
  item.at = agent::SealedCookie{};
  item.char_class = http::char_set(http::CharClass::kCookie);
  item.max_bytes = 40;
  plan.items.push_back(item);
  for (const size_t header : {1024u, 2048u, 4096u}) {
    plan.header_max = header;
    const uint64_t all = agent::SealedCircuits(plan, kAes).num_ands() - status;
    const uint64_t text = 5120 * header / 16 + 41 * header;
    EXPECT_LE(all, text + 40 * 20 + 10 * 13 + 29 * 20);  // its classes, those of age and date
    EXPECT_GT(all, text);
  }
  agent::SealedPlan json;
  json.records = 1;
  json.spare_blocks = 0;
  json.header_max = 2048;
  json.body_max = 1024;
  json.max_chunks = 1;
  item.at = agent::SealedJson{{std::string("a")}, false};
  json.items.push_back(item);
  const uint64_t all = agent::SealedCircuits(json, kAes).num_ands() - status;
  const uint64_t text = 5120 * (128 + 68) + 41 * 2048 + 27 * 1024;
  EXPECT_LE(all, text + 7 * 21 + 6 * 3 * 32 + 40 * 20);
}

}  // namespace
}  // namespace flexroom
