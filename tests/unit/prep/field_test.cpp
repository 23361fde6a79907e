#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "prep/field_products.h"
#include "prep/ghash.h"
#include "prep/memory_safety.h"
#include "prep/open.h"
#include "prep/pack.h"
#include "prep/powers.h"
#include "prep/zero_test.h"
#include "support/parties.h"
#include "support/relations.h"

// Pack, products, powers, GHASH and the zero test on the dealer's bits.

namespace flexroom::prep {
namespace {

using support::Dealer;
using support::deltas_of;

/// Runs protocol(context, source) at n parties over one dealer.
template <typename Protocol>
auto run_on_dealer(size_t n, Protocol protocol, net::Tamper tamper = nullptr, uint64_t seed = 7) {
  Dealer dealer(n, seed);
  return support::run_parties(
      n,
      [&](net::Party& party) {
        support::DealerSupply supply(dealer.source(party.id()));
        MemorySafety safety;
        Context context{party, supply, safety};
        auto out = protocol(context, dealer.source(party.id()));
        EXPECT_EQ(safety.dirty(), 0u);
        return out;
      },
      std::move(tamper), std::chrono::seconds(20), seed);
}

VecTriple one_set(Context& context, size_t count) {
  const size_t counts[] = {count};
  return std::move(make_field_products(context, counts)[0].triple);
}

/// Every single altered message of an honest run: its receiver gets nothing, and somebody calls it
/// cheating.
template <typename Protocol>
size_t sweep(size_t n, Protocol protocol, std::string_view excepted = "") {
  const auto honest = run_on_dealer(n, protocol);
  size_t tried = 0;
  for (const net::MessageId& message : honest.trace) {
    if (message.label == excepted || (n > 2 && message.sender != 1)) continue;
    const auto run = run_on_dealer(n, protocol, support::flip_bit_of(message, 3, 2));
    ++tried;
    EXPECT_FALSE(run.outcomes[message.receiver].value.has_value())
        << message.label << " #" << message.index << " from " << message.sender;
    EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& outcome) {
      return outcome.abort && outcome.abort->abort_class() == AbortClass::kBooleanCheat;
    })) << message.label;
  }
  return tried;
}

class FieldTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  const std::vector<Block> deltas_ = deltas_of(Dealer(n_, 7), n_);
};

INSTANTIATE_TEST_SUITE_P(Sizes, FieldTest, ::testing::Values(2, 3, 4));

/// What takes long and differs no further with n.
using FieldSweepTest = FieldTest;
INSTANTIATE_TEST_SUITE_P(Sizes, FieldSweepTest, ::testing::Values(2, 3));

// --- Pack and unpack
// ------------------------------------------------------------------------------

struct Packed {
  AuthBits bits, again;
  AuthField plain, frobenius;
};

Packed pack_and_unpack(Context& context, Source& source) {
  Packed out;
  out.bits = source.random_bits(256);
  out.plain = pack(out.bits);
  out.frobenius = pack(out.bits, 5);
  out.again = unpack(context.party, source, out.plain, "unpack");
  return out;
}

TEST_P(FieldTest, UnpackInvertsPackAndFrobeniusPackIsThePower) {
  const auto run = run_on_dealer(n_, pack_and_unpack);
  support::Views<AuthBits> bits, again;
  support::Views<AuthField> plain, frobenius;
  for (const auto* view : support::views_of<Packed>(run)) {
    bits.push_back(&view->bits);
    again.push_back(&view->again);
    plain.push_back(&view->plain);
    frobenius.push_back(&view->frobenius);
  }
  support::expect_authentic(again, deltas_);
  support::expect_authentic(plain, deltas_);
  support::expect_authentic(frobenius, deltas_);
  const auto values = support::secret_bits(bits);
  EXPECT_EQ(values, support::secret_bits(again));
  const auto elements = support::secret_field(plain), powers = support::secret_field(frobenius);
  for (size_t t = 0; t < values.size(); ++t) {
    EXPECT_EQ(elements[t / 128].bit(t % 128), values[t] != 0);
  }
  for (size_t h = 0; h < 2; ++h) EXPECT_EQ(powers[h], math::gf_frobenius(elements[h], 5));
}

TEST_P(FieldTest, UnpackNoticesAnyAlteredMessage) { EXPECT_GE(sweep(n_, pack_and_unpack), 2u); }

// --- VecTriple
// --------------------------------------------------------------------------------------

