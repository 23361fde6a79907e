#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.h"

namespace flexroom {

/// What every member may know of another member's links: hosts, public query parts, lengths.
struct PublicLink {
  std::string public_prefix;
  uint32_t path_bytes = 0;
  std::string public_query;
  uint32_t tail_bytes = 0;
};
struct PublicLinks {
  PublicLink data, result;
};
PublicLinks public_part(const PrivateUrl& data, const PrivateUrl& result);
/// This member's private string, in the order the boot loader uses it.
std::string private_part(const PrivateUrl& data, const PrivateUrl& result);
/// Checks another member's public part before it goes into a script that all members run: lengths,
/// characters, https. Throws InputError naming that member.
void check_public_links(const PublicLinks& links, std::string_view member_name);

}  // namespace flexroom
