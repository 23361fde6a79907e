#include "session/secret_import.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "call/purpose.h"
#include "circuits/text.h"
#include "http/text.h"
#include "mpc/builder.h"
#include "prep/joint_input.h"
#include "session/share_commitments.h"
#include "session/signing_keys.h"

namespace flexroom::session {
namespace {

/// 1 if every byte of the value is in its class; the only thing that is opened.
mpc::Circuit class_circuit(uint32_t bytes, http::CharClass char_class) {
  mpc::Builder builder;
  const circuits::Text text =
      circuits::text_of(builder.add_input("value", mpc::InputKind::kDyn, 8 * bytes));
  circuits::ByteSet set;
  for (size_t c = 0; c < 256; ++c) {
    set[c] = http::char_set(char_class).contains(static_cast<uint8_t>(c));
  }
  builder.add_output("ok", mpc::OutputKind::kOpenAll, {circuits::all_members(text, set)});
  return builder.finish();
}

void check_class(MemberSession& session, const prep::AuthBits& bits, const SecretFile& file) {
  const http::CharClass char_class = *http::char_class_of(file.value_class);
  if (char_class == http::CharClass::kRaw) return;
  if (!file.commitments.empty()) {
    // Each class is one more question about the value.
    const Digest list = digest_of(file.commitments);
    const Bytes asked =
        session.state().once().bind("import class", list, as_bytes(file.value_class));
    if (asked != to_bytes(file.value_class)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "secret import",
                          fmt::format("these shares were tried with class {} before; another class "
                                      "would tell more about the value. Ask the issuer for new "
                                      "shares",
                                      to_text(asked)));
    }
  }
  const auto program =
      std::make_shared<const mpc::Program>(mpc::compile(class_circuit(file.length, char_class)));
  const auto instance = session.engine().prepare(program, {}, "secret class");
  boolean::OnlineInputs inputs;
  inputs.pub.resize(1);
  inputs.priv.resize(1);
  inputs.dyn = {&bits};
  const boolean::Outputs outputs = session.engine().run(*instance, inputs);
  session.engine().confirm(*instance);
  if (outputs.opened[0][0] != 1) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "secret import",
                        fmt::format("the value of '{}' has a byte outside class {}; nothing was "
                                    "stored. Check the shares, or give another class",
                                    file.name, file.value_class));
  }
}

/// Of the owner's value, or of all members' XOR shares, as they give them.
prep::AuthBits sum_of_inputs(MemberSession& session, const SecretFile& file) {
  std::vector<bool> gives;
  for (const MemberEntry& member : session.state().room().members) {
    gives.push_back(file.owner.empty() || member.name == file.owner);
  }
  return prep::joint_input(session.party(), session.source(), gives, file.material.reveal(),
                           size_t{8} * file.length, "secret/re-mask");
}

}  // namespace

store::RecordMeta planned_record(const RoomConfig& room, const SecretFile& file) {
  const std::string place = fmt::format("secret '{}'", file.name);
  // A name that is no member's would store a secret to which nobody contributed.
  if (!file.owner.empty() && std::none_of(room.members.begin(), room.members.end(),
                                          [&](const auto& m) { return m.name == file.owner; })) {
    throw InputError(place,
                     fmt::format("has the owner '{}', who is no member of the room", file.owner),
                     "write a name as it stands in room.toml");
  }
  store::RecordMeta out;
  out.name = file.name;
  out.kind = file.kind;
  out.value_class = file.value_class;
  out.bits = 8 * file.length;
  out.version = file.replaces + 1;
  out.purposes = file.purposes;
  out.provider = file.provider;
  out.entropy = file.entropy;
  out.owner = file.owner;
  if (!file.provider.empty()) (void)room.provider(file.provider);
  check_secret_terms(
      out, [&](std::string_view host) { return room.serves(room.provider(file.provider), host); },
      place);
  return out;
}

namespace {

std::optional<store::RecordMeta> newest_of(store::SecretStore& secrets, const std::string& name) {
  std::optional<store::RecordMeta> newest;
  for (store::RecordMeta& meta : secrets.list()) {
    if (meta.name == name && (!newest || meta.version > newest->version)) newest = std::move(meta);
  }
  return newest;
}

/// §5.1, names: what stands under the name now is what the file says it replaces, and the same
/// secret in everything but its value.
void check_name(const std::optional<store::RecordMeta>& newest, const store::RecordMeta& planned) {
  const std::string place = fmt::format("secret '{}'", planned.name);
  const uint32_t have = newest ? newest->version : 0, replaced = planned.version - 1;
  if (have != replaced) {
    throw InputError(
        place,
        replaced == 0 ? fmt::format("exists already, as version {}", have)
        : have == 0
            ? fmt::format("has no version {} here to replace", replaced)
            : fmt::format("is version {} here, the file replaces version {}", have, replaced),
        have == 0 ? "leave \"replaces\" out of a file for a new secret"
                  : fmt::format("choose another name, or write \"replaces\": {} in every member's "
                                "file",
                                have));
  }
  if (!newest) return;
  const auto same = [&](std::string_view field, const auto& before, const auto& after) {
    if (before == after) return;
    throw InputError(place, fmt::format("would get another {} than version {} has", field, have),
                     "another owner, class, kind, provider, entropy or purpose is another secret: "
                     "give it another name, or `flexroom secret remove` the old one first");
  };
  same("owner", newest->owner, planned.owner);
  same("class", newest->value_class, planned.value_class);
  same("kind", newest->kind, planned.kind);
  same("provider", newest->provider, planned.provider);
  same("entropy", newest->entropy, planned.entropy);
  same("set of purposes", newest->purposes, planned.purposes);
}

}  // namespace

