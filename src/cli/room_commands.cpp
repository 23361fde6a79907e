#include <fmt/chrono.h>
#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <ctime>

#include "base/display.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "config/config.h"
#include "flexroom/doctor.h"
#include "flexroom/identity.h"
#include "flexroom/onboarding.h"
#include "room/hooks.h"

namespace flexroom::cli {
namespace {

nlohmann::json json_of(const SecretInfo& secret) {
  return {{"name", secret.name},         {"kind", secret.kind},
          {"class", secret.value_class}, {"bytes", secret.bytes},
          {"version", secret.version},   {"record", secret.record},
          {"set", secret.set},           {"provenance", secret.provenance},
          {"purposes", secret.purposes}, {"provider", secret.provider},
          {"entropy", secret.entropy},   {"owner", secret.owner},
          {"known_to", secret.known_to}};
}

}  // namespace

int init_identity(Output& out, const std::string& name, const std::filesystem::path& directory,
                  const std::string& address, const std::string& passphrase) {
  (void)parse_endpoint(address, "--address");
  const IdentityMade made = make_identity({name, directory, passphrase});
  out.line(fmt::format("Made the identity of {} in {}.", name, made.keys.string()));
  out.line(
      "Put this into room.toml, the same at every member, and read the fingerprint to each "
      "other. A new room.toml begins with\n\n"
      "[room]\nname = \"NAME\"\ntriples = \"masked\"\n");
  out.line(fmt::format("[[member]]\nname = \"{}\"\naddress = \"{}\"\ncertificate = \"{}\"", name,
                       address, made.certificate));
  out.result(
      {{"ok", true}, {"name", name}, {"address", address}, {"certificate", made.certificate}});
  return kOk;
}

int change_passphrase(Output& out, const Common& common, const std::string& text) {
  const PassphraseChanged changed = flexroom::change_passphrase(common.member_file, text);
  out.line("The new passphrase opens state.db. Copies made before keep the key they had.");
  if (!changed.key_file.empty()) {
    out.line(
        fmt::format("Now write state_passphrase = {} into {} in place of state_key_file; {} "
                    "opens state.db too until you erase it.",
                    nlohmann::json(changed.source).dump(), common.member_file.string(),
                    changed.key_file.string()));
  }
  out.result({{"ok", true}, {"source", changed.source}});
  return kOk;
}

namespace {

/// Before anything that takes time, or anybody: what of this machine would end it later. What is
/// wrong with its files, identity and disk the room itself says, with the place.
void look_before(const Common& common) {
  ExamineOptions options;
  options.member_file = common.member_file;
  options.only_here = true;
  for (const Check& check : examine(options)) {
    if (check.state != Check::State::kProblem) continue;
    if (check.name != "processor" && check.name != "port") continue;
    throw InputError(check.name, check.detail, check.remedy);
  }
}

}  // namespace

int init_room(Output& out, const Common& common, bool new_epoch,
              const std::vector<std::string>& words) {
  look_before(common);
  require_words(out, common, words);
  Joint joint(out, common);
  const bool made = joint->init(new_epoch);
  const std::string eid = joint->epoch().substr(0, 16);
  const std::string name = joint.room().status().room;
  out.line(made ? fmt::format("Room {} is set up: epoch {}.", name, eid)
                : fmt::format("Room {} was set up before: epoch {}; nothing to do.", name, eid));
  out.line("Next: `flexroom doctor`, with the job where there is one, before the first run.");
  out.result({{"ok", true}, {"new_epoch", made}, {"epoch", eid}});
  return kOk;
}

int init_after_loss(Output& out, const Common& common) {
  require_no_node(common);
  Screen screen(out, common.yes);
  RoomOptions options;
  options.member_file = common.member_file;
  if (!give_up_state(options, screen)) return kRefused;
  out.line("Given up. Now run `flexroom init --new-epoch` at all members.");
  out.result({{"ok", true}});
  return kOk;
}

int peer_accept(Output& out, const Common& common) {
  OpenRoom room(common);
  Screen screen(out, common.yes);
  uint64_t life = 0;
  if (!room->accept_peers(screen, &life)) return kRefused;
  out.line(
      fmt::format("Accepted. Unfinished batches over the life of the relation were {}.", life));
  out.result({{"ok", true}, {"life_before", life}});
  return kOk;
}

int room_change(Output& out, const Common& common, const RoomChangeRequest& request) {
  Screen screen(out, common.yes);
  const room::Hooks hooks{common.fault, common.connected, common.clock};
  RoomOptions options;
  options.member_file = common.member_file;
  options.cancel = &cancel_flag();
  options.hooks = &hooks;
  const RoomChanged changed = change_room(options, request, screen);
  std::string names;
  for (const std::string& name : changed.members) names += (names.empty() ? "" : ", ") + name;
  int code = kOk;
  if (changed.place == "new") {
    out.line(fmt::format("The room is in configuration {} now: {}. room.toml says so.",
                         changed.configuration, display(names)));
    if (changed.handed_over) {
      out.line(
          "Make a new backup of state.db now. Older ones no longer restore anything, and together "
          "with copies of the other members they open the secrets: delete them.");
    }
    if (!changed.complete) {
      out.line(
          "Not all came to the end: they run `flexroom room change` again, and this member with "
          "them if they wait for it.");
    }
  } else if (changed.place == "left") {
    out.line("This member has left the room. What it held of its secrets is erased.");
  } else if (changed.place == "old" || changed.place == "idle") {
    out.line("The change did not happen: the room is as it was.");
    code = kRefused;
  } else {
    out.line(
        "The change is not decided: nothing else runs in the room. Run `flexroom room change` "
        "again at all members.");
    code = kNetworkFailed;
  }
  out.result({{"ok", code == kOk},
              {"place", changed.place},
              {"configuration", changed.configuration},
              {"members", changed.members},
              {"complete", changed.complete}});
  return code;
}

int secret_import(Output& out, const Common& common, const std::filesystem::path& path) {
  Joint joint(out, common);
  const SecretInfo secret = joint->import_secret(path);
  const std::string known =
      secret.owner.empty()
          ? "No member knows it; its issuer does, and so do all members' files together: delete "
            "them"
          : fmt::format("{} knows it, and can use it alone", display(secret.known_to));
  out.line(fmt::format("Stored {} version {}: {} bytes, class {}. {}.", display(secret.name),
                       secret.version, secret.bytes, display(secret.value_class), known));
  nlohmann::json result = json_of(secret);
  result["ok"] = true;
  out.result(result);
  return kOk;
}

int secret_draw(Output& out, const Common& common, const std::filesystem::path& path) {
  Joint joint(out, common);
  nlohmann::json rows = nlohmann::json::array();
  for (const SecretInfo& secret : joint->draw_secrets(path)) {
    out.line(
        fmt::format("Stored {} version {}: {} bytes, class {}, {} bits of entropy. Nobody "
                    "knows it: it was drawn inside.",
                    display(secret.name), secret.version, secret.bytes, display(secret.value_class),
                    secret.entropy));
    rows.push_back(json_of(secret));
  }
  out.result({{"ok", true}, {"drawn", rows}});
  return kOk;
}

namespace {

std::string known_words(const SecretInfo& secret) {
  if (!secret.owner.empty()) return display(secret.owner);
  if (secret.known_to == "nobody") return "nobody: drawn inside";
  if (secret.known_to == "service") return "the service; no member";
  if (secret.known_to == "all members") return "all members: no secret";
  return "its issuer";
}

}  // namespace

int secret_list(Output& out, const Common& common) {
  OpenRoom room(common, true);
  nlohmann::json rows = nlohmann::json::array();
  out.line(fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}  {}", "name", "kind", "class", "bytes",
                       "version", "known to"));
  for (const SecretInfo& secret : room->secrets()) {
    const std::string known = known_words(secret);
    out.line(fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}  {}", display(secret.name),
                         display(secret.kind), display(secret.value_class), secret.bytes,
                         secret.version, known));
    rows.push_back(json_of(secret));
  }
  out.result({{"ok", true}, {"secrets", rows}});
  return kOk;
}

