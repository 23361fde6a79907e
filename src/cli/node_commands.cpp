#include "cli/node_commands.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "agreement/render.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "base/wipe_text.h"
#include "call/script_text.h"
#include "cli/node_voices.h"
#include "cli/people_voices.h"
#include "cli/screen.h"
#include "config/config.h"
#include "config/of_proposal.h"
#include "config/private_json.h"
#include "inbox/schedule.h"
#include "net/identity.h"
#include "node/client.h"
#include "node/operator_voice.h"
#include "room/own_inputs.h"

namespace flexroom::cli {
namespace {

using nlohmann::json;

node::Client client_of(const MemberConfig& member) { return node::Client(member.node.socket); }
node::Client client_of(const Common& common) {
  return client_of(MemberConfig::load(common.member_file));
}

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? display_text(found->get<std::string>()) : "";
}
int64_t number(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}
bool flag(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}
std::string time_text(int64_t at) {
  if (at <= 0 || at > int64_t{253402300799}) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}Z", fmt::gmtime(static_cast<std::time_t>(at)));
}
std::string short_id(const json& object, const char* key = "id") {
  return text(object, key).substr(0, 12);
}

void show_line(Output& out, const json& item) {
  out.line(fmt::format("{}  {:<10} {:<10} {} {}  by {}", short_id(item), text(item, "state"),
                       time_text(number(item, "time")).substr(0, 10), text(item, "kind"),
                       text(item, "title"), text(item, "proposer")));
}

void show_state(Output& out, const json& item) {
  out.line(fmt::format("proposal     {}", text(item, "id")));
  out.line(fmt::format("state        {}{}", text(item, "state"),
                       text(item, "why").empty() ? "" : ": " + text(item, "why")));
  out.line(fmt::format("may run      {} to {}", time_text(number(item, "not_before")),
                       time_text(number(item, "not_after"))));
  for (const json& one : item.value("missing_inputs", json::array())) {
    out.line(fmt::format("             waits for the input `{}` of {}", text(one, "slot"),
                         text(one, "member")));
  }
  const auto decisions = item.find("decisions");
  if (decisions == item.end() || !decisions->is_array()) return;
  for (const json& one : *decisions) {
    const std::string rejected = text(one, "rejected");
    out.line(fmt::format(
        "             {}: {}", text(one, "member"),
        one.contains("rejected")                 ? "said no: " + rejected
        : flag(one, "counts")                    ? "approved" + (text(one, "automatic").empty()
                                                                     ? std::string()
                                                                     : " by the rule " + text(one, "automatic"))
        : text(one, "why") == "has not approved" ? "has not decided"
                                                 : "does not count: " + text(one, "why")));
  }
}

uint64_t time_of(const std::string& given, const char* option, uint64_t otherwise) {
  return given.empty() ? otherwise : inbox::parse_utc(given, option);
}

json with_times(json body, const ProposalTimes& times) {
  const auto now = static_cast<uint64_t>(std::time(nullptr));
  body["not_before"] = time_of(times.from, "--from", now);
  if (!times.until.empty()) body["not_after"] = time_of(times.until, "--until", 0);
  body["times"] = times.times;
  if (!times.every.empty()) body["every"] = times.every;
  return body;
}

int proposed(Output& out, const Common& common, const json& body) {
  json answer = client_of(common).post("/v1/proposals", body);
  const json item = answer.value("proposal", json::object());
  out.line(
      fmt::format("Proposed {}. The others' nodes have it as soon as they are reached; "
                  "approve it here, too: `flexroom proposal approve {}`",
                  short_id(item), short_id(item)));
  out.result(std::move(answer));
  return kOk;
}

/// A proposal's id goes into a path: digits alone.
std::string checked_id(const std::string& id, const char* what) {
  if (id.empty() || id.size() > 64 ||
      id.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw InputError(fmt::format("{} {}", what, id), "is no id", "`flexroom inbox` lists them");
  }
  return id;
}

}  // namespace

int node_status(Output& out, const Common& common) {
  json answer = client_of(common).get("/v1/status");
  out.line(fmt::format("node         version {}, member {} of room {}", text(answer, "version"),
                       text(answer, "member"), text(answer, "room")));
  out.line(fmt::format("doing        {}{}", text(answer, "doing"),
                       flag(answer, "draining") ? ", about to stop" : ""));
  if (!text(answer, "problem").empty()) {
    out.line(fmt::format("last problem {}", text(answer, "problem")));
  }
  for (const json& peer : answer.value("peers", json::array())) {
    out.line(fmt::format(
        "peer         {}: {} since {}{}", text(peer, "member"), flag(peer, "up") ? "up" : "down",
        time_text(number(peer, "since")),
        flag(peer, "up") ? ", version " + text(peer, "version") : ": " + text(peer, "problem")));
    for (const json& why : peer.value("stopped", json::array())) {
      if (why.is_string()) out.line("             " + display_text(why.get<std::string>()));
    }
  }
  if (answer.contains("stock_triples")) {
    out.line(fmt::format("stock        {} AND triples", number(answer, "stock_triples")));
  }
  out.result(std::move(answer));
  return kOk;
}

