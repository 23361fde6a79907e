#include "node/api.h"

#include <fmt/core.h>
#include <pwd.h>

#include <algorithm>
#include <ctime>
#include <sstream>

#include "agreement/render.h"
#include "base/codec.h"
#include "base/display.h"
#include "flexroom/version.h"
#include "node/api_body.h"
#include "node/request_body.h"
#include "room/waiting_script.h"

namespace flexroom::node {
namespace {

using nlohmann::json;

constexpr uint64_t kDefaultWindow = uint64_t{7} * 86400;
constexpr size_t kMostListed = 1000;

bool is_user(const std::string& name, uid_t uid) {
  char buffer[16384];
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, buffer, sizeof buffer, &found) != 0) return false;
  return found != nullptr && found->pw_uid == uid;
}

uint64_t number_of(const json& object, const char* key, uint64_t fallback) {
  const auto found = object.find(key);
  if (found == object.end()) return fallback;
  if (!found->is_number_unsigned()) throw HttpError(400, fmt::format("'{}' is no number", key));
  return found->get<uint64_t>();
}

uint64_t query_number(const HttpRequest& request, const char* key, uint64_t fallback,
                      uint64_t most) {
  const auto found = request.query.find(key);
  if (found == request.query.end()) return fallback;
  const std::string& text = found->second;
  if (text.empty() || text.size() > 18 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    throw HttpError(400, fmt::format("'{}' is no number", key));
  }
  return std::min<uint64_t>(std::stoull(text), most);
}

/// The two whole texts side by side.
json lines_of(const agreement::Proposal& before, const agreement::Proposal& now) {
  const auto lines = [](const agreement::Proposal& of) {
    std::vector<std::string> out;
    std::istringstream in(agreement::render(of));
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  };
  json out = json::array();
  for (const agreement::DiffLine& line : agreement::diff_lines(lines(before), lines(now))) {
    out.push_back({{"mark", std::string(1, line.mark)},
                   {"before", line.before},
                   {"now", line.now},
                   {"text", line.text}});
  }
  return out;
}

}  // namespace

Authority authority_of(const Caller& caller, const std::vector<NodeTerms::Person>& persons,
                       uid_t own_uid) {
  if (caller.uid == 0 || caller.uid == own_uid) return {"root", true, true, true};
  for (const NodeTerms::Person& person : persons) {
    if (!is_user(person.unix, caller.uid)) continue;
    const auto has = [&](const char* role) {
      return std::find(person.roles.begin(), person.roles.end(), role) != person.roles.end();
    };
    return {person.name, has("see") || has("propose"), has("propose")};
  }
  return {fmt::format("uid {}", caller.uid), false, false};
}

Api::Api(Core& core, Runner& runner, Links& links, uid_t own_uid)
    : core_(core), runner_(runner), links_(links), own_uid_(own_uid), people_(core) {}

