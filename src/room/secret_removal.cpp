#include "room/secret_removal.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/display.h"
#include "room/removals.h"
#include "session/secret_import.h"
#include "session/signing_keys.h"
#include "store/limits.h"

namespace flexroom::room {
namespace {

using Phase = Removal::Phase;

constexpr size_t kMaxName = store::kMaxMetaTextBytes, kMaxFound = 16, kMaxRemovals = 64;
constexpr size_t kMaxSaid = 4 + kMaxFound * (3 * (4 + kMaxName) + 4 + 1);

/// A run of a flow below the prefix is not over here: it decides about its values (operations.md
/// (c)).
bool has_open_run(session::MemberState& state, const std::string& prefix) {
  flow::RunStore store = flow_store(state);
  for (const flow::RunState& run : store.runs()) {
    if (run.head.prefix == prefix && !run.done && !store.is_closed(run.id)) return true;
  }
  for (const flow::RunId& id : store.staged_runs()) {
    const auto owner = store.owner_of(id);
    if (owner && owner->first == prefix) return true;
  }
  return false;
}

/// What a member says that it has.
struct Said {
  struct Found {
    NamedSecret what;
    uint32_t version = 0;
    bool born = false, open_run = false;
  };
  std::vector<Found> found;
};

Said said_here(session::MemberState& state, const std::string& name) {
  Said out;
  for (NamedSecret& one : secrets_called(state, name)) {
    if (out.found.size() == kMaxFound) break;
    Said::Found found;
    for (const store::RecordMeta& meta : state.secrets().list()) {
      if (meta.name != one.name || meta.version < found.version) continue;
      found.version = meta.version;
      found.born = meta.descent == store::Descent::kBorn;
    }
    if (one.is_of_flow()) {
      const auto value = flow_store(state).room_value(one.prefix, one.value);
      if (value) found.version = value->meta.version;
      found.open_run = has_open_run(state, one.prefix);
    }
    found.version = std::max(found.version, 1u);
    found.what = std::move(one);
    out.found.push_back(std::move(found));
  }
  return out;
}

Bytes encode(const Said& said) {
  Writer out;
  out.u32(static_cast<uint32_t>(said.found.size()));
  for (const Said::Found& one : said.found) {
    out.field(one.what.name).field(one.what.prefix).field(one.what.value).u32(one.version);
    out.u8(static_cast<uint8_t>((one.born ? 1 : 0) | (one.open_run ? 2 : 0)));
  }
  return out.take();
}

/// Only what `name` can mean.
Said decode(ByteView bytes, const std::string& name, PartyId peer) {
  constexpr std::string_view kLabel = "secret/remove";
  Reader in(bytes, kLabel, peer);
  const auto fail = [&](std::string_view what) {
    throw ProtocolAbort(AbortCode::kBadFrame, kLabel, what, peer);
  };
  Said out;
  const uint32_t count = in.u32();
  if (count > kMaxFound) fail("more values of one name than there can be");
  for (uint32_t k = 0; k < count; ++k) {
    Said::Found one;
    one.what.name = to_text(in.field(kMaxName));
    one.what.prefix = to_text(in.field(kMaxName));
    one.what.value = to_text(in.field(kMaxName));
    one.version = in.u32();
    const uint8_t marks = in.u8();
    one.born = (marks & 1) != 0;
    one.open_run = (marks & 2) != 0;
    const bool fits = one.what.is_of_flow()
                          ? one.what.name == flow::name_in_room(one.what.prefix, one.what.value) &&
                                (one.what.name == name || one.what.value == name)
                          : one.what.name == name && one.what.value.empty();
    if (!fits || one.version == 0 || marks > 3) fail("a value that is not called so");
    out.found.push_back(std::move(one));
  }
  in.finish();
  return out;
}

/// What the members say that `name` is.
struct Meant {
  std::map<NamedSecret, std::vector<std::string>> where;  // "version 1 at alpha"
  bool born = false;
  std::string open_at;  // a member with an open run of flows below its prefix, or nobody
};

Meant meant_by(const std::string& name, const std::vector<Bytes>& said,
               const std::vector<std::string>& members) {
  Meant out;
  for (PartyId i = 0; i < said.size(); ++i) {
    for (const Said::Found& one : decode(said[i], name, i).found) {
      out.where[one.what].push_back(fmt::format("version {} at {}", one.version, members[i]));
      out.born = out.born || one.born;
      if (one.open_run) out.open_at = members[i];
    }
  }
  return out;
}

/// The one secret that is meant, of which no flow has an open run.
const NamedSecret& only_one(const Meant& meant, const std::string& name) {
  if (meant.where.empty()) {
    throw InputError("secret '" + name + "'", "is in no member's store",
                     "`flexroom secret list` shows what is there");
  }
  if (meant.where.size() > 1) {
    std::string names;
    for (const auto& [one, where] : meant.where) {
      names +=
          fmt::format("{}{} ({})", names.empty() ? "" : ", ", display(one.name), where.front());
    }
    throw InputError("secret '" + name + "'", "could be several: " + names,
                     "give the whole name, PREFIX:NAME");
  }
  const NamedSecret& target = meant.where.begin()->first;
  if (!meant.open_at.empty()) {
    throw InputError("secret '" + target.name + "'",
                     fmt::format("belongs to flows below '{}', of which a run is open at {}",
                                 display(target.prefix), meant.open_at),
                     "run the flow to its end, or `flexroom flow FILE --abandon RUN`");
  }
  return target;
}

}  // namespace

agreement::Proposal SecretRemoval::propose(const std::string& name) {
  // A flow that goes on meanwhile would make, or use, what is approved to go.
  joined_.session().require_alone();
  session::MemberState& state = joined_.state();
  net::Party& party = joined_.session().party();
  const std::vector<std::string> members = joined_.members();
  constexpr std::string_view kLabel = "secret/remove";
  std::vector<Bytes> all(members.size());
  all[party.id()] = encode(said_here(state, name));
  party.broadcast(kLabel, all[party.id()]);
  for (const PartyId j : party.peers()) {
    all[j] = party.receive_broadcast_up_to(j, kLabel, kMaxSaid);
  }
  party.echo(kLabel, AbortCode::kDisagreement);
  const Meant meant = meant_by(name, all, members);
  target_ = only_one(meant, name);
  agreement::Proposal proposal;
  proposal.kind = "secret remove";
  proposal.title = target_.name;
  proposal.text("room", state.room().name).text("secret", target_.name);
  if (!target_.is_of_flow()) return proposal;
  proposal.text("held as", fmt::format("{}", fmt::join(meant.where.begin()->second, ", ")));
  proposal.text("made by", meant.born ? "all members, inside MPC: nobody can make it again"
                                      : "a flow, which can be run again for another one");
  return proposal;
}

void SecretRemoval::run(const Digest& proposal) {
  session::MemberState& state = joined_.state();
  net::Party& party = joined_.session().party();
  Removals removals(state);
  const Digest digest = RandomOracle("removal", party.scope()).field(proposal).digest();
  const Bytes id(digest.begin(), digest.end());
  const auto open = removals.all();
  const auto pending = std::count_if(
      open.begin(), open.end(), [](const auto& one) { return one.second.phase != Phase::kLogged; });
  if (pending >= static_cast<std::ptrdiff_t>(kMaxRemovals)) {
    throw InputError("secret '" + target_.name + "'",
                     fmt::format("{} removals are not settled with all members", pending),
                     "run any command with all members first");
  }
  joined_.reached("begin");
  state.once().run_released(party.scope().sid);
  removals.put(id, {Phase::kStaged, target_});
  id_ = id;
  joined_.reached("staged");
  const std::vector<Bytes> oks = party.exchange("removal/ok", id);
  // Members that were told different things would decide differently: who fails here keeps it
  // staged, and the next contact decides.
  party.echo("removal/ok", AbortCode::kDisagreement);
  joined_.reached("exchanged");
  for (const PartyId j : party.peers()) {
    if (oks[j] == id) continue;
    removals.drop_staged(id);
    throw ProtocolAbort(AbortCode::kDisagreement, "removal",
                        "another removal was staged there; nothing was erased", j);
  }
  (void)removals.erase(id);
  joined_.reached("committed");
}

void SecretRemoval::logged() noexcept {
  try {
    Removals(joined_.state()).mark_logged(id_);
  } catch (...) {  // the next contact logs it once more
  }
}

namespace {

/// What one says of its removals: by id, whether it has erased.
using Claims = std::map<Bytes, bool>;

Claims read_claims(ByteView bytes, PartyId peer) {
  Reader in(bytes, "removal/settle", peer);
  Claims out;
  while (in.remaining() > 0) {
    const Digest id = in.digest();
    const uint8_t phase = in.u8();
    if (phase != 1 && phase != 2) {
      throw ProtocolAbort(AbortCode::kBadFrame, "removal/settle", "a removal in no phase", peer);
    }
    out.emplace(Bytes(id.begin(), id.end()), phase == 2);
  }
  return out;
}

/// It was erased, and the process that would have said so is gone: the log says it, then the mark
/// that it does, then this command's user hears it. Killed in between, the log says it twice.
void tell_complete(Joined& joined, Removals& removals, const Bytes& id, const Removal& removal) {
  store::LogEntry entry;
  entry.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  entry.outcome = store::LogOutcome::kNote;
  entry.text = fmt::format("secret {}: the removal that was interrupted before is complete",
                           removal.target.name);
  joined.state().log().append_alone(entry);
  removals.mark_logged(id);
  joined.note(entry.text);
}

}  // namespace

void settle_removals(Joined& joined) {
  session::MemberState& state = joined.state();
  net::Party& party = joined.session().party();
  Removals removals(state);
  const std::map<Bytes, Removal> mine = removals.all();
  Writer own;
  size_t said = 0;
  // What the others need most comes first: rows that a liar keeps alive push nothing out.
  for (const Phase phase : {Phase::kStaged, Phase::kErased, Phase::kLogged}) {
    for (const auto& [id, removal] : mine) {
      if (removal.phase != phase || said == kMaxRemovals) continue;
      own.raw(id).u8(removal.is_erased() ? 2 : 1);
      ++said;
    }
  }
  constexpr size_t kEntry = sizeof(Digest) + 1;
  party.broadcast("removal/settle", own.bytes());
  std::vector<Claims> theirs;
  bool any = !mine.empty();
  for (const PartyId j : party.peers()) {
    theirs.push_back(
        read_claims(party.receive_broadcast_up_to(j, "removal/settle", kMaxRemovals * kEntry), j));
    any = any || !theirs.back().empty();
  }
  // All have heard the same, so all come here or nobody does; who was told otherwise waits in vain.
  if (!any) return;
  party.echo("removal/settle", AbortCode::kDisagreement);
  joined.reached("removal settling");
  for (const auto& [id, removal] : mine) {
    bool all_have = true, any_erased = false, any_staged = false;
    for (const Claims& claims : theirs) {
      const auto it = claims.find(id);
      all_have = all_have && it != claims.end();
      any_erased = any_erased || (it != claims.end() && it->second);
      any_staged = any_staged || (it != claims.end() && !it->second);
    }
    if (removal.is_erased()) {
      if (removal.phase != Phase::kLogged) {
        removals.clean();
        tell_complete(joined, removals, id, removal);
      }
      if (!any_staged) removals.drop(id);
    } else if (all_have || any_erased) {
      if (removals.erase(id)) tell_complete(joined, removals, id, removal);
    } else {
      removals.drop_staged(id);
    }
    joined.reached("removal settled one");
  }
}

uint64_t num_staged_removals(session::MemberState& state) {
  return state.founded() ? Removals(state).all().size() : 0;
}

}  // namespace flexroom::room
