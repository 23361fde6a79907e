#include "cli/command_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string_view>

#include "base/command_description.h"
#include "base/near_name.h"
#include "bench/bench.h"
#include "cli/people_commands.h"
#include "cli/run_history.h"
#include "config/file_keys.h"
#include "config/toml.h"
#include "flexroom/process.h"
#include "flexroom/version.h"

namespace flexroom::cli {
namespace {

std::filesystem::path default_member_file() {
  const char* set = std::getenv("FLEXROOM_MEMBER");
  return set != nullptr ? set : "member.toml";
}

constexpr const char* kFooter =
    "Every member runs the same command; the first waits for the others. Nothing reaches a\n"
    "provider before all members approved the same proposal.\n\n"
    "Exit codes: 0 done; 2 wrong arguments; 3 a file or value is wrong, nothing was changed;\n"
    "4 refused or members disagree, nothing was contacted; 5 a member or the service failed;\n"
    "6 a protocol check failed; 7 a request may have been carried out; 8 the service said no, or\n"
    "the script failed; 9 done, but what came of it could not be written (`flexroom log` has the\n"
    "outcome); 10 the script ended, its result is too large to fetch here; 11 the machine was\n"
    "started and its result is not here: the run goes on.\n"
    "A first run: docs/onboarding.md. The files: docs/files.md. What is not built yet: "
    "docs/status.md.";

}  // namespace

std::map<std::string, std::string> parse_arguments(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> out;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      throw InputError("--arg " + argument, "is not NAME=VALUE");
    }
    if (!out.emplace(argument.substr(0, equals), argument.substr(equals + 1)).second) {
      throw InputError("--arg " + argument, "is given twice");
    }
  }
  return out;
}

namespace {

/// The command that was given, and the whole way to it: "flexroom secret import".
const CLI::App* deepest(const CLI::App& app, std::string& path) {
  const CLI::App* out = &app;
  path = app.get_name();
  while (!out->get_subcommands().empty()) {
    out = out->get_subcommands().front();
    path += " " + out->get_name();
  }
  return out;
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.push_back(command->get_name());
  }
  return out;
}

std::vector<std::string> flags_of(const CLI::App* app) {
  std::vector<std::string> out;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += between;
    out += word;
  }
  return out;
}

}  // namespace

CommandLine::CommandLine()
    : app_("Flexroom: organisations compute together on data that none may show the others.",
           "flexroom") {
  app_.footer(kFooter);
  app_.require_subcommand(1);
  app_.set_version_flag("--version", std::string("flexroom ") + kVersion);
  app_.fallthrough();
  common_.member_file = default_member_file();
  app_.add_flag("--json", json_,
                "one JSON object an event, and a final one (docs/json-schema.json)");
  app_.add_option("-m,--member", common_.member_file,
                  "this member's private configuration (default: $FLEXROOM_MEMBER or member.toml)");
  app_.add_flag("--diff", common_.diff,
                "beside a summary, show what changed since it was last approved");
  app_.add_flag("-y,--yes", common_.yes, "approve without asking (a rule of your organisation)");
  app_.add_option("--sign-with", common_.sign_with,
                  "key file of one of this member's people (docs/people.md); as often as wanted");
  app_.add_option("--voices", common_.voices,
                  "folder for requests to this member's people and their signatures");
  app_.add_option("--key-passphrase", common_.key_passphrase,
                  "of a sealed key file: file:PATH, fd:N or credential:NAME (default: asked)");
  app_.add_option("--trace", common_.trace,
                  "write one line of JSON a message between members there: from, to, label, bytes, "
                  "digest");
  new_room_.folder = join_room_.folder = ".";
  make_links_.file = "links.toml";
  add_onboarding();
  add_set_up();
  add_secrets();
  add_links();
  add_run_script();
  add_calls();
  add_flows();
  add_recipes();
  add_runs();
  add_people();
  add_state();
  add_node();
  add_console();
  add_proposals();
  add_tools();
}

