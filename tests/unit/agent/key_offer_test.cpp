#include "agent/key_offer.h"

#include <gtest/gtest.h>

#include "agent/memory_journal.h"
#include "support/dealer.h"
#include "support/memory_image.h"
#include "support/parties.h"

// The ML-KEM key that every member has (tls-complete.md §2.2).

namespace flexroom::agent {
namespace {

SecretBytes part(uint8_t fill) { return SecretBytes(Bytes(kKemPart, fill)); }

RoScope scope_of(uint8_t csid) {
  RoScope scope;
  scope.csid[0] = csid;
  return scope;
}

/// What one member, of two that do the same, does with its offer.
template <typename Do>
void with_offer(const Groups& groups, Do act) {
  support::Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    arith::ArithEngine arith(party, dealer.source(party.id()));
    KeyOffer offer(arith, groups);
    MemoryJournal journal;
    offer.mark(journal);
    if (party.id() == 0) act(offer);
    return true;
  });
  EXPECT_TRUE(run.outcomes[0].value && run.outcomes[1].value);
}

Bytes share_for(const RoScope& scope, std::initializer_list<uint8_t> fills) {
  Bytes out;
  with_offer({NamedGroup::kX25519MlKem768}, [&](KeyOffer& offer) {
    std::vector<SecretBytes> parts;
    for (const uint8_t fill : fills) parts.push_back(part(fill));
    offer.make_kem(scope, parts);
    const auto shares = offer.shares();
    ASSERT_EQ(shares.size(), 1u);
    out = shares[0].key;
  });
  EXPECT_EQ(out.size(), tls::client_share_size(NamedGroup::kX25519MlKem768));
  out.resize(math::MlKem768::kPublicKey);
  return out;
}

// 74: one part that is not known leaves the key unknown; no part can undo another.
TEST(KeyOffer, EveryPartAndTheConnectionAreInTheKey) {
  const Bytes key = share_for(scope_of(1), {1, 2});
  EXPECT_EQ(share_for(scope_of(1), {1, 2}), key);
  EXPECT_NE(share_for(scope_of(1), {1, 0}), key);
  EXPECT_NE(share_for(scope_of(1), {0, 2}), key);
  EXPECT_NE(share_for(scope_of(1), {2, 1}), key);
  EXPECT_NE(share_for(scope_of(2), {1, 2}), key);
  EXPECT_NE(share_for(scope_of(1), {7, 7}), share_for(scope_of(1), {9, 9}));
}

// §1.1: one point of X25519 for both entries, and the groups in their order.
TEST(KeyOffer, SharesOfOneCurveHaveOnePoint) {
  with_offer(all_groups(), [&](KeyOffer& offer) {
    const std::vector<SecretBytes> parts = [] {
      std::vector<SecretBytes> out;
      out.push_back(part(1));
      out.push_back(part(2));
      return out;
    }();
    offer.make_kem(scope_of(1), parts);
    const auto shares = offer.shares();
    ASSERT_EQ(shares.size(), 3u);
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(shares[k].group, all_groups()[k]);
    EXPECT_EQ(Bytes(shares[0].key.end() - 32, shares[0].key.end()), shares[1].key);
  });
}

// The server's side agrees, and nothing of the key or of what it gave stays in memory.
TEST(KeyOffer, DecapsulatesOnceAndForgets) {
  with_offer(all_groups(), [&](KeyOffer& offer) {
    Block masked;
    {
      std::vector<SecretBytes> parts;
      parts.push_back(part(3));
      parts.push_back(part(4));
      offer.make_kem(scope_of(1), parts);
    }
    const Bytes key = offer.shares()[0].key;
    const auto capsule =
        math::ml_kem_encapsulate(ByteView(key).first(math::MlKem768::kPublicKey), part(5));
    ASSERT_TRUE(capsule.has_value());
    tls::KeyShare server{NamedGroup::kX25519MlKem768, capsule->ciphertext};
    append(server.key, Bytes(32, 9));
    {
      const SecretBytes secret = offer.decapsulate(server);
      ASSERT_EQ(secret.size(), 32u);
      EXPECT_TRUE(std::equal(secret.reveal().begin(), secret.reveal().end(),
                             capsule->shared.reveal().begin()));
      masked = load_block(secret.reveal().data()) ^ support::kMask;
    }
    const_cast<SecretBytes&>(capsule->shared) = SecretBytes();
    EXPECT_EQ(support::copies_of(masked), 0u);
  });
}

/// What a key is made of, for the connection scope_of(1), as its members make it.
SecretBytes seed_of(std::span<const SecretBytes> parts) {
  SecretBytes seed(math::MlKem768::kSeed);
  for (uint64_t half = 0; half < 2; ++half) {
    RandomOracle hash("kem", scope_of(1), half);
    for (const SecretBytes& one : parts) hash.field(one.reveal());
    Digest digest = hash.digest();
    std::copy(digest.begin(), digest.end(), seed.writable().data() + half * digest.size());
    wipe(&digest, sizeof digest);
  }
  return seed;
}

// 74: kem_i, d, z, the decapsulation key and ss are gone from the memory when ss is.
TEST(MemoryImage, NothingOfTheKemKeyStaysBehindItsSecret) {
  with_offer(all_groups(), [&](KeyOffer& offer) {
    std::vector<Block> noted;
    const auto note = [&](const uint8_t* secret) {
      noted.push_back(load_block(secret) ^ support::kMask);
    };
    {
      std::vector<SecretBytes> parts;
      for (uint8_t i = 0; i < 2; ++i) {
        SecretBytes one(kKemPart);
        Prg::from_system().fill(one.writable());
        note(one.reveal().data());
        parts.push_back(std::move(one));
      }
      const SecretBytes seed = seed_of(parts);
      note(seed.reveal().data());
      note(seed.reveal().data() + 32);
      const math::MlKemKey same(seed);  // begins with what decapsulates
      note(reinterpret_cast<const uint8_t*>(&same));
      offer.make_kem(scope_of(1), parts);
    }
    for (const size_t k : {3, 4}) EXPECT_GT(support::copies_of(noted[k]), 0u) << k;
    const Bytes key = offer.shares()[0].key;
    std::optional<math::MlKemCapsule> capsule =
        math::ml_kem_encapsulate(ByteView(key).first(math::MlKem768::kPublicKey), part(5));
    tls::KeyShare server{NamedGroup::kX25519MlKem768, capsule.value().ciphertext};
    append(server.key, Bytes(32, 9));
    {
      const SecretBytes secret = offer.decapsulate(server);
      note(secret.reveal().data());
    }
    capsule.reset();
    for (size_t k = 0; k < noted.size(); ++k) EXPECT_EQ(support::copies_of(noted[k]), 0u) << k;
  });
}

TEST(KeyOffer, GroupsWithoutItGiveNothing) {
  with_offer(all_groups(), [&](KeyOffer& offer) {
    std::vector<SecretBytes> parts;
    parts.push_back(part(3));
    parts.push_back(part(4));
    offer.make_kem(scope_of(1), parts);
    EXPECT_TRUE(offer.decapsulate({NamedGroup::kX25519, Bytes(32)}).empty());
  });
}

}  // namespace
}  // namespace flexroom::agent