TEST_P(FieldTest, ProductsAreRightInEverySet) {
  const auto run = run_on_dealer(n_, [](Context& context, Source&) {
    const size_t counts[] = {1, 3, 200};
    std::vector<VecTriple> out;
    for (auto& products : make_field_products(context, counts)) {
      out.push_back(std::move(products.triple));
    }
    return out;
  });
  const auto views = support::views_of<std::vector<VecTriple>>(run);
  std::vector<Block> factors;
  for (size_t set = 0; set < 3; ++set) {
    support::Views<VecTriple> triples;
    support::Views<AuthField> b;
    for (const auto* view : views) {
      triples.push_back(&(*view)[set]);
      b.push_back(&(*view)[set].b);
    }
    EXPECT_EQ(triples[0]->a.size(), (std::array<size_t, 3>{1, 3, 200})[set]);
    support::expect_products(triples, deltas_);
    factors.push_back(support::secret_field(b)[0]);
  }
  EXPECT_NE(factors[0], factors[1]);  // every set has its own b
}

TEST_P(FieldSweepTest, ProductsNoticeAnyAlteredMessage) {
  const size_t tried = sweep(
      n_, [](Context& context, Source&) { return one_set(context, 2); }, "field products/u");
  EXPECT_GE(tried, n_ == 2 ? 10u : 18u);
}

// §9.3: one wrong u passes iff the chooser's bit there is 0; then it has no effect. What the check
// throws is the sacrifice.
TEST_P(FieldSweepTest, WrongStringPassesExactlyWhereTheChoiceBitIsZero) {
  constexpr size_t kBit = 5;
  size_t passed = 0;
  const size_t runs = n_ == 2 ? 40 : 12;
  for (size_t seed = 200; seed < 200 + runs; ++seed) {
    const auto run = run_on_dealer(
        n_, [](Context& context, Source&) { return one_set(context, 1); },
        support::flip_bit_of({1, 0, "field products/u"}, 16 * kBit, 3), seed);
    Dealer same(n_, seed);  // call 0: b, call 1: alpha
    same.source(0).random_bits(128);
    const bool choice = same.source(0).random_bits(2 * 2 * 128).share(kBit);
    EXPECT_EQ(run.outcomes[0].value.has_value(), !choice);
    if (choice) {
      EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& outcome) {
        return outcome.code() == AbortCode::kSacrifice;
      }));
      continue;
    }
    ++passed;
    support::expect_products(support::views_of<VecTriple>(run), deltas_of(Dealer(n_, seed), n_));
  }
  EXPECT_GT(passed, size_t{0});
  EXPECT_LT(passed, runs);
}

TEST_P(FieldTest, WrongGToAllFailsTheSacrifice) {
  const auto run = run_on_dealer(
      n_,
      [](Context& context, Source&) {
        // A corrupted party 1 that itself believes what it said: its message is altered towards
        // everybody; n > 2 the echo compares what was said, which is consistent among the others.
        return one_set(context, 1);
      },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.sender == 1 && message.label == "field products/g") payload[0] ^= 1;
      });
  EXPECT_FALSE(run.outcomes[0].value.has_value());
  EXPECT_EQ(run.outcomes[0].abort->abort_class() == AbortClass::kBooleanCheat ||
                run.outcomes[0].code() == AbortCode::kCancelled ||
                run.outcomes[0].code() == AbortCode::kPeerLost,
            true);
}

// The tag of e is a check of its own: it names the liar before anything that depends on e is
// opened.
TEST_P(FieldTest, TheOpeningOfESacrificeIsAuthenticated) {
  const auto liar = static_cast<PartyId>(n_ - 1);
  const auto code = support::decided_code([&] {
    const auto run = run_on_dealer(
        n_, [](Context& context, Source&) { return one_set(context, 1); },
        support::flip_bit_of({liar, 0, "field products/sacrifice e"}, 1, 1));
    for (const auto& m : run.trace) {
      EXPECT_FALSE(m.sender == 0 && m.label == "field products/sacrifice verdict");
    }
    return run.outcomes[0].code();
  });
  EXPECT_EQ(code, AbortCode::kMac);
}

// §10.3: whoever saw this member's share of the verdict and then vanishes is counted.
TEST_P(FieldTest, ASacrificeWithoutVerdictStaysCounted) {
  Dealer dealer(n_);
  std::vector<MemorySafety> safety(n_);
  const auto liar = static_cast<PartyId>(n_ - 1);
  const auto run = support::run_parties(
      n_,
      [&](net::Party& party) {
        support::DealerSupply supply(dealer.source(party.id()));
        Context context{party, supply, safety[party.id()]};
        return one_set(context, 1);
      },
      [&](const net::MessageId& m, Bytes&) {
        if (m.sender == liar && m.label == "field products/sacrifice verdict") {
          throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
        }
      });
  for (PartyId i = 0; i + 1 < n_; ++i) {
    EXPECT_FALSE(run.outcomes[i].value.has_value());
    EXPECT_EQ(safety[i].dirty(), 1u);
    EXPECT_EQ(safety[i].life(), 1u);
  }
}

