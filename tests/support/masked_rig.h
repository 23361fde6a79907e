#pragma once

#include <optional>

#include "prep/field_products.h"
#include "prep/masked_ands.h"
#include "prep/memory_safety.h"
#include "support/deal_epoch.h"
#include "support/parties.h"
#include "support/relations.h"

namespace flexroom::support {

/// Gives on what another supply makes and keeps a copy of what a batch of masked triples is made
/// of: what only the parties know, for tests that have to know it too.
class RecordingSupply : public prep::KeyedBitSupply {
 public:
  explicit RecordingSupply(prep::KeyedBitSupply& inner) : inner_(inner) {}
  const Block& delta() const override { return inner_.delta(); }
  const math::ReHash& hash() const override { return inner_.hash(); }
  prep::AuthBits random_bits(size_t count) override {
    prep::AuthBits out = inner_.random_bits(count);
    if (xr.empty()) xr = out.clone();
    return out;
  }
  void begin_random_bits(size_t count) override { inner_.begin_random_bits(count); }
  void continue_random_bits() override { inner_.continue_random_bits(); }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return inner_.owned_bits(owner, count);
  }
  prep::KeyedBits keyed_bits(size_t count, unsigned key_bits) override {
    prep::KeyedBits out = inner_.keyed_bits(count, key_bits);
    key = out.key().clone();
    y = out.y().clone();
    psi.assign(out.psi().begin(), out.psi().end());
    return out;
  }

  prep::AuthBits xr, key, y;
  std::vector<uint64_t> psi;

 private:
  prep::KeyedBitSupply& inner_;
};

/// A batch as one party has it.
struct MaskedRun {
  prep::AndTriples triples;
  prep::AuthBits xr, key, y;
  std::vector<uint64_t> psi;
};

/// Which messages come before the batch itself: those of its VecTriple(1).
inline bool of_the_product(const net::MessageId& message) {
  return message.label.starts_with("field products/");
}

constexpr size_t kMaskedBitBatch = 4096;

/// One batch over real COT. `safety` [n]; each counts the product as well.
template <typename SafetyType>
auto run_masked(size_t n, const prep::MaskedBatchSize& size, SafetyType* safety,
                net::Tamper tamper = nullptr, uint64_t seed = 1) {
  const auto epochs = deal_epoch(n);
  return run_parties(
      n,
      [&](net::Party& party) {
        // n = 2: bits are those of the streams, which the lane alone tells apart here.
        prep::BitGenerator generator(party, epochs[party.id()], kMaskedBitBatch,
                                     static_cast<uint16_t>(seed), &safety[party.id()]);
        prep::GeneratorSupply inner(generator);
        RecordingSupply supply(inner);
        supply.xr = prep::AuthBits(party.id(), n, 1);  // not yet
        prep::Context context{party, supply, safety[party.id()]};
        const size_t counts[] = {1};
        prep::VecTriple product = std::move(prep::make_field_products(context, counts)[0].triple);
        supply.xr = {};
        MaskedRun out;
        out.triples = prep::make_masked_ands(context, supply, size, std::move(product));
        out.xr = std::move(supply.xr);
        out.key = std::move(supply.key);
        out.y = std::move(supply.y);
        out.psi = std::move(supply.psi);
        return out;
      },
      std::move(tamper), std::chrono::seconds(30), seed);
}

inline std::vector<Block> epoch_deltas(size_t n) {
  std::vector<Block> out;
  for (const prep::EpochState& epoch : deal_epoch(n)) out.push_back(epoch.delta);
  return out;
}

template <typename Run>
void expect_masked_triples(const Run& run, size_t n) {
  Views<prep::AndTriples> views;
  for (const MaskedRun* one : views_of<MaskedRun>(run)) views.push_back(&one->triples);
  expect_triples(views, epoch_deltas(n));
}

}  // namespace flexroom::support
