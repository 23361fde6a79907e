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

Digest ConnectionNonces::open(net::Party& party, const Views& views) const {
  const std::vector<Bytes> nonces = party.exchange("tls/nonce open", own_);
  RandomOracle hash("csid", party.scope(), views.number());
  hash.field(views.terms());
  for (PartyId i = 0; i < nonces.size(); ++i) {
    if (!ct_equal(commitments_[i], nonce_commitment(party, views, i, nonces[i]))) {
      throw ProtocolAbort(AbortCode::kCoin, "tls/nonce open",
                          "opening does not match the commitment", i);
    }
    hash.field(ByteView(nonces[i]).first(kNonceBytes));
  }
  party.echo("tls/nonce open");
  return hash.digest();
}

PreparedHandshake::PreparedHandshake(ConnectionNonces nonces, KeyOffer keys, const Groups& groups,
                                     std::shared_ptr<const mpc::Program> gc_a)
    : nonces_(std::move(nonces)), keys_(std::move(keys)), groups_(groups), gc_a_(std::move(gc_a)) {}

boolean::Preparation PreparedHandshake::circuit() {
  std::vector<prep::AuthBits> zero(gc_a_->inputs.size());
  keys_.give_masks(*gc_a_, zero);
  return {gc_a_, std::move(zero), "gc-a"};
}

KeyedHandshake PreparedHandshake::run(const Context& context, const Views& views,
                                      const tls::Event& server_hello, const std::vector<uint8_t>& c,
                                      PartyId courier) && {
  const mpc::Program& program = *gc_a_;
  const NamedGroup taken = server_hello.key_share.group;
  boolean::OnlineInputs inputs = empty_inputs(program);
  const tls::HandshakeWords words = tls::handshake_words(server_hello.digest);
  for (const NamedGroup group : groups_) {
    inputs.pub[program.input_group(circuits::masked_input(group))] =
        group == taken ? c : std::vector<uint8_t>(circuits::field_bits(group));
  }
  if (groups_.size() > 1) {
    inputs.pub[program.input_group(circuits::kGroupInput)] = {
        taken == NamedGroup::kP256 ? uint8_t{1} : uint8_t{0}};
  }
  inputs.pub[program.input_group("kw_c_hs")] = word_bits(words.client);
  inputs.pub[program.input_group("kw_s_hs")] = word_bits(words.server);
  inputs.view = views.of("gc-a")
                    .field(server_hello.digest)
                    .field(uint64_t{tls::code_point(taken)})
                    .field(c)
                    .digest();
  boolean::Outputs outputs = context.engine.run(*circuit_, inputs);
  KeyedHandshake out;
  out.s_hs = digest_of_bits(outputs.opened[program.output_group("s_hs")]);
  out.kin_ms = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_ms")]));
  out.c_hs = std::make_unique<ClientSecret>(context.party, context.source.delta(),
                                            std::move(outputs.kept[program.output_group("c_hs")]),
                                            courier);
  out.kout_ms = std::move(outputs.kept[program.output_group("kout_ms")]);
  out.circuit = std::move(circuit_);
  return out;
}

}  // namespace flexroom::agent
