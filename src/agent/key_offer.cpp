#include "agent/key_offer.h"

#include <algorithm>

#include "circuits/handshake.h"

namespace flexroom::agent {

KeyOffer::KeyOffer(arith::ArithEngine& arith, const Groups& groups) : groups_(groups) {
  for (const NamedGroup group : curves_of(groups)) {
    tokens_.push_back(std::move(arith.make_tokens(group, 1).front()));
  }
}

void KeyOffer::give_masks(const mpc::Program& gc_a, std::vector<prep::AuthBits>& zero) {
  for (arith::Token& token : tokens_) {
    for (size_t i = 0; i < token.rho.size(); ++i) {
      zero[gc_a.input_group(circuits::mask_input(token.group, i))] = std::move(token.rho[i]);
    }
    token.rho.clear();
  }
}

void KeyOffer::mark(Journal& journal) {
  FLEXROOM_ASSERT(!marked_);
  for (const arith::Token& token : tokens_) journal.mark("token", token.id);
  marked_ = true;
}

std::vector<tls::KeyShare> KeyOffer::shares() const {
  FLEXROOM_ASSERT(marked_);
  std::vector<tls::KeyShare> out;
  for (const NamedGroup group : groups_) {
    const auto token = std::find_if(tokens_.begin(), tokens_.end(), [&](const arith::Token& one) {
      return one.group == curve_of(group);
    });
    FLEXROOM_ASSERT(token != tokens_.end());
    Bytes share;
    if (group != token->group) {
      FLEXROOM_ASSERT(kem_ != nullptr);
      share = kem_->public_key();
    }
    append(share, arith::key_share(*token));
    out.push_back({group, std::move(share)});
  }
  return out;
}

void KeyOffer::make_kem(const RoScope& scope, std::span<const SecretBytes> parts) {
  FLEXROOM_ASSERT(kem_ == nullptr);
  SecretBytes seed(math::MlKem768::kSeed);
  for (uint64_t half = 0; half < 2; ++half) {  // d, z
    RandomOracle hash("kem", scope, half);
    for (const SecretBytes& part : parts) hash.field(part.reveal());
    Digest digest = hash.digest();
    std::copy(digest.begin(), digest.end(), seed.writable().data() + half * digest.size());
    wipe(&digest, sizeof digest);
  }
  kem_ = std::make_unique<math::MlKemKey>(seed);
}

SecretBytes KeyOffer::decapsulate(const tls::KeyShare& server) {
  SecretBytes out;
  const ByteView ciphertext = tls::kem_share(server.group, server.key);
  if (!ciphertext.empty()) {
    FLEXROOM_ASSERT(kem_ != nullptr);
    out = kem_->decapsulate(ciphertext);
  }
  kem_.reset();
  return out;
}

std::vector<uint8_t> KeyOffer::agree(const Context& context, const tls::KeyShare& server,
                                     const Digest& csid, const Digest& view) && {
  std::vector<arith::Token> gone = std::move(tokens_);  // also when it throws
  FLEXROOM_ASSERT(marked_);
  const auto token = std::find_if(gone.begin(), gone.end(), [&](const arith::Token& one) {
    return one.group == curve_of(server.group);
  });
  FLEXROOM_ASSERT(token != gone.end());
  const ByteView share = tls::curve_share(server.group, server.key);
  arith::DhHooks hooks;
  hooks.mark_used = [](const arith::Token&) {};  // before the hello left
  return context.arith.guarded(
      [&] { return arith::dh_online(context.party, *token, share, csid, view, hooks); });
}

}  // namespace flexroom::agent
