#include "flexroom/room.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <fmt/format.h>

#include <ctime>

#include "base/codec.h"
#include "base/display.h"
#include "inbox/chains.h"
#include "prep/triple_parameters.h"
#include "room/cover.h"
#include "room/failure.h"
#include "room/joined.h"
#include "room/named_secrets.h"
#include "room/people.h"
#include "room/state.h"
#include "session/pool_source.h"
#include "session/secret_refresh.h"
#include "store/log_export.h"

namespace flexroom {
namespace room {

SecretInfo info_of(const store::RecordMeta& meta) {
  SecretInfo out;
  out.name = meta.name;
  out.kind = meta.kind;
  out.value_class = meta.value_class;
  out.bytes = meta.bits / 8;
  out.version = meta.version;
  out.purposes = meta.purposes;
  out.provider = meta.provider;
  out.entropy = meta.entropy;
  out.owner = meta.owner;
  switch (meta.descent) {
    case store::Descent::kBorn:
      out.known_to = "nobody";
      break;
    case store::Descent::kKept:
      out.known_to = "service";
      break;
    case store::Descent::kGiven:
      out.known_to = meta.owner.empty() ? "issuer" : meta.owner;
      break;
  }
  out.record = to_hex(meta.id);
  out.set = to_hex(meta.set);
  out.provenance = to_hex(meta.provenance);
  return out;
}

SecretInfo info_of(const std::string& prefix, const flow::ValueMeta& value, uint64_t bytes) {
  SecretInfo out;
  out.name = flow::name_in_room(prefix, value.name);
  out.kind = "public value of a flow";
  out.value_class = flow::to_string(value.value_class);
  out.bytes = bytes;
  out.version = value.version;
  out.provider = value.provider;
  out.provenance = to_hex(value.tag);
  out.known_to = "all members";
  return out;
}

std::vector<SecretInfo> all_secrets(session::MemberState& state) {
  std::vector<SecretInfo> out;
  if (!state.founded()) return out;
  for (const auto& meta : state.secrets().list()) out.push_back(info_of(meta));
  flow::RunStore store = flow_store(state);
  for (const auto& [prefix, meta] : store.all_room_values()) {
    if (!meta.is_public) continue;
    out.push_back(info_of(prefix, meta, store.room_value(prefix, meta.name)->bytes.size()));
  }
  return out;
}

SecretInfo secret_called(session::MemberState& state, const std::string& name) {
  const std::vector<NamedSecret> found = secrets_called(state, name);
  if (found.size() > 1) {
    std::string names;
    for (const NamedSecret& one : found) names += (names.empty() ? "" : ", ") + one.name;
    throw InputError("secret '" + name + "'", "could be several: " + names,
                     "give the whole name, PREFIX:NAME");
  }
  if (found.empty() || !found.front().is_of_flow()) return info_of(state.secret(name));
  for (SecretInfo& info : all_secrets(state)) {
    if (info.name == found.front().name) return std::move(info);
  }
  return info_of(state.secret(name));  // says that it is not there
}

Stock stock_of(session::MemberState& state) {
  const session::PoolStock now =
      session::summarise(state.once().pool().on_disk(), state.room().members.size());
  return {now.triples, now.bits, now.bytes};
}

std::vector<std::string> member_names(const RoomConfig& config) {
  std::vector<std::string> out;
  for (const MemberEntry& member : config.members) out.push_back(member.name);
  return out;
}

}  // namespace room

namespace {

std::vector<store::AuditLog::Stored> verified_log(session::MemberState& state) {
  state.settle_runs();
  return state.log().verify();
}

store::AuditLog::Stored log_entry(session::MemberState& state, uint64_t number) {
  auto entries = verified_log(state);
  if (number == 0 || number > entries.size()) {
    throw InputError(fmt::format("log show {}", number),
                     fmt::format("there is no such entry; the log has {}", entries.size()),
                     "`flexroom log` counts them from 1");
  }
  return std::move(entries[number - 1]);
}

}  // namespace

Room::Room(const RoomOptions& options) : state_(std::make_unique<State>()) {
  state_->options = options;
  room::translated({}, [&] {
    state_->member = room::open_state(
        options.member_file, options.hooks,
        options.only_looks ? store::SealedDb::Access::kLook : store::SealedDb::Access::kUse);
    return true;
  });
}
Room::~Room() = default;
Room::Room(Room&&) noexcept = default;
Room& Room::operator=(Room&&) noexcept = default;

RoomStatus Room::status() {
  return room::translated(room::Access::members(*this), [&] {
    session::MemberState& state = *state_->member;
    const auto counters = state.once().counters();
    RoomStatus out;
    out.member = state.member().name;
    out.room = state.room().name;
    out.members = room::member_names(state.room());
    out.has_epoch = state.has_epoch();
    out.epoch_made = state.epoch_made();
    out.burned = counters.burned;
    out.needs_operator = counters.needs_operator;
    out.dirty = counters.dirty;
    out.life = counters.life;
    out.strikes = counters.strikes;
    if (out.has_epoch && !out.burned) {
      out.reason_to_refresh =
          session::reason_to_refresh(counters.dirty, prep::profile(state.room().profile).dirty_max,
                                     out.epoch_made, static_cast<uint64_t>(std::time(nullptr)));
    }
    out.open_marks = state.open_marks();
    out.secrets = state.secrets().list().size();
    out.stock = room::stock_of(state);
    out.certificate = to_hex(state.identity().fingerprint());
    out.certificate_expires = state.identity().not_after();
    room::add_connections(state, out);
    return out;
  });
}

CoverMade Room::make_cover(std::chrono::seconds time,
                           const std::function<void(const std::string&)>& note) {
  return room::translated(room::Access::members(*this), [&] {
    session::MemberState& state = *state_->member;
    return room::make_cover(room::cover_plan(state, note), state.member().state_dir, time,
                            state_->options.cancel, note);
  });
}

std::vector<SecretInfo> Room::secrets() {
  return room::translated(room::Access::members(*this),
                          [&] { return room::all_secrets(*state_->member); });
}

SecretInfo Room::secret(const std::string& name) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::secret_called(*state_->member, name); });
}

