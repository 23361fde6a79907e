#include "room/flow_signing.h"

#include <fmt/core.h>

#include "agreement/time.h"
#include "base/display.h"
#include "call/aws_services.h"
#include "call/purpose.h"
#include "session/signing_keys.h"

namespace flexroom::room {
namespace {

using flow::StoredValue;

agent::SigningKey copy_of(const agent::SigningKey& key) { return {key.kin, key.kout.clone()}; }

/// What is opened of a key while it signs is safe only for one that nobody can guess, and that all
/// members gave this purpose (§3.4(i)).
void require_signs(const flow::StepCall& call, const StoredValue& key, uint32_t length) {
  const flow::Step& step = call.step;
  const std::string name = key.meta.name;
  if (key.meta.provider != call.flow.provider) {
    throw InputError(step.place,
                     fmt::format("{} as it is stored is for provider '{}', the flow is for '{}'",
                                 name, display(key.meta.provider), call.flow.provider));
  }
  if (!flow::signs(key.meta.purposes, step.sign_service, step.sign_region)) {
    throw InputError(step.place, fmt::format("{} as it is stored has no purpose `sigv4 {} {}`",
                                             name, step.sign_service, step.sign_region));
  }
  if (key.meta.entropy < kSigningEntropy) {
    throw InputError(step.place, fmt::format("{} as it is stored claims {} bits of entropy, and a "
                                             "signature needs {}",
                                             name, key.meta.entropy, kSigningEntropy));
  }
  if (length > kMaxSigningKeyBytes) {
    throw InputError(step.place, fmt::format("{} has {} bytes, a signing key has 1 to {}", name,
                                             length, kMaxSigningKeyBytes));
  }
}

}  // namespace

StoredValue stored_of(std::string_view name, const store::RecordMeta& secret) {
  StoredValue out;
  out.meta.name = std::string(name);
  out.meta.version = secret.version;
  out.meta.tag = secret.origin();
  out.meta.value_class = flow::value_class_of(secret.value_class).value_or(flow::ValueClass::kRaw);
  out.meta.entropy = secret.entropy;
  out.meta.purposes = secret.purposes;
  out.meta.min = out.meta.max = secret.bits / 8;
  out.meta.born = secret.descent == store::Descent::kBorn;
  out.meta.provider = secret.provider;
  out.record = secret;
  return out;
}

GivenKey::GivenKey(const flow::Flow& flow, const FlowKey& key, store::RecordMeta secret)
    : key_(flow.key), id_(key.id), secret_(std::move(secret)) {
  const std::string place = "--secret " + key.secret;
  if (key_.empty()) throw InputError(place, "the flow signs nothing: it names no `key`");
  const std::string own = key_ + "/secret";
  if (flow.kept(own) != nullptr) {
    throw InputError(place, fmt::format("the flow makes its key {} itself", own));
  }
  if (!is_access_key_id(id_)) {
    throw InputError("--key-id", "is no access key id",
                     "1 to 128 letters and digits, as AKIAIOSFODNN7EXAMPLE");
  }
  if (secret_.provider != flow.provider) {
    throw InputError(place,
                     fmt::format("belongs to provider '{}', the flow is for '{}'", secret_.provider,
                                 flow.provider),
                     "a secret is imported for one provider and goes to its hosts only");
  }
  flow.each_step([&](const flow::Step& step) {
    if (step.sign_service.empty()) return;
    check_signing_secret(secret_, step.sign_service, step.sign_region);
  });
}

std::string GivenKey::text() const {
  return fmt::format("{} (secret {} v{})", id_, secret_.name, secret_.version);
}

std::optional<StoredValue> GivenKey::value(std::string_view name) const {
  StoredValue out;
  out.meta.name = std::string(name);
  if (name == key_ + "/id") {
    out.meta.is_public = true;
    out.meta.value_class = flow::ValueClass::kUrlSafe;
    out.meta.tag = sha256(as_bytes(id_));
    out.bytes = SecretBytes::copy_of(as_bytes(id_));
    return out;
  }
  if (name != key_ + "/secret") return std::nullopt;
  return stored_of(name, secret_);
}

DatedKey FlowSigning::given_key(const flow::StepCall& call,
                                const std::function<void(uint64_t ands)>& decided) {
  const store::RecordMeta& secret = given_->secret();
  session::ObtainedKey key = session::obtain_signing_key(
      joined_.session(), secret, call.step.sign_region, call.step.sign_service, [&](bool cached) {
        decided(cached ? 0 : agent::signing_key_programs(secret.bits / 8).num_ands());
      });
  return {std::move(key.key), std::move(key.date)};
}

DatedKey FlowSigning::key(const flow::StepCall& call,
                          const std::function<void(uint64_t ands)>& decided) {
  if (given_ != nullptr) return given_key(call, decided);
  const std::string name = call.flow.key + "/secret";
  const auto stored = call.value(name);
  if (!stored || stored->meta.is_public) {
    throw InputError(call.step.place, fmt::format("{} is no secret here", name));
  }
  const uint32_t length = length_of(*stored);
  require_signs(call, *stored, length);
  session::MemberSession& session = joined_.session();
  // As the request will be dated, not as the step's waits are counted.
  const std::string date = amz_date(agree_on_time(session.party())).substr(0, 8);
  const std::string& region = call.step.sign_region;
  const std::string& service = call.step.sign_service;
  const auto at = std::make_tuple(stored->meta.tag, date, region, service);
  const auto known = made_.find(at);
  decided(known != made_.end() ? 0 : agent::signing_key_programs(length).num_ands());
  if (known != made_.end()) return {copy_of(known->second), date};
  values_.load({&*stored});
  agent::SigningKeyDerivation derivation(session.engine(), values_.bits(*stored));
  const auto made = made_.emplace(at, derivation.run(session.party(), {date, region, service}));
  return {copy_of(made.first->second), date};
}

}  // namespace flexroom::room
