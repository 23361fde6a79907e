#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

// What a program's command line takes, as data: manual pages and shell completion are written from
// it (packaging/pages.py), so that they say what --help says.

namespace flexroom {

/// How the hidden argument is spelt that has a program print its description and stop.
inline constexpr std::string_view kDescribe = "--describe";

/// One option or positional argument: its names, the word for its value, how many values it takes.
inline nlohmann::ordered_json describe_option(const CLI::Option& option) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  const bool positional = option.get_positional();
  if (positional) names.push_back(option.get_name(true));
  nlohmann::ordered_json excludes = nlohmann::ordered_json::array(),
                         needs = nlohmann::ordered_json::array();
  for (const CLI::Option* other : option.get_excludes()) excludes.push_back(other->get_name());
  for (const CLI::Option* other : option.get_needs()) needs.push_back(other->get_name());
  return {{"names", names},
          {"positional", positional},
          {"value", option.get_type_size_max() == 0 ? "" : option.get_type_name()},
          {"most", option.get_items_expected_max()},
          {"required", option.get_required()},
          {"about", option.get_description()},
          {"excludes", excludes},
          {"needs", needs}};
}

/// `app`: a program or one of its commands, with all commands below it. Of a command whose words
/// are another program's `other_program` is true.
inline nlohmann::ordered_json describe_command(const CLI::App& app) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array(),
                         commands = nlohmann::ordered_json::array();
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) options.push_back(describe_option(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(describe_command(*command));
  }
  return {{"name", app.get_name()},
          {"about", app.get_description()},
          {"footer", app.get_footer()},
          {"needs_command", app.get_require_subcommand_min() > 0},
          {"other_program", app.get_prefix_command()},
          {"options", options},
          {"commands", commands}};
}

/// The description of a whole program, one JSON text that ends in a newline.
inline std::string describe_program(const CLI::App& app) {
  return describe_command(app).dump(1, ' ', true) + "\n";
}

}  // namespace flexroom
