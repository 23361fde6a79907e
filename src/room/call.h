#pragma once

#include <map>
#include <string>

#include "base/secret.h"
#include "call/recipe.h"
#include "flexroom/session.h"

namespace flexroom::room {

/// Session::call() as a part of another operation. `command`: what all members run, compared when
/// they meet and named with both values where it differs.
ServiceAnswer call_recipe(Session& session, const CallRequest& request, const std::string& command);
/// The same of a recipe that is read already, with this member's private values by slot.
ServiceAnswer call_recipe(Session& session, Recipe recipe,
                          const std::map<std::string, std::string>& arguments,
                          std::map<std::string, SecretBytes> inputs, const std::string& command);
/// The same, of a proposal that waited.
ServiceAnswer call_of_proposal(Session& session, Recipe recipe,
                               const std::map<std::string, std::string>& arguments,
                               std::map<std::string, SecretBytes> inputs);

}  // namespace flexroom::room