const std::vector<Api::Route>& Api::table() {
  static const std::vector<Route> routes = {
      {"GET", "/v1/status", Needs::kNothing, &Api::status},
      {"GET", "/v1/members", Needs::kSee, &Api::members},
      {"GET", "/v1/secrets", Needs::kSee, &Api::secrets},
      {"GET", "/v1/log", Needs::kSee, &Api::log},
      {"GET", "/v1/log/export", Needs::kSee, &Api::log_export},
      {"GET", "/v1/log/{id}", Needs::kSee, &Api::log_entry},
      {"GET", "/v1/health", Needs::kSee, &Api::health},
      {"GET", "/v1/leaks", Needs::kSee, &Api::leaks},
      {"POST", "/v1/console/link", Needs::kSocket, &Api::console_link},
      {"POST", "/v1/console/open", Needs::kLink, &Api::console_open},
      {"POST", "/v1/console/close", Needs::kSee, &Api::console_close},
      {"GET", "/v1/events", Needs::kSee, &Api::events},
      {"GET", "/v1/proposals", Needs::kSee, &Api::proposals},
      {"POST", "/v1/proposals", Needs::kPropose, &Api::propose},
      {"GET", "/v1/proposals/{id}", Needs::kSee, &Api::proposal},
      {"GET", "/v1/proposals/{id}/diff", Needs::kSee, &Api::proposal_diff},
      {"GET", "/v1/proposals/{id}/words", Needs::kSee, &Api::proposal_words},
      {"POST", "/v1/proposals/{id}/ticket", Needs::kSee, &Api::ticket},
      {"POST", "/v1/proposals/{id}/voice", Needs::kSee, &Api::voice},
      {"POST", "/v1/proposals/{id}/inputs", Needs::kPropose, &Api::give_input},
      {"GET", "/v1/people", Needs::kSee, &Api::people_rule},
      {"POST", "/v1/people/change", Needs::kSee, &Api::people_change},
      {"POST", "/v1/people/change/ticket", Needs::kSee, &Api::people_ticket},
      {"POST", "/v1/people/change/voice", Needs::kSee, &Api::people_voice},
      {"POST", "/v1/people/enrolment", Needs::kSee, &Api::enrolment},
      {"POST", "/v1/people/enrolment/key", Needs::kSee, &Api::enrolment_key},
      {"GET", "/v1/runs", Needs::kSee, &Api::runs},
      {"GET", "/v1/runs/{id}", Needs::kSee, &Api::run},
      {"GET", "/v1/runs/{id}/result", Needs::kSee, &Api::result},
  };
  return routes;
}

std::vector<std::pair<std::string, std::string>> Api::routes() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Route& route : table()) out.emplace_back(route.method, route.path);
  return out;
}

HttpAnswer Api::handle(const HttpRequest& request, const Caller& caller) {
  // A browser reaches no Unix socket by itself; what forwards one here is refused all the same.
  require_own_page(request, "localhost", "");
  return routed(request, authority_of(caller, core_.member().node.persons, own_uid_), caller,
                false);
}

HttpAnswer Api::routed(const HttpRequest& request, const Authority& authority, const Caller& caller,
                       bool of_page) {
  bool is_path = false;
  for (const Route& route : table()) {
    const std::string_view pattern = route.path;
    const size_t brace = pattern.find("{id}");
    std::string id;
    if (brace == std::string_view::npos) {
      if (request.path != pattern) continue;
    } else {
      const std::string_view tail = pattern.substr(brace + 4);
      const std::string_view path = request.path;
      if (path.size() <= brace + tail.size() || !path.starts_with(pattern.substr(0, brace)) ||
          !path.ends_with(tail)) {
        continue;
      }
      id = std::string(path.substr(brace, path.size() - brace - tail.size()));
      if (id.find('/') != std::string::npos) continue;
    }
    is_path = true;
    if (request.method != route.method) continue;
    if (of_page ? route.needs == Needs::kSocket : route.needs == Needs::kLink) {
      throw HttpError(403,
                      of_page ? "no page may ask for this" : "only the console's page asks this",
                      "`flexroom console` prints a link to the page");
    }
    if (((route.needs == Needs::kSee || route.needs == Needs::kSocket) && !authority.see) ||
        (route.needs == Needs::kPropose && !authority.propose)) {
      throw HttpError(403,
                      fmt::format("{} may not {} here", authority.name,
                                  route.needs == Needs::kPropose ? "propose" : "see this"),
                      "the operator writes a [[person]] with roles into member.toml");
    }
    return (this->*route.answer)({request, authority, caller, id});
  }
  if (is_path) throw HttpError(405, request.method + " is not for this path");
  throw HttpError(404, "there is no such path");
}

json Api::peers() {
  json out = json::array();
  for (const auto& [member, link] : links_) {
    const PeerLink::State state = link->state();
    out.push_back({{"member", core_.name_of(member)},
                   {"up", state.up},
                   {"since", state.since},
                   {"problem", state.problem},
                   {"version", state.program},
                   {"clock_ahead", state.clock_ahead},
                   {"held_back", state.held_back},
                   {"paused_until", core_.paused_until(member)},
                   {"stopped", core_.stopped(member)}});
  }
  return out;
}

