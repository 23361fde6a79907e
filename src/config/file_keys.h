#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/key_schema.h"
#include "config/toml.h"

// The keys of room.toml, member.toml, job.toml and links.toml, once: the loaders of config.h take
// no others, and the JSON schemas and manual pages of these files are written from the same tables.

namespace flexroom::config {

/// The tables of the four files. k..File is what stands outside of any [table].
enum class FileTable : uint8_t {
  kRoomFile,
  kRoom,
  kRoomMember,
  kProvider,
  kHost,
  kMemberFile,
  kNode,
  kPerson,
  kConsole,
  kJobFile,
  kJob,
  kScript,
  kLinksFile,
};

using FileKey = BasicKey<FileTable>;

/// The keys of a table, in the order in which they are shown.
std::span<const FileKey> keys_of(FileTable table);

/// The files that have a schema: "room", "member", "job", "links" (.toml).
inline constexpr std::array<std::string_view, 4> kSchemaFiles = {"room", "member", "job", "links"};

/// The JSON schema (draft-07) of one of kSchemaFiles; ends in a newline.
std::string json_schema(std::string_view file);

/// TomlTable::finish(): refuses a key that nobody read (InputError). That a loader asks for a key
/// that the table here does not have is an error of ours, and stops the process: so no file can
/// have a key that its schema lacks.
void finish(const TomlTable& toml, FileTable table);

}  // namespace flexroom::config
