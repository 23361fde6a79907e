#pragma once

#include <filesystem>

#include "base/bytes.h"

namespace flexroom {

/// The file has this content, mode 0600, on disk when it returns; whoever reads it meanwhile, or
/// after a kill, finds the old or the new one, whole. Throws InputError.
void replace_file(const std::filesystem::path& file, ByteView content);

/// A new file with this content, mode 0600, on disk when it returns; after a kill it is there whole
/// or not at all. False: the name is taken, and what has it stays. Throws InputError.
[[nodiscard]] bool place_new_file(const std::filesystem::path& file, ByteView content);

}  // namespace flexroom
