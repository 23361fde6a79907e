#include "agent/prepared_stock.h"

#include <gtest/gtest.h>

#include "agent/memory_journal.h"
#include "agent/sealed_circuits.h"
#include "circuits/answer.h"
#include "support/dealer.h"
#include "support/parties.h"
#include "support/sweeps.h"

// What an answer leaves for the next one (tls-in-mpc.md §4.2 "Left over").

namespace flexroom {
namespace {

using agent::PreparedCircuits;
using agent::PreparedStock;

std::shared_ptr<const mpc::Program> digit_program() {
  static const auto made = std::make_shared<const mpc::Program>(
      mpc::compile(circuits::class_circuit({circuits::byte_set("0123456789")})));
  return made;
}
std::shared_ptr<const mpc::Program> letter_program() {
  static const auto made = std::make_shared<const mpc::Program>(
      mpc::compile(circuits::class_circuit({circuits::byte_set("abcdef")})));
  return made;
}

/// One member with a session's engine, and the circuits of one answer after the other.
class StockMember {
 public:
  StockMember(net::Party& party, support::Dealer& dealer)
      : party_(party),
        dealer_(dealer),
        source_(dealer.source(party.id())),
        arith_(party, source_),
        engine_(party, source_) {}

  /// Three digits and a letter; the first `runs` digits run on the text "1".
  std::vector<int> answer(size_t runs) {
    PreparedCircuits circuits;
    for (size_t k = 0; k < 3; ++k) circuits.add_general("digit", digit_program());
    circuits.add("letter", letter_program());
    needed = circuits.num_triples(&stock);
    stock.agree(party_);
    circuits.prepare(context());
    taken = circuits.ands_taken();
    std::vector<int> out;
    const prep::AuthBits text = dealer_.share_bits(party_.id(), 1, {1, 0, 0, 0, 1, 1, 0, 0});
    for (size_t k = 0; k < runs; ++k) out.push_back(run(circuits, "digit", text));
    circuits.confirm();
    circuits.leave(stock);
    return out;
  }
  const agent::Context& context() const { return context_; }
  net::Party& party() { return party_; }

  PreparedStock stock;
  uint64_t needed = 0, taken = 0;

 private:
  int run(PreparedCircuits& circuits, std::string_view name, const prep::AuthBits& text) {
    PreparedCircuits::Inputs inputs;
    inputs.dyn = {{"text", &text}};
    const agent::Views views(party_, {});
    return int{circuits.run(*circuits.find(name), inputs, views, {}).opened.at(0).at(0)};
  }

