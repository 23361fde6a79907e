#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <set>
#include <string_view>

#include "base/block.h"
#include "base/secret.h"
#include "cli/commands.h"
#include "config/toml.h"

namespace {

using flexroom::InputError;

std::filesystem::path default_member_file() {
  const char* set = std::getenv("FLEXROOM_MEMBER");
  return set != nullptr ? set : "member.toml";
}

constexpr const char* kFooter =
    "Every member runs the same command; the first waits for the others. Nothing reaches a\n"
    "provider before all members approved the same proposal.\n\n"
    "Exit codes: 0 done; 2 wrong arguments; 3 a file or value is wrong, nothing was changed;\n"
    "4 refused or members disagree, nothing was contacted; 5 a member or the service failed;\n"
    "6 a protocol check failed; 7 a request may have been carried out; 8 the service said no.\n"
    "A first run: README.md. The files: docs/files.md. What is not built yet: docs/status.md.";

/// What is wrong with the command line, where CLI11 names the wrong thing: it says that a command
/// is missing when the one that was given does not exist.
std::string usage_problem(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_name() != "RequiredError" && error.get_name() != "ExtrasError") return error.what();
  const CLI::App* deepest = &app;
  std::string path = app.get_name();
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().front();
    path += " " + deepest->get_name();
  }
  const std::vector<std::string> rest = app.remaining(true);
  const auto known = deepest->get_subcommands([](const CLI::App*) { return true; });
  if (known.empty() || !deepest->get_subcommands().empty()) return error.what();
  std::string names;
  for (const CLI::App* command : known) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  const auto word = std::find_if(rest.begin(), rest.end(),
                                 [](const std::string& text) { return text.front() != '-'; });
  if (word != rest.end()) {
    return "`" + path + "` has no command '" + *word + "'; it has " + names;
  }
  return rest.empty() ? "`" + path + "` needs a command: " + names : error.what();
}

/// An error is one message, and for machines one object.
int exit_of_parse(const CLI::App& app, const CLI::ParseError& error, bool json) {
  using namespace flexroom;          // NOLINT(google-build-using-namespace)
  if (error.get_exit_code() == 0) {  // --help, --version
    (void)app.exit(error);
    return cli::kOk;
  }
  cli::Output out(json);
  const std::string problem = usage_problem(app, error);
  if (json) {
    out.result({{"ok", false}, {"class", "usage"}, {"error", problem}, {"exit", cli::kUsage}});
  } else {
    std::cerr << "flexroom: " << problem << "\n  -> see --help\n";
  }
  return cli::kUsage;
}

/// In place of the long footer of `flexroom --help`, also at the commands below `command`.
void examples(CLI::App* command, const std::string& text) {
  command->footer("For example\n" + text);
}

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

}  // namespace

