#include "session/secret_import.h"

#include <fmt/core.h>

#include <algorithm>

#include "call/purpose.h"
#include "circuits/text.h"
#include "http/text.h"
#include "mpc/builder.h"
#include "prep/joint_input.h"
#include "session/secret_name.h"
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

void check_import(MemberState& state, const SecretFile& file) {
  check_secret_name(state.secrets(), planned_record(state.room(), file));
}

void agree_on_name(MemberSession& session, const SecretFile& file) {
  agree_on_secret_names(session, std::span(&file.name, 1), "secret import");
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
  prep::AuthBits value = file.commitments.empty() ? sum_of_inputs(session, file)
                                                  : open_committed_shares(session, file);
  check_class(session, value, file);

  store::RecordMeta meta = planned_record(session.state().room(), file);
  meta.id = record_id_for(session, file.name);
  meta.provenance = proposal;
  // From here on it may be stored, whatever becomes of this process.
  session.state().once().run_released(session.party().scope().sid);
  meta = session.keep({{meta, &value}}).front();
  erase_orphaned_keys(session.state());
  return meta;
}

void remove_secret(MemberState& state, const std::string& name) {
  store::SecretStore& secrets = state.secrets();
  for (const store::RecordMeta& meta : secrets.list()) {
    if (meta.name == name && !meta.is_of_flow()) secrets.remove(meta.id);
  }
  for (const store::RecordMeta& meta : state.secrets_of_before()) {
    if (meta.name == name) state.loaded().remove(meta.id);
  }
}

}  // namespace flexroom::session
