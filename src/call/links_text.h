#pragma once

#include <string>
#include <string_view>

#include "call/links.h"

namespace flexroom {

/// The public part of a member's links as an INPUT of a proposal that waits (members.md §6.1): one
/// line of JSON of printable characters, in one way only.
std::string public_links_text(const PublicLinks& links);
/// Back, and checked by check_public_links(). Throws InputError naming the member.
PublicLinks read_public_links(std::string_view text, const std::string& member);

}  // namespace flexroom
