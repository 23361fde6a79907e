#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "cli/commands.h"
#include "flexroom/decider.h"
#include "people/voice.h"

// Signatures of a member's people, as a command takes them (docs/people.md).

namespace flexroom::cli {

/// Throws InputError unless some of them could sign: --sign-with or --voices was given.
void require_people(const Common& common);
/// Whose keys --sign-with names: "ann, bob". Throws InputError for a key that nobody enrolled.
std::string signers(const Common& common, const PeopleVoices& voices);
/// One signature over st, by a key file; asks for its passphrase.
people::Voice signed_with(Output& out, const Common& common, const std::filesystem::path& file,
                          ByteView st);
/// Adds the signature of the person whose key file it is.
void sign_here(Output& out, const Common& common, const std::filesystem::path& file,
               PeopleVoices& voices);
/// Lays NAME.request for each person that is missing into the folder, and takes NAME.signature
/// until they are enough, ten minutes passed, or `stop`. What is not right is told and set aside as
/// NAME.refused. True: they are enough.
bool await_voices(Output& out, const std::filesystem::path& folder, PeopleVoices& voices,
                  const std::atomic<bool>& stop);
/// Replaces what is there; mode 0600. Throws InputError.
void write_exchange_file(const std::filesystem::path& file, const std::string& text);

}  // namespace flexroom::cli
