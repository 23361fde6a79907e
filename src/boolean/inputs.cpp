#include "boolean/inputs.h"

#include <cstring>
#include <deque>

#include "base/ct.h"
#include "prep/open.h"

namespace flexroom::boolean {
namespace {

using mpc::InputGroup;
using mpc::InputKind;
using prep::AuthBits;

constexpr std::string_view kMaskedLabel = "boolean/masked inputs";
constexpr std::string_view kLabelsLabel = "boolean/O2 labels";

class InputExchange {
 public:
  InputExchange(net::Party& party, const Block& delta, Instance::Data& instance,
                const OnlineInputs& inputs)
      : party_(party),
        delta_(delta),
        instance_(instance),
        program_(*instance.program),
        inputs_(inputs),
        view_(RandomOracle("view", party.scope()).field(instance.id).field(inputs.view).digest()),
        masked_dyn_(mask_dyn()),
        opening_(party, delta_, masked_dyn_, "boolean/dyn inputs"),
        views_(party.num_parties()) {
    instance_.input_values.assign(program_.num_inputs(), 0);  // kZero stays 0
  }

  /// This party's masked inputs, its view and its shares of the kDyn ones.
  void speak() {
    send_masked();
    opening_.send_to_all();
  }
  void hear() {
    for (const PartyId j : party_.peers()) receive_masked(j);
    opening_.receive_from_all();
  }
  void compare_views() const {
    for (const PartyId j : party_.peers()) {
      if (views_[j] == view_) continue;
      throw ProtocolAbort(AbortCode::kViewMismatch, kMaskedLabel,
                          "the member's public inputs are not those of this member", j);
    }
  }
  /// Labels, behind everybody's masked inputs.
  void finish() {
    const std::vector<uint8_t> dyn = opening_.result();
    size_t at = 0;
    for_groups(InputKind::kDyn, [&](size_t g, const InputGroup& group) {
      const size_t offset = program_.input_offset(g);
      for (size_t t = 0; t < group.size; ++t) instance_.input_values[offset + t] = dyn[at++];
    });
    for_groups(InputKind::kPub, [&](size_t g, const InputGroup& group) {
      FLEXROOM_ASSERT(g < inputs_.pub.size() && inputs_.pub[g].size() == group.size);
      const size_t offset = program_.input_offset(g);
      for (size_t t = 0; t < group.size; ++t) {
        instance_.input_values[offset + t] = inputs_.pub[g][t] & 1;
      }
    });
    if (party_.id() == instance_.evaluator) {
      receive_labels();
    } else {
      send_labels();
    }
  }

 private:
  template <typename Visit>
  void for_groups(InputKind kind, Visit visit) const {
    for (size_t g = 0; g < program_.inputs.size(); ++g) {
      if (program_.inputs[g].kind == kind && program_.inputs[g].size != 0) {
        visit(g, program_.inputs[g]);
      }
    }
  }

  AuthBits mask_dyn() const {
    AuthBits all;
    for_groups(InputKind::kDyn, [&](size_t g, const InputGroup& group) {
      FLEXROOM_ASSERT(g < inputs_.dyn.size() && inputs_.dyn[g] != nullptr &&
                      inputs_.dyn[g]->size() == group.size);
      AuthBits masked = std::move(instance_.dyn_masks[g]);
      masked.add(*inputs_.dyn[g]);
      if (all.empty()) {
        all = std::move(masked);
      } else {
        all.append(masked);
      }
    });
    return all;
  }

  size_t priv_bits(PartyId owner) const {
    size_t count = 0;
    for_groups(InputKind::kPriv, [&](size_t, const InputGroup& group) {
      if (group.owner == owner) count += group.size;
    });
    return count;
  }

  // Lambda = x + lambda of this party's private inputs, then its view hash.
  void send_masked() {
    std::vector<uint8_t> bits;
    for_groups(InputKind::kPriv, [&](size_t g, const InputGroup& group) {
      if (group.owner != party_.id()) return;
      FLEXROOM_ASSERT(g < inputs_.priv.size() && inputs_.priv[g].size() == group.size);
      const ByteView mask = instance_.own_masks[g].reveal();
      for (size_t t = 0; t < group.size; ++t) {
        bits.push_back((inputs_.priv[g][t] ^ mask[t]) & 1);
      }
      instance_.own_masks[g] = SecretBytes();
    });
    store_values(party_.id(), bits);
    views_[party_.id()] = view_;
    Bytes message = prep::pack_bits(bits);
    append(message, view_);
    party_.broadcast(kMaskedLabel, message);
  }