int secret_show(Output& out, const Common& common, const std::string& name) {
  OpenRoom room(common, true);
  const nlohmann::json fields = json_of(room->secret(name));
  for (const auto& [key, value] : fields.items()) {
    out.line(fmt::format("{:<12} {}", key,
                         display(value.is_string() ? value.get<std::string>() : value.dump())));
  }
  out.result({{"ok", true}, {"secret", fields}});
  return kOk;
}

int secret_remove(Output& out, const Common& common, const std::string& name) {
  Joint joint(out, common);
  joint->remove_secret(name);
  out.line(fmt::format("Removed {}: all its shares are erased here.", display(name)));
  out.result({{"ok", true}, {"removed", name}});
  return kOk;
}

int secret_refresh(Output& out, const Common& common) {
  Joint joint(out, common);
  const SecretsMoved moved = joint->refresh_secrets();
  out.line(
      moved.epoch == moved.epoch_before
          ? fmt::format("{} secrets have new rows; the old ones are erased. Make a new backup of "
                        "state.db now: older ones no longer restore anything, delete them.",
                        moved.records)
          : fmt::format("Moved {} records to epoch {}: the old shares and keys are erased. The "
                        "next command turns them into rows.",
                        moved.records, moved.epoch.substr(0, 16)));
  out.result({{"ok", true},
              {"records", moved.records},
              {"epoch", moved.epoch},
              {"epoch_before", moved.epoch_before},
              {"unfinished_before", moved.unfinished_before}});
  return kOk;
}

