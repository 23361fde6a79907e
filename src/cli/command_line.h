#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/node_commands.h"

namespace flexroom::cli {

/// "NAME=VALUE" .., each name once. Throws InputError.
std::map<std::string, std::string> parse_arguments(const std::vector<std::string>& arguments);

/// The program's arguments: what may be given, what was given, and the command to run.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Runs what the arguments say; returns the exit code.
  int run(int argc, const char* const* argv);

 private:
  using Action = std::function<int()>;
  CLI::App* add(CLI::App& to, const char* name, const char* text, Action action,
                const std::string& examples = "");
  void add_set_up();
  void add_member_options(CLI::App* command, std::string& name, std::string& address,
                          std::filesystem::path& folder, std::string& passphrase);
  void add_onboarding();
  void add_links();
  void add_split(CLI::App& secret);
  void add_room_change(CLI::App& room);
  void add_secrets();
  void add_calls();
  /// Of every command that runs a flow.
  void add_run_options(CLI::App* command);
  void add_flows();
  void add_recipes();
  void add_run_script();
  void add_runs();
  void add_people();
  void add_state();
  void add_tools();
  void add_node();
  void add_propose();
  void add_console();
  void add_proposals();
  void add_times(CLI::App* command);
  int usage_error(const CLI::ParseError& error, const std::vector<std::string>& words) const;
  std::string problem_of(const CLI::ParseError& error, const std::vector<std::string>& words) const;

  CLI::App app_;
  bool json_ = false;
  Common common_;
  std::optional<Output> out_;
  Action action_;

  // Of the commands, by what they are called there.
  std::string identity_, address_ = "127.0.0.1:7100", state_passphrase_, new_passphrase_ = "prompt";
  std::filesystem::path directory_ = ".";
  bool new_epoch_ = false, state_lost_ = false, no_follow_ = false, verify_ = false, quick_ = false;
  bool with_members_ = false, classic_ = false, buys_card_ = false;
  std::string plot_;
  std::vector<std::string> only_;
  bool log_whole_ = false;     // log export
  bool log_evidence_ = false;  // log export
  bool one_key_ = false, unsealed_ = false;
  std::filesystem::path signature_;
  std::vector<std::filesystem::path> signatures_;
  std::optional<uint64_t> log_entry_;  // log show
  std::filesystem::path file_, job_, links_ = "links.toml", doctor_links_, input_links_, recipe_;
  std::optional<std::filesystem::path> inputs_, card_inputs_;
  std::string name_, url_, provider_, run_, draft_name_ = "draft", draft_provider_ = "provider";
  std::vector<std::string> draft_show_;
  std::filesystem::path capture_;
  std::vector<std::string> arguments_;
  std::string go_on_, abandon_, cover_time_;
  FlowKey key_;
  ProposalTimes times_;
  std::string proposal_, reason_;
  bool all_ = false;
  RoomChangeRequest change_;
  uint64_t fill_ = 0;

  // Of onboarding; folders and files are here unless something else is said.
  NewRoom new_room_;
  JoinRoom join_room_;
  std::string lasts_;
  std::vector<std::string> words_;
  LinksToMake make_links_;
  session::SplitOptions split_;
  std::filesystem::path split_room_;
  int split_descriptor_ = 0;
};

}  // namespace flexroom::cli
