#include "net/pair_key.h"

#include <gtest/gtest.h>

#include "support/memory_image.h"
#include "support/tcp_members.h"

// tls-complete.md §2.2a: how a pair key is made, and who is given it.

namespace flexroom::net {
namespace {

using math::MlKem768;

Digest filled(uint8_t byte) {
  Digest out;
  out.fill(byte);
  return out;
}
MeshScope scope_of(PartyId self, uint8_t room = 7) {
  return MeshScope(filled(room), {filled(0x11), filled(0x22), filled(0x33)}, self);
}

/// One member's side, with randomness that tests know.
struct Side {
  Side(const MeshScope& scope, PartyId peer, uint64_t seed)
      : prg(Block(1, seed)), exchange(scope, peer, prg) {}
  Prg prg;
  PairKeyExchange exchange;
};

struct Made {
  PairKey first, second;
};
/// Of members 0 and `other`; what travels is altered on the way.
struct Wire {
  std::function<void(Bytes&)> key = [](Bytes&) {};
  std::function<void(Bytes&)> answer = [](Bytes&) {};
};
Made make(const MeshScope& first, const MeshScope& second, const Wire& wire = {}) {
  Side a(first, second.self, 1), b(second, first.self, 2);
  Bytes key = a.exchange.public_key();
  wire.key(key);
  auto to_b = a.exchange.answer(b.exchange.public_key());
  const auto to_a = b.exchange.answer(key);
  EXPECT_TRUE(to_a && to_b);
  wire.answer(*to_b);
  return {a.exchange.finish(*to_a), b.exchange.finish(*to_b)};
}
std::string shown(const PairKey& key) { return to_hex(key.id) + ' ' + to_hex(key.secret.reveal()); }

// By the model of the specification, from the same seeds.
TEST(PairKey, KnownAnswer) {
  const MeshScope scope = scope_of(0);
  EXPECT_EQ(to_hex(scope.room), "10c8a7b82aad347e8e1a91015155c8c4ce5367aa2e26f77d6f00256f198c119a");
  const Made made = make(scope, scope_of(2));
  EXPECT_EQ(shown(made.first),
            "2bf5ebac116b292a4f4edb88add0e21f "
            "61b95b4b6e94962d9aa6c01673d851538a9fa4ddb8bfa862f7bcf808450d6442");
  EXPECT_EQ(shown(made.second), shown(made.first));
}

TEST(PairKey, WhateverIsAlteredOnTheWayGivesNoCommonKey) {
  for (const size_t at : {size_t{0}, size_t{700}, MlKem768::kPublicKey - 1}) {
    const Made made = make(scope_of(0), scope_of(2), {.key = [&](Bytes& key) { key[at] ^= 1; }});
    EXPECT_NE(made.first.id, made.second.id) << at;
    EXPECT_NE(to_hex(made.first.secret.reveal()), to_hex(made.second.secret.reveal())) << at;
  }
  for (size_t at = 0; at < MlKem768::kCiphertext; at += 64) {
    const Made made =
        make(scope_of(0), scope_of(2), {.answer = [&](Bytes& answer) { answer[at] ^= 0x80; }});
    EXPECT_NE(made.first.id, made.second.id) << at;
    EXPECT_NE(to_hex(made.first.secret.reveal()), to_hex(made.second.secret.reveal())) << at;
  }
}

// The same randomness in another room, with another member, or in another place.
TEST(PairKey, IsOfOneRoomAndOnePair) {
  const Made made = make(scope_of(0), scope_of(2));
  const Made room = make(scope_of(0, 8), scope_of(2, 8));
  const Made pair = make(scope_of(0), scope_of(1));
  const Made place = make(scope_of(2), scope_of(0));
  for (const Made* other : {&room, &pair, &place}) {
    EXPECT_EQ(shown(other->first), shown(other->second));
    EXPECT_NE(other->first.id, made.first.id);
    EXPECT_NE(to_hex(other->first.secret.reveal()), to_hex(made.first.secret.reveal()));
  }
  const Made differ = make(scope_of(0), scope_of(2, 8));
  EXPECT_NE(differ.first.id, differ.second.id);
}

TEST(PairKey, WhatIsNoKeyOrTheOwnOneIsNotAnswered) {
  const MeshScope scope = scope_of(0);
  Bytes key = Side(scope_of(2), 0, 2).exchange.public_key();
  EXPECT_TRUE(Side(scope, 2, 1).exchange.answer(key));
  key[0] = 0xff;
  key[1] |= 0x0f;
  EXPECT_FALSE(Side(scope, 2, 1).exchange.answer(key));
  Side reflected(scope, 2, 1);
  EXPECT_FALSE(reflected.exchange.answer(reflected.exchange.public_key()));
}

TEST(PairKeyDeathTest, EachStepOnce) {
  const MeshScope scope = scope_of(0);
  Side side(scope, 2, 1);
  EXPECT_DEATH((void)side.exchange.finish(Bytes(MlKem768::kCiphertext)), "");
  const Bytes key = Side(scope_of(2), 0, 2).exchange.public_key();
  ASSERT_TRUE(side.exchange.answer(key));
  EXPECT_DEATH((void)side.exchange.answer(key), "");
}

PairKey key_of(uint8_t byte) {
  PairKey out;
  out.id.fill(byte);
  out.secret = SecretBytes(Bytes(32, byte));
  return out;
}

// What a member sends is accepted as what the other one sends, and as nothing else.
TEST(PairKeys, AreFoundByTheOtherEndOnly) {
  PairKeys low, high;
  low.set(scope_of(0), 2, key_of(5), filled(1));
  high.set(scope_of(2), 0, key_of(5), filled(2));
  const auto offered = high.offer(scope_of(2), 0);
  ASSERT_TRUE(offered);
  EXPECT_EQ(offered->peer, 0u);
  EXPECT_EQ(offered->signing_key, filled(2));
  const auto found = low.find(scope_of(0), offered->identity);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->peer, 2u);
  EXPECT_EQ(to_hex(found->secret.reveal()), to_hex(offered->secret.reveal()));
  EXPECT_EQ(found->signing_key, filled(1));

