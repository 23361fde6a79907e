#include "prep/open.h"

#include <gtest/gtest.h>

#include "math/gf128.h"
#include "support/deal_epoch.h"
#include "support/dependent.h"
#include "support/parties.h"
#include "unit/prep/relations.h"

namespace flexroom::prep {
namespace {

constexpr size_t kCount = 203;

RoScope scope_of_tests() {
  RoScope scope;
  scope.eid[0] = 1;
  scope.sid[0] = 2;
  return scope;
}

class OpenTest : public ::testing::TestWithParam<size_t /* num_parties */> {
 protected:
  const size_t n_ = GetParam();
  const std::vector<Block> deltas_ = deltas_of(support::deal_epoch(n_));
  const std::vector<AuthBits> bits_ = dealt_bits(deltas_, kCount);

  std::vector<uint8_t> expected() const {
    std::vector<uint8_t> out(kCount);
    for (size_t t = 0; t < kCount; ++t) {
      for (const auto& view : bits_) out[t] ^= static_cast<uint8_t>(view.share(t));
    }
    return out;
  }
  auto run_open(net::Tamper tamper = nullptr) const {
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          return open_bits(party, deltas_[party.id()], bits_[party.id()], "test/open");
        },
        tamper);
  }
};

TEST_P(OpenTest, EverybodyGetsTheBits) {
  const auto run = run_open();
  for (const auto& outcome : run.outcomes) EXPECT_EQ(*outcome.value, expected());
  for (const auto& m : run.trace) EXPECT_EQ(m.bytes, (kCount + 7) / 8 + 16);
}

TEST_P(OpenTest, AnyFlippedBitOrTagIsAMacFailureAtItsReceiver) {
  const size_t last = (kCount + 7) / 8 + 15;
  for (const auto& m : run_open().trace) {
    for (const size_t at : {size_t{0}, size_t{25}, size_t{26}, last}) {
      const auto run = run_open(support::flip_bit_of(m, at));
      EXPECT_EQ(run.outcomes[m.receiver].code(), AbortCode::kMac);
      EXPECT_EQ(run.outcomes[m.receiver].abort->peer(), m.sender);
    }
  }
}

// Parts of any size are opened as the array that they were cut from: the same bytes, the same tag.
TEST_P(OpenTest, PartsAreOpenedAsOneArray) {
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{64}, size_t{77}, kCount}) {
    const auto run = [&](bool parts, net::Tamper tamper) {
      return support::run_parties(
          n_,
          [&](net::Party& party) {
            const AuthBits& all = bits_[party.id()];
            const AuthBits front = all.slice(0, cut), back = all.slice(cut, kCount - cut);
            std::vector<const AuthBits*> opened = {&all};
            if (parts) opened = {&front, &back};
            BitOpening opening(party, deltas_[party.id()], opened, "test/open");
            opening.send_to_all();
            opening.receive_from_all();
            return opening.result();
          },
          tamper);
    };
    std::vector<Bytes> whole, cut_up;
    const auto keep = [](std::vector<Bytes>& out) {
      return [&out](const net::MessageId& m, Bytes& payload) {
        if (m.sender == 0 && m.receiver == 1) out.push_back(payload);
      };
    };
    (void)run(false, keep(whole));
    const auto outcome = run(true, keep(cut_up));
    EXPECT_EQ(cut_up, whole) << cut;
    for (const auto& one : outcome.outcomes) EXPECT_EQ(*one.value, expected());

    const auto flipped = run(true, [&](const net::MessageId& m, Bytes& payload) {
      if (m.sender == 0 && m.receiver == 1) payload[kCount / 8] ^= 1;  // of the last part
    });
    EXPECT_EQ(flipped.outcomes[1].code(), AbortCode::kMac);
  }
}

// A sender that sets bits beyond its last share, with the tag that fits that message.
TEST_P(OpenTest, SpareBitsAreRefusedThoughTheirTagFits) {
  const auto liar = static_cast<PartyId>(n_ - 1);
  const auto run = run_open([&](const net::MessageId& m, Bytes& payload) {
    if (m.sender != liar || m.receiver != 0) return;
    const size_t packed = (kCount + 7) / 8;
    payload[packed - 1] |= 0x80;
    const math::ChiStream chi(RandomOracle("mac", scope_of_tests(), 0, liar)
                                  .field("test/open")
                                  .field(uint64_t{kCount})
                                  .field(ByteView(payload).first(packed))
                                  .block());
    math::GfSum tag;
    chi.accumulate(tag, 0, bits_[liar].mac[0].span());
    store_block(payload.data() + packed, tag.value());
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kUnexpectedMessage);
}

TEST_P(OpenTest, ToOneShowsItToThatOneOnly) {
  const auto run = support::run_parties(n_, [&](net::Party& party) {
    BitOpening opening(party, deltas_[party.id()], bits_[party.id()], "test/to one");
    if (party.id() != 1) {
      opening.send_to(1);
      return std::vector<uint8_t>();
    }
    opening.receive_from_all();
    return opening.result();
  });
  EXPECT_EQ(*run.outcomes[1].value, expected());
  for (const auto& m : run.trace) EXPECT_EQ(m.receiver, PartyId{1});
}

TEST_P(OpenTest, ConstantsKeepTheRelations) {
  for (PartyId holder = 0; holder < n_; ++holder) {
    std::vector<AuthBits> changed;
    std::vector<uint8_t> constants(kCount);
    for (size_t t = 0; t < kCount; ++t) constants[t] = static_cast<uint8_t>(t % 3 == 0);
    std::vector<const AuthBits*> views;
    for (PartyId i = 0; i < n_; ++i) {
      changed.push_back(bits_[i].clone());
      add_constants(changed[i], constants, deltas_[i], holder);
    }
    for (const auto& view : changed) views.push_back(&view);
    expect_relations(views, deltas_);
    for (size_t t = 0; t < kCount; ++t) {
      EXPECT_EQ(changed[holder].share(t), bits_[holder].share(t) ^ (t % 3 == 0));
    }
  }
}

// Field openings: shares and MACs of packed bits.
TEST_P(OpenTest, FieldElementsOpenAndEveryFlipFails) {
  std::vector<AuthField> fields;
  Block secret;
  for (PartyId i = 0; i < n_; ++i) {
    fields.emplace_back(i, n_, 1);
    const Bytes shares = bits_[i].packed_shares();
    fields[i].share[0] = load_block(shares.data());
    secret ^= fields[i].share[0];
    for (PartyId j = 0; j < n_; ++j) {
      if (j == i) continue;
      fields[i].mac[j][0] = math::gf_pack(bits_[i].mac[j].span().first(128));
      fields[i].key[j][0] = math::gf_pack(bits_[i].key[j].span().first(128));
    }
  }
  const auto open = [&](net::Tamper tamper) {
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          return open_field(party, deltas_[party.id()], fields[party.id()], "test/field");
        },
        tamper);
  };
  const auto run = open(nullptr);
  for (const auto& outcome : run.outcomes) EXPECT_EQ((*outcome.value)[0], secret);
  for (const auto& m : run.trace) {
    for (const size_t at : {0, 15, 16, 31}) {
      EXPECT_EQ(open(support::flip_bit_of(m, at)).outcomes[m.receiver].code(), AbortCode::kMac);
    }
  }
}

