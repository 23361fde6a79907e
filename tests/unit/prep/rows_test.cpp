#include "prep/rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "math/gf128.h"
#include "prep/joint_input.h"
#include "prep/memory_safety.h"
#include "prep/open.h"
#include "prep/session_prep.h"
#include "support/deal_epoch.h"
#include "support/parties.h"
#include "support/relations.h"

// members.md §3: rows made in one epoch and loaded in another, and who lies about them.

namespace flexroom::prep {
namespace {

using support::Dealer;

// M8: nothing comes out of a load without its verdict, nobody else makes one, and the operands of
// its product cannot be exchanged.
template <typename From, typename To>
concept Gives = std::is_convertible_v<From, To> || std::is_constructible_v<To, From>;
static_assert(!Gives<Unchecked<AuthBits>, AuthBits> && !Gives<Unchecked<AuthBits>&, AuthBits>);
static_assert(!std::is_default_constructible_v<RowVerdict>);
static_assert(!std::is_copy_constructible_v<Unchecked<AuthBits>>);
template <typename First, typename Second>
concept Multiplies = requires(net::Party& party, const Block& delta, First first, Second second,
                              std::span<const VecTriple> products) {
  row_products(party, delta, std::move(first), std::move(second), products);
};
static_assert(Multiplies<CombinedRow, RowKey> && !Multiplies<RowKey, CombinedRow>);
static_assert(!Multiplies<AuthField, AuthField>);

using Rows = std::vector<Bytes>;  // of one value, by member

Bytes sum_of(const Rows& rows) {
  Bytes out(rows[0].size());
  for (const Bytes& row : rows) {
    for (size_t t = 0; t < out.size(); ++t) out[t] ^= row[t];
  }
  return out;
}

Block block_of(const Bytes& bytes, size_t b) { return load_block(bytes.data() + 16 * b); }
void shift(Bytes& row, size_t b, const Block& by) {
  store_block(row.data() + 16 * b, block_of(row, b) ^ by);
}

std::vector<uint8_t> bits_of(ByteView bytes) {
  std::vector<uint8_t> out(8 * bytes.size());
  for (size_t t = 0; t < out.size(); ++t) out[t] = bytes[t / 8] >> (t % 8) & 1;
  return out;
}

const Bytes kKey = to_bytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");  // L = 3
const Bytes kCode = to_bytes("7");                                        // L = 1

class RowsTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  PartyId last() const { return static_cast<PartyId>(n_ - 1); }

