#include "arith/ecdh.h"

#include "arith/coefficients.h"
#include "arith/poly1305_batch.h"
#include "arith/token_batch.h"

namespace flexroom::arith {
namespace {

/// Calls f.template operator()<G>() for the group.
template <typename Function>
auto with_group(NamedGroup group, Function f) {
  return group == NamedGroup::kX25519 ? f.template operator()<math::X25519Group>()
                                      : f.template operator()<math::P256Group>();
}

template <typename G>
typename G::Point require_server_share(ByteView share) {
  const auto point = math::decode_share<G>(share);
  if (!point) {
    throw ProtocolAbort(AbortCode::kServer, "arith/server share",
                        "the server's key share is not a canonical point of the right order");
  }
  return *point;
}

}  // namespace

Token::Token() = default;
Token::Token(Token&&) noexcept = default;
Token& Token::operator=(Token&&) noexcept = default;
Token::~Token() = default;

struct ArithEngine::State {
  State(net::Party& p, prep::Source& s) : party(p), source(s) {}

  template <typename F>
  Cope<F>& cope() {
    auto& slot = std::get<std::unique_ptr<Cope<F>>>(copes);
    if (!slot) slot = std::make_unique<Cope<F>>(party, source);
    return *slot;
  }

  void destroy() {
    failed = true;
    copes = {};
  }
  /// Whatever goes wrong in `step`, the keys of this engine serve no second try.
  template <typename Step>
  auto preprocess(Step step) {
    struct DestroyIfFailed {
      State& state;
      ~DestroyIfFailed() {
        if (state.failed) state.destroy();
      }
    } const destroy_if_failed{*this};
    failed = true;
    auto out = step();
    failed = false;
    return out;
  }

  net::Party& party;
  prep::Source& source;
  std::tuple<std::unique_ptr<Cope<math::F25519>>, std::unique_ptr<Cope<math::FP256>>,
             std::unique_ptr<Cope<math::FPoly1305>>>
      copes;
  uint64_t next_token = 0;
  uint64_t next_tag = 0;
  bool failed = false;
};

ArithEngine::ArithEngine(net::Party& party, prep::Source& source)
    : state_(std::make_unique<State>(party, source)) {}
ArithEngine::~ArithEngine() = default;

void ArithEngine::destroy() { state_->destroy(); }

void ArithEngine::require_alive() const {
  if (!state_->failed) return;
  throw ProtocolAbort(AbortCode::kRefusedByRule, "arith/engine",
                      "an earlier check of this session failed; start a new session");
}

std::vector<Token> ArithEngine::make_tokens(NamedGroup group, size_t count) {
  State& state = *state_;
  require_alive();
  if (count == 0) return {};
  net::Party& party = state.party;
  std::vector<Digest> ids;
  for (size_t m = 0; m < count; ++m) {
    ids.push_back(RandomOracle("token", party.scope(), state.next_token++).digest());
  }
  // One batch is one step of the session: its coins and digests carry the id of its first token.
  const ScopeGuard scope(party, ids.front());
  return state.preprocess([&] {
    return with_group(group, [&]<typename G>() {
      std::vector<TokenWitness<G>> witnesses;
      for (const Digest& id : ids) witnesses.push_back(TokenWitness<G>::random(party, id));
      return TokenBatch<G>(party, state.source, state.cope<typename G::Field>(), ids,
                           std::move(witnesses))
          .run();
    });
  });
}

std::vector<Poly1305Masks> ArithEngine::make_poly1305(std::span<const size_t> blocks) {
  State& state = *state_;
  require_alive();
  if (blocks.empty()) return {};
  net::Party& party = state.party;
  std::vector<Digest> ids;
  std::vector<Poly1305Plan> plans;
  for (const size_t count : blocks) {
    ids.push_back(RandomOracle("poly1305", party.scope(), state.next_tag++).digest());
    plans.push_back(Poly1305Plan::of(count));
  }
  const ScopeGuard scope(party, ids.front());
  return state.preprocess([&] {
    std::vector<Poly1305Witness> witnesses;
    for (size_t t = 0; t < plans.size(); ++t) {
      witnesses.push_back(Poly1305Witness::random(party.prg()));
    }
    return Poly1305Batch(party, state.source, state.cope<math::FPoly1305>(), ids, plans,
                         std::move(witnesses))
        .run();
  });
}

std::vector<uint8_t> dh_online(net::Party& party, Token& token, ByteView server_share,
                               const Digest& csid, const Digest& view, const DhHooks& hooks) {
  FLEXROOM_ASSERT(hooks.mark_used != nullptr);
  if (!token.secrets) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "arith/dh",
                        "this token served a key exchange already");
  }
  return with_group(token.group, [&]<typename G>() {
    const auto server = require_server_share<G>(server_share);
    const std::unique_ptr<TokenSecrets> owned = std::move(token.secrets);
    hooks.mark_used(token);
    const ScopeGuard scope(party, csid);
    auto& secrets = static_cast<GroupTokenSecrets<G>&>(*owned);
    return convert_online<G>(party, secrets, server, view, hooks.agreed);
  });
}

}  // namespace flexroom::arith
