#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"

// `flexroom people` (docs/people.md).

namespace flexroom::cli {

/// The first rule, of a file.
int people_init(Output& out, const Common& common, const std::filesystem::path& file, bool one_key);
int people_show(Output& out, const Common& common);
/// A new key file; `passphrase`: its source, empty: not sealed.
int people_key(Output& out, const std::filesystem::path& file, const std::string& passphrase);
/// Requests to the administrators into Common::voices.
int people_propose(Output& out, const Common& common, const std::filesystem::path& file,
                   bool one_key);
/// Shows a request as its bytes say, asks, signs with Common::sign_with, one key file. Needs no
/// room.
int people_sign(Output& out, const Common& common, const std::filesystem::path& request,
                const std::filesystem::path& signature);
int people_apply(Output& out, const Common& common,
                 const std::vector<std::filesystem::path>& signatures);
int people_reset(Output& out, const Common& common, const std::filesystem::path& file,
                 bool one_key);

/// The standing rules that hold (members.md 6.5).
int rules_show(Output& out, const Common& common);
/// Others, or none (an empty file), for the administrators to sign: as people_propose().
int rules_propose(Output& out, const Common& common, const std::filesystem::path& file);

}  // namespace flexroom::cli
