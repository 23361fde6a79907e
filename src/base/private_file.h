#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/secret.h"

namespace flexroom {

/// The content of a regular file that nobody but its user may read (mode 0600 or less).
///
/// Throws InputError naming the file: it cannot be opened (with `missing_remedy`), is no file, is
/// open to others (with the chmod that mends it), or is larger than `max_bytes`.
SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy);

/// The same file, open for reading.
Fd open_private_file(const std::filesystem::path& file, std::string_view missing_remedy);

/// Reads a regular file that need not be secret, but that others must not be able to change:
/// refused are what is no file (a pipe would wait for a writer), what is larger than `max_bytes`,
/// and what everybody, or a group that is not this user's own, may write. Throws InputError.
std::string read_own_file(const std::filesystem::path& file, size_t max_bytes,
                          std::string_view missing_remedy);

/// A new file with that content and exactly that mode, whatever the umask; on disk, with its name,
/// when it returns. False: errno says why, and nothing is left; EEXIST: the name is taken.
[[nodiscard]] bool write_new_file(const std::filesystem::path& file, ByteView content,
                                  unsigned mode = 0600);
/// Overwritten, then removed; nothing where there is none. Where the file system writes elsewhere
/// than in place, what was there is the disk's. Throws InputError.
void wipe_file(const std::filesystem::path& file);
/// A folder of mode 0700, whatever the umask, unless it is there. Throws InputError.
void make_private_folder(const std::filesystem::path& folder);
/// Names that were made or changed there are on disk when it returns. Throws InputError.
void sync_directory(const std::filesystem::path& directory);

}  // namespace flexroom