HttpAnswer Api::status(const Call& call) {
  const Runner::State runner = runner_.state();
  json out = {{"ok", true},
              {"version", kVersion},
              {"you", call.authority.name},
              {"member", core_.member().name},
              {"room", core_.room_config().name},
              {"doing", runner.doing},
              {"draining", runner.draining}};
  if (!call.authority.see) return HttpAnswer::json(out);
  out["phase"] = runner.phase;
  out["share"] = runner.share;
  out["problem"] = runner.problem;
  out["sessions"] = runner.sessions;
  out["failures"] = runner.failures;
  out["peers"] = peers();
  out["last_event"] = core_.events().last();
  core_.with([&](const Core::Open& open) {
    const RoomStatus state = open.room.status();
    out["epoch"] = state.has_epoch;
    out["burned"] = state.burned;
    out["needs_operator"] = state.needs_operator;
    out["dirty"] = state.dirty;
    out["life"] = state.life;
    out["strikes"] = state.strikes;
    out["secrets"] = state.secrets;
    out["stock_triples"] = state.stock.triples;
    out["certificate"] = state.certificate;
    out["certificate_expires"] = state.certificate_expires;
    out["log_is_whole"] = open.inbox.own_log_is_whole();
    out["people"] = open.inbox.rule_version() > 0;
    return 0;
  });
  return HttpAnswer::json(out);
}

HttpAnswer Api::members(const Call&) {
  json out = json::array();
  core_.with([&](const Core::Open& open) {
    const agreement::Configuration& configuration = open.inbox.configuration();
    for (const auto& member : configuration.members) {
      out.push_back({{"id", to_hex(member.id)},
                     {"name", member.name},
                     {"address", member.address},
                     {"certificate", to_hex(member.certificate)},
                     {"key", to_hex(member.key)},
                     {"here", member.id == core_.mids()[core_.self()]}});
    }
    return 0;
  });
  return HttpAnswer::json({{"ok", true}, {"members", out}, {"peers", peers()}});
}

HttpAnswer Api::secrets(const Call&) {
  json out = json::array();
  const auto all = core_.with([](const Core::Open& open) { return open.room.secrets(); });
  for (const SecretInfo& one : all) {
    out.push_back({{"name", one.name},
                   {"kind", one.kind},
                   {"class", one.value_class},
                   {"bytes", one.bytes},
                   {"version", one.version},
                   {"purposes", one.purposes},
                   {"provider", one.provider},
                   {"entropy", one.entropy},
                   {"known_to", one.known_to},
                   {"record", one.record},
                   {"provenance", one.provenance}});
  }
  return HttpAnswer::json({{"ok", true}, {"secrets", out}});
}

HttpAnswer Api::log(const Call& call) {
  const uint64_t from = query_number(call.request, "from", 1, UINT64_MAX);
  const uint64_t limit = query_number(call.request, "limit", 100, kMostListed);
  const auto found = call.request.query.find("q");
  const std::string wanted = found == call.request.query.end() ? "" : found->second;
  json out = json::array();
  uint64_t next = 0, total = 0;
  core_.with([&](const Core::Open& open) {
    const std::vector<LogEntry>& entries = log_pages_.entries(open.state);
    total = entries.size();
    for (uint64_t number = std::max<uint64_t>(from, 1); number <= entries.size(); ++number) {
      const LogEntry& entry = entries[number - 1];
      if (!wanted.empty() && entry.text.find(wanted) == std::string::npos &&
          entry.outcome.find(wanted) == std::string::npos && !entry.proposal.starts_with(wanted)) {
        continue;
      }
      if (out.size() >= limit) {
        next = number;
        break;
      }
      out.push_back({{"number", number},
                     {"time", entry.unix_seconds},
                     {"proposal", entry.proposal},
                     {"outcome", entry.outcome},
                     {"text", entry.text},
                     {"joint", entry.joint},
                     {"head", entry.head},
                     {"status", entry.status}});
    }
    return 0;
  });
  json answer = {{"ok", true}, {"entries", out}, {"total", total}};
  if (next != 0) answer["next"] = next;
  return HttpAnswer::json(answer);
}