int console(Output& out, const Common& common) {
  json answer = client_of(common).post("/v1/console/link", json::object());
  out.line(text(answer, "link"));
  out.line(fmt::format("opens the console as {}, once, within {} s", text(answer, "you"),
                       number(answer, "seconds")));
  out.result(std::move(answer));
  return kOk;
}

int node_events(Output& out, const Common& common) {
  watch_signals();
  client_of(common).follow("/v1/events", [&](const json& event) {
    if (out.json()) {
      json fields = event;
      fields.erase("event");
      out.event(text(event, "event"), std::move(fields));
    } else {
      out.line(fmt::format("{}  {}  {}", time_text(number(event, "time")), text(event, "event"),
                           display_text(event.dump())));
    }
    return !cancel_flag();
  });
  out.result(json::object({{"ok", true}}));
  return kOk;
}

int node_runs(Output& out, const Common& common) {
  json answer = client_of(common).get("/v1/runs");
  for (const json& run : answer.value("runs", json::array())) {
    out.line(fmt::format("{}  {:<16} {}  {} {}{}", short_id(run), text(run, "state"),
                         time_text(number(run, "started")), text(run, "kind"), text(run, "title"),
                         text(run, "detail").empty() ? "" : ": " + text(run, "detail")));
  }
  out.result(std::move(answer));
  return kOk;
}

int node_result(Output& out, const Common& common, const std::string& run) {
  const node::Client client = client_of(common);
  std::string id = run;
  if (run == "last") {
    const json newest = client.get("/v1/runs?limit=1").value("runs", json::array());
    if (newest.empty()) throw InputError("node result last", "no run is here yet");
    id = text(newest.front(), "id");
  }
  id = checked_id(id, "node result");
  const json known = client.get("/v1/runs/" + id).value("run", json::object());
  const std::string body = client.get_bytes("/v1/runs/" + id + "/result");
  if (out.json()) {
    out.result({{"ok", true}, {"run", known}, {"body_hex", to_hex(as_bytes(body))}});
  } else {
    out.body(as_bytes(body));
  }
  return number(known, "status") >= 400 ? kServiceRefused : kOk;
}

int propose_get(Output& out, const Common& common, const GetRequest& request,
                const ProposalTimes& times) {
  json body = {{"kind", "get"}, {"url", request.url}};
  if (!request.provider.empty()) body["provider"] = request.provider;
  return proposed(out, common, with_times(std::move(body), times));
}

int propose_call(Output& out, const Common& common, const std::filesystem::path& recipe,
                 const std::map<std::string, std::string>& arguments, const ProposalTimes& times) {
  const std::string content =
      read_own_file(recipe, size_t{1} << 20, "name the file of a recipe (docs/recipes.md)");
  return proposed(
      out, common,
      with_times({{"kind", "call"}, {"recipe", content}, {"arguments", arguments}}, times));
}

namespace {

/// One private value on its way to the node.
json give(const node::Client& client, const std::string& id, const std::string& slot,
          const SecretBytes& value) {
  json body = {{"slot", slot}, {"text", to_text(value.reveal())}};
  json answer;
  try {
    answer = client.post("/v1/proposals/" + id + "/inputs", body);
  } catch (...) {
    wipe_text(body["text"].get_ref<std::string&>());
    throw;
  }
  wipe_text(body["text"].get_ref<std::string&>());
  return answer;
}

SecretBytes links_file(const std::filesystem::path& links) {
  SecretBytes text =
      read_private_file(links, size_t{64} << 10, "write this member's links there (docs/files.md)");
  (void)parse_links(as_text(text.reveal()), links.string());  // what is wrong has its place here
  return text;
}

}  // namespace

int propose_script(Output& out, const Common& common, const std::filesystem::path& job_file,
                   const std::filesystem::path& links, const ProposalTimes& times) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  const JobConfig job = JobConfig::load(job_file);
  const SecretBytes own = links_file(links);
  const std::string script = agreed_script(job, RoomConfig::load(member.room_file), &cancel_flag());
  const node::Client client = client_of(member);
  const json body = with_times(
      {{"kind", "run-script"}, {"arguments", arguments_of_job(job)}, {"script", script}}, times);
  const json proposal = client.post("/v1/proposals", body).value("proposal", json::object());
  const std::string id = text(proposal, "id");
  out.line(fmt::format("Proposed {}.", short_id(proposal)));
  json answer = give(client, checked_id(id, "proposal"), std::string(room::kLinksInput), own);
  const json item = answer.value("proposal", json::object());
  show_state(out, item);
  out.line(
      fmt::format("The others give theirs with `flexroom proposal input {0} --links FILE`; once "
                  "all are there, `flexroom proposal approve {0}` at each",
                  short_id(item)));
  out.result(std::move(answer));
  return kOk;
}