  /// Rows of the values, made in an epoch of its own; [value][member].
  std::vector<Rows> store(const std::vector<Bytes>& values, uint64_t epoch = 1) const {
    Dealer dealer(n_, epoch);
    const auto run = support::run_parties(
        n_, [&](net::Party& party) { return store_one(party, dealer, values); });
    std::vector<Rows> out(values.size(), Rows(n_));
    for (PartyId i = 0; i < n_; ++i) {
      for (size_t s = 0; s < values.size(); ++s) out[s][i] = run.outcomes[i].value.value()[s];
    }
    return out;
  }
  static std::vector<Bytes> store_one(net::Party& party, Dealer& dealer,
                                      const std::vector<Bytes>& values) {
    std::vector<AuthBits> shared;
    for (size_t s = 0; s < values.size(); ++s) {
      shared.push_back(dealer.share_bits(party.id(), s, bits_of(values[s])));
    }
    std::vector<const AuthBits*> given;
    for (const AuthBits& bits : shared) given.push_back(&bits);
    std::vector<Bytes> out;
    for (const SecretBytes& row : store_rows(party, dealer.source(party.id()), given)) {
      out.emplace_back(row.reveal().begin(), row.reveal().end());
    }
    return out;
  }
  static std::vector<HeldRow> held(const std::vector<Rows>& rows, const std::vector<size_t>& bits,
                                   PartyId i) {
    std::vector<HeldRow> out;
    for (size_t s = 0; s < rows.size(); ++s) out.push_back({bits[s], rows[s][i]});
    return out;
  }
  auto load(const std::vector<Rows>& rows, const std::vector<size_t>& bits, uint64_t epoch = 2,
            net::Tamper tamper = nullptr) const {
    Dealer dealer(n_, epoch);
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          MemorySafety safety;
          auto out =
              load_rows(party, dealer.source(party.id()), safety, held(rows, bits, party.id()));
          EXPECT_EQ(safety.dirty(), 0u);
          return out;
        },
        std::move(tamper), std::chrono::seconds(60), epoch);
  }
  /// The values, or the code of the member that says why not.
  std::optional<AbortCode> why_not(const std::vector<Rows>& rows, const std::vector<size_t>& bits,
                                   PartyId at = 0) const {
    return support::decided_code([&] { return load(rows, bits).outcomes[at].code(); });
  }
  void expect_loads(const std::vector<Rows>& rows, const std::vector<Bytes>& values,
                    uint64_t epoch = 2) const {
    std::vector<size_t> bits;
    for (const Bytes& value : values) bits.push_back(8 * value.size());
    const auto run = load(rows, bits, epoch);
    Dealer dealer(n_, epoch);
    for (size_t s = 0; s < values.size(); ++s) {
      support::Views<AuthBits> views;
      for (const auto& outcome : run.outcomes) {
        ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
        views.push_back(&(*outcome.value)[s]);
      }
      std::vector<Block> deltas;
      for (PartyId i = 0; i < n_; ++i) deltas.push_back(dealer.delta(i));
      support::expect_authentic(views, deltas);
      EXPECT_EQ(support::secret_bits(views), bits_of(values[s]));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Sizes, RowsTest, ::testing::Values(2, 3));

TEST_P(RowsTest, ComeBackInAnyEpoch) {
  const std::vector<Bytes> values = {kKey, kCode, Bytes(32, 0x5a), Bytes(16)};
  const auto first = store(values, 1);
  expect_loads(first, values, 2);
  expect_loads(first, values, 3);
  const auto second = store(values, 4);
  expect_loads(second, values, 5);
  EXPECT_EQ(first[0][0].size(), 144u);
  EXPECT_EQ(first[1][0].size(), 80u);
  for (size_t s = 0; s < values.size(); ++s) {
    const Bytes a = sum_of(first[s]), b = sum_of(second[s]);
    const size_t count = row_value_blocks(8 * values[s].size()) + 1;
    for (const Bytes& string : {a, b}) {
      Bytes value(string.begin() + 16, string.begin() + 16 + static_cast<long>(values[s].size()));
      EXPECT_EQ(value, values[s]);
      for (size_t h = 0; h < count; ++h) {
        EXPECT_EQ(block_of(string, count + h),
                  math::gf_mul(block_of(string, 2 * count), block_of(string, h)));
      }
    }
    EXPECT_NE(block_of(a, 0), block_of(b, 0)) << "rho is fresh";
    EXPECT_NE(block_of(a, 2 * count), block_of(b, 2 * count)) << "k is fresh";
  }
}

// The bytes of a row, from a program of its own: rho = 1, k = X^127 + X.
TEST_P(RowsTest, AreTheKnownBytes) {
  const std::string kString =
      "01000000000000000000000000000000"   // x_0 = rho
      "774a616c725855746e46454d492f4b37"   // x_1..x_3: the value, zeros behind it
      "4d44454e472f62507852666943594558"   //
      "414d504c454b45590000000000000000"   //
      "02000000000000000000000000000080"   // tau_b = k x_b
      "6c740342d0e8295bc47eb6babe6a257e"   //
      "0afe367837e9d86050e5418438a531e5"   //
      "e23b6bfeb43fb5241600000000000080"   //
      "02000000000000000000000000000080";  // k
  const Bytes string = from_hex(kString);
  ASSERT_EQ(string.size(), row_bytes(8 * kKey.size()));
  Rows rows(n_, Bytes(string.size()));
  Prg prg(Block(3, 4));
  for (PartyId i = 0; i < last(); ++i) prg.fill(std::span<uint8_t>(rows[i]));
  rows[last()] = string;
  rows[last()] = sum_of(rows);
  expect_loads({rows}, {kKey});
}

// M3, in a run; two values in one ZERO.
TEST_P(RowsTest, OneFlippedBitOfAnyBlockOfAnyRowIsCaught) {
  const auto good = store({kCode, kKey});
  for (PartyId liar = 0; liar < n_; ++liar) {
    for (size_t s = 0; s < 2; ++s) {
      for (size_t b = 0; b < good[s][liar].size() / 16; ++b) {
        auto rows = good;
        rows[s][liar][16 * b + b % 16] ^= static_cast<uint8_t>(1u << (b % 8));
        EXPECT_EQ(why_not(rows, {8, 320}, liar == 0 ? 1 : 0), AbortCode::kRowTag) << s << " " << b;
      }
    }
  }
}

// M4: with equal metadata told; where it is not, `set` refuses first (store/secret_store.h).
TEST_P(RowsTest, ARowOfAnEarlierSetOrOfAnotherSecretIsCaught) {
  const auto before = store({kKey}, 1), now = store({kKey}, 3), other = store({Bytes(40, 1)}, 4);
  for (PartyId liar = 0; liar < n_; ++liar) {
    for (const auto& wrong : {before, other}) {
      auto rows = now;
      rows[0][liar] = wrong[0][liar];
      EXPECT_EQ(why_not(rows, {320}), AbortCode::kRowTag);
    }
  }
}

// M5: who shifts k by d and tau_1 by d g passes iff the value is g, were it not for rho.
TEST_P(RowsTest, NoGuessOfTheValueIsAnswered) {
  const auto good = store({kCode});
  for (char guess = '0'; guess <= '9'; ++guess) {
    auto rows = good;
    const Block d(3, 5);
    shift(rows[0][0], 4, d);
    shift(rows[0][0], 3, math::gf_mul(d, Block(0, static_cast<uint64_t>(guess))));
    EXPECT_EQ(why_not(rows, {8}), AbortCode::kRowTag) << guess;
  }
}

// What the products of a load were made with, as a member's own preprocessing sees them.
class NotedProducts : public Source {
 public:
  NotedProducts(Source& source, std::vector<Block>& a, std::vector<Block>& b)
      : source_(source), a_(a), b_(b) {}
  const Block& delta() const override { return source_.delta(); }
  AuthBits random_bits(size_t count) override { return source_.random_bits(count); }
  AuthBits owned_bits(PartyId o, size_t count) override { return source_.owned_bits(o, count); }
  AuthBits owned_bits_of(PartyId o, size_t count, std::span<const uint8_t> bits) override {
    return source_.owned_bits_of(o, count, bits);
  }
  AndTriples and_triples(size_t count) override { return source_.and_triples(count); }
  VecTriple vec_triple(size_t count) override {
    VecTriple out = source_.vec_triple(count);
    a_.push_back(out.a.share[0]);
    b_.push_back(out.b.share[0]);
    return out;
  }
  Powers powers(size_t most) override { return source_.powers(most); }
  RotSender rot_send(PartyId to, size_t count) override { return source_.rot_send(to, count); }
  RotReceiver rot_receive(PartyId from, size_t count, std::span<const uint8_t> c) override {
    return source_.rot_receive(from, count, c);
  }

 private:
  Source& source_;
  std::vector<Block>&a_, &b_;
};

// §3.2(3): chi_0 = 1, so that a value of zeros leaves X = rho; k in the place of b.
TEST_P(RowsTest, OpensXWithAAndTheKeyWithB) {
  const auto rows = store({Bytes(16)});
  Dealer dealer(n_, 2);
  std::vector<std::vector<Block>> a(n_), b(n_);
  Block opened_x, opened_k;
  support::run_parties(
      n_,
      [&](net::Party& party) {
        const PartyId i = party.id();
        MemorySafety safety;
        NotedProducts source(dealer.source(i), a[i], b[i]);
        return load_rows(party, source, safety, held(rows, {128}, i)).size();
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.label != "rows/product" || m.receiver != (m.sender == 0 ? 1u : 0u)) return;
        opened_x ^= load_block(payload.data());
        opened_k ^= load_block(payload.data() + 16);
      });
  for (PartyId i = 0; i < n_; ++i) {
    opened_x ^= a[i].at(0);
    opened_k ^= b[i].at(0);
  }
  const Bytes string = sum_of(rows[0]);
  EXPECT_EQ(opened_x, block_of(string, 0));
  EXPECT_EQ(opened_k, block_of(string, 4));
}

