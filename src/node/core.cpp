#include "node/core.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/codec.h"
#include "flexroom/version.h"
#include "inbox/rules.h"
#include "room/access.h"
#include "store/row_reader.h"

namespace flexroom::node {
namespace {

Fd open_lock(const std::filesystem::path& state_dir) {
  return Fd(::open((state_dir / "node.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

Fd take_lock(const std::filesystem::path& state_dir) {
  Fd fd = open_lock(state_dir);
  const std::string place = (state_dir / "node.lock").string();
  if (!fd.valid()) throw InputError(place, std::strerror(errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    throw InputError(place, "a node of this member runs already", "stop that one first");
  }
  return fd;
}

}  // namespace

bool node_runs(const std::filesystem::path& state_dir) {
  const Fd fd(::open((state_dir / "node.lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  return ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Core::Core(const std::filesystem::path& member_file)
    : member_file_(member_file),
      member_(MemberConfig::load(member_file)),
      room_config_(RoomConfig::load(member_.room_file)),
      lock_(take_lock(member_.state_dir)),
      self_(room_config_.member_id(member_.name)) {
  RoomOptions options;
  options.member_file = member_file;
  room_ = std::make_unique<Room>(options);
  state_ = &room::Access::state(*room_);
  (void)state_->rid();  // says that the room is not set up
  mids_ = state_->mids();
  open_inbox();
}

Core::~Core() = default;

void Core::open_inbox() {
  const auto in_force = state_->log().configuration();
  if (!in_force) {
    throw InputError("room " + room_config_.name, "has no configuration in this member's log yet",
                     "run `flexroom init` with all members");
  }
  // Those of before too: what was signed under their keys is verified with them.
  if (configurations_.empty()) {
    for (agreement::ChangeBody& body : state_->log().configurations()) {
      configurations_.push_back(std::move(body.configuration));
    }
  }
  if (configurations_.empty() || configurations_.back().digest() != in_force->digest()) {
    configurations_.push_back(*in_force);
  }
  inbox::Inbox::Settings settings;
  settings.room = state_->rid();
  settings.self = mids_[self_];
  settings.configurations = configurations_;
  settings.secret = [this](const std::array<uint8_t, 16>& record) {
    std::optional<inbox::SecretNow> out;
    for (const store::RecordMeta& meta : state_->secrets().list()) {
      if (meta.id != record || (out && out->version >= meta.version)) continue;
      out = inbox::SecretNow{static_cast<uint32_t>(meta.version), meta.provenance};
    }
    return out;
  };
  settings.check = [this](const agreement::Proposal& proposal, const inbox::Terms& terms,
                          const std::vector<agreement::GivenInput>& inputs) {
    const room::Waiting what = room::waiting_of(*state_, proposal, terms);
    room::check_inputs(*state_, proposal.digest(), what, inputs);
  };
  inbox_.reset();
  inbox_ =
      std::make_unique<inbox::Inbox>(state_->db(), state_->once(), state_->identity(), settings);
}

std::string Core::name_of(const agreement::MemberId& member) const {
  for (size_t i = 0; i < mids_.size(); ++i) {
    if (mids_[i] == member) return room_config_.members[i].name;
  }
  return "a member that is not of this room";
}

void Core::follow_configuration() {
  const std::lock_guard lock(mutex_);
  const auto in_force = state_->log().configuration();
  if (in_force && in_force->digest() != inbox_->configuration().digest()) open_inbox();
}

void Core::changed() {
  if (changed_) changed_();
}

room::Waiting Core::waiting(const Digest& proposal) {
  return with([&](const Open& open) {
    const agreement::Proposal known = open.inbox.proposal(proposal);
    return room::waiting_of(open.state, known, inbox::Terms::read(known, "proposal"));
  });
}

bool Core::apply_rules() {
  std::vector<Digest> approved;
  std::string problem;
  with([&](const Open& open) {
    const uint32_t version = open.inbox.rule_version();
    if (version == 0) return 0;
    const auto rule = open.state.people().current();
    if (!rule || rule->rule.version != version || rule->rule.standing.empty()) return 0;
    const uint64_t now = now_seconds();
    try {
      const auto rules = inbox::StandingRules::parse(rule->rule.standing, "standing rules", now);
      approved = open.inbox.apply(rules, version, now);
    } catch (const store::DamagedState&) {
      throw;
    } catch (const InputError& error) {
      problem = error.what();  // a clock that was set back; the people are asked meanwhile
    }
    return 0;
  });
  if (problem != rules_problem_ && !problem.empty()) {
    events_.add("note", nlohmann::json::object({{"text", problem}}));
  }
  rules_problem_ = problem;
  for (const Digest& one : approved) {
    events_.add("proposal",
                nlohmann::json::object(
                    {{"complete", to_hex(one)}, {"said", "APPROVE"}, {"by", "a standing rule"}}));
  }
  return !approved.empty();
}

std::vector<std::string> Core::stopped(const agreement::MemberId& member) {
  const std::lock_guard lock(mutex_);
  const auto found = stopped_.find(member);
  return found == stopped_.end() ? std::vector<std::string>() : found->second;
}

uint64_t Core::paused_until(const agreement::MemberId& member) {
  return with([&](const Open& open) { return open.inbox.pause_until(member, now_seconds()); });
}

LinkHello Core::hello() {
  return with([&](const Open& open) {
    LinkHello out;
    out.program = kVersion;
    out.room = open.state.rid();
    out.member = mids_[self_];
    const auto session = open.inbox.next_session();
    out.incarnation = session.incarnation;
    out.session = session.counter;
    out.now = now_seconds();
    return out;
  });
}

void Core::heard_hello(const agreement::MemberId& peer, const LinkHello& hello) {
  with([&](const Open& open) {
    if (hello.room != open.state.rid() || hello.member != peer) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "node/hello",
                          fmt::format("{} speaks of another room or member (room {})",
                                      name_of(peer), to_hex(hello.room).substr(0, 16)));
    }
    open.inbox.check_session(peer, {hello.incarnation, hello.session});
    return 0;
  });
}

Bytes Core::heads() {
  return with([](const Open& open) { return open.inbox.heads(); });
}

Bytes Core::missing(const agreement::MemberId& peer, ByteView heads) {
  return with([&](const Open& open) { return open.inbox.missing(heads, peer, now_seconds()); });
}

Bytes Core::give(const agreement::MemberId& peer, ByteView missing) {
  return with([&](const Open& open) { return open.inbox.give(missing, peer); });
}

bool Core::take(const agreement::MemberId& peer, ByteView bundle) {
  inbox::TakeReport report;
  std::map<agreement::MemberId, std::vector<std::string>> stopped;
  with([&](const Open& open) {
    report = open.inbox.take(bundle, peer, now_seconds());
    for (const auto& stop : report.stopped) {
      stopped[stop.author].push_back(stop.until == 0
                                         ? stop.why
                                         : fmt::format("{}; its statements wait until {}", stop.why,
                                                       inbox::utc_text(stop.until)));
    }
    for (const auto& [author, why] : stopped) {
      if (stopped_[author] != why) {
        for (const std::string& one : why) {
          events_.add("peer", {{"member", name_of(author)}, {"stopped", one}});
        }
      }
    }
    if (!stopped.empty() || report.taken > 0) stopped_ = stopped;
    return 0;
  });
  for (const inbox::Fork& fork : report.forks) {
    events_.add("fork", {{"member", name_of(fork.author)}, {"fork", to_hex(fork.id)}});
  }
  for (const Digest& touched : report.touched) {
    events_.add("proposal", nlohmann::json::object({{"proposal", to_hex(touched)}}));
  }
  if (report.taken > 0 || report.own_log_is_whole_again) changed();
  return report.taken > 0;
}

void Core::asked_to_meet(const agreement::MemberId& peer) {
  if (meet_) meet_(peer);
}

void Core::link_changed(const agreement::MemberId& peer) {
  events_.add("peer", nlohmann::json::object({{"member", name_of(peer)}}));
  changed();
}

}  // namespace flexroom::node
