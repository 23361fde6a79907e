#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace flexroom {

/// The content of a regular file that nobody but its user may read (mode 0600 or less).
///
/// Throws InputError naming the file: it cannot be opened (with `missing_remedy`), is no file, is
/// open to others (with the chmod that mends it), or is larger than `max_bytes`.
SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy);

/// Reads a regular file that need not be secret, but that others must not be able to change:
/// refused are what is no file (a pipe would wait for a writer), what is larger than `max_bytes`,
/// and what everybody, or a group that is not this user's own, may write. Throws InputError.
std::string read_own_file(const std::filesystem::path& file, size_t max_bytes,
                          std::string_view missing_remedy);

}  // namespace flexroom