/// A session over real preprocessing, for lies in its messages.
template <typename Protocol>
auto run_real(size_t n, Protocol protocol, net::Tamper tamper = nullptr) {
  const auto epochs = support::deal_epoch(n);
  return support::run_parties(
      n,
      [&](net::Party& party) {
        MemorySafety safety;
        SessionPrep prep(party, epochs[party.id()], safety, {3, 256, 64, true});
        return protocol(party, prep, safety);
      },
      std::move(tamper));
}

// M6, M7: and whatever else a member says in a load. No altered message of one yields a value at
// its receiver; the same rows load in the next epoch (M12).
TEST_P(RowsTest, NoAlteredMessageOfALoadYieldsAValue) {
  const auto rows = store({kCode});
  const auto loading = [&](net::Party& party, Source& prep, Safety& safety) {
    return load_rows(party, prep, safety, held(rows, {8}, party.id())).size();
  };
  const auto honest = run_real(n_, loading);
  std::set<std::string> labels;
  for (const net::MessageId& message : honest.trace) {
    if (message.sender != last() || message.receiver != 0) continue;
    if (message.label == "field products/u") continue;  // half of them change nothing (FieldTest)
    labels.insert(message.label);
    const auto run = run_real(n_, loading, support::flip_bit_of(message, 3, 2));
    EXPECT_FALSE(run.outcomes[0].value.has_value()) << message.label << " " << message.index;
    EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& outcome) {
      return outcome.abort && outcome.abort->abort_class() == AbortClass::kBooleanCheat;
    })) << message.label;
  }
  for (const char* label : {"bits/choices", "rows/re-mask", "rows/product", "rows/zero verdict"}) {
    EXPECT_TRUE(labels.contains(label)) << label;
  }
  expect_loads(rows, {kCode}, 9);
}

