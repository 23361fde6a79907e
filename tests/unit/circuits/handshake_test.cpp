#include "circuits/handshake.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <random>

#include "mpc/program.h"
#include "support/circuit_run.h"
#include "support/hmac_values.h"
#include "support/program_interpreter.h"
#include "tls/key_schedule.h"

// The oracle is OpenSSL's HKDF and AES-GCM on clear values; it shares no code with circuits/.

namespace flexroom::circuits {
namespace handshake_test {

using mpc::InputKind;
using support::CircuitRun;

Bytes random_bytes(std::mt19937_64& random, size_t n) {
  Bytes out(n);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

/// A suite with AES-GCM in the clear: the names of its parts in OpenSSL, and what its circuits cost
/// (tls-in-mpc.md §3.4, tls-complete.md §3).
struct Suite {
  const GcmSuite& circuits;
  const tls::HashKind& hash;
  const char* digest;
  const EVP_CIPHER* (*gcm)();
  const EVP_CIPHER* (*ecb)();
  uint32_t expansion, block;
};
const Suite kAes128{
    aes128_gcm(), tls::sha256_kind(), "SHA256", EVP_aes_128_gcm, EVP_aes_128_ecb, 1280, 5120};
const Suite kAes256{
    aes256_gcm(), tls::sha384_kind(), "SHA384", EVP_aes_256_gcm, EVP_aes_256_ecb, 1664, 7168};

Bytes hkdf(const Suite& suite, int mode, ByteView key, ByteView salt, ByteView info, size_t size) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  EVP_KDF_free(kdf);
  std::string hash = suite.digest;
  const auto octets = [](const char* name, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(bytes.data()),
                                             bytes.size());
  };
  std::vector<OSSL_PARAM> params = {OSSL_PARAM_construct_int("mode", &mode),
                                    OSSL_PARAM_construct_utf8_string("digest", hash.data(), 0),
                                    octets("key", key)};
  if (!salt.empty()) params.push_back(octets("salt", salt));
  if (!info.empty()) params.push_back(octets("info", info));
  params.push_back(OSSL_PARAM_construct_end());
  Bytes out(size);
  EXPECT_EQ(EVP_KDF_derive(context, out.data(), out.size(), params.data()), 1);
  EVP_KDF_CTX_free(context);
  return out;
}

Bytes extract(const Suite& suite, ByteView salt, ByteView key) {
  return hkdf(suite, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, key, salt, {}, suite.hash.digest_bytes);
}

Bytes expand_label(const Suite& suite, ByteView secret, const std::string& label, ByteView context,
                   size_t size) {
  Bytes info = {0, static_cast<uint8_t>(size), static_cast<uint8_t>(6 + label.size())};
  append(info, "tls13 " + label);
  info.push_back(static_cast<uint8_t>(context.size()));
  append(info, context);
  return hkdf(suite, EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret, {}, info, size);
}

struct Schedule {
  Bytes c_hs, s_hs, master, c_ap, s_ap, key, iv;
};

Schedule clear_schedule(const Suite& suite, ByteView shared, ByteView h1, ByteView h2) {
  const size_t size = suite.hash.digest_bytes;
  const tls::HashValue empty = tls::hash_of(suite.hash, {});
  const Bytes zeros(size);
  Schedule s;
  const Bytes early = extract(suite, zeros, zeros);
  const Bytes handshake =
      extract(suite, expand_label(suite, early, "derived", empty, size), shared);
  s.c_hs = expand_label(suite, handshake, "c hs traffic", h1, size);
  s.s_hs = expand_label(suite, handshake, "s hs traffic", h1, size);
  s.master = extract(suite, expand_label(suite, handshake, "derived", empty, size), zeros);
  s.c_ap = expand_label(suite, s.master, "c ap traffic", h2, size);
  s.s_ap = expand_label(suite, s.master, "s ap traffic", h2, size);
  s.key = expand_label(suite, s.c_ap, "key", {}, suite.circuits.key_bytes);
  s.iv = expand_label(suite, s.c_ap, "iv", {}, 12);
  return s;
}

/// Ciphertext of one record without its tag.
Bytes seal(const Suite& suite, const Schedule& s, uint64_t seq, Bytes content) {
  content.push_back(23);
  Bytes nonce = s.iv, out(content.size());
  for (size_t k = 0; k < 8; ++k) nonce[4 + k] ^= static_cast<uint8_t>(seq >> (56 - 8 * k));
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  int size = 0;
  EVP_EncryptInit_ex(context, suite.gcm(), nullptr, s.key.data(), nonce.data());
  EVP_EncryptUpdate(context, out.data(), &size, content.data(), static_cast<int>(content.size()));
  EVP_CIPHER_CTX_free(context);
  return out;
}

Bytes aes_block(const Suite& suite, const Bytes& key, const Bytes& in) {
  Bytes out(32);
  int size = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, suite.ecb(), nullptr, key.data(), nullptr);
  EVP_EncryptUpdate(context, out.data(), &size, in.data(), 16);
  EVP_CIPHER_CTX_free(context);
  out.resize(16);
  return out;
}

