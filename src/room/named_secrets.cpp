#include "room/named_secrets.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "call/aws_services.h"
#include "call/run_script.h"
#include "room/flow_signing.h"

namespace flexroom::room {
namespace {

constexpr std::string_view kSecretPart = "/secret", kIdPart = "/id", kTokenPart = "/token";

/// "keys/id" of "keys/secret"; empty: it is no such name.
std::string beside(const std::string& secret, std::string_view part) {
  if (!secret.ends_with(kSecretPart)) return "";
  return secret.substr(0, secret.size() - kSecretPart.size()) + std::string(part);
}

bool may_sign(const flow::ValueMeta& meta) {
  return std::any_of(meta.purposes.begin(), meta.purposes.end(),
                     [](const std::string& purpose) { return purpose.starts_with("sigv4 "); });
}

/// The pair of a secret that is one half of it. A session's, whose token stands beside it, signs
/// nothing alone.
std::optional<JointKey> pair_of(flow::RunStore& store, const std::string& prefix,
                                const flow::ValueMeta& meta) {
  const std::string name = beside(meta.name, kIdPart);
  if (meta.is_public || name.empty() || !may_sign(meta)) return std::nullopt;
  const auto id = store.room_value(prefix, name), secret = store.room_value(prefix, meta.name);
  if (!id || !id->meta.is_public || id->meta.provider != meta.provider || !secret) {
    return std::nullopt;
  }
  if (!is_access_key_id(as_text(id->bytes.reveal()))) return std::nullopt;
  if (store.room_value(prefix, beside(meta.name, kTokenPart))) return std::nullopt;
  return JointKey{std::string(as_text(id->bytes.reveal())), *secret->record};
}

}  // namespace

flow::RunStore flow_store(session::MemberState& state) {
  return {state.db(), state.once(), state.rid(), std::time(nullptr)};
}

std::vector<NamedSecret> secrets_called(session::MemberState& state, const std::string& name) {
  if (!state.founded()) return {};
  const auto is_called = [&](const store::RecordMeta& meta) {
    return meta.name == name && !meta.is_of_flow();
  };
  const std::vector<store::RecordMeta> rows = state.secrets().list();
  const std::vector<store::RecordMeta> before = state.secrets_of_before();
  if (std::any_of(rows.begin(), rows.end(), is_called) ||
      std::any_of(before.begin(), before.end(), is_called)) {
    return {{name, "", ""}};
  }
  std::vector<NamedSecret> out;
  for (const auto& [prefix, meta] : flow_store(state).all_room_values()) {
    const std::string full = flow::name_in_room(prefix, meta.name);
    if (full == name) return {{full, prefix, meta.name}};
    if (meta.name == name) out.push_back({full, prefix, meta.name});
  }
  return out;
}

std::optional<flow::StoredValue> secret_for_flow(session::MemberState& state,
                                                 const std::string& name) {
  std::optional<store::RecordMeta> newest;
  for (const store::RecordMeta& meta : state.secrets().list()) {
    const bool is_called = meta.name == name && !meta.is_of_flow();
    if (is_called && (!newest || meta.version > newest->version)) newest = meta;
  }
  if (!newest) return std::nullopt;
  return stored_of(name, *newest);
}

std::string JointKey::origin() const {
  return fmt::format("kept by {}; the room's only key for {}", secret.kind, secret.provider);
}

JointKey joint_key(session::MemberState& state, const std::string& provider,
                   const std::string& place) {
  std::vector<JointKey> found;
  std::string names;
  flow::RunStore store = flow_store(state);
  for (const auto& [prefix, meta] : store.all_room_values()) {
    auto pair = meta.provider == provider ? pair_of(store, prefix, meta) : std::nullopt;
    if (!pair) continue;
    names += (names.empty() ? "" : ", ") + pair->secret.name;
    found.push_back(std::move(*pair));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    throw InputError(place,
                     fmt::format("names no key, and no flow has left one for provider '{}' in the "
                                 "room",
                                 provider),
                     "`flexroom flow share/flows/create-session.toml` makes one; or import one and "
                     "name it");
  }
  throw InputError(place,
                   fmt::format("names no key, and the room has {} for provider '{}': {}",
                               found.size(), provider, names),
                   "name one of them, with its access key id");
}

KeyOfJob key_of_job(session::MemberState& state, JobConfig& job, bool names_key) {
  KeyOfJob out;
  if (names_key) {
    out.secret = state.secret(job.secret);
  } else {
    JointKey key = joint_key(state, job.provider, job.file.string());
    out.origin = key.origin();
    job.access_key_id = key.id;
    job.secret = key.secret.name;
    out.secret = std::move(key.secret);
  }
  check_key(job, out.secret);
  return out;
}

std::optional<std::string> id_of_key(session::MemberState& state, const std::string& secret) {
  for (const NamedSecret& named : secrets_called(state, secret)) {
    if (!named.is_of_flow() || named.name != secret) continue;
    const auto id = flow_store(state).room_value(named.prefix, beside(named.value, kIdPart));
    if (!id || !id->meta.is_public || !is_access_key_id(as_text(id->bytes.reveal()))) continue;
    return std::string(as_text(id->bytes.reveal()));
  }
  return std::nullopt;
}

}  // namespace flexroom::room