TEST_P(RowsTest, NoAlteredMessageOfAStoreYieldsARow) {
  const auto storing = [&](net::Party& party, Source& prep, Safety&) {
    const AuthBits value = joint_input(party, prep, std::vector<bool>(n_, true),
                                       Bytes(1, static_cast<uint8_t>(party.id())), 8, "test");
    const AuthBits* given[] = {&value};
    return store_rows(party, prep, given).size();
  };
  std::set<std::string> labels;
  for (const net::MessageId& message : run_real(n_, storing).trace) {
    if (message.sender != last() || message.receiver != 0) continue;
    if (message.label == "field products/u") continue;  // half of them change nothing (FieldTest)
    labels.insert(message.label);
    const auto run = run_real(n_, storing, support::flip_bit_of(message, 3, 2));
    EXPECT_FALSE(run.outcomes[0].value.has_value()) << message.label << " " << message.index;
  }
  EXPECT_TRUE(labels.contains("rows/own row") && labels.contains("rows/tags"));
}

// --- Some hold rows, and others get them (members.md 1.2): a hand-over -------------------------

struct Sets {
  const char* name;
  size_t n;  // of U
  std::vector<PartyId> from, to;
};
std::ostream& operator<<(std::ostream& out, const Sets& sets) { return out << sets.name; }

class RowsBetweenTest : public ::testing::TestWithParam<Sets> {
 protected:
  const Sets sets_ = GetParam();

  std::vector<bool> holders() const {
    std::vector<bool> out(sets_.n, false);
    for (const PartyId i : sets_.from) out[i] = true;
    return out;
  }
  /// Rows of S of a value, by party.
  Rows rows_of(const Bytes& value, uint64_t seed) const {
    Prg prg(Block(seed, 3));
    const size_t count = row_value_blocks(8 * value.size()) + 1;
    Bytes string(row_bytes(8 * value.size()));
    prg.fill(std::span<uint8_t>(string).first(16));
    std::copy(value.begin(), value.end(), string.begin() + 16);
    const Block key = prg.next_block();
    for (size_t b = 0; b < count; ++b) {
      store_block(string.data() + 16 * (count + b), math::gf_mul(key, block_of(string, b)));
    }
    store_block(string.data() + 32 * count, key);
    Rows out(sets_.n);
    for (const PartyId i : sets_.from) {
      out[i].resize(string.size());
      if (i != sets_.from.back()) prg.fill(std::span<uint8_t>(out[i]));
      for (size_t t = 0; t < string.size(); ++t) string[t] ^= out[i][t];
    }
    out[sets_.from.back()] = string;
    return out;
  }
  /// Loaded from S by all, and stored to T: the new rows, by party.
  auto hand(const Rows& rows, size_t bits) const {
    Dealer dealer(sets_.n, 2);
    return support::run_parties(sets_.n, [&](net::Party& party) {
      MemorySafety safety;
      const HeldRow mine[] = {{bits, rows[party.id()]}};
      Source& source = dealer.source(party.id());
      const std::vector<AuthBits> loaded = load_rows(party, source, safety, mine, holders());
      const AuthBits* given[] = {&loaded[0]};
      Bytes out;
      for (const SecretBytes& row : store_rows(party, source, given, sets_.to)) {
        out.assign(row.reveal().begin(), row.reveal().end());
      }
      return out;
    });
  }
};
INSTANTIATE_TEST_SUITE_P(Sets, RowsBetweenTest,
                         ::testing::Values(Sets{"join", 3, {0, 1}, {0, 1, 2}},
                                           Sets{"leave", 3, {0, 1, 2}, {0, 1}},
                                           Sets{"replace", 3, {0, 1}, {2, 0}},
                                           Sets{"all but one new", 5, {0, 1, 2}, {0, 3, 4}}));