int propose_stop(Output& out, const Common& common, const std::string& run,
                 const ProposalTimes& times) {
  return proposed(out, common,
                  with_times({{"kind", "stop"}, {"run", checked_id(run, "run")}}, times));
}

int proposal_input(Output& out, const Common& common, const std::string& given_id,
                   const std::filesystem::path& links, const std::filesystem::path& inputs) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  const node::Client client = client_of(member);
  const std::string id = checked_id(given_id, "proposal input");
  if (links.empty() == inputs.empty()) {
    throw InputError("proposal input", "takes either --links or --inputs",
                     "a run-script wants --links, a recipe --inputs");
  }
  json answer;
  if (!links.empty()) {
    answer = give(client, id, std::string(room::kLinksInput), links_file(links));
  } else {
    PrivateJson values(inputs, size_t{64} << 10, "write this member's private values there",
                       "write {\"SLOT\": \"value\"}");
    for (const auto& [slot, value] : values.root().items()) {
      if (!value.is_string()) throw InputError(values.place_of(slot), "is no text");
      answer = give(client, id, slot,
                    SecretBytes::copy_of(as_bytes(value.get_ref<const std::string&>())));
    }
    if (answer.is_null()) throw InputError(inputs.string(), "has no value");
  }
  show_state(out, answer.value("proposal", json::object()));
  out.result(std::move(answer));
  return kOk;
}

int inbox(Output& out, const Common& common, bool all) {
  json answer = client_of(common).get("/v1/proposals");
  json shown = json::array();
  for (const json& item : answer.value("proposals", json::array())) {
    const std::string state = text(item, "state");
    const bool open = state == "proposed" || state == "complete" || state == "ready" ||
                      state == "running" || state == "void";
    if (!all && !open) continue;
    show_line(out, item);
    shown.push_back(item);
  }
  if (shown.empty()) out.line(all ? "Nothing was proposed yet." : "Nothing waits.");
  out.result({{"ok", true}, {"proposals", std::move(shown)}});
  return kOk;
}

