#include "session/secret_name.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"

namespace flexroom::session {

std::optional<store::RecordMeta> newest_secret(store::SecretStore& secrets,
                                               const std::string& name) {
  std::optional<store::RecordMeta> newest;
  for (store::RecordMeta& meta : secrets.list()) {
    if (meta.name == name && (!newest || meta.version > newest->version)) newest = std::move(meta);
  }
  return newest;
}

void check_secret_name(store::SecretStore& secrets, const store::RecordMeta& planned) {
  const std::string place = fmt::format("secret '{}'", planned.name);
  const auto newest = newest_secret(secrets, planned.name);
  const uint32_t have = newest ? newest->version : 0, replaced = planned.version - 1;
  if (have != replaced) {
    throw InputError(
        place,
        replaced == 0 ? fmt::format("exists already, as version {}", have)
        : have == 0
            ? fmt::format("has no version {} here to replace", replaced)
            : fmt::format("is version {} here, the file replaces version {}", have, replaced),
        have == 0
            ? "leave `replaces` out of a file for a new secret"
            : fmt::format("choose another name, or say in every member's file that it replaces "
                          "version {}",
                          have));
  }
  if (!newest) return;
  const auto same = [&](std::string_view field, const auto& before, const auto& after) {
    if (before == after) return;
    throw InputError(place, fmt::format("would get another {} than version {} has", field, have),
                     "another owner, class, kind, provider, entropy or purpose is another secret: "
                     "give it another name, or `flexroom secret remove` the old one first");
  };
  same("descent", newest->descent, planned.descent);
  same("owner", newest->owner, planned.owner);
  same("class", newest->value_class, planned.value_class);
  same("kind", newest->kind, planned.kind);
  same("provider", newest->provider, planned.provider);
  same("entropy", newest->entropy, planned.entropy);
  same("set of purposes", newest->purposes, planned.purposes);
}

void agree_on_secret_names(MemberSession& session, std::span<const std::string> names,
                           std::string_view operation) {
  net::Party& party = session.party();
  Writer mine;
  for (const std::string& name : names) {
    const auto newest = newest_secret(session.state().secrets(), name);
    mine.u32(newest ? newest->version : 0);
  }
  const Bytes own = mine.take();
  const std::vector<Bytes> all = party.exchange("secret/name", own);
  party.echo("secret/name", AbortCode::kDisagreement);
  const auto words = [](uint32_t version) {
    return version == 0 ? std::string("is not there") : fmt::format("is version {}", version);
  };
  for (const PartyId j : party.peers()) {
    Reader here(own, "secret/name"), there(all[j], "secret/name", j);
    for (const std::string& name : names) {
      const uint32_t ours = here.u32(), theirs = there.u32();
      if (ours == theirs) continue;
      throw ProtocolAbort(
          AbortCode::kDisagreement, operation,
          fmt::format("'{}' {} at that member and {} here (a removal was cut, or a "
                      "state.db is an older one): `flexroom secret remove {}` at all "
                      "members, or restore the newer state.db",
                      name, words(theirs), words(ours), name),
          j);
    }
  }
}

store::RecordId record_id_for(MemberSession& session, const std::string& name) {
  // The coin is tossed in any case: all members take the same steps.
  const Digest coin = session.party().coin("secret/record id");
  const auto newest = newest_secret(session.state().secrets(), name);
  if (newest) return newest->id;
  store::RecordId id{};
  std::copy_n(coin.begin(), id.size(), id.begin());
  return id;
}

}  // namespace flexroom::session