TEST_P(RowsBetweenTest, TheNewOwnersAloneGetRowsOfTheSameValue) {
  const Rows before = rows_of(kKey, 1);
  const auto run = hand(before, 320);
  Rows after;
  for (PartyId i = 0; i < sets_.n; ++i) {
    const Bytes& row = run.outcomes[i].value.value();
    const bool gets = std::count(sets_.to.begin(), sets_.to.end(), i) == 1;
    EXPECT_EQ(row.size(), gets ? 144u : 0u);
    if (gets) after.push_back(row);
  }
  const Bytes sum = sum_of(after);
  EXPECT_TRUE(std::equal(kKey.begin(), kKey.end(), sum.begin() + 16));
  for (size_t h = 0; h < 4; ++h) {
    EXPECT_EQ(block_of(sum, 4 + h), math::gf_mul(block_of(sum, 8), block_of(sum, h)));
  }
  for (const net::MessageId& message : run.trace) {
    if (message.label != "rows/own row") continue;
    EXPECT_EQ(std::count(sets_.to.begin(), sets_.to.end(), message.receiver), 1)
        << "each row is opened to its owner alone";
  }
}

// M3: every block of the row of every old member; M4: a row of an earlier set, or of another
// secret; M5: k shifted by d and tau_1 by d times a guess, right or wrong.
TEST_P(RowsBetweenTest, EveryLieOfAnOldMemberIsCaught) {
  const Rows good = rows_of(kCode, 1), earlier = rows_of(kCode, 2), other = rows_of(Bytes(1), 3);
  std::vector<Rows> lies;
  for (const PartyId liar : sets_.from) {
    for (size_t b = 0; b < row_blocks(8); ++b) {
      lies.push_back(good);
      lies.back()[liar][16 * b + b] ^= static_cast<uint8_t>(1u << b);
    }
    for (const Rows* row : {&earlier, &other}) {
      lies.push_back(good);
      lies.back()[liar] = (*row)[liar];
    }
    for (const uint64_t guess : {uint64_t{'7'}, uint64_t{'8'}}) {
      lies.push_back(good);
      const Block d(3, 5);
      shift(lies.back()[liar], 4, d);
      shift(lies.back()[liar], 3, math::gf_mul(d, Block(0, guess)));
    }
  }
  for (size_t k = 0; k < lies.size(); ++k) {
    for (const PartyId i : sets_.to) {
      const auto code = support::decided_code([&] { return hand(lies[k], 8).outcomes[i].code(); });
      EXPECT_EQ(code, AbortCode::kRowTag) << k;
      break;
    }
  }
}

// M14: what was loaded in one epoch is nothing in another one: other global keys, other MACs.
TEST(RowsOfThree, BitsOfAnEarlierEpochFailInTheNext) {
  const auto code = support::decided_code([&] {
    Dealer old_epoch(3, 1), next(3, 2);
    return support::run_parties(
               3,
               [&](net::Party& party) {
                 const PartyId i = party.id();
                 const AuthBits kept = old_epoch.share_bits(i, 0, bits_of(kCode));
                 return open_bits(party, next.source(i).delta(), kept, "test").size();
               })
        .outcomes[0]
        .code();
  });
  EXPECT_EQ(code, AbortCode::kMac);
}