void check_import(MemberState& state, const SecretFile& file) {
  check_name(newest_of(state.secrets(), file.name), planned_record(state.room(), file));
}

void agree_on_name(MemberSession& session, const SecretFile& file) {
  net::Party& party = session.party();
  store::SecretStore& secrets = session.state().secrets();
  const auto newest = newest_of(secrets, file.name);
  const Bytes own = Writer().u32(newest ? newest->version : 0).take();
  const std::vector<Bytes> all = party.exchange("secret/name", own);
  party.echo("secret/name", AbortCode::kDisagreement);
  for (const PartyId j : party.peers()) {
    if (all[j] == own) continue;
    Reader in(all[j], "secret/name", j);
    const auto words = [](uint32_t version) {
      return version == 0 ? std::string("is not there") : fmt::format("is version {}", version);
    };
    throw ProtocolAbort(
        AbortCode::kDisagreement, "secret import",
        fmt::format("'{}' {} at that member and {} here (a removal was cut, or a "
                    "state.db is an older one): `flexroom secret remove {}` at all "
                    "members, or restore the newer state.db",
                    file.name, words(in.u32()), words(newest ? newest->version : 0), file.name),
        j);
  }
  check_import(session.state(), file);
}

agreement::Proposal import_proposal(const RoomConfig& room, const SecretFile& file) {
  (void)planned_record(room, file);
  agreement::Proposal proposal;
  const auto add = [&](std::string name, std::string_view value) {
    proposal.text(std::move(name), value);
  };
  proposal.kind = "secret import";
  proposal.title = file.name;
  add("room", room.name);
  add("secret", file.name);
  add("stored as",
      file.replaces == 0 ? "new" : fmt::format("replaces {} v{}", file.name, file.replaces));
  add("kind", file.kind);
  add("class", file.value_class);
  add("bytes", std::to_string(file.length));
  add("entropy", fmt::format("{} bits, as its source says", file.entropy));
  add("owner", file.owner.empty() ? "(shares from the issuer)" : file.owner);
  add("provider", file.provider.empty() ? "(none)" : file.provider);
  if (file.owner.empty()) {
    add("commitments", file.commitments.empty() ? "(none: nothing about the value is checked)"
                                                : to_hex(digest_of(file.commitments)));
  }
  for (size_t k = 0; k < file.purposes.size(); ++k) {
    add(fmt::format("purpose {}", k + 1), file.purposes[k]);
  }
  if (file.purposes.empty()) add("purposes", "(none: usable nowhere)");
  return proposal;
}

store::RecordMeta import_secret(MemberSession& session, const SecretFile& file,
                                const Digest& proposal) {
  check_import(session.state(), file);
  net::Party& party = session.party();
  prep::AuthBits value = file.commitments.empty() ? sum_of_inputs(session, file)
                                                  : open_committed_shares(session, file);
  check_class(session, value, file);

  store::RecordMeta meta = planned_record(session.state().room(), file);
  const Digest id = party.coin("secret/record id");
  std::copy_n(id.begin(), meta.id.size(), meta.id.begin());
  meta.provenance = proposal;
  for (const store::RecordMeta& other : session.state().secrets().list()) {
    if (other.name == file.name) meta.id = other.id;
  }
  // From here on it may be stored, whatever becomes of this process.
  session.state().once().run_released(party.scope().sid);
  meta = session.keep({{meta, &value}}).front();
  erase_orphaned_keys(session.state());
  return meta;
}

agreement::Proposal remove_proposal(MemberSession& session, const std::string& name) {
  net::Party& party = session.party();
  bool here = false;
  for (const store::RecordMeta& meta : session.state().secrets().list()) {
    here = here || meta.name == name;
  }
  for (const store::RecordMeta& meta : session.state().secrets_of_before()) {
    here = here || meta.name == name;
  }
  const Bytes own(1, here ? 1 : 0);
  bool anywhere = false;
  for (const Bytes& answer : party.exchange("secret/remove", own)) {
    anywhere = anywhere || answer[0] != 0;
  }
  if (!anywhere) {
    throw InputError("secret '" + name + "'", "is in no member's store",
                     "`flexroom secret list` shows what is there");
  }
  agreement::Proposal proposal;
  proposal.kind = "secret remove";
  proposal.title = name;
  proposal.text("room", session.state().room().name).text("secret", name);
  return proposal;
}

void remove_secret(MemberSession& session, const std::string& name) {
  store::SecretStore& secrets = session.state().secrets();
  session.state().once().run_released(session.party().scope().sid);
  for (const store::RecordMeta& meta : secrets.list()) {
    if (meta.name == name) secrets.remove(meta.id);
  }
  for (const store::RecordMeta& meta : session.state().secrets_of_before()) {
    if (meta.name == name) session.state().loaded().remove(meta.id);
  }
  erase_orphaned_keys(session.state());
}

}  // namespace flexroom::session