int show_log(Output& out, const Common& common, bool verify) {
  OpenRoom room(common, true);
  const std::vector<LogEntry> entries = room->log();
  nlohmann::json rows = nlohmann::json::array();
  for (const LogEntry& entry : entries) {
    out.line(fmt::format("{:>4}  {:%Y-%m-%d %H:%M:%SZ}  {}  {:<26} {}  [{}]", rows.size() + 1,
                         fmt::gmtime(static_cast<std::time_t>(entry.unix_seconds)),
                         entry.proposal.substr(0, 12), entry.outcome, display(entry.text),
                         entry.joint ? "signed by all" : "this member alone"));
    rows.push_back({{"time", entry.unix_seconds},
                    {"proposal", entry.proposal},
                    {"outcome", entry.outcome},
                    {"text", entry.text},
                    {"joint", entry.joint},
                    {"head", entry.head}});
    if (entry.status != 0) rows.back()["status"] = entry.status;
  }
  if (verify) {
    out.line(fmt::format("{} entries: the chain and all signatures are right.", entries.size()));
  }
  out.result({{"ok", true}, {"entries", rows}, {"verified", true}});
  return kOk;
}

namespace {

/// In words: of which connections somebody who records everything reads something one day.
void show_recorders(Output& out, const RoomStatus& status) {
  if (status.connections.empty()) {
    out.line("recordings   none to speak of: no connection to a service was made yet");
    return;
  }
  out.line(
      "recordings   who records all lines, between the members and to the services, and has a\n"
      "             quantum computer later:");
  for (const HostConnections& one : status.connections) {
    out.line(fmt::format(
        "             {} {} connection{} to {} by {}, the last {:%Y-%m-%d} for {}",
        one.last.outlasts_recording ? "reads nothing of" : "READS what was sent and answered on",
        one.count, one.count == 1 ? "" : "s", display(one.last.host), one.last.group,
        fmt::gmtime(static_cast<std::time_t>(one.last.unix_seconds)), display(one.last.what)));
  }
  out.line(
      "             What a member fetches or tries alone (its links, its result) is not among "
      "them.");
}

nlohmann::json fields_of(const ConnectionInfo& one) {
  return {{"time", one.unix_seconds}, {"session", one.session},
          {"what", one.what},         {"host", one.host},
          {"group", one.group},       {"retried", one.retried},
          {"goes_on", one.goes_on},   {"outlasts_recording", one.outlasts_recording}};
}

}  // namespace