int main(int argc, char** argv) {
  using namespace flexroom;  // NOLINT(google-build-using-namespace)
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app{"Flexroom: organisations compute together on data that none may show the others.",
               "flexroom"};
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", "flexroom 0.1.0");
  app.fallthrough();
  bool json = false;
  cli::Common common;
  common.member_file = default_member_file();
  app.add_flag("--json", json, "one JSON object an event, and a final one");
  app.add_option("-m,--member", common.member_file,
                 "this member's private configuration (default: $FLEXROOM_MEMBER or member.toml)");
  app.add_flag("-y,--yes", common.yes, "approve without asking (a rule of your organisation)");
  app.add_option("--trace", common.trace,
                 "write one line of JSON a message between members there: from, to, label, bytes, "
                 "digest");

  std::optional<cli::Output> out;
  std::function<int()> action;

  auto* init = app.add_subcommand("init", "set up the room with the other members; safe to repeat");
  std::string identity;
  std::string address = "127.0.0.1:7100";
  std::filesystem::path directory = ".";
  bool new_epoch = false;
  init->add_option("--identity", identity,
                   "make this member's keys and member.toml, print the "
                   "fingerprint to exchange, and stop");
  init->add_option("--dir", directory, "where --identity writes (default: here)");
  init->add_option("--address", address, "HOST:PORT the others reach this member at (--identity)");
  std::string state_passphrase;
  init->add_option("--state-passphrase", state_passphrase,
                   "seal state.db under a passphrase (--identity): prompt, or for machines "
                   "file:PATH, fd:N or credential:NAME (default: a key file)");
  init->add_flag("--new-epoch", new_epoch,
                 "at all members: a new epoch; secrets of the old one are lost");
  examples(init,
           "  flexroom init --identity hospital-a --address 10.0.0.5:7100\n"
           "  flexroom init                     # with all members, once room.toml is agreed");
  init->callback([&] {
    action = [&] {
      return identity.empty()
                 ? cli::init_room(*out, common, new_epoch)
                 : cli::init_identity(*out, identity, directory, address, state_passphrase);
    };
  });

  std::string new_passphrase = "prompt";
  auto* passphrase = app.add_subcommand("passphrase", "set or change the passphrase of state.db");
  passphrase->add_option("--new", new_passphrase,
                         "where the new one comes from: prompt (default), file:PATH, fd:N or "
                         "credential:NAME");
  examples(passphrase, "  flexroom passphrase");
  passphrase->callback(
      [&] { action = [&] { return cli::change_passphrase(*out, common, new_passphrase); }; });

  auto* peer = app.add_subcommand("peer", "decisions about the other members");
  peer->require_subcommand(1);
  examples(peer, "  flexroom peer accept              # when a message asked for it");
  peer->add_subcommand("accept",
                       "go on with members after too many unfinished batches, or after "
                       "this machine was restored from a backup")
      ->callback([&] { action = [&] { return cli::peer_accept(*out, common); }; });

  auto* secret = app.add_subcommand("secret", "secrets that only all members together hold");
  secret->require_subcommand(1);
  examples(secret,
           "  flexroom secret import key.json   # the same command at every member\n"
           "  flexroom secret list\nThe file's forms: docs/secrets.md.");
  std::filesystem::path file;
  std::string name;
  auto* bring =
      secret->add_subcommand("import", "bring a secret in, from shares or from one member");
  bring->add_option("FILE", file, "this member's JSON file (docs/secrets.md)")->required();
  bring->callback([&] { action = [&] { return cli::secret_import(*out, common, file); }; });
  secret->add_subcommand("list", "names, kinds, versions; never values")->callback([&] {
    action = [&] { return cli::secret_list(*out, common); };
  });
  auto* show = secret->add_subcommand("show", "everything public about one secret");
  show->add_option("NAME", name)->required();
  show->callback([&] { action = [&] { return cli::secret_show(*out, common, name); }; });
  secret
      ->add_subcommand("refresh",
                       "move all secrets to a new epoch; old shares and keys become useless")
      ->callback([&] { action = [&] { return cli::secret_refresh(*out, common); }; });
  auto* remove = secret->add_subcommand("remove", "all members erase their shares");
  remove->add_option("NAME", name)->required();
  remove->callback([&] { action = [&] { return cli::secret_remove(*out, common, name); }; });

  std::filesystem::path job;
  std::filesystem::path links = "links.toml";
  bool no_follow = false;
  auto* run = app.add_subcommand("run-script",
                                 "run the agreed script on all members' data in the "
                                 "joint cloud account");
  run->add_option("JOB", job, "job.toml, the same at every member")->required();
  run->add_option("--links", links, "this member's private links (default: links.toml)");
  run->add_flag("--no-follow", no_follow, "do not wait for this member's result");
  examples(
      run,
      "  flexroom run-script job.toml\nIt shows one summary, asks, makes the call, follows this "
      "member's result. job.toml and\nlinks.toml: docs/files.md.");
  run->callback(
      [&] { action = [&] { return cli::run_script(*out, common, job, links, !no_follow); }; });
  std::vector<std::string> arguments;
  auto* plan =
      app.add_subcommand("plan", "what run-script or call would do and cost; nothing is contacted");
  plan->add_option("FILE", job, "a job or a recipe")->required();
  plan->add_option("--links", links, "of a job (default: links.toml)");
  plan->add_option("--arg", arguments, "NAME=VALUE of a recipe");
  examples(plan,
           "  flexroom plan job.toml\n"
           "  flexroom plan ask.recipe.toml --arg model=small");
  plan->callback([&] {
    action = [&] {
      return TomlTable::load(job).has("recipe")
                 ? cli::plan_recipe(*out, common, job, parse_arguments(arguments))
                 : cli::plan_job(*out, common, job, links);
    };
  });

  std::string url;
  std::string provider;
  auto* get =
      app.add_subcommand("get", "an agreed GET without secrets, through the joint TLS client");
  get->add_option("URL", url)->required();
  get->add_option("--provider", provider, "entry of room.toml (default: the first)");
  examples(get, "  flexroom get https://example.org/");
  get->callback([&] { action = [&] { return cli::get_url(*out, common, url, provider); }; });

  std::filesystem::path recipe;
  std::optional<std::filesystem::path> inputs;
  auto* call =
      app.add_subcommand("call", "any other agreed API call with an open answer (a recipe)");
  call->add_option("RECIPE", recipe, "recipe file, the same at every member")->required();
  call->add_option("--arg", arguments, "NAME=VALUE for the recipe's public arguments");
  call->add_option("--inputs", inputs, "this member's private values (JSON, mode 0600)");
  examples(call,
           "  flexroom call ask.recipe.toml --arg model=small --inputs mine.json\n"
           "Recipes: docs/recipes.md.");
  call->callback([&] {
    action = [&] {
      return cli::call_recipe(*out, common, recipe, parse_arguments(arguments), inputs);
    };
  });

  bool verify = false;
  auto* log = app.add_subcommand("log", "the hash-chained audit log");
  log->add_flag("--verify", verify, "recompute the chain and all signatures");
  examples(log,
           "  flexroom log --verify\n  flexroom log show 3\n  flexroom log export > log.jsonl");
  auto* log_show = log->add_subcommand("show", "one entry in full, with the text all approved");
  uint64_t log_entry = 0;
  log_show->add_option("ENTRY", log_entry, "its number; the first is 1")->required();
  auto* log_export =
      log->add_subcommand("export", "one JSON line an entry, for an auditor (docs/log-format.md)");
  log->callback([&] {
    const bool one = log->got_subcommand(log_show), all = log->got_subcommand(log_export);
    action = [&, one, all] {
      if (one) return cli::show_log_entry(*out, common, log_entry);
      return all ? cli::export_log(*out, common) : cli::show_log(*out, common, verify);
    };
  });
  auto* status =
      app.add_subcommand("status", "this member's state: epoch, counters, secrets, certificate");
  examples(status, "  flexroom status");
  status->callback([&] { action = [&] { return cli::status(*out, common); }; });

  uint64_t fill = 0;
  auto* stock = app.add_subcommand("stock", "fill or show the pool of preprocessed material");
  examples(stock, "  flexroom stock --fill 1000000      # at all members, before the working day");
  stock->add_option("--fill", fill, "make AND triples until so many are in stock (same everywhere)")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 30));
  stock->callback([&] { action = [&] { return cli::stock(*out, common, fill); }; });

  auto* cloud = app.add_subcommand("sandbox", "a small cloud on loopback, to try everything on");
  cloud->prefix_command();  // its arguments, --help too, are the other program's
  cloud->set_help_flag();
  cloud->callback([&] { action = [&] { return cli::sandbox(cloud->remaining(), json); }; });
  bool quick = false;
  auto* bench = app.add_subcommand("bench", "our figures beside the published prototype's");
  bench->add_flag("--quick", quick, "smaller sizes, rougher figures");
  examples(bench, "  flexroom bench                    # under five minutes; alone on the machine");
  bench->callback([&] { action = [&] { return cli::bench(*out, quick); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Parsing may have ended before it came to the flag.
    const bool wants_json = std::any_of(argv, argv + argc, [](const char* argument) {
      return std::string_view(argument) == "--json";
    });
    return exit_of_parse(app, error, wants_json);
  }
  out.emplace(json);
  (void)harden_process();
  keep_freed_memory();
  try {
    return action();
  } catch (const std::exception& error) {
    return cli::report(*out, error, false);
  }
}
