#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "call/links.h"
#include "config/config.h"

namespace flexroom {

/// The loader of a run: a text for bash that every member makes from the agreed terms alone, and
/// whose SHA-256 the user data names (tls-in-mpc.md §5.11). In the machine it opens the members'
/// sealed links with the keys it is given, fetches the agreed script and checks its SHA-256,
/// fetches every member's data, runs, and puts each member's result where its link says; or, if any
/// of that fails, the words of kFailedMark and whose link or which step failed, and how. First of
/// all it puts kBegunMark there: until then, nobody knows whether the machine got it. No output
/// of the script leaves the machine unless the job says so.
///
/// `links` in order of the members, each as check_public_links() accepts it.
std::string loader_text(const JobConfig& job, const std::vector<PublicLinks>& links);

/// How what lies at a result link in place of a result begins: nothing yet, the loader (as nobody
/// has read it, or it could not write there), nothing of a loader that runs, a failure.
inline constexpr std::string_view kWaitingMark = "FLEXROOM-WAITING";
inline constexpr std::string_view kLoaderMark = "# Flexroom loader 1\n";
inline constexpr std::string_view kBegunMark = "FLEXROOM-BEGUN";
inline constexpr std::string_view kFailedMark = "FLEXROOM-FAILED";

}  // namespace flexroom
