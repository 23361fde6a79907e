#include "arith/cope.h"

#include "arith/coefficients.h"
#include "math/zn.h"

namespace flexroom::arith {
namespace {

/// Half a megabyte, and one element at least.
template <typename F>
constexpr size_t kElementsPerMessage = std::max<size_t>(1,
                                                        (size_t{1} << 19) / (F::kBits * F::kBytes));

/// PRG(seed, counter) -> F_p, bias < 2^-128.
template <typename F>
F expand(const Aes128& seed, uint64_t counter) {
  std::array<Block, F::kUniformBlocks> b;
  seed.ctr(F::kUniformBlocks * counter, b);
  return F::from_uniform(b);
}

std::vector<Aes128> expand_keys(const BlockVec& seeds) {
  std::vector<Aes128> out;
  out.reserve(seeds.size());
  for (const Block& seed : seeds) out.emplace_back(seed);
  return out;
}

}  // namespace

template <typename F>
Cope<F>::Cope(net::Party& party, prep::Source& source)
    : party_(party), choices_(F::kBits), peers_(party.num_parties()) {
  gamma_ = F::random(party.prg());
  math::Wiped<typename F::Integer> integer(gamma_.canonical());
  for (unsigned h = 0; h < F::kBits; ++h) choices_[h] = (integer.value[h / 64] >> (h % 64)) & 1;
  // Ascending peers at every party is one global order of pairs; within a pair the lower party
  // receives first.
  for (const PartyId j : party.peers()) {
    const auto receive = [&] {
      const auto r = source.rot_receive(j, F::kBits, choices_);
      FLEXROOM_ASSERT(r.seed.size() == F::kBits);
      peers_[j].chosen = expand_keys(r.seed);
    };
    const auto send = [&] {
      const auto s = source.rot_send(j, F::kBits);
      FLEXROOM_ASSERT(s.seed0.size() == F::kBits && s.seed1.size() == F::kBits);
      peers_[j].seed0 = expand_keys(s.seed0);
      peers_[j].seed1 = expand_keys(s.seed1);
    };
    if (party.id() < j) {
      receive();
      send();
    } else {
      send();
      receive();
    }
  }
}

template <typename F>
Cope<F>::~Cope() {
  wipe(&gamma_, sizeof(gamma_));
}

template <typename F>
std::vector<Values<F>> Cope<F>::extend(std::span<const F> own, std::string_view label) {
  const size_t n = party_.num_parties();
  std::vector<Values<F>> out(n, Values<F>(own.size(), AuthValue<F>(n)));
  Values<F>& mine = out[party_.id()];
  for (size_t l = 0; l < own.size(); ++l) mine[l].share() = own[l];
  for (const PartyId j : party_.peers()) send_corrections(j, own, label, mine);
  for (const PartyId j : party_.peers()) receive_corrections(j, label, out[j]);
  return out;
}

template <typename F>
void Cope<F>::send_corrections(PartyId to, std::span<const F> own, std::string_view label,
                               Values<F>& values) {
  Peer& peer = peers_[to];
  for (size_t begin = 0; begin < own.size(); begin += kElementsPerMessage<F>) {
    const size_t end = std::min(own.size(), begin + kElementsPerMessage<F>);
    Bytes message((end - begin) * F::kBits * F::kBytes);
    for (size_t l = begin; l < end; ++l) {
      const uint64_t counter = peer.sent++;
      F sum;  // sum of 2^h t0_h, by Horner
      for (unsigned h = F::kBits; h-- > 0;) {
        const F t0 = expand<F>(peer.seed0[h], counter);
        const F u = t0 - expand<F>(peer.seed1[h], counter) + own[l];
        uint8_t* at = message.data() + ((l - begin) * F::kBits + h) * F::kBytes;
        u.to_bytes_be(std::span<uint8_t, F::kBytes>(at, F::kBytes));
        sum = sum.doubled() + t0;
      }
      values[l].mac(to) = -sum;
    }
    party_.send(to, label, message);
  }
}

template <typename F>
void Cope<F>::receive_corrections(PartyId from, std::string_view label, Values<F>& values) {
  Peer& peer = peers_[from];
  for (size_t begin = 0; begin < values.size(); begin += kElementsPerMessage<F>) {
    const size_t end = std::min(values.size(), begin + kElementsPerMessage<F>);
    const Bytes message = party_.receive(from, label, (end - begin) * F::kBits * F::kBytes);
    const std::vector<F> u = parse_elements<F>(message, label, from);
    for (size_t l = begin; l < end; ++l) {
      const uint64_t counter = peer.received++;
      F sum;  // sum of 2^h q_h
      for (unsigned h = F::kBits; h-- > 0;) {
        const F q = expand<F>(peer.chosen[h], counter) +
                    F::select(choices_[h], u[(l - begin) * F::kBits + h], F());
        sum = sum.doubled() + q;
      }
      values[l].key(from) = -sum;
    }
  }
}

template class Cope<math::F25519>;
template class Cope<math::FP256>;
template class Cope<math::FPoly1305>;
template class Cope<math::Z2048>;
template class Cope<math::Z3072>;
template class Cope<math::Z4096>;

}  // namespace flexroom::arith
