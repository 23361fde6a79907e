#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cover/cover_connection.h"
#include "flexroom/room.h"
#include "session/member_state.h"

namespace flexroom::room {

/// Cover of one host: what its connections look like, and where it is reached.
struct CoverOfHost {
  cover::Settings settings;
  Endpoint target;
  std::chrono::seconds period{0};
  std::vector<cover::Shape> shapes;  // of real connections, one is picked each time; not empty
};

/// Everything that cover connections are made by, so that the state is not looked at again: the
/// hosts whose entries have `cover`, with the shapes of real connections that waited for a slot.
/// Throws InputError where this member is not the courier, no entry has `cover`, or no real
/// connection is known yet; `note` is told of hosts of which none is.
std::vector<CoverOfHost> cover_plan(session::MemberState& state,
                                    const std::function<void(const std::string&)>& note);

/// Makes them, one a slot that no call has claimed, until the time is over or somebody cancels.
/// Hosts have a thread each. Whatever becomes of a connection is counted and noted, and ends
/// nothing.
CoverMade make_cover(const std::vector<CoverOfHost>& hosts, const std::filesystem::path& state_dir,
                     std::chrono::seconds time, const std::atomic<bool>* cancel,
                     const std::function<void(const std::string&)>& note);

}  // namespace flexroom::room