HttpAnswer Api::log_entry(const Call& call) {
  if (call.id.empty() || call.id.size() > 9 ||
      call.id.find_first_not_of("0123456789") != std::string::npos) {
    throw HttpError(400, "an entry is called by its number");
  }
  const uint64_t number = std::stoull(call.id);
  const std::string text =
      core_.with([&](const Core::Open& open) { return open.room.log_entry_text(number); });
  return HttpAnswer::json({{"ok", true}, {"number", number}, {"text", text}});
}

HttpAnswer Api::events(const Call& call) {
  uint64_t after = query_number(call.request, "after", core_.events().last(), UINT64_MAX);
  HttpAnswer out;
  out.type = "text/event-stream";
  out.events = [this, after]() mutable -> std::optional<std::string> {
    std::string text;
    for (const Events::Event& event : core_.events().after(after)) {
      text += event.text();
      after = event.number;
    }
    return text;
  };
  return out;
}

inbox::Item Api::item_called(inbox::Inbox& inbox, const std::string& id) {
  const bool is_hex = id.size() >= 8 && id.size() <= 64 &&
                      id.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex) throw HttpError(400, "a proposal is called by at least 8 digits of its id");
  std::optional<inbox::Item> found;
  for (inbox::Item& item : inbox.list(now_seconds())) {
    const bool fits = to_hex(item.proposal).starts_with(id) ||
                      (item.complete && to_hex(*item.complete).starts_with(id));
    if (!fits) continue;
    if (found) throw HttpError(409, "several proposals are called so", "give more digits");
    found = std::move(item);
  }
  if (!found) throw HttpError(404, "there is no such proposal here");
  return *std::move(found);
}

HttpAnswer Api::proposals(const Call& call) {
  const auto found = call.request.query.find("state");
  const uint64_t limit = query_number(call.request, "limit", kMostListed, kMostListed);
  json out = json::array();
  core_.with([&](const Core::Open& open) {
    for (const inbox::Item& item : open.inbox.list(now_seconds())) {
      if (out.size() >= limit) break;
      if (found != call.request.query.end() && found->second != to_string(item.state)) continue;
      out.push_back(to_json(item, core_));
    }
    return 0;
  });
  return HttpAnswer::json({{"ok", true}, {"proposals", out}});
}

HttpAnswer Api::propose(const Call& call) {
  if (draining_) throw HttpError(503, "the node is about to stop", "propose again in a minute");
  const json body =
      body_of(call.request, {"kind", "url", "provider", "recipe", "arguments", "script", "run",
                             "not_before", "not_after", "times", "every"});
  room::Waiting what = waiting_of_body(body);
  const uint64_t now = now_seconds();
  inbox::Terms terms;
  terms.proposer = core_.mids()[core_.self()];
  terms.window.first = number_of(body, "not_before", now);
  terms.window.last = number_of(body, "not_after", terms.window.first + kDefaultWindow);
  terms.repetition.times = static_cast<uint32_t>(
      std::min<uint64_t>(number_of(body, "times", 1), uint64_t{inbox::Repetition::kMaxRuns} + 1));
  if (body.contains("every")) {
    terms.repetition.every = inbox::WeeklyHours::parse(text_of(body, "every"), "every");
  }
  json out = core_.with([&](const Core::Open& open) {
    if (what.kind == kStop) what = waiting_stop(open, body);
    const agreement::Proposal proposal = room::waiting_proposal(open.state, what, terms);
    if (open.inbox.rule_version() > 0 && !call.authority.is_root) {
      const Digest id = agreement::proposal_digest(proposal.canonical());
      PeopleDesk::set_proposer(open, id, call.authority.name);
    }
    const Digest id = open.inbox.propose(proposal, now);
    return to_json(*open.inbox.show(id, now), core_);
  });
  core_.events().add("proposal", {{"proposal", out["id"]}, {"by", call.authority.name}});
  core_.changed();
  return HttpAnswer::json({{"ok", true}, {"proposal", out}}, 201);
}

