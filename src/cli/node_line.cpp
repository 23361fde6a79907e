#include "cli/command_line.h"
#include "cli/node_commands.h"

// The commands that speak to a resident node, and their arguments.

namespace flexroom::cli {

void CommandLine::add_node() {
  CLI::App* const node = add(app_, "node", "this member's resident node (docs/node.md)", nullptr,
                             "  flexroom node status\n"
                             "  flexroom node events --json\n"
                             "  flexroom node result last");
  add(*node, "status", "what it does, and whom it reaches",
      [this] { return node_status(*out_, common_); });
  add(*node, "events", "follow what happens", [this] { return node_events(*out_, common_); });
  add(*node, "runs", "what it ran, newest first", [this] { return node_runs(*out_, common_); });
  add(*node, "result", "the answer of a run, as it came",
      [this] { return node_result(*out_, common_, run_); })
      ->add_option("RUN", run_, "the first digits of its id, or last")
      ->required();
}

void CommandLine::add_console() {
  add(
      app_, "console", "a link that opens the node's page, once and within a minute",
      [this] { return console(*out_, common_); }, "  flexroom console\n  flexroom console --json");
}

void CommandLine::add_times(CLI::App* command) {
  command->add_option("--from", times_.from, "2027-06-30T08:00:00Z (default: now)");
  command->add_option("--until", times_.until, "the same (default: a week after --from)");
  command->add_option("--times", times_.times, "how often it may run at most (default: 1)");
  command->add_option("--every", times_.every,
                      "once in each such slot, at a fixed offset: \"Mon 08:00-10:00 +01:00\"");
}

void CommandLine::add_propose() {
  CLI::App* const propose =
      add(app_, "propose", "let the nodes run something once all members approved it", nullptr,
          "  flexroom propose get https://example.org/\n"
          "  flexroom propose call ask.recipe.toml --arg model=small --until "
          "2027-06-30T18:00:00Z");
  CLI::App* const get = add(*propose, "get", "an agreed GET without secrets", [this] {
    return propose_get(*out_, common_, {url_, provider_}, times_);
  });
  get->add_option("URL", url_)->required();
  get->add_option("--provider", provider_, "entry of room.toml (default: the first)");
  add_times(get);
  CLI::App* const script =
      add(*propose, "run-script", "a job with its script, and this member's links for it",
          [this] { return propose_script(*out_, common_, job_, links_, times_); });
  script->add_option("JOB", job_, "job.toml: it and the script go to the other members")
      ->required();
  script->add_option("--links", links_, "this member's links (default: links.toml)");
  add_times(script);
  CLI::App* const call =
      add(*propose, "call", "a recipe, with members' private values or not", [this] {
        return propose_call(*out_, common_, recipe_, parse_arguments(arguments_), times_);
      });
  call->add_option("RECIPE", recipe_, "its text goes to the other members")->required();
  call->add_option("--arg", arguments_, "NAME=VALUE for the recipe's public arguments");
  add_times(call);

  CLI::App* const stop =
      add(*propose, "stop", "that the machine of a run-script ends, or is looked for",
          [this] { return propose_stop(*out_, common_, run_, times_); });
  stop->add_option("RUN", run_, "the first digits of its id")->required();
  add_times(stop);
}

void CommandLine::add_proposals() {
  add_propose();
  add(
      app_, "inbox", "proposals that wait", [this] { return inbox(*out_, common_, all_); },
      "  flexroom inbox")
      ->add_flag("--all", all_, "also those that are closed");

  CLI::App* const proposal =
      add(app_, "proposal", "read a proposal and say what this member thinks of it", nullptr,
          "  flexroom proposal show 3f2a91c0\n"
          "  flexroom proposal approve 3f2a91c0\n"
          "  flexroom proposal reject 3f2a91c0 --reason 'not this month'");
  const auto named = [this](CLI::App* command) {
    command->add_option("ID", proposal_, "the first digits of its id, eight at least")->required();
    return command;
  };
  named(add(*proposal, "show", "all of it, and who decided how",
            [this] { return proposal_show(*out_, common_, proposal_); }));
  CLI::App* const input = named(
      add(*proposal, "input",
          "give this member's private input: once, it is part of what is approved", [this] {
            return proposal_input(*out_, common_, proposal_, input_links_, inputs_.value_or(""));
          }));
  input->add_option("--links", input_links_, "a links.toml, of run-script");
  input->add_option("--inputs", inputs_, "{\"SLOT\": \"value\"}, of a recipe");
  named(add(*proposal, "diff", "what is other than when it last ran",
            [this] { return proposal_diff(*out_, common_, proposal_); }));
  named(add(*proposal, "approve", "sign it with the member's key",
            [this] { return proposal_say(*out_, common_, proposal_, "approve", ""); }));
  named(add(*proposal, "reject", "refuse it for good, with a reason for all members",
            [this] { return proposal_say(*out_, common_, proposal_, "reject", reason_); }))
      ->add_option("--reason", reason_, "at most 1024 bytes")
      ->required();
  named(add(*proposal, "withdraw", "take back this member's proposal, or its approval",
            [this] { return proposal_say(*out_, common_, proposal_, "withdraw", ""); }));
}

}  // namespace flexroom::cli
