#include "agent/handshake_states.h"

#include "agent/wires.h"
#include "base/ct.h"
#include "circuits/handshake.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kNonceBytes = 32;

Digest nonce_commitment(const net::Party& party, const Views& views, PartyId i, ByteView nonce) {
  RoScope scope = party.scope();
  scope.csid = {};
  return RandomOracle("com", scope, views.number(), i)
      .field("conn nonce")
      .field(nonce.first(kNonceBytes))
      .field(nonce.subspan(kNonceBytes))
      .digest();
}

/// However a run ends: what is public to the members need not be so to others.
class PublicBitsWiped {
 public:
  explicit PublicBitsWiped(boolean::OnlineInputs& inputs) : inputs_(inputs) {}
  ~PublicBitsWiped() {
    for (std::vector<uint8_t>& bits : inputs_.pub) wipe(bits.data(), bits.size());
  }
  PublicBitsWiped(const PublicBitsWiped&) = delete;
  PublicBitsWiped& operator=(const PublicBitsWiped&) = delete;

 private:
  boolean::OnlineInputs& inputs_;
};

}  // namespace

ConnectionNonces::ConnectionNonces(net::Party& party, Views& views) {
  views.set_number(party.next_counter("connection"));
  own_.resize(2 * kNonceBytes);
  party.prg().fill(std::span<uint8_t>(own_));
  commitments_ =
      party.exchange("tls/nonce commit", nonce_commitment(party, views, party.id(), own_));
  for (PartyId i = 0; i < commitments_.size(); ++i) {
    for (PartyId j = 0; j < i; ++j) {
      if (commitments_[i] == commitments_[j]) {
        throw ProtocolAbort(AbortCode::kCoin, "tls/nonce commit",
                            "copied another member's commitment", i);
      }
    }
  }
  party.echo("tls/nonce commit");
}

Digest ConnectionNonces::open(net::Party& party, const Views& views,
                              std::vector<SecretBytes>* kem_parts) const {
  Bytes own = own_;
  if (kem_parts != nullptr) {
    own.resize(own_.size() + kKemPart);
    party.prg().fill(std::span<uint8_t>(own).last(kKemPart));
  }
  std::vector<Bytes> nonces = party.exchange("tls/nonce open", own);
  wipe(own);
  RandomOracle hash("csid", party.scope(), views.number());
  hash.field(views.terms());
  for (PartyId i = 0; i < nonces.size(); ++i) {
    const ByteView nonce = ByteView(nonces[i]).first(own_.size());
    if (!ct_equal(commitments_[i], nonce_commitment(party, views, i, nonce))) {
      throw ProtocolAbort(AbortCode::kCoin, "tls/nonce open",
                          "opening does not match the commitment", i);
    }
    hash.field(nonce.first(kNonceBytes));
    if (kem_parts != nullptr) {
      kem_parts->push_back(SecretBytes::copy_of(ByteView(nonces[i]).last(kKemPart)));
      nonces[i].resize(nonces[i].capacity());  // what a frame's header was moved over lies behind
      wipe(nonces[i]);
    }
  }
  party.echo("tls/nonce open");
  return hash.digest();
}

PreparedHandshake::PreparedHandshake(ConnectionNonces nonces, KeyOffer keys, const Groups& groups,
                                     const Suite& suite, std::shared_ptr<const mpc::Program> gc_a)
    : nonces_(std::move(nonces)),
      keys_(std::move(keys)),
      groups_(groups),
      suite_(suite),
      gc_a_(std::move(gc_a)) {}

boolean::Preparation PreparedHandshake::circuit() {
  std::vector<prep::AuthBits> zero(gc_a_->inputs.size());
  keys_.give_masks(*gc_a_, zero);
  return {gc_a_, std::move(zero), "gc-a"};
}

Digest PreparedHandshake::open_nonces(net::Party& party, const Views& views) {
  std::vector<SecretBytes> kem_parts;
  const bool kem = has_kem(groups_);
  const Digest csid = nonces_.open(party, views, kem ? &kem_parts : nullptr);
  if (kem) {
    RoScope scope = party.scope();
    scope.csid = csid;
    keys_.make_kem(scope, kem_parts);
  }
  return csid;
}

boolean::OnlineInputs PreparedHandshake::inputs_of(const tls::Event& server_hello,
                                                   const std::vector<uint8_t>& c,
                                                   const SecretBytes& kem_secret) const {
  const mpc::Program& program = *gc_a_;
  const NamedGroup taken = server_hello.key_share.group;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const auto set = [&](std::string_view name, std::vector<uint8_t> bits) {
    inputs.pub[program.input_group(name)] = std::move(bits);
  };
  const auto one_bit = [](bool value) {
    return std::vector<uint8_t>{value ? uint8_t{1} : uint8_t{0}};
  };
  const tls::HandshakeWords words = tls::handshake_words(suite_.tls.hash(), server_hello.digest);
  const Groups curves = curves_of(groups_);
  for (const NamedGroup curve : curves) {
    set(circuits::masked_input(curve),
        curve == curve_of(taken) ? c : std::vector<uint8_t>(circuits::field_bits(curve)));
  }
  // Never both: that would be ss || x of P-256, which is no group (tls-complete.md §1.3).
  const bool takes_kem = taken == NamedGroup::kX25519MlKem768;
  FLEXROOM_ASSERT(takes_kem == !kem_secret.empty());
  if (curves.size() > 1) set(circuits::kGroupInput, one_bit(taken == NamedGroup::kP256));
  if (has_kem(groups_)) {
    const Bytes none(32);
    set(circuits::kKemInput, one_bit(takes_kem));
    set(circuits::kKemSecretInput, bits_of_bytes(takes_kem ? kem_secret.reveal() : ByteView(none)));
    set(circuits::kPaddingInput,
        bits_of_bytes(takes_kem ? none : circuits::x_padding(suite_.hash())));
  }
  set("kw_c_hs", bits_of_bytes(words.client));
  set("kw_s_hs", bits_of_bytes(words.server));
  return inputs;
}

KeyedHandshake PreparedHandshake::run(const Context& context, const Views& views,
                                      const tls::Event& server_hello, const std::vector<uint8_t>& c,
                                      SecretBytes kem_secret, const Digest& a1,
                                      PartyId courier) && {
  const mpc::Program& program = *gc_a_;
  boolean::OnlineInputs inputs = inputs_of(server_hello, c, kem_secret);
  kem_secret = SecretBytes();
  inputs.view = views.of("gc-a")
                    .field(server_hello.digest)
                    .field(uint64_t{tls::code_point(server_hello.key_share.group)})
                    .field(c)
                    .field(a1)
                    .digest();
  const PublicBitsWiped wiped(inputs);
  boolean::Outputs outputs = context.engine.run(*circuit_, inputs);
  KeyedHandshake out;
  out.s_hs = hash_value_of_bits(outputs.opened[program.output_group("s_hs")]);
  out.kin_ms = hash_value_of_bits(outputs.opened[program.output_group("kin_ms")]);
  out.c_hs = std::make_unique<ClientSecret>(context.party, context.source.delta(),
                                            std::move(outputs.kept[program.output_group("c_hs")]),
                                            courier);
  out.kout_ms = std::move(outputs.kept[program.output_group("kout_ms")]);
  out.circuit = std::move(circuit_);
  return out;
}

}  // namespace flexroom::agent
