#pragma once

#include <map>
#include <string>
#include <string_view>

#include "config/config.h"

// Files of a member as a proposal that waits carries them (members.md §6.1): read by the same
// rules.

namespace flexroom {

/// A job as the arguments of a proposal, and back, with the script's text: what job_of_proposal()
/// takes is what arguments_of_job() writes. Throws InputError.
std::map<std::string, std::string> arguments_of_job(const JobConfig& job);
JobConfig job_of_proposal(const std::map<std::string, std::string>& arguments,
                          const std::string& script);

/// The text of a links.toml; `name` stands in messages. Throws InputError.
LinksConfig parse_links(std::string_view text, const std::string& name);

}  // namespace flexroom
