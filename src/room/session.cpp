#include "flexroom/session.h"

#include <fmt/core.h>

#include <utility>

#include "base/codec.h"
#include "room/compared_words.h"
#include "room/failure.h"
#include "room/local_checks.h"
#include "room/named_secrets.h"
#include "room/people.h"
#include "room/secret_removal.h"
#include "room/state.h"
#include "session/secret_draw.h"
#include "session/secret_import.h"
#include "session/secret_refresh.h"
#include "session/share_commitments.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {

session::MemberState& Access::state(Room& room) { return *room.state_->member; }
session::MemberState& Access::state(Session& session) { return state(session.state_->room); }
Decider& Access::decider(Session& session) { return session.state_->decider; }
const Hooks* Access::hooks(const Session& session) {
  return session.state_->room.state_->options.hooks;
}
const std::atomic<bool>* Access::cancel(const Room& room) { return room.state_->options.cancel; }
bool Access::only_looks(const Room& room) { return room.state_->options.only_looks; }
const std::atomic<bool>* Access::cancel(const Session& session) {
  return cancel(session.state_->room);
}
std::vector<std::string> Access::members(const Room& room) {
  return member_names(room.state_->member->room());
}
std::vector<std::string> Access::members(const Session& session) {
  return members(session.state_->room);
}

Joined& Access::join(Session& session, Asking asking, const std::string& command) {
  Session::State& state = *session.state_;
  if (std::exchange(state.opened, false)) return *state.joined;
  if (only_looks(state.room)) {
    throw InputError("session", "is of a room that was opened to look at", "open it to use it");
  }
  if (state.joined) {
    throw InputError("session", "has run its operation already", "make a new session");
  }
  session::MemberState& member = Access::state(session);
  require_disk(member.member());
  const bool by_rule = member.member().auto_approve && !has_people(member);
  if (asking && !by_rule) state.decider.require_ready();
  const RoomOptions& options = state.room.state_->options;
  return state.joined.emplace(
      member, state.decider,
      Joined::Options{command, options.cancel, options.trace_file, options.hooks});
}

Joined& Access::open(Session& session, const std::string& command) {
  Joined& out = join(session, kAsksNothing, command);
  session.state_->opened = true;
  return out;
}

