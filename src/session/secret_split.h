#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/secret.h"

namespace flexroom::session {

/// What an issuer says of a credential that it cuts for the members of a room.
struct SplitOptions {
  std::string name, kind = "secret", value_class;
  std::vector<std::string> members;  // in the order of room.toml
  std::vector<std::string> purposes;
  std::string provider;
  uint32_t entropy = 0, replaces = 0;
  std::filesystem::path folder;  // made, mode 0700
};

/// Cuts a credential into one XOR share a member with commitments to all (tls-in-mpc.md §5.13), in
/// the files that `secret import` takes (session/secret_file.h): FOLDER/MEMBER.json, mode 0600.
///
/// Guarantee  all shares but any one are independent of the value. Every file was read back by the
///            reader of `secret import` and held against its commitment. All files are there, or
///            none; none was overwritten
/// Throws InputError: a field that the reader refuses, a byte outside of the class (its place,
/// never the byte), a file that is there.
std::vector<std::filesystem::path> split_secret(const SplitOptions& options,
                                                const SecretBytes& value);

}  // namespace flexroom::session
