#pragma once

#include <vector>

#include "agent/secret_text.h"
#include "call/links.h"
#include "config/config.h"

namespace flexroom {

/// The boot loader (the VM's user data): fetches the agreed script, checks its SHA-256, fetches
/// every member's data, runs, puts each member's result, shuts down. Private parts come last.
agent::ScriptWriter boot_loader(const JobConfig& job, const std::vector<PublicLinks>& links);

}  // namespace flexroom