/// `examples` in place of the long footer of `flexroom --help`.
CLI::App* CommandLine::add(CLI::App& to, const char* name, const char* text, Action action,
                           const std::string& examples) {
  CLI::App* const command = to.add_subcommand(name, text);
  if (!examples.empty()) command->footer("For example\n" + examples);
  if (action) {
    command->callback([this, action = std::move(action)] { action_ = action; });
  } else {
    command->require_subcommand(1);
  }
  return command;
}

void CommandLine::add_set_up() {
  CLI::App* const init = add(
      app_, "init", "set up the room with the other members; safe to repeat",
      [this] {
        if (state_lost_) return init_after_loss(*out_, common_);
        return identity_.empty()
                   ? init_room(*out_, common_, new_epoch_, words_)
                   : init_identity(*out_, identity_, directory_, address_, state_passphrase_);
      },
      "  flexroom init --identity hospital-a --address 10.0.0.5:7100\n"
      "  flexroom init                     # with all members, once room.toml is agreed");
  init->add_option("--identity", identity_,
                   "make this member's keys and member.toml, print the "
                   "fingerprint to exchange, and stop");
  init->add_option("--dir", directory_, "where --identity writes (default: here)");
  init->add_option("--address", address_, "HOST:PORT the others reach this member at (--identity)");
  init->add_option("--state-passphrase", state_passphrase_,
                   "seal state.db under a passphrase (--identity): prompt, or for machines "
                   "file:PATH, fd:N or credential:NAME (default: a key file)");
  init->add_option("--words", words_,
                   "NAME=\"FOUR WORDS\" of another member, as you heard them by telephone");
  init->add_flag("--new-epoch", new_epoch_,
                 "at all members: a new epoch; secrets stay, stock is made anew");
  init->add_flag(
          "--state-lost", state_lost_,
          "this member's newest state.db and all its backups are gone for good: give up what "
          "was in it")
      ->excludes("--new-epoch");

  CLI::App* const passphrase = add(
      app_, "passphrase", "set or change the passphrase of state.db",
      [this] { return change_passphrase(*out_, common_, new_passphrase_); },
      "  flexroom passphrase");
  passphrase->add_option("--new", new_passphrase_,
                         "where the new one comes from: prompt (default), file:PATH, fd:N or "
                         "credential:NAME");

  CLI::App* const peer = add(app_, "peer", "decisions about the other members", nullptr,
                             "  flexroom peer accept              # when a message asked for it");
  add(*peer, "accept",
      "go on with members after too many unfinished batches, or after "
      "this machine was restored from a backup",
      [this] { return peer_accept(*out_, common_); });
}

void CommandLine::add_secrets() {
  CLI::App* const secret =
      add(app_, "secret", "secrets that only all members together hold", nullptr,
          "  flexroom secret import key.json   # the same command at every member\n"
          "  flexroom secret draw identity.toml\n"
          "  flexroom secret list\nThe file's forms: docs/secrets.md.");
  add_split(*secret);
  add(*secret, "import", "bring a secret in, from shares or from one member",
      [this] { return secret_import(*out_, common_, file_); })
      ->add_option("FILE", file_, "this member's JSON file (docs/secrets.md)")
      ->required();
  add(*secret, "draw", "draw secrets inside that nobody ever knows, and store them",
      [this] { return secret_draw(*out_, common_, file_); })
      ->add_option("FILE", file_, "a TOML file, the same at every member (docs/secrets.md)")
      ->required();
  add(*secret, "list", "names, kinds, versions, who knows them; never values",
      [this] { return secret_list(*out_, common_); });
  add(*secret, "show", "everything public about one secret",
      [this] { return secret_show(*out_, common_, name_); })
      ->add_option("NAME", name_)
      ->required();
  add(*secret, "refresh",
      "new rows for all secrets: copies of the old ones are useless once one member's are gone",
      [this] { return secret_refresh(*out_, common_); });
  add(*secret, "remove", "all members erase their shares",
      [this] { return secret_remove(*out_, common_, name_); })
      ->add_option("NAME", name_)
      ->required();
}

