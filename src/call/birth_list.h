#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

// The lists that secrets are drawn from (operations.md (b)), read once for flow files and for files
// of `secret draw`: what one takes and the sampler does not would stop behind an approval.

inline constexpr size_t kMaxListEntries = 4096, kMaxListEntryBytes = 64;
inline constexpr size_t kMaxListBytes = kMaxListEntries * (kMaxListEntryBytes + 1);

/// A .txt of lower-case letters, digits and '-', beside the file that names it or in a folder
/// below.
bool is_birth_list_name(std::string_view text);

/// The entries, one a line: 2, 4, 8 .. 4096 of them, sorted, different, printable, of one length of
/// at most 64 bytes. Nothing for another text: a number that is no power of two would give some
/// more often, another length would tell which it was, and a single one is no secret.
std::optional<std::vector<std::string>> parse_birth_list(std::string_view text);

}  // namespace flexroom
