#pragma once

#include <filesystem>

namespace flexroom::room {

/// The folder of the shipped flow files: share/flexroom/flows where the program was installed, or
/// share/flows of the source tree that it was built in. Throws InputError if they are at neither
/// place.
std::filesystem::path shipped_flows();

}  // namespace flexroom::room