void CommandLine::add_run_script() {
  CLI::App* const run = add(
      app_, "run-script",
      "run the agreed script on all members' data in the "
      "joint cloud account",
      [this] {
        return run_script(*out_, common_,
                          {job_, links_, classic_, parse_arguments(arguments_), go_on_, abandon_},
                          !no_follow_);
      },
      "  flexroom run-script job.toml\n"
      "  flexroom run-script job.toml --classic --arg training-image=IMAGE\nIt shows one summary, "
      "asks, makes the call, follows this "
      "member's result. job.toml and\nlinks.toml: docs/files.md.");
  run->add_option("JOB", job_, "job.toml, the same at every member")->required();
  run->add_option("--links", links_, "this member's private links (default: links.toml)");
  run->add_flag("--no-follow", no_follow_, "do not wait for this member's result");
  run->add_flag("--classic", classic_,
                "ten calls in place of one (share/flows/run-script-classic.toml); killed anywhere, "
                "the same command goes on");
  run->add_option("--arg", arguments_, "NAME=VALUE of --classic: training-image");
  CLI::Option* const go_on =
      run->add_option("--continue", go_on_, "RUN of --classic: go on after a member was restored");
  run->add_option("--abandon", abandon_,
                  "RUN of --classic: end it, and print what is left at the provider")
      ->excludes(go_on);

  CLI::App* const plan = add(
      app_, "plan", "the text that run-script or call would have approved, and what it costs",
      [this] {
        const TomlTable toml = TomlTable::load(job_);
        if (classic_ && (toml.has("flow") || toml.has("recipe"))) {
          throw InputError("--classic", "is of a job", "leave it out");
        }
        if (toml.has("flow")) return plan_flow(*out_, common_, job_, parse_arguments(arguments_));
        return toml.has("recipe") ? plan_recipe(*out_, common_, job_, parse_arguments(arguments_))
                                  : plan_job(*out_, common_,
                                             {job_, links_, classic_, parse_arguments(arguments_)});
      },
      "  flexroom plan job.toml\n"
      "  flexroom plan job.toml --classic --arg training-image=IMAGE\n"
      "  flexroom plan ask.recipe.toml --arg model=small");
  plan->add_option("FILE", job_, "a job, a recipe or a flow")->required();
  plan->add_option("--links", links_, "of a job (default: links.toml)");
  plan->add_flag("--classic", classic_, "of a job: the ten calls of run-script --classic");
  plan->add_option("--arg", arguments_, "NAME=VALUE of a recipe, a flow or --classic");
}

void CommandLine::add_calls() {
  CLI::App* const get = add(
      app_, "get", "an agreed GET without secrets, through the joint TLS client",
      [this] { return get_url(*out_, common_, url_, provider_); },
      "  flexroom get https://example.org/");
  get->add_option("URL", url_)->required();
  get->add_option("--provider", provider_, "entry of room.toml (default: the first)");

  CLI::App* const call = add(
      app_, "call", "any other agreed API call with an open answer (a recipe)",
      [this] { return call_recipe(*out_, common_, recipe_, parse_arguments(arguments_), inputs_); },
      "  flexroom call ask.recipe.toml --arg model=small --inputs mine.json\n"
      "Recipes: docs/recipes.md.");
  call->add_option("RECIPE", recipe_, "recipe file, the same at every member")->required();
  call->add_option("--arg", arguments_, "NAME=VALUE for the recipe's public arguments");
  call->add_option("--inputs", inputs_, "this member's private values (JSON, mode 0600)");
}

void CommandLine::add_run_options(CLI::App* command) {
  command->add_option("--arg", arguments_, "NAME=VALUE for the flow's public arguments");
  command->add_option(
      "--inputs", inputs_,
      "this member's private values (JSON, mode 0600); those not in it are asked for");
  CLI::Option* const go_on = command->add_option(
      "--continue", go_on_, "RUN: go on with an edited file, or after a member was restored");
  command->add_option("--abandon", abandon_, "RUN: end it, and print what is left at the providers")
      ->excludes(go_on);
}