int status(Output& out, const Common& common) {
  const RoomStatus status = OpenRoom(common, true)->status();
  out.line(fmt::format("member       {} of room {}", status.member, status.room));
  out.line(fmt::format("certificate  {}, valid until {:%Y-%m-%d}", status.certificate,
                       fmt::gmtime(static_cast<std::time_t>(status.certificate_expires))));
  out.line(fmt::format("epoch        {}", !status.has_epoch ? "none: run `flexroom init`"
                                          : status.burned   ? "BURNED: run `flexroom init "
                                                              "--new-epoch` at all members"
                                                            : "set up"));
  out.line(fmt::format("counters     dirty {}, life {}, strikes {}{}", status.dirty, status.life,
                       status.strikes,
                       status.needs_operator ? "; run `flexroom peer accept`" : ""));
  if (!status.reason_to_refresh.empty()) {
    out.line(fmt::format("             {}: run `flexroom init --new-epoch` at all members",
                         status.reason_to_refresh));
  }
  for (const std::string& mark : status.open_marks) {
    out.line(fmt::format("left open    {}", display(mark)));
  }
  out.line(fmt::format("secrets      {}", status.secrets));
  out.line(fmt::format(
      "stock        {} AND triples{}", status.stock.triples,
      status.stock.triples == 0 ? " (`flexroom stock --fill` makes calls faster)" : ""));
  show_recorders(out, status);
  nlohmann::json connections = nlohmann::json::array(), newest = nlohmann::json::array();
  for (const HostConnections& one : status.connections) {
    connections.push_back({{"count", one.count}, {"last", fields_of(one.last)}});
  }
  for (const ConnectionInfo& one : status.newest_connections) newest.push_back(fields_of(one));
  out.result({{"ok", true},
              {"member", status.member},
              {"room", status.room},
              {"epoch", status.has_epoch},
              {"epoch_made", status.epoch_made},
              {"refresh_due", !status.reason_to_refresh.empty()},
              {"burned", status.burned},
              {"needs_operator", status.needs_operator},
              {"dirty", status.dirty},
              {"life", status.life},
              {"strikes", status.strikes},
              {"open_marks", status.open_marks},
              {"secrets", status.secrets},
              {"stock_triples", status.stock.triples},
              {"connections", connections},
              {"newest_connections", newest},
              {"certificate", status.certificate},
              {"certificate_expires", status.certificate_expires}});
  return kOk;
}

std::chrono::seconds seconds_of(const std::string& option, const std::string& text) {
  uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  const std::string_view unit(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  const int64_t each = unit == "s"     ? 1
                       : unit == "min" ? 60
                       : unit == "h"   ? 3600
                       : unit == "d"   ? 24 * 3600
                                       : 0;
  constexpr int64_t kMost = 366 * 24 * 3600;
  if (parsed.ec != std::errc() || number == 0 || each == 0 || number * each > kMost) {
    throw InputError(option + " " + text, "is no time", "write for example 8h, 30min or 90s");
  }
  return std::chrono::seconds(number * each);
}

int cover(Output& out, const Common& common, const std::string& time) {
  const std::chrono::seconds length = seconds_of("--for", time);
  const CoverMade made =
      OpenRoom(common, true)->make_cover(length, [&out](const std::string& text) {
        out.note(text);
      });
  out.line(
      fmt::format("{} cover connections, {} slots left to calls, {} that did not come to their "
                  "end",
                  made.made, made.left_to_calls, made.failed));
  out.result({{"ok", true},
              {"made", made.made},
              {"left_to_calls", made.left_to_calls},
              {"failed", made.failed}});
  return kOk;
}

}  // namespace flexroom::cli