// §3.4: the seed of an opening covers what is opened. A sender that knows chi before it fixes its
// shares would open other values with the tag of the true ones: bits whose chi sum to zero,
// elements whose errors do.
TEST_P(OpenTest, ASeedThatIsKnownBeforeTheBitsWouldForgeThem) {
  const auto liar = static_cast<PartyId>(n_ - 1);
  for (const bool after_the_bits : {false, true}) {
    size_t lies = 0;
    const auto run = run_open([&](const net::MessageId& m, Bytes& payload) {
      if (m.sender != liar || m.receiver != 0) return;
      RandomOracle seed("mac", scope_of_tests(), 0, liar);
      seed.field("test/open").field(uint64_t{kCount});
      if (after_the_bits) seed.field(ByteView(payload).first((kCount + 7) / 8));
      std::vector<Block> chi(kCount);
      math::ChiStream(seed.block()).fill(0, chi);
      for (const size_t t : support::dependent(chi)) {
        payload[t / 8] ^= static_cast<uint8_t>(1u << (t % 8));
        ++lies;
      }
    });
    EXPECT_GT(lies, 0u);
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac) << after_the_bits;
  }
}

TEST_P(OpenTest, ASeedThatIsKnownBeforeTheElementsWouldForgeThem) {
  const auto liar = static_cast<PartyId>(n_ - 1);
  const std::vector<AuthBits> bits = dealt_bits(deltas_, 256);
  std::vector<AuthField> fields;
  for (PartyId i = 0; i < n_; ++i) {
    fields.emplace_back(i, n_, 2);
    const Bytes shares = bits[i].packed_shares();
    for (size_t h = 0; h < 2; ++h) {
      fields[i].share[h] = load_block(shares.data() + 16 * h);
      for (PartyId j = 0; j < n_; ++j) {
        if (j == i) continue;
        fields[i].mac[j][h] = math::gf_pack(bits[i].mac[j].span().subspan(128 * h, 128));
        fields[i].key[j][h] = math::gf_pack(bits[i].key[j].span().subspan(128 * h, 128));
      }
    }
  }
  for (const bool after_the_shares : {false, true}) {
    const auto run = support::run_parties(
        n_,
        [&](net::Party& party) {
          return open_field(party, deltas_[party.id()], fields[party.id()], "test/field");
        },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != liar || m.receiver != 0) return;
          RandomOracle seed("mac field", scope_of_tests(), 0, liar);
          seed.field("test/field");
          if (after_the_shares) seed.field(ByteView(payload).first(32));
          std::vector<Block> chi(2);
          math::ChiStream(seed.block()).fill(0, chi);
          store_block(payload.data(), load_block(payload.data()) ^ chi[1]);
          store_block(payload.data() + 16, load_block(payload.data() + 16) ^ chi[0]);
        });
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac) << after_the_shares;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, OpenTest, ::testing::Values(2, 3));

// A sharing is consumed by moving it; what is left must not pass for one of the same size.
TEST(AuthBits, MovedFromIsEmpty) {
  AuthBits bits(0, 2, 5);
  AuthBits taken = std::move(bits);
  EXPECT_EQ(taken.size(), 5u);
  EXPECT_TRUE(bits.empty());  // NOLINT(bugprone-use-after-move): that is the question
  bits = std::move(taken);
  EXPECT_EQ(bits.size(), 5u);
  EXPECT_TRUE(taken.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(AuthBits, SlicesAppendAndPackedSharesAgree) {
  const std::vector<Block> deltas = deltas_of(support::deal_epoch(2));
  const std::vector<AuthBits> bits = dealt_bits(deltas, 77);
  AuthBits joined = bits[0].slice(0, 30);
  joined.append(bits[0].slice(30, 47));
  EXPECT_EQ(joined.packed_shares(), bits[0].packed_shares());
  for (size_t t = 0; t < 77; ++t) EXPECT_EQ(joined.mac[1][t], bits[0].mac[1][t]);
  joined.add(bits[0]);
  for (size_t t = 0; t < 77; ++t) EXPECT_EQ(joined.key[1][t], Block());
}

}  // namespace
}  // namespace flexroom::prep
