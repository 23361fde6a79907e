#include "room/flow_jwe.h"

#include <fmt/core.h>

#include <sstream>

#include "flow/page_keys.h"

namespace flexroom::room {
namespace {

using flow::SlotUse;

/// "jwe ALGORITHM ENCRYPTION".
agent::JweMethod method_of(const SlotUse& use) {
  std::istringstream words(use.function);
  std::string jwe, algorithm, encryption;
  words >> jwe >> algorithm >> encryption;
  return agent::JweMethod::named(algorithm, encryption);
}

std::string part_of_key(const flow::StepCall& call, const SlotUse& use, std::string_view name) {
  const auto stored = call.value(use.key + std::string(name));
  if (!stored || !stored->meta.is_public) {
    throw InputError(call.step.place, fmt::format("{}{} is no opened value here", use.key, name));
  }
  return std::string(as_text(stored->bytes.reveal()));
}

}  // namespace

FlowJwes::FlowJwes(const flow::StepCall& call, const net::Party& party, const Digest& policy) {
  for (const SlotUse& use : call.step.slots) {
    if (!use.is_jwe()) continue;
    const std::string n = part_of_key(call, use, ".n"), e = part_of_key(call, use, ".e");
    Wanted wanted{use.key,
                  flow::page_key_digest(n, e),
                  method_of(use),
                  agent::JweKey::checked(n, e, part_of_key(call, use, ".kid")),
                  {}};
    wanted.id = RandomOracle("flow jwe", party.scope())
                    .field(policy)
                    .field(use.slot)
                    .field(wanted.under.rsa.digest())
                    .digest();
    requests_.emplace(use.slot, std::move(wanted));
  }
}

agent::JweRequest FlowJwes::request(const std::string& slot, size_t secret_bytes) const {
  const Wanted& wanted = requests_.at(slot);
  return {wanted.method, wanted.under.rsa, agent::jwe_header(wanted.method, wanted.under.kid),
          secret_bytes, wanted.id};
}

uint32_t FlowJwes::length(const SlotUse& use, uint32_t secret_bytes) const {
  return static_cast<uint32_t>(request(use.slot, secret_bytes).text_bytes());
}

std::map<std::string, std::string> FlowJwes::keys() const {
  std::map<std::string, std::string> out;
  for (const auto& [slot, wanted] : requests_) out[wanted.key] = wanted.shown;
  return out;
}

uint64_t FlowJwes::num_ands(const std::map<std::string, uint32_t>& secret_bytes,
                            size_t members) const {
  uint64_t out = 0;
  for (const auto& [slot, bytes] : secret_bytes) {
    if (!requests_.contains(slot)) continue;
    out += agent::jwe_num_ands(request(slot, bytes).shape(members));
  }
  return out;
}

void FlowJwes::make(const agent::Context& context,
                    const std::map<std::string, const prep::AuthBits*>& secrets) {
  for (const auto& [slot, wanted] : requests_) {
    const prep::AuthBits& secret = *secrets.at(slot);
    agent::JweAttempt attempt(context, request(slot, secret.size() / 8), secret);
    attempt.encrypt();
    attempts_.emplace(slot, std::move(attempt));
  }
}

ReadyJwes FlowJwes::texts() const {
  ReadyJwes out;
  for (const auto& [slot, attempt] : attempts_) {
    out[slot] = &attempt.text(requests_.at(slot).id);
  }
  return out;
}

}  // namespace flexroom::room
