#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "bench/bench.h"

namespace flexroom::bench {

/// create-account, create-session and run-script-classic between two members, from the first
/// contact to the end, by the command's own code: approval, all connections, commits on disk.
///
/// cold       nothing is in stock
/// warm       as many AND triples lie on disk as the run needs; all else is made in the run
/// published  the requests have the lengths of the paper's (Tables 5 and 6): what is missing is a
///            public header line
///
/// `wants`    whether a figure is asked for; what serves none is not run. `folder`: for all files
/// Checks     the sandbox's own: signatures, passwords, cookies, codes, the account behind the key
void measure_flows(BenchReport& report, const std::filesystem::path& folder,
                   const std::function<bool(std::string_view)>& wants,
                   const std::function<void(std::string_view phase, double fraction)>& progress);

}  // namespace flexroom::bench
