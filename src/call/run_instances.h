#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/secret_text.h"
#include "call/links.h"
#include "config/config.h"

namespace flexroom {

/// The form body of RunInstances (product.md §6 `lean`; tls-in-mpc.md §5.11).
agent::SecretText run_instances_body(const JobConfig& job, const std::vector<PublicLinks>& links,
                                     std::string_view client_token);

}  // namespace flexroom
