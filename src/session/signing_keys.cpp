#include "session/signing_keys.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "agreement/time.h"
#include "base/hex_digest.h"
#include "call/purpose.h"
#include "store/row_reader.h"

namespace flexroom::session {
namespace {

/// Everything of the scope but the date: what keys of other days share.
std::string family(const store::RecordMeta& secret, const std::string& region,
                   const std::string& service) {
  return fmt::format("{} v{}/{}/{}/", secret.name, secret.version, region, service);
}

std::optional<store::RecordMeta> find(store::LoadedStore& keys, const std::string& name,
                                      const Digest& origin, const Digest& epoch) {
  for (const store::RecordMeta& meta : keys.list()) {
    if (meta.kind == kSigningKeyKind && meta.epoch == epoch && meta.name == name &&
        meta.provenance == origin) {
      return meta;
    }
  }
  return std::nullopt;
}

/// Kin, as it stands in the record's metadata.
Digest opened_half(const store::RecordMeta& key) {
  const auto kin = digest_of_hex(key.value_class);
  if (!kin) throw store::damaged_row("state.db, a signing key", "its opened half is no digest");
  return *kin;
}

}  // namespace

ObtainedKey obtain_signing_key(MemberSession& session, const store::RecordMeta& secret,
                               const std::string& region, const std::string& service,
                               const std::function<void(bool cached)>& decided) {
  net::Party& party = session.party();
  store::LoadedStore& keys = session.state().loaded();
  check_signing_secret(secret, service, region);  // before anything of it is opened (§3.4(i))
  ObtainedKey out;
  out.date = amz_date(agree_on_time(party)).substr(0, 8);
  for (const std::string& part : {region, service}) {
    if (part.size() > store::kMaxScopeBytes) {
      throw InputError("secret '" + secret.name + "'",
                       fmt::format("cannot sign for a region or service of more than {} characters",
                                   store::kMaxScopeBytes));
    }
  }
  const std::string name = family(secret, region, service) + out.date;

  // The opened half (Kin) stands in the record's metadata: members may know it, nobody else needs
  // it. A member that lacks the record makes all derive it again.
  const auto found = find(keys, name, secret.origin(), party.scope().eid);
  const Digest own = found ? found->digest() : Digest{};
  bool everywhere = found.has_value();
  for (const Bytes& other : party.exchange("sigv4/cached", own)) {
    everywhere = everywhere && other == Bytes(own.begin(), own.end());
  }
  party.echo("sigv4/cached", AbortCode::kDisagreement);
  if (decided) decided(everywhere);
  if (everywhere) {
    out.key.kin = sha256_state_from(opened_half(*found));
    out.key.kout = keys.get(found->id, found->version);
    out.cached = true;
    return out;
  }
  const prep::AuthBits bits = session.shares(secret);
  agent::SigningKeyDerivation derivation(session.engine(), bits);
  out.key = derivation.run(party, {out.date, region, service});

  store::RecordMeta meta;
  meta.epoch = party.scope().eid;
  const Digest id = party.coin("sigv4/record id");
  std::copy_n(id.begin(), meta.id.size(), meta.id.begin());
  meta.name = name;
  meta.kind = kSigningKeyKind;
  meta.value_class = to_hex(sha256_state_bytes(out.key.kin));
  meta.bits = static_cast<uint32_t>(out.key.kout.size());
  meta.provenance = secret.origin();
  const std::string prefix = family(secret, region, service);
  for (const store::RecordMeta& other : keys.list()) {
    if (other.kind == kSigningKeyKind && other.name.starts_with(prefix)) keys.remove(other.id);
  }
  keys.put(party, meta, out.key.kout);
  return out;
}

void erase_orphaned_keys(MemberState& state) {
  // Of each record: two may have one name, as one that was imported before a flow made its own.
  std::map<store::RecordId, store::RecordMeta> newest;
  std::vector<store::RecordMeta> secrets = state.secrets().list();
  for (store::RecordMeta& meta : state.secrets_of_before()) secrets.push_back(std::move(meta));
  for (store::RecordMeta& meta : secrets) {
    store::RecordMeta& best = newest.try_emplace(meta.id, meta).first->second;
    if (best.version < meta.version) best = std::move(meta);
  }
  std::set<Digest> alive;
  for (const auto& [id, meta] : newest) alive.insert(meta.origin());
  for (const store::RecordMeta& meta : state.loaded().list()) {
    if (meta.kind == kSigningKeyKind && !alive.contains(meta.provenance)) {
      state.loaded().remove(meta.id);
    }
  }
}

}  // namespace flexroom::session
