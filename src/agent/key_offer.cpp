#include "agent/key_offer.h"

#include <algorithm>

#include "circuits/handshake.h"

namespace flexroom::agent {

KeyOffer::KeyOffer(arith::ArithEngine& arith, const Groups& groups) {
  for (const NamedGroup group : groups) {
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
  for (const arith::Token& token : tokens_) {
    out.push_back({token.group, arith::key_share(token)});
  }
  return out;
}

std::vector<uint8_t> KeyOffer::agree(const Context& context, const tls::KeyShare& server,
                                     const Digest& csid, const Digest& view) && {
  std::vector<arith::Token> gone = std::move(tokens_);  // also when it throws
  FLEXROOM_ASSERT(marked_);
  const auto token = std::find_if(
      gone.begin(), gone.end(), [&](const arith::Token& one) { return one.group == server.group; });
  FLEXROOM_ASSERT(token != gone.end());
  arith::DhHooks hooks;
  hooks.mark_used = [](const arith::Token&) {};  // before the hello left
  return context.arith.guarded(
      [&] { return arith::dh_online(context.party, *token, server.key, csid, view, hooks); });
}

}  // namespace flexroom::agent