// §9.3 step 3, §10.3: the last opener of the coin chi sees chi and may go away when it does not
// like it. Each such look is counted; a batch that ended before this member's part of the coin is
// not.
TEST_P(FieldTest, ALookAtTheCoinChiIsCounted) {
  const auto liar = static_cast<PartyId>(n_ - 1);
  const auto counted = [&](std::string_view cut) {
    Dealer dealer(n_);
    std::vector<MemorySafety> safety(n_);
    const auto run = support::run_parties(
        n_,
        [&](net::Party& party) {
          support::DealerSupply supply(dealer.source(party.id()));
          Context context{party, supply, safety[party.id()]};
          return one_set(context, 1);
        },
        [&](const net::MessageId& m, Bytes&) {
          if (m.sender == liar && m.label == cut) {
            throw ProtocolAbort(AbortCode::kPeerLost, "test", "does not like chi");
          }
        });
    for (PartyId i = 0; i + 1 < n_; ++i) {
      EXPECT_FALSE(run.outcomes[i].value.has_value());
      EXPECT_EQ(safety[i].dirty(), safety[i].life());
    }
    return safety[0].dirty();
  };
  EXPECT_EQ(counted("field products/chi/coin open"), 1u);
  EXPECT_EQ(counted("field products/eta/coin open"), 1u);
  EXPECT_EQ(counted("field products/u"), 0u);
}

// --- Powers
// ------------------------------------------------------------------------------------------

TEST_P(FieldTest, PowersAreThoseOfOneElement) {
  for (const size_t max_power : {size_t{1}, size_t{2}, size_t{3}, size_t{6}, size_t{21}}) {
    const auto run = run_on_dealer(
        n_, [&](Context& context, Source&) { return make_powers(context, max_power); });
    support::expect_powers(support::views_of<Powers>(run), deltas_);
  }
}

TEST_P(FieldTest, PowersNoticeAnyAlteredOpening) {
  const auto run = run_on_dealer(
      n_, [](Context& context, Source&) { return make_powers(context, 5); },
      support::flip_bit_of({static_cast<PartyId>(n_ - 1), 0, "powers/open", 1}, 17, 1));
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac);
  if (n_ == 2) {
    EXPECT_GE(sweep(
                  n_, [](Context& context, Source&) { return make_powers(context, 5); },
                  "field products/u"),
              14u);
  }
}

// --- GHASH
// ---------------------------------------------------------------------------------------------

struct Gcm {
  Bytes ciphertext, tag;
};

Gcm openssl_gcm(ByteView key, ByteView iv, ByteView aad, ByteView plaintext) {
  Gcm out{Bytes(plaintext.size()), Bytes(16)};
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  int written = 0;
  const auto size = [](ByteView v) { return static_cast<int>(v.size()); };
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, key.data(), iv.data()), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, nullptr, &written, aad.data(), size(aad)), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, out.ciphertext.data(), &written, plaintext.data(),
                              size(plaintext)),
            1);
  EXPECT_EQ(EVP_EncryptFinal_ex(context, out.ciphertext.data() + written, &written), 1);
  EXPECT_EQ(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, out.tag.data()), 1);
  EVP_CIPHER_CTX_free(context);
  return out;
}

std::vector<uint8_t> bits_of(const Block& block) {
  std::vector<uint8_t> out(128);
  for (unsigned q = 0; q < 128; ++q) out[q] = block.bit(q) ? 1 : 0;
  return out;
}

