#include "arith/key_share.h"

#include "base/ct.h"
#include "math/secret_vector.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kLabel = "arith/key share";

template <typename G>
typename G::Scalar challenge(const RoScope& scope, const Digest& token_id, PartyId owner,
                             const typename G::Point& key, const typename G::Point& commitment) {
  Bytes points;
  math::append_point<G>(points, key);
  math::append_point<G>(points, commitment);
  RoScope with_token = scope;
  with_token.csid = token_id;
  const Digest d = RandomOracle("pok", with_token, 0, owner).field(ByteView(points)).digest();
  return G::Scalar::from_any(math::load_be(d));
}

[[noreturn]] void fail(std::string_view what, PartyId j) {
  throw ProtocolAbort(AbortCode::kFpKeyShare, kLabel, what, j);
}

}  // namespace

template <typename G>
KeyContribution<G> KeyContribution<G>::prove(net::Party& party, const Digest& token_id,
                                             const typename G::Scalar& k) {
  KeyContribution out;
  out.key = math::multiply<G>(k, math::generator<G>());
  math::Wiped<typename G::Scalar> a(G::Scalar::random_nonzero(party.prg()));
  out.commitment = math::multiply<G>(a.value, math::generator<G>());
  out.response =
      a.value + challenge<G>(party.scope(), token_id, party.id(), out.key, out.commitment) * k;
  return out;
}

template <typename G>
bool KeyContribution<G>::verify(const RoScope& scope, const Digest& token_id, PartyId owner) const {
  if (key.infinity || commitment.infinity) return false;
  if (!math::on_curve<G>(key) || !math::on_curve<G>(commitment)) return false;
  if (!math::in_prime_subgroup_vartime<G>(key)) return false;
  return math::schnorr_equation_vartime<G>(
      response, commitment, challenge<G>(scope, token_id, owner, key, commitment), key);
}

template <typename G>
void KeyContribution<G>::append_to(Bytes& out) const {
  math::append_point<G>(out, key);
  math::append_point<G>(out, commitment);
  response.append_be(out);
}

template <typename G>
std::optional<KeyContribution<G>> KeyContribution<G>::parse(std::span<const uint8_t, kBytes> in) {
  const auto key = math::parse_point<G>(in.template first<64>());
  const auto commitment = math::parse_point<G>(in.template subspan<64, 64>());
  const auto response = G::Scalar::from_bytes_be(in.template last<32>());
  if (!key || !commitment || !response) return std::nullopt;
  return KeyContribution{*key, *commitment, *response};
}

template <typename G>
std::vector<typename G::Point> exchange_key_shares(net::Party& party,
                                                   std::span<const Digest> token_ids,
                                                   std::span<const KeyContribution<G>> own) {
  FLEXROOM_ASSERT(token_ids.size() == own.size());
  constexpr size_t kBytes = KeyContribution<G>::kBytes;
  const std::string commit_label = std::string(kLabel) + "/commit";
  const std::string open_label = std::string(kLabel) + "/open";
  const uint64_t counter = party.next_counter("com key share");

  Bytes opening(32);  // nonce, then the contributions
  party.prg().fill(std::span<uint8_t>(opening));
  for (const KeyContribution<G>& c : own) c.append_to(opening);
  const auto commitment = [&](PartyId i, ByteView bytes) {
    return RandomOracle("com", party.scope(), counter, i)
        .field(kLabel)
        .field(bytes.subspan(32))
        .field(bytes.first(32))
        .digest();
  };
  const auto commitments = party.exchange(commit_label, commitment(party.id(), opening));
  party.echo(commit_label);
  const auto openings = party.exchange(open_label, opening);
  party.echo(open_label);

  std::vector<typename G::Point> sums(own.size(), G::Point::neutral());
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    if (!ct_equal(commitments[i], commitment(i, openings[i]))) {
      fail("opening does not match the commitment", i);
    }
    const ByteView bytes = ByteView(openings[i]).subspan(32);
    for (size_t m = 0; m < own.size(); ++m) {
      const auto c = KeyContribution<G>::parse(
          std::span<const uint8_t, kBytes>(bytes.data() + m * kBytes, kBytes));
      if (!c) fail("a point is not canonical or not on the curve", i);
      if (i != party.id() && !c->verify(party.scope(), token_ids[m], i)) {
        fail("the proof of knowledge of the key does not verify", i);
      }
      sums[m] = math::add_points<G>(sums[m], c->key);
    }
  }
  for (const auto& sum : sums) {
    if (sum.infinity) {
      throw ProtocolAbort(AbortCode::kFpKeyShare, kLabel, "the keys add up to the neutral point");
    }
  }
  return sums;
}

#define FLEXROOM_INSTANTIATE_KEY_SHARE(G)                                                     \
  template struct KeyContribution<G>;                                                         \
  template std::vector<G::Point> exchange_key_shares<G>(net::Party&, std::span<const Digest>, \
                                                        std::span<const KeyContribution<G>>);
FLEXROOM_INSTANTIATE_KEY_SHARE(math::X25519Group)
FLEXROOM_INSTANTIATE_KEY_SHARE(math::P256Group)

}  // namespace flexroom::arith
