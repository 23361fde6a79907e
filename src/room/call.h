#pragma once

#include <string>

#include "flexroom/session.h"

namespace flexroom::room {

/// Session::call() as a part of another operation. `command`: what all members run, compared when
/// they meet and named with both values where it differs.
ServiceAnswer call_recipe(Session& session, const CallRequest& request, const std::string& command);

}  // namespace flexroom::room