Stock Room::stock() {
  return room::translated(room::Access::members(*this),
                          [&] { return room::stock_of(*state_->member); });
}

std::vector<LogEntry> Room::log() {
  return room::translated(room::Access::members(*this), [&] {
    std::vector<LogEntry> out;
    for (const auto& stored : verified_log(*state_->member)) {
      out.push_back({static_cast<int64_t>(stored.entry.unix_seconds), to_hex(stored.entry.proposal),
                     std::string(store::to_string(stored.entry.outcome)), stored.entry.text,
                     stored.joint, to_hex(stored.head), static_cast<int>(stored.entry.status)});
    }
    return out;
  });
}

std::string Room::log_entry_text(uint64_t number) {
  return room::translated(room::Access::members(*this),
                          [&] { return store::entry_text(log_entry(*state_->member, number)); });
}

std::string Room::log_entry_line(uint64_t number) {
  return room::translated(room::Access::members(*this),
                          [&] { return store::export_line(log_entry(*state_->member, number)); });
}

void Room::export_log(const std::function<void(const std::string& line)>& sink, bool evidence) {
  room::translated(room::Access::members(*this), [&] {
    session::MemberState& state = *state_->member;
    for (const auto& stored : verified_log(state)) {
      sink(evidence ? store::export_line(stored, room::opened_evidence(state, stored))
                    : store::export_line(stored));
    }
  });
}

bool Room::accept_peers(Decider& decider, uint64_t* life_before) {
  return room::translated(room::Access::members(*this), [&] {
    store::OnceDb& once = state_->member->once();
    state_->member->settle_open_marks();  // what a killed session left is decided upon too
    const auto before = once.counters();
    const auto said = room::GuardedDecider(decider).human_input(
        {Question::Kind::kYesNo,
         "Go on with these members although batches ended without a verdict, a check failed that "
         "only a cheating member fails, or this machine was restored from a backup? Say yes only "
         "if you know why it happened, and after a restore that the epoch was not burned."});
    if (said != "yes") return false;
    once.operator_accepts();
    if (state_->member->founded()) {
      session::MemberState& member = *state_->member;
      store::AuditLog log = member.log();
      const store::MemberId self = member.mids()[member.self()];
      log.accept_loss(inbox::Chains(member.db(), log, member.rid(), self, {}).is_forked(self));
    }
    if (life_before != nullptr) *life_before = before.life;
    return true;
  });
}

namespace {

std::string what_is_given_up(const RoomConfig& config, const MemberConfig& member) {
  const session::GivenUp is = session::look_at_given_up(config, member);
  const auto listed = [](const std::vector<std::string>& names) {
    return fmt::format("{}", fmt::join(names.begin(), names.end(), ", "));
  };
  std::string out;
  if (!is.there) {
    out = fmt::format(
        "No state.db lies in {}: the secrets of room {} are lost for all its members (`flexroom "
        "secret list` at another one names them), and must be imported again from their source.",
        member.state_dir.string(), config.name);
  } else if (is.rows.empty()) {
    out = fmt::format(
        "The state.db in {} holds no secret of room {}: all that it had are lost for all its "
        "members, and must be imported again from their source.",
        member.state_dir.string(), config.name);
  } else {
    out = fmt::format(
        "The state.db in {} is an older one. What it holds of room {} stays, of use unless it was "
        "refreshed since: {}. Secrets and versions that are not in this list are lost for all "
        "members, and must be imported again from their source.",
        member.state_dir.string(), config.name, listed(is.rows));
  }
  if (!is.erased.empty()) {
    out += fmt::format(" Erased, as they are stored in the form of an earlier version: {}.",
                       listed(is.erased));
  }
  const std::string made = is.made == 0 ? ""
                                        : fmt::format(" of {:%Y-%m-%d %H:%M} UTC",
                                                      fmt::gmtime(static_cast<time_t>(is.made)));
  out += fmt::format(
      " Erased as well: this member's part of the epoch{}, the day's signing keys, the counters of "
      "the epoch, {}.",
      made,
      is.triples == 0 ? "no preprocessed stock, as there is none"
                      : fmt::format("the preprocessed stock of {} triples", is.triples));
  return display_lines(out);
}

}  // namespace

bool give_up_state(const RoomOptions& options, Decider& decider) {
  return room::translated({}, [&] {
    const MemberConfig member = MemberConfig::load(options.member_file);
    const RoomConfig config = RoomConfig::load(member.room_file);
    const auto said = room::GuardedDecider(decider).human_input(
        {Question::Kind::kYesNo, what_is_given_up(config, member) +
                                     " Is the newest state.db of this member gone for good, "
                                     "all backups of it too? Go on?"});
    if (said != "yes") return false;
    session::give_up_state(config, member);
    return true;
  });
}

}  // namespace flexroom