  void receive_masked(PartyId peer) {
    const size_t count = priv_bits(peer);
    const size_t packed_bytes = (count + 7) / 8;
    const Bytes message =
        party_.receive_broadcast(peer, kMaskedLabel, packed_bytes + sizeof(Digest));
    store_values(peer,
                 unpack_bits(ByteView(message).first(packed_bytes), count, kMaskedLabel, peer));
    std::memcpy(views_[peer].data(), message.data() + packed_bytes, sizeof(Digest));
  }

  void store_values(PartyId owner, const std::vector<uint8_t>& bits) {
    size_t at = 0;
    for_groups(InputKind::kPriv, [&](size_t g, const InputGroup& group) {
      if (group.owner != owner) return;
      const size_t offset = program_.input_offset(g);
      for (size_t t = 0; t < group.size; ++t) instance_.input_values[offset + t] = bits[at++];
    });
  }

  void send_labels() {
    BlockVec labels = std::move(instance_.garbling.input_labels);
    for (size_t w = 0; w < labels.size(); ++w) {
      labels[w] ^= select(instance_.input_values[w] != 0, delta_);
    }
    net::send_blocks(party_, instance_.evaluator, kLabelsLabel, labels.span());
  }

  void receive_labels() {
    auto& labels = instance_.evaluating.input_labels;
    labels.resize(party_.num_parties());
    for (const PartyId j : party_.peers()) {
      labels[j] = BlockVec(program_.num_inputs());
      net::receive_blocks(party_, j, kLabelsLabel, labels[j].span());
      // From here on a label's bit 0 is its masked value (§7.2).
      std::vector<uint8_t> values;
      for (const Block& label : labels[j]) values.push_back(label.lsb() ? 1 : 0);
      if (ct_equal(values, instance_.input_values)) continue;
      throw ProtocolAbort(AbortCode::kLabelProof, kLabelsLabel,
                          "the label of another value than the masked one", j);
    }
  }

  net::Party& party_;
  const Block& delta_;
  Instance::Data& instance_;
  const mpc::Program& program_;
  const OnlineInputs& inputs_;
  const Digest view_;
  const AuthBits masked_dyn_;
  prep::BitOpening opening_;
  std::vector<Digest> views_;
};

}  // namespace

std::vector<uint8_t> unpack_bits(ByteView packed, size_t count, std::string_view label,
                                 PartyId peer) {
  FLEXROOM_ASSERT(packed.size() == (count + 7) / 8);
  if (count % 8 != 0 && packed.back() >> (count % 8) != 0) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label, "bits beyond the last one", peer);
  }
  std::vector<uint8_t> out(count);
  for (size_t t = 0; t < count; ++t) out[t] = (packed[t / 8] >> (t % 8)) & 1;
  return out;
}

void exchange_masked_inputs(net::Party& party, const Block& delta, std::span<const InputsOf> runs) {
  FLEXROOM_ASSERT(!runs.empty());
  std::deque<InputExchange> exchanges;
  for (const auto& [instance, inputs] : runs) {
    FLEXROOM_ASSERT(instance.evaluator == runs.front().instance.evaluator);
    exchanges.emplace_back(party, delta, instance, inputs);
  }
  const bool two = party.num_parties() == 2;
  // n = 2: the evaluator speaks first, so that the garbler's labels are in the second flow.
  const bool first = !two || party.id() == runs.front().instance.evaluator;
  const auto speak = [&] {
    for (InputExchange& one : exchanges) one.speak();
  };
  if (first) speak();
  for (InputExchange& one : exchanges) {
    one.hear();
    // Whoever runs fewer of them has another view and says no more: it is not waited for.
    if (&one != &exchanges.back()) one.compare_views();
  }
  party.echo("boolean/masked inputs");
  exchanges.back().compare_views();
  if (!first) speak();
  for (InputExchange& one : exchanges) one.finish();
}

}  // namespace flexroom::boolean
