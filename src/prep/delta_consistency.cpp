#include <optional>

#include "base/ct.h"
#include "base/error.h"
#include "math/gf128.h"
#include "prep/epoch.h"

namespace flexroom::prep {
namespace {

constexpr std::string_view kLabel = "setup/delta consistency";
constexpr size_t kBits = 128;
constexpr size_t kNonceBytes = 32;

// A commitment to blocks, with its opening.
struct Committed {
  Bytes opening;  // nonce, blocks
  Digest commitment{};
};

Digest commitment_to(const net::Party& party, uint64_t counter, PartyId owner,
                     std::string_view what, ByteView opening) {
  return RandomOracle("dcons", party.scope(), counter, owner).field(what).field(opening).digest();
}

Committed commit(net::Party& party, uint64_t counter, std::string_view what,
                 std::span<const Block> blocks) {
  Committed out;
  out.opening.resize(kNonceBytes);
  party.prg().fill(std::span<uint8_t>(out.opening));
  for (const Block& block : blocks) append(out.opening, block_bytes(block));
  out.commitment = commitment_to(party, counter, party.id(), what, out.opening);
  return out;
}

// Z_j of party j for the check of P_i: sums to zero over Q = all but i (§3.3).
Block zero_share(const net::Party& party, uint64_t counter, PartyId i) {
  Block out;
  for (const PartyId j : party.peers()) {
    if (j == i) continue;
    out ^= RandomOracle("zero share", party.scope(), counter, i)
               .field(kLabel)
               .field(party.zero_keys()[j])
               .block();
  }
  return out;
}

[[noreturn]] void fail(std::string_view what, std::optional<PartyId> peer = std::nullopt) {
  throw ProtocolAbort(AbortCode::kDeltaConsistency, kLabel, what, peer);
}

Block block_at(ByteView opening, size_t index) {
  return load_block(opening.data() + kNonceBytes + 16 * index);
}

/// Step 1: D_j = R^j + z_j for every i other than j goes out, entry `self` zero; returns the sum of
/// what came for the check of this party.
Block exchange_masked_shares(net::Party& party, uint64_t counter, ByteView shares) {
  const size_t n = party.num_parties();
  const PartyId self = party.id();
  std::vector<Block> masked(n);
  for (PartyId i = 0; i < n; ++i) {
    if (i != self) masked[i] = load_block(shares.data() + 16 * i) ^ zero_share(party, counter, i);
  }
  const std::vector<Bytes> all_masked = party.exchange(
      "setup/delta consistency D", {reinterpret_cast<const uint8_t*>(masked.data()), 16 * n});
  Block sum;
  for (const PartyId j : party.peers()) sum ^= load_block(all_masked[j].data() + 16 * self);
  return sum;
}

/// Step 3: what was opened is what was committed to; the sums over j of M_i[R^j], by i.
std::vector<Block> sum_opened_macs(const net::Party& party, uint64_t counter,
                                   const std::vector<Bytes>& committed,
                                   const std::vector<Bytes>& opened) {
  const size_t n = party.num_parties();
  std::vector<Block> sums(n);
  for (PartyId j = 0; j < n; ++j) {
    if (!ct_equal(commitment_to(party, counter, j, "M", opened[j]),
                  ByteView(committed[j]).subspan(32))) {
      fail("opening does not match the commitment", j);
    }
    for (PartyId i = 0; i < n; ++i) {
      if (i != j) sums[i] ^= block_at(opened[j], i);
    }
  }
  return sums;
}

}  // namespace

void check_delta_consistency(net::Party& party, const Block& delta, const AuthBits& bits,
                             ot::VerdictNotes* notes) {
  const size_t n = party.num_parties();
  const PartyId self = party.id();
  FLEXROOM_ASSERT(n > 2 && bits.size() == kBits * n && party.zero_keys().size() == n);
  const uint64_t counter = party.next_counter("dcons");
  const Bytes shares = bits.packed_shares();
  // Bits [128 i, 128 (i+1)) serve the check of P_i; their packed share is R^j.
  const auto packed = [&](const BlockVec& v, PartyId i) {
    return math::gf_pack(v.span().subspan(kBits * i, kBits));
  };

  const Block sum = exchange_masked_shares(party, counter, shares);

  // Step 2: commit to T_i (as P_i) and to M_i[R^j] for all i (as P_j).
  Block tag = math::gf_mul(sum, delta);
  std::vector<Block> macs(n);
  for (const PartyId j : party.peers()) {
    tag ^= packed(bits.key[j], self);
    macs[j] = packed(bits.mac[j], j);
  }
  const Committed own_tag = commit(party, counter, "T", {&tag, 1});
  const Committed own_macs = commit(party, counter, "M", macs);
  Bytes commitments(own_tag.commitment.begin(), own_tag.commitment.end());
  append(commitments, own_macs.commitment);
  const std::vector<Bytes> committed =
      party.exchange("setup/delta consistency commit", commitments);
  party.echo(kLabel);

  // Step 3: open the MACs.
  const std::vector<Bytes> opened =
      party.exchange("setup/delta consistency open M", own_macs.opening);
  ot::Verdict own_verdict(notes);
  const std::vector<Block> mac_sums = sum_opened_macs(party, counter, committed, opened);
  // Step 4: T_i leaves only if it says what everybody can compute already; otherwise the difference
  // would be a linear function of Delta.
  if (!ct_equal(mac_sums[self], tag)) fail("the opened MACs do not fit this member's key");
  own_verdict.passed();
  const std::vector<Bytes> tags = party.exchange("setup/delta consistency open T", own_tag.opening);
  // Step 5.
  ot::Verdict verdict(notes);
  for (const PartyId i : party.peers()) {
    if (!ct_equal(commitment_to(party, counter, i, "T", tags[i]),
                  ByteView(committed[i]).first(32))) {
      fail("opening does not match the commitment", i);
    }
    if (!ct_equal(mac_sums[i], block_at(tags[i], 0))) fail("more than one global key", i);
  }
  verdict.passed();
  party.echo(kLabel);
}

}  // namespace flexroom::prep
