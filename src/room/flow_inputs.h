#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/secret.h"
#include "flexroom/decider.h"
#include "flow/flow.h"

namespace flexroom::room {

/// This member's private values of a flow (operations.md (c) `[input.NAME]`), by input: what stands
/// in the file (empty: there is none), the rest asked of its person, all before anybody is joined.
/// Length and class are looked at here; the others see them checked inside (tls-in-mpc.md §5.2).
/// Never shown, logged or stored. Throws InputError, naming the input.
std::map<std::string, SecretBytes> flow_inputs(const flow::Flow& flow,
                                               const std::map<std::string, std::string>& arguments,
                                               const std::string& member,
                                               const std::filesystem::path& file, Decider& decider);

}  // namespace flexroom::room