TEST_P(FieldTest, GhashOfSharedKeyIsTheTagOfAesGcm) {
  Prg prg(Block(1, n_));
  for (const size_t bytes : {size_t{1}, size_t{16}, size_t{40}, size_t{500}}) {
    Bytes key(16), iv(12), aad(13), plaintext(bytes);
    for (Bytes* random : {&key, &iv, &aad, &plaintext}) prg.fill(std::span<uint8_t>(*random));
    const Gcm gcm = openssl_gcm(key, iv, aad, plaintext);

    const Aes128 aes(load_block(key.data()));
    Bytes h_bytes(16), e_bytes(16), counter = iv;
    store_block(h_bytes.data(), aes.encrypt(Block()));
    append(counter, Bytes{0, 0, 0, 1});
    store_block(e_bytes.data(), aes.encrypt(load_block(counter.data())));

    std::vector<Block> blocks;
    append_ghash_blocks(blocks, aad);
    append_ghash_blocks(blocks, gcm.ciphertext);
    Bytes lengths(16);
    lengths[7] = static_cast<uint8_t>(8 * aad.size());
    lengths[14] = static_cast<uint8_t>((8 * bytes) >> 8);
    lengths[15] = static_cast<uint8_t>(8 * bytes);
    append_ghash_blocks(blocks, lengths);

    Dealer dealer(n_);
    const auto run = support::run_parties(n_, [&](net::Party& party) {
      const PartyId i = party.id();
      Source& source = dealer.source(i);
      const AuthField h = pack(dealer.share_bits(i, 1, bits_of(ghash_block(h_bytes))));
      const AuthField e = pack(dealer.share_bits(i, 2, bits_of(ghash_block(e_bytes))));
      const Powers powers = source.powers(blocks.size() + 3);
      AuthField masked = powers.powers.slice(1, 1);
      add(masked, h);
      const Block d = open_field(party, source.delta(), masked, "d")[0];
      AuthField tag = ghash_share(powers, d, blocks);
      add(tag, e);
      return ghash_bytes(open_field(party, source.delta(), tag, "tag")[0]);
    });
    for (const auto* tag : support::views_of<Bytes>(run)) EXPECT_EQ(*tag, gcm.tag) << bytes;
  }
}

// --- Zero test
// -------------------------------------------------------------------------------------------

auto zero_test_of(std::vector<std::vector<Block>> shares_by_value) {
  return [shares_by_value](Context& context, Source& source) {
    std::vector<Block> own;
    std::vector<VecTriple> products;
    for (const auto& shares : shares_by_value) {
      own.push_back(shares[context.party.id()]);
      products.push_back(source.vec_triple(1));
    }
    BatchInFlight batch(context.safety);
    zero_test(context, own, std::move(products), batch, "test");
    batch.finished();
    return true;
  };
}

std::vector<Block> shares_of(size_t n, const Block& value, uint64_t seed) {
  Prg prg(Block(9, seed));
  std::vector<Block> out(n);
  out[0] = value;
  for (size_t i = 1; i < n; ++i) {
    out[i] = prg.next_block();
    out[0] ^= out[i];
  }
  return out;
}

TEST_P(FieldTest, ZeroTestTellsZeroFromNonzero) {
  const auto zero = shares_of(n_, Block(), 1), also = shares_of(n_, Block(), 2),
             other = shares_of(n_, Block(0, 4), 3);
  for (const auto& outcome : run_on_dealer(n_, zero_test_of({zero, also})).outcomes) {
    EXPECT_TRUE(outcome.value.has_value());
  }
  for (const auto& values : {std::vector{zero, other}, std::vector{other, zero}}) {
    // The safety count stays up in the failed batch, so the check in run_on_dealer is not reached.
    for (const auto& outcome : run_on_dealer(n_, zero_test_of(values)).outcomes) {
      EXPECT_TRUE(outcome.code() == AbortCode::kZeroTest ||
                  outcome.code() == AbortCode::kCancelled ||
                  outcome.code() == AbortCode::kPeerLost);
    }
  }
}

TEST_P(FieldTest, ZeroTestNoticesAnyAlteredMessage) {
  EXPECT_GE(sweep(n_, zero_test_of({shares_of(n_, Block(), 1)})), 6u);
}

// §3.7: what a failed test shows is V times a random b. Two runs on the same V with other products
// open different verdicts, and none of them is V.
TEST(ZeroTestLeakageTest, VerdictOfANonzeroValueIsBlinded) {
  const auto shares = shares_of(2, Block(0, 4), 3);
  std::vector<Block> seen;
  for (const uint64_t seed : {7, 8}) {
    Block opened;
    std::mutex mutex;
    const auto run = run_on_dealer(
        2, zero_test_of({shares}),
        [&](const net::MessageId& message, Bytes& payload) {
          const std::lock_guard lock(mutex);
          if (message.label == "test/zero verdict") opened ^= load_block(payload.data());
        },
        seed);
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kZeroTest);
    seen.push_back(opened);
  }
  EXPECT_NE(seen[0], Block());
  EXPECT_NE(seen[0], Block(0, 4));
  EXPECT_NE(seen[0], seen[1]);
}

}  // namespace
}  // namespace flexroom::prep