namespace {

SecretInfo import_secret(Session& session, const std::filesystem::path& path) {
  session::MemberState& state = Access::state(session);
  const session::SecretFile file = session::SecretFile::load(path, state.member().name);
  // What is wrong with it is said before anybody is contacted.
  (void)session::import_proposal(state.room(), file);
  session::check_own_commitment(file, state.self(), state.room().members.size(), path.string());
  Joined& joined = Access::join(session, Access::kAsks, "secret import");
  std::optional<store::RecordMeta> meta;
  if (file.ends_in_newline) {
    joined.note(
        fmt::format("the value of {} ends in a newline, which is part of it (`printf %s` in "
                    "place of `echo` leaves it out)",
                    file.name));
  }
  joined.run("secret import " + file.name, [&] {
    joined.start();
    session::agree_on_name(joined.session(), file);
    const Digest digest = joined.approve(session::import_proposal(state.room(), file));
    meta = session::import_secret(joined.session(), file, digest);
  });
  joined.log_outcome(store::LogOutcome::kDone,
                     fmt::format("secret import {} version {}", meta->name, meta->version));
  return info_of(*meta);
}

std::vector<SecretInfo> draw_secrets(Session& session, const std::filesystem::path& path) {
  session::MemberState& state = Access::state(session);
  const session::DrawFile file = session::DrawFile::load(path);
  // What is wrong with it is said before anybody is contacted.
  const std::string title = session::draw_proposal(state.room(), file).title;
  Joined& joined = Access::join(session, Access::kAsks, "secret draw");
  std::vector<store::RecordMeta> drawn;
  joined.run("secret draw " + title, [&] {
    joined.start();
    session::agree_on_draw(joined.session(), file);
    const Digest digest = joined.approve(session::draw_proposal(state.room(), file));
    drawn = session::draw_secrets(joined.session(), file, digest);
  });
  std::vector<SecretInfo> out;
  std::string names;
  for (const store::RecordMeta& meta : drawn) {
    out.push_back(info_of(meta));
    names += fmt::format("{}{} version {}", names.empty() ? "" : ", ", meta.name, meta.version);
  }
  joined.log_outcome(store::LogOutcome::kDone, "secret draw " + names);
  return out;
}

std::string lost_with_the_epoch(session::MemberState& state) {
  std::string names;
  for (const store::RecordMeta& meta : state.secrets_of_before()) {
    names += fmt::format("{}{} v{}", names.empty() ? "" : ", ", meta.name, meta.version);
  }
  const std::string erased = "preprocessed stock and the day's signing keys are made anew";
  if (names.empty()) return "the secrets stay; " + erased;
  return fmt::format(
      "secrets that are stored as rows stay; {}. These secrets are stored in the form of an "
      "earlier "
      "version and are erased at all members if the epoch is burned: {}",
      erased, names);
}

/// The rows of a staged change of a flow lie beside the room's secrets until its contact decides
/// (flow/run_store.h): they would become secrets in rows of before the refresh, and the copies that
/// it is to make worthless would go on working (members.md §3, 12).
void require_nothing_staged(Joined& joined) {
  constexpr std::string_view kLabel = "refresh/staged";
  net::Party& party = joined.session().party();
  const uint8_t mine = flow_store(joined.state()).staged_runs().empty() ? 0 : 1;
  const std::vector<Bytes> all = party.exchange(kLabel, Writer().u8(mine).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  std::string who;
  for (PartyId i = 0; i < all.size(); ++i) {
    Reader in(all[i], kLabel, i);
    if (in.u8() != 0) who += (who.empty() ? "" : ", ") + joined.members()[i];
  }
  if (who.empty()) return;
  throw InputError("secret refresh",
                   fmt::format("a step of a flow was cut at {}, and its values would keep their "
                               "old rows",
                               who),
                   "start that flow again at all members, or `flexroom flow FILE --abandon RUN`; "
                   "then refresh");
}

SecretsMoved refresh_secrets(Session& session) {
  Joined& joined = Access::join(session, Access::kAsks, "secret refresh");
  session::RefreshPlan plan;
  Digest epoch{};
  try {
    joined.run("secret refresh", [&] {
      joined.start();
      plan = session::plan_refresh(joined.session());  // alone from here on
      require_nothing_staged(joined);
      (void)joined.approve(session::refresh_proposal(joined.state().room(), plan));
      epoch = session::refresh_secrets(joined.session(), plan);
    });
  } catch (const std::exception&) {
    if (joined.state().secrets().num_staged() > 0 ||
        store::EpochChange(joined.state().db(), joined.state().rid()).staged()) {
      joined.note(
          "The new rows lie ready here, but not all members confirmed them: the next command that "
          "meets all members finishes the refresh or drops it, at all of them alike.");
    }
    throw;
  }
  const bool moved = epoch != plan.epoch;
  const uint64_t count = (moved ? plan.of_before : plan.records).size();
  joined.log_outcome(store::LogOutcome::kDone,
                     moved ? fmt::format("secret refresh: {} records to epoch {}; {} unfinished "
                                         "batches in the one before",
                                         count, to_hex(epoch).substr(0, 16), plan.dirty)
                           : fmt::format("secret refresh: {} secrets have new rows", count));
  return {count, to_hex(epoch), to_hex(plan.epoch), plan.dirty};
}

void fill_stock(Joined& joined, uint64_t triples) {
  net::Party& party = joined.session().party();
  joined.start();
  Writer wanted;
  wanted.u64(triples);
  const std::vector<Bytes> all = party.exchange("stock/fill", wanted.bytes());
  for (const PartyId j : party.peers()) {
    if (all[j] == wanted.bytes()) continue;
    Reader reader(all[j], "stock/fill", j);
    throw ProtocolAbort(AbortCode::kDisagreement, "stock",
                        fmt::format("members ask for different amounts: {} here, {} at {}; pass "
                                    "the same --fill everywhere",
                                    triples, reader.u64(), joined.members()[j]),
                        j);
  }
  const session::PoolStock before = joined.session().pool().stock();
  if (before.triples < triples) joined.session().fill_pool(triples - before.triples);
}

bool init(Session& session, bool new_epoch) {
  const session::MemberState& state = Access::state(session);
  require_compared(state.member(), state.room());
  if (new_epoch) Access::decider(session).require_ready();
  Joined& joined = Access::join(session, Access::kAsksNothing, "init");
  bool made = false;
  joined.session().guard([&] {
    for (const std::string& other : joined.state().other_rooms()) {
      joined.note(fmt::format("this state folder also holds room {}; it stays as it is", other));
    }
    if (new_epoch) {
      const auto said = Access::decider(session).human_input(
          {Question::Kind::kYesNo,
           fmt::format("A new epoch of room {}: {}. Go on?", joined.state().room().name,
                       lost_with_the_epoch(joined.state()))});
      if (said != "yes") {
        throw ProtocolAbort(AbortCode::kRefusedByRule, "init", "the operator said no");
      }
    }
    made = joined.session().ensure_epoch(new_epoch);
    joined.start();
    joined.session().compare_secrets();
  });
  note_set_up(state.member());
  return made;
}

}  // namespace
}  // namespace room

Session::Session(Room& room, Decider& decider) : state_(std::make_unique<State>(room, decider)) {}
Session::~Session() = default;

bool Session::init(bool new_epoch) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::init(*this, new_epoch); });
}

std::string Session::epoch() const {
  if (!state_->joined) {
    Error::Fields fields;
    fields.exit = Exit::kUsage;
    fields.kind = "error";
    fields.text = "the session has not started";
    throw Error(std::move(fields));
  }
  return to_hex(state_->joined->session().party().scope().eid);
}

SecretInfo Session::import_secret(const std::filesystem::path& file) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::import_secret(*this, file); });
}

std::vector<SecretInfo> Session::draw_secrets(const std::filesystem::path& file) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::draw_secrets(*this, file); });
}

void Session::remove_secret(const std::string& name) {
  room::translated(room::Access::members(*this), [&] {
    room::Joined& joined = room::Access::join(*this, room::Access::kAsks, "secret remove");
    room::SecretRemoval removal(joined);
    joined.run("secret remove " + name, [&] {
      joined.start();
      removal.run(joined.approve(removal.propose(name)));
    });
    if (joined.log_outcome(store::LogOutcome::kDone, "secret remove " + removal.name())) {
      removal.logged();
    }
    return true;
  });
}

SecretsMoved Session::refresh_secrets() {
  return room::translated(room::Access::members(*this),
                          [&] { return room::refresh_secrets(*this); });
}

Stock Session::fill_stock(uint64_t triples) {
  return room::translated(room::Access::members(*this), [&] {
    room::Joined& joined = room::Access::join(*this, room::Access::kAsksNothing, "stock");
    joined.session().guard([&] { room::fill_stock(joined, triples); });
    return room::stock_of(room::Access::state(*this));
  });
}

}  // namespace flexroom