HttpAnswer Api::proposal(const Call& call) {
  json out = {{"ok", true}};
  core_.with([&](const Core::Open& open) {
    const inbox::Item item = item_called(open.inbox, call.id);
    const agreement::Proposal known = open.inbox.proposal(item.proposal);
    const Bytes canonical = known.canonical();
    out["proposal"] = to_json(item, core_);
    out["text"] = agreement::render(canonical, "proposal");
    out["canonical_hex"] = to_hex(canonical);
    out["inputs"] = inputs_of(open, item, core_);
    try {
      const room::Waiting what = room::waiting_of(open.state, known, item.terms);
      if (item.complete) {
        const room::Inputs inputs = open.inbox.inputs(item.proposal);
        const std::string filled = room::filled_in_text(open.state, what, inputs);
        if (!filled.empty()) out["filled_in"] = filled;
        room::check_inputs(open.state, item.proposal, what, inputs);
      }
    } catch (const InputError& error) {
      out["problem"] = error.what();  // it could not be approved here
    }
    return 0;
  });
  return HttpAnswer::json(out);
}

HttpAnswer Api::proposal_diff(const Call& call) {
  json out = {{"ok", true}};
  core_.with([&](const Core::Open& open) {
    const inbox::Item item = item_called(open.inbox, call.id);
    const agreement::Proposal known = open.inbox.proposal(item.proposal);
    // Against the newest that was done of its kind and title.
    for (const inbox::Item& other : open.inbox.list(now_seconds())) {
      if (other.proposal == item.proposal || other.kind != item.kind || other.title != item.title ||
          other.runs.empty()) {
        continue;
      }
      const agreement::Proposal before = open.inbox.proposal(other.proposal);
      out["before"] = to_hex(other.proposal);
      out["diff"] = agreement::diff(before, known);
      out["lines"] = lines_of(before, known);
      return 0;
    }
    return 0;
  });
  return HttpAnswer::json(out);
}

HttpAnswer Api::runs(const Call& call) {
  json out = json::array();
  const uint64_t limit = query_number(call.request, "limit", 100, kMostListed);
  const auto found = call.request.query.find("proposal");
  const bool all_wanted = found == call.request.query.end();  // else it must look further
  for (const RunRecords::Record& record :
       runner_.records().list(all_wanted ? limit : kMostListed)) {
    if (out.size() >= limit) break;
    if (!all_wanted && !record.proposal.starts_with(found->second)) continue;
    out.push_back(record.to_json());
  }
  return HttpAnswer::json({{"ok", true}, {"runs", out}});
}

HttpAnswer Api::run(const Call& call) {
  const auto record = runner_.records().find(call.id);
  if (!record) throw HttpError(404, "there is no such run here");
  return HttpAnswer::json({{"ok", true}, {"run", record->to_json()}});
}

HttpAnswer Api::result(const Call& call) {
  const auto record = runner_.records().find(call.id);
  if (!record) throw HttpError(404, "there is no such run here");
  if (record->state == "running") throw HttpError(409, "the run goes on");
  if (record->state == "machine runs") {
    throw HttpError(409, "the machine runs", "its result is looked for until its deadline");
  }
  if (record->status == 0 || (record->body_bytes == 0 && record->kind == room::kWaitingScript)) {
    throw HttpError(404, "the run has no result: " + record->detail);
  }
  HttpAnswer out;
  out.type = "application/octet-stream";  // whatever the service says it is: bytes
  out.body = runner_.records().body(*record);
  return out;
}

}  // namespace flexroom::node