void CommandLine::add_flows() {
  CLI::App* const flow = add(
      app_, "flow", "run a flow file: goes on with its open run, or begins one",
      [this] {
        return run_flow(*out_, common_, recipe_, parse_arguments(arguments_), go_on_, abandon_,
                        key_, inputs_);
      },
      "  flexroom flow open-mailbox.toml   # at all members; the same again goes on\n"
      "Flow files: docs/flows.md.");
  flow->add_option("FILE", recipe_, "flow file, the same at every member")->required();
  add_run_options(flow);
  flow->add_flag("--i-know", common_.knows, "what the file's `consent` says");
  CLI::Option* const secret = flow->add_option(
      "--secret", key_.secret, "sign with this secret of the room, not with the flow's own key");
  CLI::Option* const key_id = flow->add_option("--key-id", key_.id, "access key id of --secret");
  secret->needs(key_id);
  key_id->needs(secret);

  const auto given = [this](const char* name) {
    return ShippedFlow{name, parse_arguments(arguments_), go_on_, abandon_, inputs_};
  };
  CLI::App* const account = add(
      app_, "create-account", "make the joint account: nobody ever knows its passwords",
      [this, given] {
        if (card_inputs_ && !buys_card_) throw InputError("--card-inputs", "is of --buy-card");
        return create_account(
            *out_, common_, given("create-account"),
            buys_card_ ? std::optional(CardPurchase{card_inputs_}) : std::nullopt);
      },
      "  flexroom create-account --i-know --arg person=hospital-a --arg phone=hospital-a "
      "--arg payer=hospital-b --arg postal=hospital-b\n"
      "The flow share/flows/create-account.toml: docs/flows.md.");
  add_run_options(account);
  account->add_flag("--i-know", common_.knows,
                    "that the account is lost with any member that is gone for good");
  account->add_option("--card-inputs", card_inputs_,
                      "of --buy-card: the payer's private values (JSON, mode 0600)");
  CLI::Option* const buys = account->add_flag(
      "--buy-card", buys_card_,
      "first buy a prepaid card with the payer's own (share/flows/buy-card.toml); it pays then");
  for (const char* const other : {"--continue", "--abandon"}) {
    buys->excludes(account->get_option(other));
  }
  CLI::App* const session = add(
      app_, "create-session", "sign in to it and keep a new key in the place of the one before",
      [this, given] { return create_session(*out_, common_, given("create-session")); },
      "  flexroom create-session --arg person=hospital-a\n"
      "The flow share/flows/create-session.toml: docs/flows.md.");
  add_run_options(session);
}

void CommandLine::add_recipes() {
  CLI::App* const recipe =
      add(app_, "recipe", "flow files and recipes: look at them, begin one", nullptr,
          "  flexroom recipe check login.toml\n"
          "  flexroom recipe new --from capture.txt --name login > login.toml");
  add(*recipe, "check", "every rule of the file; says line and column of what is wrong",
      [this] { return recipe_check(*out_, common_, recipe_); })
      ->add_option("FILE", recipe_, "a flow file or a recipe")
      ->required();
  CLI::App* const draft = add(
      *recipe, "new", "a first draft of a flow file from a recorded request and answer",
      [this] { return recipe_new(*out_, capture_, draft_name_, draft_provider_, draft_show_); });
  draft
      ->add_option("--from", capture_,
                   "the request and its answer as sent, or what curl -v prints (mode 0600)")
      ->required();
  draft->add_option("--name", draft_name_, "of the flow (default: draft)");
  draft->add_option("--provider", draft_provider_, "[provider.NAME] of room.toml");
  draft->add_option("--show", draft_show_,
                    "name of a field, header or path segment (path-N) whose value is no secret");
  add(*recipe, "schema", "the JSON schema of both, for editors",
      [this] { return recipe_schema(*out_); });

  std::vector<std::string> files(config::kSchemaFiles.begin(), config::kSchemaFiles.end());
  files.emplace_back("flow");
  add(
      app_, "schema", "the JSON schema of a file (NAME.toml), for editors",
      [this] { return file_schema(*out_, name_); }, "  flexroom schema room > room.schema.json")
      ->add_option("NAME", name_, "which; flow is of flow files and recipes")
      ->required()
      ->check(CLI::IsMember(files));
}

