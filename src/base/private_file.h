#pragma once

#include <filesystem>
#include <string_view>

#include "base/secret.h"

namespace flexroom {

/// The content of a regular file that nobody but its user may read (mode 0600 or less).
///
/// Throws InputError naming the file: it cannot be opened (with `missing_remedy`), is no file, is
/// open to others (with the chmod that mends it), or is larger than `max_bytes`.
SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy);

}  // namespace flexroom