Bytes tag_mask(const Suite& suite, const Schedule& s, uint64_t seq) {
  Bytes in = s.iv;
  for (size_t k = 0; k < 8; ++k) in[4 + k] ^= static_cast<uint8_t>(seq >> (56 - 8 * k));
  append(in, Bytes{0, 0, 0, 1});
  return aes_block(suite, s.key, in);
}

Bytes bytes_of(const tls::HashValue& value) { return {value.begin(), value.end()}; }

/// The bits of the round words of a block: word after word, least significant first.
std::vector<uint8_t> word_bits(const Bytes& words) {
  std::vector<uint8_t> out;
  for (const uint8_t byte : words) {
    for (unsigned b = 0; b < 8; ++b) out.push_back(byte >> b & 1);
  }
  return out;
}

Bytes traffic_message(const Suite& suite, const std::string& label, ByteView transcript) {
  return hkdf_label_message(label, transcript, static_cast<uint16_t>(suite.hash.digest_bytes));
}

std::vector<uint8_t> last_words(const Suite& suite, ByteView tail) {
  return word_bits(
      suite.hash.round_words(tls::last_block(suite.hash, tail, suite.hash.block_bytes)));
}

tls::HashValue random_hash(const Suite& suite, std::mt19937_64& random) {
  return tls::hash_of(suite.hash, random_bytes(random, 8));
}

/// A 256-bit number mod 2^255 - 19 or P-256's p, little-endian, by repeated subtraction.
Bytes reduce(NamedGroup field, Bytes n) {
  Bytes p(32, 0xff);
  if (field == NamedGroup::kX25519) {
    p[0] = 0xed;
    p[31] = 0x7f;
  } else {
    for (size_t k = 12; k < 24; ++k) p[k] = 0;
    p[24] = 1;
    p[25] = p[26] = p[27] = 0;
  }
  while (true) {
    Bytes d(n.size());
    int borrow = 0;
    for (size_t k = 0; k < n.size(); ++k) {
      const int v = n[k] - (k < 32 ? p[k] : 0) - borrow;
      d[k] = static_cast<uint8_t>(v);
      borrow = v < 0 ? 1 : 0;
    }
    if (borrow != 0) break;
    n = d;
  }
  n.resize(32);
  return n;
}