void CommandLine::add_runs() {
  add(
      app_, "runs", "this member's runs of run-script, oldest first",
      [this] { return list_runs(*out_, common_); }, "  flexroom runs");
  const auto of_run = [this](const char* name, const char* about, auto command) {
    add(
        app_, name, about, [this, command] { return command(*out_, common_, run_); },
        fmt::format("  flexroom {} last", name))
        ->add_option("RUN", run_, "the first digits of its id, or last")
        ->required();
  };
  of_run("show", "everything known about one run", show_run);
  of_run("result", "look again for this member's result of a run, and save it", fetch_result);
  of_run("stop", "at all members: end a run's machine and training job, by agreed calls", stop_run);
}

void CommandLine::add_state() {
  CLI::App* const log = add(
      app_, "log", "the hash-chained audit log",
      [this] {
        if (log_whole_) return export_log(*out_, common_, log_evidence_);
        return log_entry_ ? show_log_entry(*out_, common_, *log_entry_)
                          : show_log(*out_, common_, verify_);
      },
      "  flexroom log --verify\n  flexroom log show 3\n  flexroom log export > log.jsonl");
  log->add_flag("--verify", verify_, "recompute the chain and all signatures");
  log->add_subcommand("show", "one entry in full, with the text that all approved")
      ->add_option("ENTRY", log_entry_, "its number; the first is 1")
      ->required();
  CLI::App* const whole =
      log->add_subcommand("export", "one JSON line an entry, for an auditor (docs/log-format.md)");
  whole->callback([this] { log_whole_ = true; });
  whole->add_flag("--evidence", log_evidence_,
                  "with the signatures of this member's people and its rules opened");
  add(
      app_, "status", "this member's state: epoch, counters, secrets, certificate",
      [this] { return status(*out_, common_); }, "  flexroom status");
  add(
      app_, "cover", "at the courier: connections that look like calls, in slots that no call has",
      [this] { return cover(*out_, common_, cover_time_); }, "  flexroom cover --for 8h")
      ->add_option("--for", cover_time_, "how long: 90s, 30min, 8h")
      ->required();
  CLI::App* const doctor_command = add(
      app_, "doctor", "look at all that a command needs: clock, ports, members, services ...",
      [this] { return doctor(*out_, common_, file_, doctor_links_, with_members_); },
      "  flexroom doctor                   # before the first command\n"
      "  flexroom doctor job.toml --links links.toml\n"
      "  flexroom doctor --with-members    # at all members: what differs between them");
  doctor_command->add_option("FILE", file_, "also what this job or recipe needs");
  doctor_command->add_option("--links", doctor_links_, "of a job: when they end");
  doctor_command->add_flag("--with-members", with_members_,
                           "meet the others, who say the same, and compare with them");
  add(
      app_, "stock", "fill or show the pool of preprocessed material",
      [this] { return stock(*out_, common_, fill_); },
      "  flexroom stock --fill 1000000      # at all members, before the working day")
      ->add_option("--fill", fill_, "make AND triples until so many are in stock (same everywhere)")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 30));
}