  net::Party& party_;
  support::Dealer& dealer_;
  prep::Source& source_;
  arith::ArithEngine arith_;
  boolean::Engine engine_;
  agent::MemoryJournal journal_;
  const agent::Context context_{party_, source_, arith_, engine_, journal_, &stock};
};

class PreparedStockTest : public ::testing::TestWithParam<size_t> {};

size_t prepared_by(const std::vector<net::MessageId>& trace, PartyId sender) {
  size_t out = 0;
  for (const net::MessageId& message : trace) {
    out += message.sender == sender && message.receiver == (sender == 0 ? 1u : 0u) &&
           message.label == "boolean/prepare";
  }
  return out;
}

TEST_P(PreparedStockTest, TheNextAnswerTakesWhatWasNotRun) {
  support::Dealer dealer(GetParam());
  const uint32_t digit = digit_program()->num_triples, letter = letter_program()->num_triples;
  const auto run = support::run_parties(GetParam(), [&](net::Party& party) {
    StockMember member(party, dealer);
    EXPECT_EQ(member.answer(1), std::vector<int>({1}));
    EXPECT_EQ(member.needed, 3 * digit + letter);
    EXPECT_EQ(member.taken, 0u);
    EXPECT_EQ(member.stock.count("digit", *digit_program()), 2u);
    EXPECT_EQ(member.stock.count("letter", *letter_program()), 0u);  // of that answer alone
    EXPECT_EQ(member.answer(3), std::vector<int>({1, 1, 1}));
    EXPECT_EQ(member.needed, digit + letter);
    EXPECT_EQ(member.taken, 2 * digit_program()->num_ands());
    EXPECT_EQ(member.stock.count("digit", *digit_program()), 0u);
    EXPECT_EQ(member.answer(0), std::vector<int>());
    EXPECT_EQ(member.answer(0), std::vector<int>());
    EXPECT_EQ(member.needed, letter);
    return member.stock.count("digit", *digit_program()) == 3;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
  for (PartyId i = 0; i < GetParam(); ++i) EXPECT_EQ(prepared_by(run.trace, i), 4u);  // a list each
}

// Attack: a member takes from its own stock what the others never put there, or has used already.
TEST_P(PreparedStockTest, AnotherStockIsRefusedByNameBeforeAnythingIsTaken) {
  const PartyId cheat = static_cast<PartyId>(GetParam() - 1);
  for (const bool products : {false, true}) {
    SCOPED_TRACE(products);
    support::Dealer dealer(GetParam());
    const auto run = support::run_parties(GetParam(), [&](net::Party& party) {
      StockMember member(party, dealer);
      (void)member.answer(1);
      std::vector<prep::VecTriple> made =
          dealer.source(party.id()).vec_triples(std::vector<size_t>(2, 1));
      if (party.id() == cheat && products) made.pop_back();
      member.stock.put_products(std::move(made));
      if (party.id() == cheat && !products) {
        (void)member.stock.take("digit", *digit_program());
      }
      try {
        (void)member.answer(1);
      } catch (const ProtocolAbort& abort) {
        if (party.id() != cheat) {
          if (abort.code() == AbortCode::kDisagreement) {
            EXPECT_EQ(abort.peer(), cheat);
          }
          EXPECT_EQ(member.stock.count("digit", *digit_program()), 2u);
          EXPECT_EQ(member.stock.take_products(3).size(), 2u);
        }
        throw;
      }
      return true;
    });
    // Who sees the difference leaves; of three, another one may be told of that first.
    const auto saw = [&](PartyId i) { return run.outcomes[i].code() == AbortCode::kDisagreement; };
    EXPECT_TRUE(saw(0) || (GetParam() == 3 && saw(1)));
    for (PartyId i = 0; i < GetParam(); ++i) {
      EXPECT_TRUE(saw(i) || run.outcomes[i].code() == AbortCode::kPeerLost) << i;
    }
  }
}

// Equal stocks have equal histories in another session alone: the words of one are no words of
// another, and an old one is none of the next.
TEST_P(PreparedStockTest, ItsWordIsOfThisSessionAndThisTime) {
  std::mutex mutex;
  std::map<PartyId, Bytes> first;
  support::Dealer dealer(GetParam());
  const auto run = support::run_parties(
      GetParam(),
      [&](net::Party& party) {
        PreparedStock stock;
        stock.agree(party);
        stock.agree(party);
        return true;
      },
      [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender != 0) return;
        const std::lock_guard lock(mutex);
        const auto [it, is_first] = first.emplace(message.receiver, payload);
        if (!is_first) payload = it->second;
      });
  // Who sees it leaves; of three, another one may be told of that first.
  size_t saw = 0;
  for (PartyId i = 1; i < GetParam(); ++i) {
    ASSERT_TRUE(run.outcomes[i].code().has_value());
    if (run.outcomes[i].code() == AbortCode::kPeerLost) continue;
    EXPECT_EQ(run.outcomes[i].code(), AbortCode::kDisagreement);
    EXPECT_EQ(run.outcomes[i].abort->peer(), PartyId{0});
    ++saw;
  }
  EXPECT_GE(saw, 1u);
}

TEST_P(PreparedStockTest, ProductsLeaveOnceAndAsManyAsThereAre) {
  support::Dealer dealer(GetParam());
  prep::Source& source = dealer.source(0);
  PreparedStock stock;
  std::vector<prep::VecTriple> made = source.vec_triples(std::vector<size_t>(5, 1));
  std::vector<Block> before;
  for (const auto& one : made) before.push_back(one.b.share[0]);
  stock.put_products(std::move(made));
  EXPECT_EQ(stock.take_products(2).size(), 2u);
  std::vector<prep::VecTriple> rest = stock.take_products(9);
  ASSERT_EQ(rest.size(), 3u);
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(rest[k].b.share[0], before[k]);
  EXPECT_TRUE(stock.take_products(1).empty());
}

INSTANTIATE_TEST_SUITE_P(Rooms, PreparedStockTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, PreparedStockTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

// Keystream in parts: whatever is needed is found, and of the rest less than two steps are lost.
TEST(SealedCircuitsInParts, WhatIsNotNeededIsLeft) {
  using Circuits = agent::SealedCircuits;
  agent::SealedPlan plan;
  agent::SealedItem item;
  item.at = agent::SealedCookie{};
  item.char_class = http::char_set(http::CharClass::kCookie);
  plan.items.push_back(item);
  for (const size_t header : {256u, 768u, 2048u, 4096u}) {
    plan.header_max = header;
    const size_t blocks = header / 16;
    EXPECT_EQ(Circuits(plan, agent::gcm_answer_cipher(), 0, true).num_ands(),
              Circuits(plan, agent::gcm_answer_cipher()).num_ands());
    for (size_t needed = 1; needed <= blocks; ++needed) {
      Circuits circuits(plan, agent::gcm_answer_cipher(), 0, true);
      ASSERT_EQ(circuits.keystream_left(Circuits::kHeaderBlocks), blocks);
      size_t runs = 0;
      for (size_t left = needed; left > 0; ++runs) {
        auto* const next = circuits.keystream_for(Circuits::kHeaderBlocks, left);
        ASSERT_NE(next, nullptr) << needed;
        left -= std::min(left, Circuits::blocks_of(*next->program));
        next->name = "gone";
      }
      EXPECT_GE(circuits.keystream_left(Circuits::kHeaderBlocks) + needed + 7, blocks) << needed;
      EXPECT_LE(runs, 8u);
    }
  }
}

}  // namespace
}  // namespace flexroom
