#include "cli/people_commands.h"

#include <fmt/core.h>

#include <ctime>

#include "agreement/words.h"
#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"
#include "cli/node_voices.h"
#include "cli/people_voices.h"
#include "cli/screen.h"
#include "config/config.h"
#include "config/passphrase.h"
#include "inbox/rules.h"
#include "node/client.h"
#include "node/core.h"
#include "people/exchange.h"
#include "people/key_file.h"
#include "people/rule_json.h"
#include "room/people.h"

namespace flexroom::cli {
namespace {

/// A node of this member runs: it has the state.
bool at_node(const Common& common) {
  return node::node_runs(MemberConfig::load(common.member_file).state_dir);
}

node::Client client_of(const Common& common) {
  return node::Client(MemberConfig::load(common.member_file).node.socket);
}

void lay_request(Output& out, const std::filesystem::path& folder, const std::string& name,
                 const std::string& request, nlohmann::json& files) {
  const auto path = folder / (name + ".request");
  write_exchange_file(path, request);
  files.push_back(path.string());
  out.line(fmt::format("{}: `flexroom people sign {} --sign-with KEYFILE`", name, path.string()));
}

int propose_at_node(Output& out, const Common& common, const nlohmann::json& change) {
  const node::Client client = client_of(common);
  (void)client.post("/v1/people/change", change);
  NodeVoices voices(client);
  make_private_folder(common.voices);
  nlohmann::json files = nlohmann::json::array();
  for (const std::string& name : voices.missing()) {
    lay_request(out, common.voices, name, voices.request(name), files);
  }
  out.line(
      fmt::format("It takes {} of them; then `flexroom people apply SIGNATURE..`, within a "
                  "week.",
                  voices.needed()));
  out.result({{"ok", true}, {"requests", files}});
  return kOk;
}

int apply_at_node(Output& out, const Common& common, const std::vector<people::Voice>& all) {
  const node::Client client = client_of(common);
  NodeVoices voices(client);
  for (const people::Voice& voice : all) {
    if (voices.needed() > 0) voices.add(people::voice_text(voice));
  }
  if (voices.needed() > 0) {
    throw InputError("people apply", fmt::format("{} more signatures are needed", voices.needed()),
                     "those that came count for as long as the change waits");
  }
  const nlohmann::json rule = client.get("/v1/people").value("people", nlohmann::json::object());
  const uint64_t version = rule.value("version", uint64_t{0});
  out.line(fmt::format("Rule version {} holds.", version));
  out.result({{"ok", true}, {"version", version}, {"digest", rule.value("digest", "")}});
  return kOk;
}

int applied(Output& out, Room& room) {
  const auto rule = room::rule_of_people(room);
  FLEXROOM_ASSERT(rule.has_value());
  out.line(fmt::format("Rule version {} holds: approve {}, administer {}.", rule->rule.version,
                       rule->rule.approve.text(), rule->rule.administer.text()));
  out.result(
      {{"ok", true}, {"version", rule->rule.version}, {"digest", to_hex(rule->rule.digest())}});
  return kOk;
}

}  // namespace

int people_init(Output& out, const Common& common, const std::filesystem::path& file,
                bool one_key) {
  const people::Rule rule = people::Rule::load(file, one_key);
  OpenRoom room(common);
  out.summary(rule.text());
  if (!common.yes && !out.confirm("From now on this member approves by these people alone. Go on?",
                                  &cancel_flag())) {
    return kRefused;
  }
  room::begin_people(*room, rule);
  return applied(out, *room);
}

int people_reset(Output& out, const Common& common, const std::filesystem::path& file,
                 bool one_key) {
  const people::Rule rule = people::Rule::load(file, one_key);
  OpenRoom room(common);
  Screen screen(out, common.yes, common.diff, common.knows);
  out.summary(rule.text());
  const auto said = screen.human_input(
      {Question::Kind::kConsent,
       "A reset puts this rule in the place of the one that holds, without its administrators. It "
       "stands in the log as a reset by this machine's administrator, and all approvals of this "
       "member are void. Go on?"});
  if (said != "yes") {
    if (!said) out.problem("people reset: --i-know says yes where nobody is asked");
    return kRefused;
  }
  room::reset_people(*room, rule);
  return applied(out, *room);
}

int people_show(Output& out, const Common& common) {
  OpenRoom room(common, true);
  const auto rule = room::rule_of_people(*room);
  if (!rule) {
    out.line("This member has no people: whoever runs its commands approves.");
    out.result({{"ok", true}, {"people", nullptr}});
    return kOk;
  }
  out.line(rule->rule.text() + "  digest        " + to_hex(rule->rule.digest()));
  out.line("Compare the words of a key with its person, by telephone:");
  const nlohmann::json fields = people::rule_json(rule->rule, true);
  for (const auto& person : fields["persons"]) {
    for (const auto& key : person["keys"]) {
      out.line(fmt::format("  {:<20} {}", person["name"].get<std::string>(),
                           key["words"].get<std::string>()));
    }
  }
  out.result({{"ok", true}, {"people", fields}});
  return kOk;
}

int people_key(Output& out, const std::filesystem::path& file, const std::string& passphrase) {
  SecretBytes secret;
  if (!passphrase.empty()) {
    secret = read_passphrase(PassphraseSource::parse(passphrase, "--new", "."),
                             "Passphrase of " + file.string(), true);
  }
  const people::Key key = people::KeyFile::create(file, secret);
  const std::string words = people::words_of(key);
  out.line(
      fmt::format("Made {}. For people.toml:\n\n[[person.key]]\nkind = \"file\"\nkey = "
                  "\"{}\"\n\nRead these words to an administrator: {}",
                  file.string(), to_hex(key.bytes), words));
  out.result({{"ok", true}, {"key", to_hex(key.bytes)}, {"words", words}});
  return kOk;
}

int people_propose(Output& out, const Common& common, const std::filesystem::path& file,
                   bool one_key) {
  if (common.voices.empty()) {
    throw InputError("people propose", "needs a folder for its requests", "--voices FOLDER");
  }
  const people::Rule rule = people::Rule::load(file, one_key);
  if (at_node(common)) {
    return propose_at_node(out, common, {{"people", rule.toml()}, {"one_key", one_key}});
  }
  OpenRoom room(common);
  const auto requests = room::propose_people(*room, rule);
  std::filesystem::create_directories(common.voices);
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [name, request] : requests) {
    lay_request(out, common.voices, name, request.text(), files);
  }
  const auto now = room::rule_of_people(*room);
  out.line(fmt::format("It takes {}; then `flexroom people apply SIGNATURE..`, within a week.",
                       now->rule.administer.text()));
  out.result({{"ok", true}, {"requests", files}});
  return kOk;
}