namespace {

/// What was fetched of a proposal. What is shown of it is made here, of the bytes that are signed:
/// not as the node says it.
struct Seen {
  std::string path;
  Bytes canonical;
  std::vector<agreement::GivenInput> inputs;
  Digest proposal{}, complete{};
  std::string shown, filled_in;
  json item;
  int64_t first() const { return number(item, "not_before"); }
  int64_t last() const { return number(item, "not_after"); }
  bool lacks_inputs() const { return !item.value("missing_inputs", json::array()).empty(); }
};

template <size_t N>
std::array<uint8_t, N> id_of(const json& object, const char* key) {
  const Bytes bytes = from_hex(text(object, key));
  std::array<uint8_t, N> out{};
  if (bytes.size() != N) throw InputError("the node", "names an input by an id that is none");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Seen seen_of(const json& answer) {
  Seen out;
  out.canonical = from_hex(text(answer, "canonical_hex"));
  out.proposal = agreement::proposal_digest(out.canonical);
  std::vector<std::string> names;
  for (const json& one : answer.value("inputs", json::array())) {
    agreement::GivenInput& given = out.inputs.emplace_back();
    given.member = id_of<16>(one, "member_id");
    given.body.proposal = out.proposal;
    given.body.slot = text(one, "slot");
    given.body.public_part = from_hex(text(one, "public_hex"));
    given.body.commitment = id_of<32>(one, "commitment");
    names.push_back(text(one, "member"));
  }
  out.complete = agreement::complete_digest(out.proposal, out.inputs);
  out.shown =
      agreement::render(out.canonical, "proposal") + agreement::inputs_text(out.inputs, names);
  out.filled_in = answer.value("filled_in", std::string());
  if (!out.filled_in.empty()) {
    out.filled_in =
        "With these inputs this member's node makes of it:\n" + display_lines(out.filled_in);
  }
  out.item = answer.value("proposal", json::object());
  return out;
}

}  // namespace

int proposal_show(Output& out, const Common& common, const std::string& id) {
  json answer = client_of(common).get("/v1/proposals/" + checked_id(id, "proposal show"));
  show_state(out, answer.value("proposal", json::object()));
  const Seen seen = seen_of(answer);
  out.line(seen.shown);
  if (!seen.filled_in.empty()) out.line("\n" + seen.filled_in);
  if (answer.contains("problem")) {
    out.line("It cannot be approved here: " + text(answer, "problem"));
  }
  answer["text"] = seen.shown;
  out.result(std::move(answer));
  return kOk;
}

int proposal_diff(Output& out, const Common& common, const std::string& id) {
  json answer = client_of(common).get("/v1/proposals/" + checked_id(id, "proposal diff") + "/diff");
  if (!answer.contains("before")) {
    out.line("Nothing of this kind and title ran before.");
  } else {
    const std::string diff = display_lines(answer.value("diff", std::string()));
    out.line(diff.empty() ? "As it ran before, to the letter." : diff);
  }
  out.result(std::move(answer));
  return kOk;
}

namespace {

/// Shows it from the bytes, and asks.
bool agreed(Output& out, const Common& common, const Seen& seen, const std::string& kind,
            const std::string& whose) {
  if (common.yes) return true;
  out.summary(seen.shown);
  if (!seen.filled_in.empty()) out.summary(seen.filled_in);
  out.summary(
      fmt::format("may run from {} to {}", time_text(seen.first()), time_text(seen.last())));
  const std::string what = kind == "approve"  ? "Approve this"
                           : kind == "reject" ? "Reject this for good"
                                              : "Withdraw this";
  if (out.confirm(what + " in the name of " + whose + "?", &cancel_flag())) return true;
  out.result({{"ok", false}, {"class", "refuse"}, {"error", "nothing was said"}, {"exit", 4}});
  out.line("Nothing was said.");
  return false;
}

node::OperatorStatement checked_statement(const json& asked, const Seen& seen,
                                          const std::string& kind, const std::string& reason) {
  auto out =
      node::OperatorStatement::decode(from_hex(text(asked, "statement")), "the node's statement");
  // What is signed must be what is shown: both are made of these bytes, here.
  if (out.what != (seen.lacks_inputs() ? seen.proposal : seen.complete) ||
      (kind == "reject" && out.reason != reason) ||
      agreement::to_string(out.kind) != statement_kind(kind)) {
    throw InputError("the node's statement", "is not about what is shown here",
                     "do not approve; look at the node");
  }
  return out;
}

int said_by_people(Output& out, const Common& common, const node::Client& client, const Seen& seen,
                   const std::string& kind, const std::string& reason) {
  require_people(common);
  if (kind != "approve" && common.sign_with.empty()) {
    throw InputError("proposal " + kind, "is one person's word, and is signed where it is written",
                     "--sign-with KEYFILE");
  }
  NodeVoices::Decision decision{seen.path, kind, reason, seen.canonical, seen.inputs, 0, 0};
  decision.first = static_cast<uint64_t>(seen.first());
  decision.last = static_cast<uint64_t>(seen.last());
  NodeVoices voices(client, std::move(decision));
  const std::string whose =
      common.sign_with.empty() ? "those who sign elsewhere" : signers(common, voices);
  if (!agreed(out, common, seen, kind, whose)) return kRefused;
  const bool enough = gather(out, common, voices);
  json answer = voices.answer();
  if (!answer.is_object()) {
    throw InputError("proposal", "nobody signed", "ask again; requests are good for ten minutes");
  }
  show_state(out, answer.value("proposal", json::object()));
  if (!enough) {
    out.line(fmt::format("{} more of this member's people must sign: {}", voices.needed(),
                         fmt::join(voices.missing(), ", ")));
  }
  out.result(std::move(answer));
  return kOk;
}

}  // namespace

int proposal_say(Output& out, const Common& common, const std::string& given_id,
                 const std::string& kind, const std::string& reason) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  const node::Client client = client_of(member);
  const std::string path = "/v1/proposals/" + checked_id(given_id, "proposal");
  Seen seen = seen_of(client.get(path));
  seen.path = path;
  if (flag(client.get("/v1/status"), "people")) {
    return said_by_people(out, common, client, seen, kind, reason);
  }
  // Whoever may read this file is the member; nobody else has a voice here (members.md §9.1).
  const net::Identity identity = net::Identity::load(member.identity_dir);
  json question = json::object({{"decision", kind}});
  if (kind == "reject") question["reason"] = reason;
  const json asked = client.post(seen.path + "/ticket", question);
  const node::OperatorStatement statement = checked_statement(asked, seen, kind, reason);
  if (!agreed(out, common, seen, kind, member.name)) return kRefused;
  json answer = client.post(
      seen.path + "/voice",
      {{"statement", text(asked, "statement")}, {"signature", to_hex(statement.sign(identity))}});
  show_state(out, answer.value("proposal", json::object()));
  out.result(std::move(answer));
  return kOk;
}

}  // namespace flexroom::cli
