#include "session/room_change.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "base/private_file.h"
#include "flexroom/room.h"
#include "room/failure.h"
#include "room/guarded_decider.h"
#include "room/hooks.h"
#include "room/joined.h"
#include "room/local_checks.h"
#include "room/named_secrets.h"
#include "room/people.h"
#include "session/room_terms.h"
#include "store/epoch_change.h"

// `flexroom room change` at one member: what is wished, whose state that is, and the files that say
// afterwards what was changed. The change itself is session/room_change.h.

namespace flexroom {
namespace {

using session::ChangeMode;
using session::ChangeWish;
using store::ChangeStore;

constexpr size_t kMaxRoomFile = 1 << 20;

std::string read_room_file(const std::filesystem::path& file) {
  return read_own_file(file, kMaxRoomFile, "name a file in the form of room.toml");
}

/// In the place of `file`, whole or not at all.
void replace_file(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::path next = file;
  next += ".next";
  std::filesystem::remove(next);
  struct stat now {};
  const unsigned mode = ::stat(file.c_str(), &now) == 0 ? now.st_mode & 0777u : 0600u;
  if (!write_new_file(next, as_bytes(text), mode)) {
    throw InputError(next.string(), std::string("cannot be written: ") + std::strerror(errno));
  }
  std::filesystem::rename(next, file);
  sync_directory(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
}

/// A text as a room.toml beside the present one, so that what it names relative to itself is the
/// same.
RoomConfig parsed(const std::filesystem::path& room_file, const std::string& text) {
  std::filesystem::path beside = room_file;
  beside += ".change";
  std::filesystem::remove(beside);
  if (!write_new_file(beside, as_bytes(text))) {
    throw InputError(beside.string(), std::string("cannot be written: ") + std::strerror(errno));
  }
  try {
    RoomConfig out = RoomConfig::load(beside);
    std::filesystem::remove(beside);
    return out;
  } catch (...) {
    std::filesystem::remove(beside);
    throw;
  }
}

std::string trimmed(const std::string& line) {
  const size_t from = line.find_first_not_of(" \t");
  return from == std::string::npos ? "" : line.substr(from);
}

bool sets_key(const std::string& line, std::string_view key) {
  const std::string text = trimmed(line);
  if (!text.starts_with(key)) return false;
  const size_t after = text.find_first_not_of(" \t", key.size());
  return after != std::string::npos && text[after] == '=';
}

/// room.toml with these members and courier; all else stays to the letter.
std::string edited(const std::string& text, const std::vector<MemberEntry>& members,
                   const std::string& courier) {
  std::string entries;
  for (const MemberEntry& m : members) {
    entries +=
        fmt::format("[[member]]\nname = \"{}\"\naddress = \"{}:{}\"\ncertificate = \"{}\"\n\n",
                    m.name, m.address.host, m.address.port, m.certificate_sha256);
  }
  std::istringstream in(text);
  std::string out, table;
  bool written = false, courier_said = false;
  for (std::string line; std::getline(in, line);) {
    const std::string start = trimmed(line);
    if (start.starts_with("[")) {
      if (table == "[room]" && !courier_said) {
        out += fmt::format("courier = \"{}\"\n", courier);
        courier_said = true;
      }
      table = start.substr(0, start.find_first_of(" \t#"));
      if (table == "[[member]]" && !written) {
        out += entries;
        written = true;
      }
    }
    if (table == "[[member]]") continue;
    if (table == "[room]" && sets_key(line, "courier")) {
      if (!courier_said) out += fmt::format("courier = \"{}\"\n", courier);
      courier_said = true;
      continue;
    }
    out += line + "\n";
  }
  return out;
}

std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view flag) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    throw InputError(flag, fmt::format("'{}' is not NAME=VALUE", text), "see `--help`");
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

MemberEntry& entry(std::vector<MemberEntry>& members, const std::string& name,
                   std::string_view flag) {
  for (MemberEntry& m : members) {
    if (m.name == name) return m;
  }
  throw InputError(flag, fmt::format("no member is called '{}'", name),
                   "take a name that room.toml lists");
}

bool says_something(const RoomChangeRequest& r) {
  return !r.file.empty() || !r.add.empty() || !r.remove.empty() || !r.rename.empty() ||
         !r.address.empty() || !r.certificate.empty() || !r.courier.empty();
}

std::string digest_text(const std::string& text, std::string_view flag) {
  return to_hex(net::parse_fingerprint(text, flag));
}

MemberEntry joiner(const std::string& text) {
  const auto [name, rest] = split_pair(text, "--add");
  const size_t comma = rest.find(',');
  if (!is_name(name) || comma == std::string::npos) {
    throw InputError("--add", fmt::format("'{}' is not NAME=HOST:PORT,CERTIFICATE", text),
                     "certificate: what `flexroom init --identity` printed there");
  }
  MemberEntry out;
  out.name = name;
  out.address = parse_endpoint(rest.substr(0, comma), "--add");
  out.certificate_sha256 = digest_text(rest.substr(comma + 1), "--add");
  return out;
}

/// What the flags make of these members and their courier.
void apply_flags(const RoomChangeRequest& r, std::vector<MemberEntry>& members,
                 std::string& courier) {
  for (const std::string& one : r.rename) {
    const auto [from, to] = split_pair(one, "--rename");
    if (!is_name(to)) throw InputError("--rename", fmt::format("'{}' is no name", to), kNameRemedy);
    entry(members, from, "--rename").name = to;
    if (courier == from) courier = to;
  }
  for (const std::string& one : r.address) {
    const auto [name, at] = split_pair(one, "--address");
    entry(members, name, "--address").address = parse_endpoint(at, "--address");
  }
  for (const std::string& one : r.certificate) {
    const auto [name, sha] = split_pair(one, "--certificate");
    entry(members, name, "--certificate").certificate_sha256 = digest_text(sha, "--certificate");
  }
  for (const std::string& name : r.remove) {
    (void)entry(members, name, "--remove");
    std::erase_if(members, [&](const MemberEntry& m) { return m.name == name; });
    if (courier == name && r.courier.empty()) {
      throw InputError("--remove", fmt::format("{} is the courier", name),
                       "name another one with --courier");
    }
  }
  for (const std::string& one : r.add) members.push_back(joiner(one));
  if (!r.courier.empty()) courier = r.courier;
}

ChangeWish wish_of(const RoomChangeRequest& r, const RoomConfig& now) {
  const bool flags = !r.add.empty() || !r.remove.empty() || !r.rename.empty() ||
                     !r.address.empty() || !r.certificate.empty() || !r.courier.empty();
  if (!r.file.empty()) {
    if (flags) throw InputError("room change", "has a file and flags", "give one of them");
    return {RoomConfig::load(r.file), read_room_file(r.file)};
  }
  std::vector<MemberEntry> members = now.members;
  std::string courier = now.courier;
  apply_flags(r, members, courier);
  std::string text = edited(read_room_file(now.file), members, courier);
  RoomConfig next = parsed(now.file, text);
  // room.toml may be written in ways that its lines do not show.
  const auto same = [](const MemberEntry& a, const MemberEntry& b) {
    return a.name == b.name && a.certificate_sha256 == b.certificate_sha256 &&
           a.address.host == b.address.host && a.address.port == b.address.port;
  };
  if (!std::equal(next.members.begin(), next.members.end(), members.begin(), members.end(), same) ||
      next.courier != courier || next.providers.size() != now.providers.size()) {
    throw InputError(now.file.string(), "cannot be rewritten line by line",
                     "write the room as it is to be into a file, and name that");
  }
  next.file = now.file;
  return {std::move(next), std::move(text)};
}

/// This member's files say what was changed: room.toml, and its own name in member.toml.
void write_files(const MemberConfig& member, const net::Identity& identity, ChangeStore& changes,
                 ChangeStore::Attempt attempt) {
  const RoomConfig next = parsed(member.room_file, attempt.room_text);
  const auto own = session::own_entry(next, identity, member.name);
  if (own && next.members[*own].name != member.name) {
    std::istringstream in(read_own_file(member.file, kMaxRoomFile, ""));
    std::string out;
    bool written = false;
    for (std::string line; std::getline(in, line);) {
      if (!written && sets_key(line, "name")) {
        line = fmt::format("name = \"{}\"", next.members[*own].name);
        written = true;
      }
      out += line + "\n";
    }
    replace_file(member.file, out);
  }
  replace_file(member.room_file, attempt.room_text);
  attempt.written = true;
  changes.put(attempt);
}

/// Runs of flows are ended first; what flows left in the room, and what they spent, does not go to
/// who joins yet.
std::string hindrance_of_flows(session::MemberState& state, bool joins) {
  flow::RunStore flows = room::flow_store(state);
  for (const flow::KnownRun& run : flows.known_runs()) {
    if (!run.closed) {
      return fmt::format("has an open run of flow {}: end it or abandon it first", run.flow);
    }
  }
  const auto values = flows.all_room_values();
  if (joins && !values.empty()) {
    return fmt::format(
        "holds what flows made ({}, one of {}), which this version does not hand over to "
        "who joins",
        flow::name_in_room(values.front().prefix, values.front().meta.name), values.size());
  }
  return "";
}

ChangeMode mode_of(const RoomChangeRequest& request) {
  if (request.go_on) return ChangeMode::kGoOn;
  return request.back ? ChangeMode::kBack : ChangeMode::kAll;
}

/// One member's side of a change.
struct Side {
  MemberConfig member;
  RoomConfig now;  // with this member's own certificate
  std::optional<ChangeWish> wish;
  std::unique_ptr<session::MemberState> state;
};

Side open_side(const RoomOptions& options, const RoomChangeRequest& request) {
  Side side;
  side.member = MemberConfig::load(options.member_file);
  side.now = RoomConfig::load(side.member.room_file);
  auto db = session::open_state_db(side.member);
  const net::Identity identity = net::Identity::load(side.member.identity_dir);
  ChangeStore changes(*db, side.now.name);
  auto attempt = changes.attempt();
  if (attempt && attempt->moved && !attempt->written &&
      session::own_entry(parsed(side.member.room_file, attempt->room_text), identity, "")) {
    write_files(side.member, identity, changes, *attempt);
    attempt = changes.attempt();
    side.member = MemberConfig::load(options.member_file);
    side.now = RoomConfig::load(side.member.room_file);
  }
  if (says_something(request)) {
    try {
      side.wish = wish_of(request, side.now);
    } catch (const InputError&) {
      if (!attempt) throw;  // else flags may be of the room that it was before
    }
  }
  const auto open = [&](RoomConfig room, size_t own) {
    MemberConfig as = side.member;
    as.name = room.members[own].name;
    side.state = std::make_unique<session::MemberState>(
        std::move(room), std::move(as), options.hooks != nullptr ? options.hooks->fault : nullptr,
        store::SealedDb::Access::kUse, session::OpenedFor::kChange, std::move(db));
  };
  if (const auto own = session::own_entry(side.now, identity, side.member.name)) {
    // Its entry may have another key: then its new one is what is to be changed.
    side.now.members[*own].certificate_sha256 = to_hex(identity.fingerprint());
    open(side.now, *own);
    return side;
  }
  const bool under_way = attempt && !attempt->moved;
  if (!under_way && !side.wish) {
    throw InputError(side.now.file.string(), "does not list this member",
                     "name the room as it is to be, which lists it: `flexroom room change FILE`");
  }
  RoomConfig then = under_way ? parsed(side.member.room_file, attempt->room_text) : side.wish->next;
  const auto own = session::own_entry(then, identity, side.member.name);
  if (!own || then.members[*own].certificate() != identity.fingerprint()) {
    throw InputError(then.file.string(),
                     "lists this member neither as the room is nor as it is to be",
                     fmt::format("its certificate is {}", to_hex(identity.fingerprint())));
  }
  open(std::move(then), *own);
  return side;
}

RoomChanged changed(const RoomOptions& options, const RoomChangeRequest& request,
                    room::GuardedDecider& decider) {
  Side side = open_side(options, request);
  session::MemberState& state = *side.state;
  room::require_disk(state.member());
  state.settle_runs();
  store::SessionLock lock(state.member().state_dir);
  lock.require_alone();
  state.settle_open_marks();

  session::ChangeOptions change;
  change.mode = mode_of(request);
  change.note = [&](const std::string& said) { decider.note(said); };
  change.cancel = options.cancel;
  if (options.hooks != nullptr) {
    change.fault = options.hooks->fault;
    change.connected = options.hooks->connected;
  }
  change.hinders_rows = [&](bool joins) { return hindrance_of_flows(state, joins); };
  change.decide = [&](const session::Shown& shown) {
    // No program's yes stands for a member's people (members.md §2, §7.1), and what asks
    // administrators about a change is not built.
    if (room::has_people(state)) {
      throw InputError(
          "room change",
          "this member's people have a rule, and a change signed by its administrators "
          "is not built",
          "docs/status.md says what a room with people cannot change yet");
    }
    switch (decider.approve(room::summary_of(shown))) {
      case Decider::Answer::kYes:
        return agreement::Answer::kYes;
      case Decider::Answer::kNotNow:
        return agreement::Answer::kNotNow;
      case Decider::Answer::kNo:
        break;
    }
    return agreement::Answer::kNo;
  };
  session::RoomChange run(state, side.now, std::move(side.wish), change);
  const session::ChangeEnd end = run.run();
  ChangeStore after(state.db(), side.now.name);
  if (const auto last = after.attempt();
      last && last->moved && !last->written && end.place == agreement::Place::kNew) {
    write_files(side.member, state.identity(), after, *last);
  }
  RoomChanged out;
  out.place = std::string(agreement::to_string(end.place));
  out.configuration = end.number;
  out.members = end.names;
  out.complete = end.complete;
  out.handed_over = end.handed_over;
  return out;
}

}  // namespace

RoomChanged change_room(const RoomOptions& options, const RoomChangeRequest& request,
                        Decider& decider) {
  return room::translated({}, [&] {
    room::GuardedDecider guarded(decider);
    guarded.require_ready();
    return changed(options, request, guarded);
  });
}

}  // namespace flexroom
