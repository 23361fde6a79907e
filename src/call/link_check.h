#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace flexroom {

/// What is wrong with a link, known from its text alone.
struct LinkProblem {
  std::string link;     // "data_url"
  std::string problem;  // "expired at 2026-11-28T20:00:00Z"
  std::string remedy;
  bool certain = true;  // false: worth a word; it may work
};

/// When a link ends, from its text alone: its query says so, in a form that check_links() knows.
std::optional<int64_t> link_end(std::string_view url);
/// Seconds since 1970 as "2026-11-28T20:00:00Z".
std::string utc_text(int64_t seconds);

/// Looks at this member's own links before anybody approves: end of validity against the deadline
/// of the job (data are fetched when the machine starts, results put until it stops), signed
/// headers other than host (the machine sends no others), a checksum that is signed in, a signature
/// that is cut off, a date that lies ahead of this machine's clock, no signature at all. Links of
/// AWS Signature Version 4 and those of its form (X-Goog-), and of the older form with Expires.
std::vector<LinkProblem> check_links(const LinksConfig& links, std::chrono::minutes deadline,
                                     std::chrono::system_clock::time_point now);

/// Throws InputError with every certain problem of check_links(); returns the others as sentences.
std::vector<std::string> require_good_links(const LinksConfig& links, std::string_view place,
                                            std::chrono::minutes deadline,
                                            std::chrono::system_clock::time_point now);

}  // namespace flexroom