void CommandLine::add_tools() {
  CLI::App* const cloud =
      add(app_, "sandbox", "a small cloud on loopback, to try everything on", nullptr);
  cloud->require_subcommand(0);
  cloud->fallthrough(false);
  cloud->allow_extras();
  cloud->prefix_command();  // its arguments, --help too, are the other program's
  cloud->set_help_flag();
  cloud->callback(
      [this, cloud] { action_ = [this, cloud] { return sandbox(cloud->remaining(), json_); }; });

  CLI::App* const measure = add(
      app_, "bench", "our figures beside the published prototype's",
      [this] { return bench(*out_, quick_, plot_, only_); },
      "  flexroom bench                    # " + std::string(bench::kBenchDuration) +
          "; alone on the machine");
  measure->add_flag("--quick", quick_, "smaller sizes, rougher figures");
  measure->add_option("--plot", plot_, "write the timelines as an SVG picture to this file");
  measure->add_option("--only", only_,
                      "this figure and what it takes to measure it; as often as wanted");
}

/// What is wrong with the command line, where CLI11 names the wrong thing: it says that a command
/// is missing when the one that was given does not exist, and turns the order of words around.
std::string CommandLine::problem_of(const CLI::ParseError& error,
                                    const std::vector<std::string>& words) const {
  const auto is = [&](CLI::ExitCodes code) {
    return error.get_exit_code() == static_cast<int>(code);
  };
  if (!is(CLI::ExitCodes::RequiredError) && !is(CLI::ExitCodes::ExtrasError)) return error.what();
  std::string path;
  const CLI::App* const command = deepest(app_, path);
  std::vector<std::string> rest = app_.remaining(true);
  const auto place = [&](const std::string& word) {
    return std::find(words.begin(), words.end(), word) - words.begin();
  };
  std::stable_sort(rest.begin(), rest.end(),
                   [&](const std::string& a, const std::string& b) { return place(a) < place(b); });
  const std::vector<std::string> known = commands_of(*command);
  const auto flag = std::find_if(rest.begin(), rest.end(), [](const std::string& text) {
    return text.size() > 1 && text.front() == '-';
  });
  const auto word = std::find_if(rest.begin(), rest.end(), [](const std::string& text) {
    return !text.empty() && text.front() != '-';
  });
  if (!known.empty() && word != rest.end() && (flag == rest.end() || place(*word) < place(*flag))) {
    return "`" + path + "` has no command '" + *word + "'" + did_you_mean(*word, known) +
           "\n  it has " + joined(known, ", ");
  }
  if (flag != rest.end()) {
    const std::string name = flag->substr(0, flag->find('='));
    return "`" + path + "` has no option '" + name + "'" + did_you_mean(name, flags_of(command));
  }
  if (!known.empty()) return "`" + path + "` needs a command: " + joined(known, ", ");
  if (rest.empty()) return error.what();
  return "`" + path + "` does not take " + (rest.size() == 1 ? "" : "these: ") + "'" +
         joined(rest, "', '") + "'";
}

/// An error is one message, and for machines one object.
int CommandLine::usage_error(const CLI::ParseError& error,
                             const std::vector<std::string>& words) const {
  // Parsing may have ended before it came to the flag.
  const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
  Output out(json);
  if (error.get_exit_code() == 0) {  // --help, --version
    std::ostringstream text;
    (void)app_.exit(error, text, text);
    std::string help = text.str();
    while (!help.empty() && help.back() == '\n') help.pop_back();
    Output people(false);
    people.line(help);
    return people.finish(kOk);
  }
  const std::string problem = problem_of(error, words);
  if (json) {
    out.result({{"ok", false}, {"class", "usage"}, {"error", problem}, {"exit", int{kUsage}}});
  } else {
    out.problem(problem + "\n  -> see --help");
  }
  return kUsage;
}

int CommandLine::run(int argc, const char* const* argv) {
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words == std::vector<std::string>{std::string(kDescribe)}) {
    Output people(false);
    std::string text = describe_program(app_);
    text.pop_back();
    people.line(text);
    return people.finish(kOk);
  }
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return usage_error(error, words);
  }
  out_.emplace(json_);
  (void)prepare_process();
  try {
    return out_->finish(action_());
  } catch (const std::exception& error) {
    return report(*out_, error, false);
  }
}

}  // namespace flexroom::cli