int people_sign(Output& out, const Common& common, const std::filesystem::path& file,
                const std::filesystem::path& signature) {
  if (common.sign_with.size() != 1) {
    throw InputError("people sign", "needs one key file", "--sign-with KEYFILE");
  }
  const people::Request request = people::Request::load(file);
  const auto st = people::PersonStatement::decode(request.st, file.string());
  if (st.kind == agreement::StatementKind::kReject) {
    throw InputError(file.string(), "asks for a refusal, whose reason does not stand in it",
                     "`flexroom proposal reject` shows what is signed");
  }
  out.summary(request.shown(file.string()));
  out.summary("  words         " + agreement::words(st.what, agreement::kProposalWords));
  if (!common.yes && !out.confirm("Sign this?", &cancel_flag())) return kRefused;
  std::filesystem::path to = signature;
  if (to.empty()) to = std::filesystem::path(file).replace_extension(".signature");
  const people::Voice voice = signed_with(out, common, common.sign_with.front(), request.st);
  write_exchange_file(to, people::voice_text(voice));
  out.line(fmt::format("Signed as {}: {} goes back to the member.", st.person, to.string()));
  out.result({{"ok", true}, {"person", st.person}, {"signature", to.string()}});
  return kOk;
}

int people_apply(Output& out, const Common& common,
                 const std::vector<std::filesystem::path>& signatures) {
  std::vector<people::Voice> voices;
  for (const auto& file : signatures) voices.push_back(people::load_voice(file));
  if (at_node(common)) return apply_at_node(out, common, voices);
  OpenRoom room(common);
  (void)room::apply_people(*room, voices);
  return applied(out, *room);
}

int rules_show(Output& out, const Common& common) {
  OpenRoom room(common, true);
  const auto rule = room::rule_of_people(*room);
  const std::string text = rule ? rule->rule.standing : "";
  out.line(text.empty() ? "No standing rules: people are asked about everything."
                        : display_lines(text));
  nlohmann::json version = nullptr;
  if (rule) version = rule->rule.version;
  out.result({{"ok", true}, {"version", version}, {"standing", text}});
  return kOk;
}

int rules_propose(Output& out, const Common& common, const std::filesystem::path& file) {
  if (common.voices.empty()) {
    throw InputError("rules propose", "needs a folder for its requests", "--voices FOLDER");
  }
  const std::string text =
      read_own_file(file, people::Rule::kMaxStanding, "name the file of standing rules");
  (void)inbox::StandingRules::parse(text, file.string(), static_cast<uint64_t>(std::time(nullptr)));
  if (!at_node(common)) {
    throw InputError("rules propose", "no node of this member runs, which alone acts on such rules",
                     "`systemctl start flexroom-node`");
  }
  return propose_at_node(out, common, {{"standing", text}});
}

}  // namespace flexroom::cli