// Turns of sending and receiving; many values go in those of one (members.md §12).
TEST(RowsOfTwo, ManyValuesTakeTheFlowsOfOne) {
  const auto flows = [](size_t count) {
    const auto run = run_real(2, [&](net::Party& party, Source& prep, Safety& safety) {
      (void)prep.random_bits(1);
      const size_t before = party.traffic().half_rounds;
      const std::vector<Bytes> rows(count, Bytes(row_bytes(8)));
      std::vector<HeldRow> held;
      for (const Bytes& row : rows) held.push_back({8, row});
      const std::vector<AuthBits> values = load_rows(party, prep, safety, held);
      const size_t loaded = party.traffic().half_rounds;
      std::vector<const AuthBits*> given;
      for (const AuthBits& value : values) given.push_back(&value);
      (void)store_rows(party, prep, given);
      return std::pair<size_t, size_t>(loaded - before, party.traffic().half_rounds - loaded);
    });
    return run.outcomes[0].value.value();
  };
  const auto one = flows(1), ten = flows(10);
  EXPECT_LE(one.first, 12u);
  EXPECT_LE(one.second, 8u);
  EXPECT_EQ(ten.first, one.first);
  EXPECT_LE(ten.second, one.second + 3) << "a batch of bits";
}

// Different bits to different peers (M6).
TEST(RowsOfThree, OtherRowBitsToOnePeerFailTheEcho) {
  const Rows rows(3, Bytes(row_bytes(8)));
  const auto code = support::decided_code([&] {
    return run_real(
               3,
               [&](net::Party& party, Source& prep, Safety& safety) {
                 const HeldRow mine[] = {{8, rows[party.id()]}};
                 return load_rows(party, prep, safety, mine).size();
               },
               support::flip_bit_of({0, 1, "bits/choices", 0, 0}))
        .outcomes[1]
        .code();
  });
  EXPECT_EQ(code, AbortCode::kEcho);
}

// A verdict that is not heard counts as unfinished; one that says no does not.
TEST_P(RowsTest, AHiddenVerdictIsCounted) {
  const auto good = store({kCode});
  auto bad = good;
  bad[0][0][0] ^= 1;
  for (const bool hide : {true, false}) {
    Dealer dealer(n_, 2);
    std::vector<size_t> dirty(n_);
    const auto run = support::run_parties(
        n_,
        [&](net::Party& party) {
          MemorySafety safety;
          try {
            return load_rows(party, dealer.source(party.id()), safety,
                             held(hide ? good : bad, {8}, party.id()))
                .size();
          } catch (...) {
            dirty[party.id()] = safety.dirty();
            throw;
          }
        },
        [&](const net::MessageId& m, Bytes&) {
          if (hide && m.sender == last() && m.label == "rows/zero verdict") {
            throw ProtocolAbort(AbortCode::kCancelled, "test", "goes away");
          }
        });
    EXPECT_FALSE(run.outcomes[0].value.has_value());
    EXPECT_EQ(dirty[0], hide ? 1u : 0u);
  }
}

// M1: an old row of one member and new rows of others are nothing, with all that a third one sees.
TEST(RowsOfThree, OldAndNewRowsDoNotCombine) {
  constexpr size_t kMembers = 3;
  const auto rows = [&](uint64_t epoch) {
    Dealer dealer(kMembers, epoch);
    Rows out(kMembers);
    const auto run = support::run_parties(kMembers, [&](net::Party& party) {
      const AuthBits value = dealer.share_bits(party.id(), 0, bits_of(kKey));
      const AuthBits* given[] = {&value};
      return SecretBytes(std::move(store_rows(party, dealer.source(party.id()), given)[0]));
    });
    for (PartyId i = 0; i < kMembers; ++i) {
      const ByteView row = run.outcomes[i].value->reveal();
      out[i].assign(row.begin(), row.end());
    }
    return out;
  };
  const Rows before = rows(1), after = rows(2);
  const std::vector<Bytes> copies = {before[0], before[2], after[1], after[2]};
  for (unsigned which = 0; which < 16; ++which) {
    Bytes sum(before[0].size());
    for (size_t c = 0; c < copies.size(); ++c) {
      for (size_t t = 0; (which >> c & 1) != 0 && t < sum.size(); ++t) sum[t] ^= copies[c][t];
    }
    EXPECT_FALSE(std::equal(kKey.begin(), kKey.begin() + 16, sum.begin() + 16));
  }
  EXPECT_TRUE(std::equal(kKey.begin(), kKey.end(), sum_of(before).begin() + 16));
}

}  // namespace
}  // namespace flexroom::prep
