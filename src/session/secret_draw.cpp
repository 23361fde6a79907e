#include "session/secret_draw.h"

#include <fmt/core.h>

#include <algorithm>

#include "call/purpose.h"
#include "session/secret_name.h"
#include "session/signing_keys.h"

namespace flexroom::session {
namespace {

constexpr uint32_t kMailboxEntropy = 128;

std::vector<std::string> names_of(const DrawFile& file) {
  std::vector<std::string> out;
  for (const Birth& birth : file.births) out.push_back(birth.name);
  return out;
}

void add_birth(agreement::Proposal& proposal, const RoomConfig& room, const DrawFile& file,
               const Birth& birth) {
  const store::RecordMeta planned = planned_record(room, file, birth);
  proposal.section(fmt::format("Secret {}", birth.name));
  proposal.text("stored as", birth.replaces == 0
                                 ? "new"
                                 : fmt::format("replaces {} v{}", birth.name, birth.replaces));
  proposal.text("kind", birth.kind);
  proposal.text("drawn", birth.description());
  if (!birth.list_file.empty()) proposal.bytes("list", birth.list_digest);
  proposal.text("value", fmt::format("{} bytes of class {}, {} bits of entropy, known to nobody",
                                     planned.bits / 8, planned.value_class, planned.entropy));
  if (birth.identifies) proposal.text("identifies", "outsiders can name the identity by it");
  for (const std::string& purpose : birth.purposes) proposal.text("purpose", purpose);
  if (birth.purposes.empty()) proposal.text("purposes", "(none: usable nowhere)");
}

/// operations.md (b): what opens a mailbox is not guessed, since mails open everything else.
void check_mailbox_entropy(const RoomConfig& room, const store::RecordMeta& planned) {
  if (planned.entropy >= kMailboxEntropy) return;
  const std::string place = fmt::format("secret '{}'", planned.name);
  for (const std::string& text : planned.purposes) {
    const Purpose purpose = parse_purpose(text, place);
    if (purpose.host.empty() || !room.provider_of(purpose.host).is_mailbox(purpose.host)) continue;
    throw InputError(place,
                     fmt::format("goes to the mailbox {} with {} bits of entropy, needs {}",
                                 purpose.host, planned.entropy, kMailboxEntropy),
                     "draw it longer");
  }
}

}  // namespace

store::RecordMeta planned_record(const RoomConfig& room, const DrawFile& file, const Birth& birth) {
  store::RecordMeta out;
  out.name = birth.name;
  out.kind = birth.kind;
  out.value_class = birth.value_class();
  out.bits = static_cast<uint32_t>(8 * birth.sampler.bytes());
  out.version = birth.replaces + 1;
  out.purposes = birth.purposes;
  out.provider = file.provider;
  out.entropy = birth.entropy();
  out.descent = store::Descent::kBorn;
  if (!file.provider.empty()) (void)room.provider(file.provider);
  check_secret_terms(
      out, [&](std::string_view host) { return room.serves(room.provider(file.provider), host); },
      fmt::format("secret '{}'", birth.name));
  check_mailbox_entropy(room, out);
  return out;
}

agreement::Proposal draw_proposal(const RoomConfig& room, const DrawFile& file) {
  agreement::Proposal proposal;
  proposal.kind = "secret draw";
  proposal.title = file.births.front().name;
  if (file.births.size() > 1) proposal.title += fmt::format(" and {} more", file.births.size() - 1);
  proposal.text("room", room.name);
  proposal.text("provider", file.provider.empty() ? "(none)" : file.provider);
  proposal.text("secrets", std::to_string(file.births.size()));
  proposal.bytes("draw", file.digest);
  for (const Birth& birth : file.births) add_birth(proposal, room, file, birth);
  return proposal;
}

void check_draw(MemberState& state, const DrawFile& file) {
  for (const Birth& birth : file.births) {
    check_secret_name(state.secrets(), planned_record(state.room(), file, birth));
  }
}

void agree_on_draw(MemberSession& session, const DrawFile& file) {
  net::Party& party = session.party();
  const std::vector<Bytes> all = party.exchange("secret/draw", file.digest);
  party.echo("secret/draw", AbortCode::kDisagreement);
  for (const PartyId j : party.peers()) {
    if (std::equal(all[j].begin(), all[j].end(), file.digest.begin())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, "secret draw",
                        "draws by another file, or another list: both are the same at every member",
                        j);
  }
  agree_on_secret_names(session, names_of(file), "secret draw");
  check_draw(session.state(), file);
}

std::vector<store::RecordMeta> draw_secrets(MemberSession& session, const DrawFile& file,
                                            const Digest& proposal) {
  check_draw(session.state(), file);
  std::vector<agent::Sampler> samplers;
  std::vector<store::RecordMeta> planned;
  for (const Birth& birth : file.births) {
    samplers.push_back(birth.sampler);
    store::RecordMeta meta = planned_record(session.state().room(), file, birth);
    meta.id = record_id_for(session, birth.name);
    meta.provenance = proposal;
    planned.push_back(std::move(meta));
  }
  const std::vector<prep::AuthBits> values = agent::draw_values(
      session.party(), session.source(), session.engine(), agent::build_draw_circuit(samplers));
  std::vector<MemberSession::Kept> kept;
  for (size_t k = 0; k < values.size(); ++k) {
    FLEXROOM_ASSERT(values[k].size() == planned[k].bits);
    kept.push_back({planned[k], &values[k]});
  }
  // From here on they may be stored, whatever becomes of this process.
  session.state().once().run_released(session.party().scope().sid);
  std::vector<store::RecordMeta> stored = session.keep(kept);
  erase_orphaned_keys(session.state());
  return stored;
}

}  // namespace flexroom::session