  EXPECT_FALSE(high.find(scope_of(2), offered->identity)) << "reflected";
  EXPECT_FALSE(low.find(scope_of(0, 8), offered->identity)) << "another room";
  EXPECT_FALSE(low.offer(scope_of(0, 8), 2));
  EXPECT_FALSE(low.offer(scope_of(0), 1)) << "another pair";
  EXPECT_FALSE(high.find(scope_of(1), offered->identity));
  for (size_t bit = 0; bit < 8 * PairKeys::kIdentity; ++bit) {
    Bytes other = offered->identity;
    other[bit / 8] = static_cast<uint8_t>(other[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(low.find(scope_of(0), other)) << bit;
  }
  for (size_t size = 0; size < PairKeys::kIdentity; ++size) {
    EXPECT_FALSE(low.find(scope_of(0), ByteView(offered->identity).first(size)));
  }
  Bytes longer = offered->identity;
  longer.push_back(0);
  EXPECT_FALSE(low.find(scope_of(0), longer));
}

TEST(PairKeys, EndAfterTheirConnections) {
  EXPECT_EQ(PairKeys::kMaxConnections, uint64_t{1} << 20);
  PairKeys keys(2);
  const MeshScope scope = scope_of(0);
  keys.set(scope, 2, key_of(5), {});
  const auto old = *keys.offer(scope, 2);
  keys.count(scope, old);
  EXPECT_TRUE(keys.offer(scope, 2));
  keys.set(scope, 2, key_of(6), {});  // what counted for the old one does not for the new one
  keys.count(scope, old);
  keys.forget(scope, old);
  const auto use = *keys.offer(scope, 2);
  keys.count(scope, use);
  EXPECT_TRUE(keys.offer(scope, 2));
  keys.count(scope, use);
  EXPECT_FALSE(keys.offer(scope, 2));
  keys.set(scope, 2, key_of(7), {});
  keys.forget(scope, *keys.offer(scope, 2));
  EXPECT_FALSE(keys.offer(scope, 2));
}

Block noted(ByteView secret) { return load_block(secret.data()) ^ support::kMask; }

TEST(MemoryImage, WhatAPairKeyIsMadeOfIsWiped) {
  std::vector<Block> secrets;
  {
    const MeshScope first = scope_of(0), second = scope_of(2);
    Side a(first, 2, 91), b(second, 0, 92);
    Prg again(Block(1, 91));
    SecretBytes drawn(MlKem768::kSeed + MlKem768::kMessage);
    again.fill(drawn.writable().first(MlKem768::kSeed));
    again.fill(drawn.writable().last(MlKem768::kMessage));
    for (const size_t at : {0, 32, 64}) secrets.push_back(noted(drawn.reveal().subspan(at)));
    const auto capsule = math::ml_kem_encapsulate(
        b.exchange.public_key(), SecretBytes::copy_of(drawn.reveal().last(MlKem768::kMessage)));
    secrets.push_back(noted(capsule->shared.reveal()));
    const auto to_b = a.exchange.answer(b.exchange.public_key());
    const auto to_a = b.exchange.answer(a.exchange.public_key());
    const PairKey key = a.exchange.finish(*to_a);
    EXPECT_EQ(shown(b.exchange.finish(*to_b)), shown(key));
    secrets.push_back(noted(key.secret.reveal()));
    EXPECT_GT(support::copies_of(secrets[4]), 0u);
  }
  for (size_t k = 0; k < secrets.size(); ++k) EXPECT_EQ(support::copies_of(secrets[k]), 0u) << k;
}

// Also out of OpenSSL's memory, while the link is up.
TEST(MemoryImage, APairKeyLivesAsLongAsItsKeeper) {
  support::TcpMembers members(2);
  auto keys = std::make_unique<std::array<PairKeys, 2>>();
  for (PartyId i = 0; i < 2; ++i) members.configs[i].pair_keys = &(*keys)[i];
  const auto meshes = members.join_all();
  Block secret;
  {
    const MeshScope scope(
        {}, {members.identities[0].fingerprint(), members.identities[1].fingerprint()}, 1);
    secret = noted(keys->at(1).offer(scope, 0)->secret.reveal());
  }
  EXPECT_GT(support::copies_of(secret), 0u);
  keys.reset();
  EXPECT_EQ(support::copies_of(secret), 0u);
  meshes[0]->send(1, Bytes(3));
  EXPECT_EQ(meshes[1]->receive(0), Bytes(3));
}

}  // namespace
}  // namespace flexroom::net
