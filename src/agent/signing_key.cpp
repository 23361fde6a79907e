#include "agent/signing_key.h"

#include "agent/wires.h"
#include "circuits/sigv4.h"
#include "mpc/program_cache.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kLevels = 4;

SigningKey key_of(const mpc::Program& program, boolean::Outputs& outputs) {
  SigningKey key;
  key.kin = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin")]));
  key.kout = std::move(outputs.kept[program.output_group("kout")]);
  return key;
}

}  // namespace

SigningKeyPrograms signing_key_programs(size_t secret_bytes) {
  static mpc::ProgramCache made;
  return {made.get("pads/" + std::to_string(secret_bytes),
                   [&] { return circuits::sigv4_secret_states(secret_bytes); }),
          made.get("level", [] { return circuits::sigv4_derivation(mpc::InputKind::kDyn); })};
}

uint64_t SigningKeyPrograms::num_ands() const {
  return uint64_t{pads->num_ands()} + kLevels * uint64_t{level->num_ands()};
}

SigningKeyDerivation::SigningKeyDerivation(boolean::Engine& engine, const prep::AuthBits& secret)
    : engine_(engine), programs_(signing_key_programs(secret.size() / 8)) {
  std::vector<prep::AuthBits> zero(programs_.pads->inputs.size());
  zero[programs_.pads->input_group("secret")] = secret.clone();
  std::vector<boolean::Preparation> all;
  all.push_back({programs_.pads, std::move(zero), "sigv4 pads"});
  for (size_t k = 0; k < kLevels; ++k) {
    all.push_back({programs_.level, std::vector<prep::AuthBits>(programs_.level->inputs.size()),
                   "sigv4 level"});
  }
  instances_ = engine.prepare(std::move(all));
}
SigningKeyDerivation::~SigningKeyDerivation() = default;

uint64_t SigningKeyDerivation::num_ands() const { return programs_.num_ands(); }

SigningKey SigningKeyDerivation::run(net::Party& party, const SigningScope& scope) {
  const auto view = [&](std::string_view step) {
    return RandomOracle("view", party.scope())
        .field("sigv4")
        .field(step)
        .field(scope.date)
        .field(scope.region)
        .field(scope.service)
        .digest();
  };
  boolean::OnlineInputs first = empty_inputs(*programs_.pads);
  first.view = view("pads");
  boolean::Outputs outputs = engine_.run(*instances_[0], first);
  SigningKey key = key_of(*programs_.pads, outputs);
  const std::string_view parts[kLevels] = {scope.date, scope.region, scope.service, "aws4_request"};
  for (size_t k = 0; k < kLevels; ++k) {
    boolean::OnlineInputs inputs = empty_inputs(*programs_.level);
    inputs.view = view(parts[k]);
    inputs.dyn[programs_.level->input_group("kout")] = &key.kout;
    inputs.pub[programs_.level->input_group("kw")] = bits_of_bytes(
        tls::outer_words(tls::sha256_kind(), hmac_inner_digest(key.kin, as_bytes(parts[k]))));
    outputs = engine_.run(*instances_[k + 1], inputs);
    key = key_of(*programs_.level, outputs);
  }
  for (auto& instance : instances_) engine_.confirm(*instance);
  return key;
}

Digest signature_inner_digest(const SigningKey& key, std::string_view string_to_sign) {
  return hmac_inner_digest(key.kin, as_bytes(string_to_sign));
}

}  // namespace flexroom::agent
