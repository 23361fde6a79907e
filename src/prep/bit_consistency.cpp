#include "prep/bit_consistency.h"

#include "base/ct.h"
#include "base/error.h"
#include "math/gf128.h"

namespace flexroom::prep {
namespace {

constexpr std::string_view kLabel = "bits/consistency";
constexpr std::string_view kValueLabel = "bits/consistency value";
constexpr std::string_view kTagLabel = "bits/consistency tag";

// sum_t chi_t * v_t + sum_q X^q * v_{m+q}.
Block combine(const math::ChiStream& chi, const BlockVec& v, size_t m) {
  math::GfSum sum;
  chi.accumulate(sum, 0, v.span().first(m));
  sum.add(math::gf_pack(v.span().subspan(m)));
  return sum.value();
}

Block combine_bits(const math::ChiStream& chi, const BlockVec& v, size_t m) {
  Block masks;
  for (unsigned q = 0; q < kConsistencyMasks; ++q) masks.set_bit(q, v[m + q].lsb());
  return chi.combine_lsbs(0, v.span().first(m)) ^ masks;
}

/// A tag as it has to be, and as it came.
struct Compared {
  PartyId owner;
  Block expected, got;
};

}  // namespace

void check_bit_consistency(net::Party& party, std::span<const ConsistencyInstance> instances,
                           size_t m, ot::VerdictNotes* notes) {
  FLEXROOM_ASSERT(!instances.empty());
  const math::ChiStream chi(load_block(party.coin(kLabel).data()));
  const PartyId self = party.id();
  const size_t num_batches = instances[0].batches.size();
  for (size_t b = 0; b < num_batches; ++b) {
    const OwnedBatch& first = instances[0].batches[b];
    if (first.owner != self) continue;
    const Block value = combine_bits(chi, first.blocks[self == 0 ? 1 : 0], m);
    party.broadcast(kValueLabel, block_bytes(value));
    for (const PartyId j : party.peers()) {
      std::vector<Block> tags;
      for (const auto& instance : instances) {
        tags.push_back(combine(chi, instance.batches[b].blocks[j], m));
      }
      net::send_blocks(party, j, kTagLabel, tags);
    }
  }
  std::vector<Compared> compared;
  for (size_t b = 0; b < num_batches; ++b) {
    const PartyId owner = instances[0].batches[b].owner;
    if (owner == self) continue;
    const Block value = load_block(party.receive_broadcast(owner, kValueLabel, 16).data());
    std::vector<Block> tags(instances.size());
    net::receive_blocks(party, owner, kTagLabel, tags);
    for (size_t q = 0; q < instances.size(); ++q) {
      const Block expected = combine(chi, instances[q].batches[b].blocks[owner], m) ^
                             math::gf_mul(value, instances[q].delta);
      compared.push_back({owner, expected, tags[q]});
    }
  }
  ot::Verdict verdict(notes);
  for (const Compared& one : compared) {
    if (!ct_equal(one.expected, one.got)) {
      throw ProtocolAbort(AbortCode::kBitConsistency, kLabel,
                          "the bits differ from those given to somebody else", one.owner);
    }
  }
  verdict.passed();
  party.echo(kLabel);
}

}  // namespace flexroom::prep
