#include "call/links.h"

#include <fmt/core.h>

#include "base/error.h"

namespace flexroom {
namespace {

PublicLink public_link(const PrivateUrl& url) {
  return {url.public_prefix, static_cast<uint32_t>(url.path.size()), url.public_query,
          static_cast<uint32_t>(url.tail.size())};
}

}  // namespace

PublicLinks public_part(const PrivateUrl& data, const PrivateUrl& result) {
  return {public_link(data), public_link(result)};
}

std::string private_part(const PrivateUrl& data, const PrivateUrl& result) {
  return data.path + data.tail + result.path + result.tail;
}

void check_public_links(const PublicLinks& links, std::string_view member_name) {
  for (const PublicLink* link : {&links.data, &links.result}) {
    if (link->path_bytes == 0 || link->path_bytes > 1024 || link->tail_bytes > 1500) {
      throw InputError(fmt::format("link of member {}", member_name), "has an impossible length");
    }
    // The public part is read again by the code that splits a member's own links: the same rules.
    const std::string probe = link->public_prefix + "x" + link->public_query;
    const PrivateUrl again =
        split_private_url(probe, fmt::format("link of member {}", member_name));
    // Cut exactly where that code cuts it: no host, path or query hides in another part.
    if (again.public_prefix != link->public_prefix || again.path != "x" ||
        again.public_query != link->public_query || !again.tail.empty() ||
        (link->public_query.empty() && link->tail_bytes != 0)) {
      throw InputError(fmt::format("link of member {}", member_name),
                       "has a malformed public part");
    }
  }
}

}  // namespace flexroom
