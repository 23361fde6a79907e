#pragma once

#include <string_view>

namespace flexroom {

/// Whether `name` is a DNS host name as it may stand in SNI, in a `Host` header and in a URL of
/// ours: lower-case letters, digits and inner hyphens in labels of 1 to 63, at most 253 in total,
/// no final dot, and not an IPv4 address (SNI carries names only, RFC 6066 §3).
bool is_host_name(std::string_view name);

}  // namespace flexroom
