#include "arith/ecdh.h"

#include "arith/coefficients.h"
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

  template <typename G>
  Cope<typename G::Field>& cope() {
    auto& slot = std::get<std::unique_ptr<Cope<typename G::Field>>>(copes);
    if (!slot) slot = std::make_unique<Cope<typename G::Field>>(party, source);
    return *slot;
  }

  net::Party& party;
  prep::Source& source;
  std::tuple<std::unique_ptr<Cope<math::F25519>>, std::unique_ptr<Cope<math::FP256>>> copes;
  uint64_t next_token = 0;
  bool failed = false;
};

ArithEngine::ArithEngine(net::Party& party, prep::Source& source)
    : state_(std::make_unique<State>(party, source)) {}
ArithEngine::~ArithEngine() = default;

void ArithEngine::destroy() {
  state_->failed = true;
  state_->copes = {};
}

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
  // Whatever goes wrong in here, the keys of this engine serve no second try.
  state.failed = true;
  struct DestroyIfFailed {
    ArithEngine& engine;
    ~DestroyIfFailed() {
      if (engine.state_->failed) engine.destroy();
    }
  } const destroy_if_failed{*this};
  std::vector<Token> tokens = with_group(group, [&]<typename G>() {
    std::vector<TokenWitness<G>> witnesses;
    for (const Digest& id : ids) witnesses.push_back(TokenWitness<G>::random(party, id));
    return TokenBatch<G>(party, state.source, state.template cope<G>(), ids, std::move(witnesses))
        .run();
  });
  state.failed = false;
  return tokens;
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