Bytes add_mod(NamedGroup field, const Bytes& a, const Bytes& b) {
  Bytes n(33);
  int carry = 0;
  for (size_t k = 0; k < 32; ++k) {
    carry += a[k] + b[k];
    n[k] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  n[32] = static_cast<uint8_t>(carry);
  return reduce(field, n);
}

// tls-complete.md §3: as written, and without what nobody needs of a digest's chaining value.
constexpr uint32_t kSha384GcA = 831603 - 1252;

struct Offer {
  Groups groups;
  NamedGroup taken;
};
class GcA : public ::testing::TestWithParam<std::tuple<Offer, size_t, const Suite*>> {
 protected:
  const Offer& offer() const { return std::get<0>(GetParam()); }
  size_t num_parties() const { return std::get<1>(GetParam()); }
  const Suite& suite() const { return *std::get<2>(GetParam()); }
  bool takes_kem() const { return offer().taken == NamedGroup::kX25519MlKem768; }
  /// Of the curve that is taken.
  void set_x(CircuitRun& run, const Bytes& x, std::mt19937_64& random) const {
    const NamedGroup field = curve_of(offer().taken);
    const Groups curves = curves_of(offer().groups);
    Bytes c = x;
    for (size_t j = 0; j < num_parties(); ++j) {
      const Bytes rho = reduce(field, random_bytes(random, 32));
      c = add_mod(field, c, rho);
      run.set(mask_input(field, j), rho);
    }
    run.set(masked_input(field), c);
    for (const NamedGroup other : curves) {
      if (other == field) continue;
      run.set(masked_input(other), Bytes(32));
      for (size_t j = 0; j < num_parties(); ++j) {
        run.set(mask_input(other, j), reduce(other, random_bytes(random, 32)));
      }
    }
    if (curves.size() == 2) {
      run.set_bits(kGroupInput, {field == NamedGroup::kP256 ? uint8_t{1} : uint8_t{0}});
    }
  }
  void set_kem(CircuitRun& run, const Bytes& secret) const {
    if (!has_kem(offer().groups)) return;
    run.set_bits(kKemInput, {takes_kem() ? uint8_t{1} : uint8_t{0}});
    run.set(kKemSecretInput, secret);
    run.set(kPaddingInput, takes_kem() ? Bytes(32) : x_padding(suite().circuits.hash));
  }
};

// SHA-256: the design's 324 652 / 324 656 count the two constant messages at a mean of four; gc_b
// has the other two and the difference of 6. Both groups: tls-complete.md §1.3, 1 278 more for
// n = 2. With ML-KEM: 17 556 more, as the design says; one less where x is X25519's, of 255 bits.
// SHA-384 (tls-complete.md §3): 1 072 more with ML-KEM, also one less.
TEST_P(GcA, CostsWhatTheDesignSays) {
  const bool is_short = suite().block == 5120;
  const Groups curves = curves_of(offer().groups);
  uint32_t more = curves.size() == 2 ? 256 : 0;
  if (has_kem(offer().groups)) more += (is_short ? 17556 : 1072) - (curves.size() == 2 ? 0 : 1);
  for (const NamedGroup group : curves) {
    more += static_cast<uint32_t>(num_parties()) * (group == NamedGroup::kX25519 ? 509 : 511);
  }
  const uint32_t schedule = is_short ? 324652u - 6 - 1018 : kSha384GcA - 1018;
  EXPECT_EQ(gc_a(offer().groups, num_parties(), suite().circuits.hash).num_ands, schedule + more);
}

TEST_P(GcA, EqualsTheClearKeySchedule) {
  const NamedGroup field = curve_of(offer().taken);
  const mpc::Circuit circuit = gc_a(offer().groups, num_parties(), suite().circuits.hash);
  std::mt19937_64 random(1);
  for (int i = 0; i < 3; ++i) {
    const Bytes x = reduce(field, random_bytes(random, 32));
    const tls::HashValue h1 = random_hash(suite(), random), h2 = random_hash(suite(), random);
    Bytes shared = x;
    if (field == NamedGroup::kP256) std::reverse(shared.begin(), shared.end());
    const Bytes secret = takes_kem() ? random_bytes(random, 32) : Bytes(32);
    if (takes_kem()) shared.insert(shared.begin(), secret.begin(), secret.end());
    CircuitRun run(circuit);
    set_x(run, x, random);
    set_kem(run, secret);
    for (const char* which : {"c", "s"}) {
      run.set_bits(
          "kw_" + std::string(which) + "_hs",
          last_words(suite(), traffic_message(suite(), std::string(which) + " hs traffic", h1)));
    }
    run.run();
    const Schedule want = clear_schedule(suite(), shared, h1, h2);
    const support::HmacValues master = support::hmac_values(suite().hash, want.master);
    EXPECT_EQ(run.bytes("c_hs"), want.c_hs);
    EXPECT_EQ(run.bytes("s_hs"), want.s_hs);
    EXPECT_EQ(run.bytes("kin_ms"), bytes_of(master.inner));
    EXPECT_EQ(run.bytes("kout_ms"), bytes_of(master.outer));
    if (i == 0) {
      EXPECT_EQ(support::interpret(mpc::compile(circuit), run.inputs()), run.outputs());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    GroupsAndParties, GcA,
    ::testing::Combine(::testing::Values(Offer{{NamedGroup::kX25519}, NamedGroup::kX25519},
                                         Offer{{NamedGroup::kP256}, NamedGroup::kP256},
                                         Offer{all_curves(), NamedGroup::kX25519},
                                         Offer{all_curves(), NamedGroup::kP256},
                                         Offer{{NamedGroup::kX25519MlKem768},
                                               NamedGroup::kX25519MlKem768},
                                         Offer{all_groups(), NamedGroup::kX25519},
                                         Offer{all_groups(), NamedGroup::kP256},
                                         Offer{all_groups(), NamedGroup::kX25519MlKem768}),
                       ::testing::Values(2, 3), ::testing::Values(&kAes128, &kAes256)));

struct GcBInputs {
  Schedule schedule;
  Bytes kout_ms, r_c;
  std::vector<uint8_t> kw_c_ap, kw_s_ap;

  void set(CircuitRun& run) const {
    run.set("kout_ms", kout_ms).set("r_c", r_c);
    run.set_bits("kw_c_ap", kw_c_ap).set_bits("kw_s_ap", kw_s_ap);
  }
};

GcBInputs gc_b_inputs(const Suite& suite, std::mt19937_64& random) {
  const tls::HashValue h1 = random_hash(suite, random), h2 = random_hash(suite, random);
  GcBInputs in{clear_schedule(suite, random_bytes(random, 32), h1, h2),
               {},
               random_bytes(random, 16),
               {},
               {}};
  const support::HmacValues master = support::hmac_values(suite.hash, in.schedule.master);
  in.kout_ms = bytes_of(master.outer);
  const auto outer_words = [&](const std::string& label) {
    return last_words(suite,
                      tls::inner_hash(suite.hash, master.inner, traffic_message(suite, label, h2)));
  };
  in.kw_c_ap = outer_words("c ap traffic");
  in.kw_s_ap = outer_words("s ap traffic");
  return in;
}

// Of SHA-384: two final additions of four digests; of key four and e of the last round, of iv six
// and e.
constexpr uint32_t kSha384Written = 395373 - 8832, kSha384Unused = 63 * (4 * 2 + 5 + 7);

class GcBTest : public ::testing::TestWithParam<const Suite*> {
 protected:
  const Suite& suite() const { return *GetParam(); }
  GcB gc_b(bool keep = false) const { return GcB(keep, ServerSecret::kKept, suite().circuits); }
  // 2 pubmsg + 2 kpad + 2 constmsg + 2 secmsg, key expansion and H.
  uint32_t written() const {
    return (suite().block == 5120 ? 151276 + 6 : kSha384Written) + suite().expansion +
           suite().block;
  }
  // Of the outer hashes of key and iv: final additions and the last round's e of words that nobody
  // uses; of SHA-384 also the final additions of the words that no digest has.
  uint32_t unused() const { return suite().block == 5120 ? 5 * 31 + 6 * 31 : kSha384Unused; }
};
INSTANTIATE_TEST_SUITE_P(Suites, GcBTest, ::testing::Values(&kAes128, &kAes256));

// What GcB and gc_a of X25519 for two members cost as written is what the designs count:
// tls-in-mpc.md §3.4, tls-complete.md §1.3 and §3.
TEST_P(GcBTest, HandshakeCostsWhatTheDesignSays) {
  GcB circuit = gc_b(true);  // without records only kept keys need the iv
  EXPECT_EQ(circuit.builder().num_ands(), written());
  const auto handshake = [&](const Groups& groups) {
    return gc_a(groups, 2, suite().circuits.hash).num_ands + written();
  };
  const bool is_short = suite().block == 5120;
  const uint32_t one = is_short ? 482328u : 1226976 - 1252;
  EXPECT_EQ(handshake({NamedGroup::kX25519}), one);
  EXPECT_EQ(handshake(all_curves()), one + 1278);
  EXPECT_EQ(handshake(all_groups()), one + (is_short ? 501162u - 482328u : 1278 + 1072));
  const uint32_t live = circuit.finish().num_ands;
  EXPECT_EQ(live, written() - unused());
}

TEST_P(GcBTest, RequestEqualsOpenSsl) {
  std::mt19937_64 random(2);
  const GcBInputs in = gc_b_inputs(suite(), random);
  for (const size_t size : {size_t{1}, size_t{15}, size_t{16}, size_t{100}}) {
    GcB circuit = gc_b();
    const Text secret = text_of(
        circuit.builder().add_input("secret", InputKind::kZero, static_cast<uint32_t>(8 * size)));
    Text content = secret;
    append(content, as_bytes(" HTTP/1.1\r\n"));
    const uint32_t before = circuit.builder().num_ands();
    circuit.records().add(0, content);
    circuit.records().add(5, content);
    const auto blocks = static_cast<uint32_t>((content.size() + 1 + 15) / 16);
    EXPECT_EQ(circuit.builder().num_ands() - before, 2 * suite().block * (1 + blocks));
    const mpc::Circuit finished = circuit.finish();

    const Bytes secret_bytes = random_bytes(random, size);
    Bytes clear = secret_bytes;
    append(clear, " HTTP/1.1\r\n");
    CircuitRun run(finished);
    in.set(run);
    run.set("secret", secret_bytes).run();
    for (const uint64_t seq : {0, 5}) {
      EXPECT_EQ(run.bytes("c_" + std::to_string(seq)), seal(suite(), in.schedule, seq, clear));
      EXPECT_EQ(run.bytes("j0_" + std::to_string(seq)), tag_mask(suite(), in.schedule, seq));
    }
    EXPECT_EQ(run.bytes("s_ap"), in.schedule.s_ap);
    Bytes h = aes_block(suite(), in.schedule.key, Bytes(16));
    for (size_t k = 0; k < 16; ++k) h[k] ^= in.r_c[k];
    EXPECT_EQ(run.bytes("d_c"), h);
    EXPECT_EQ(support::interpret(mpc::compile(finished), run.inputs()), run.outputs());
  }
}

// tls-in-mpc.md §7.1, tls-complete.md §3: 66 blocks, of which one is J0.
TEST_P(GcBTest, OneKilobyteRequestCostsWhatTheDesignSays) {
  const uint32_t request = suite().block == 5120 ? 337920 : 473088;
  GcB circuit = gc_b();
  circuit.records().add(0, constant_text(Bytes(1024)));
  EXPECT_EQ(circuit.builder().num_ands(), written() + request);
  // The last block carries the content type alone.
  EXPECT_EQ(circuit.finish().num_ands, written() - unused() + request - (15 + 12) * 32);
}

TEST_P(GcBTest, ALaterRequestContinuesUnderKeptKeys) {
  std::mt19937_64 random(3);
  const GcBInputs in = gc_b_inputs(suite(), random);
  GcB first = gc_b(true);
  const mpc::Circuit first_circuit = first.finish();
  CircuitRun first_run(first_circuit);
  in.set(first_run);
  first_run.run();
  EXPECT_EQ(first_run.bytes("iv_c"), in.schedule.iv);

  LaterRequest later(suite().circuits);
  const Bytes clear = to_bytes("GET /next HTTP/1.1\r\n\r\n");
  const uint64_t seq = 0x0102030405060708;
  later.records().add(seq, constant_text(clear));
  const mpc::Circuit circuit = later.finish();
  CircuitRun run(circuit);
  run.set("iv_c", first_run.bytes("iv_c")).set("round_keys_c", first_run.bytes("round_keys_c"));
  run.run();
  EXPECT_EQ(run.bytes("c_" + std::to_string(seq)), seal(suite(), in.schedule, seq, clear));
}

TEST(RecordWriterDeathTest, RefusesASecondUseOfASequenceNumberAndOversizedRecords) {
  const auto twice = [] {
    GcB circuit;
    circuit.records().add(1, constant_text(Bytes(1)));
    circuit.records().add(1, constant_text(Bytes(1)));
  };
  EXPECT_DEATH(twice(), "seq");
  const auto too_long = [] {
    GcB circuit;
    circuit.records().add(1, constant_text(Bytes(kMaxRecordContent + 1)));
  };
  EXPECT_DEATH(too_long(), "kMaxRecordContent");
}

}  // namespace handshake_test
}  // namespace flexroom::circuits
