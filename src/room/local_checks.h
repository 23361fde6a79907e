#pragma once

#include <cstdint>
#include <filesystem>

#include "config/config.h"

namespace flexroom::room {

/// The nearest folder above (or at) `path` that exists.
std::filesystem::path existing(std::filesystem::path path);
uint64_t free_bytes(const std::filesystem::path& folder);
/// State and log must be writable before anybody joins: a run that cannot note what it did must not
/// begin. Throws InputError.
void require_disk(const MemberConfig& member);

}  // namespace flexroom::room
