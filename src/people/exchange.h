#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/member_statements.h"
#include "base/bytes.h"
#include "people/person_statement.h"
#include "people/voice.h"

// Files between a node and a person's own machine: what is asked, and the signature. The person's
// program reads what it shows out of the bytes that it hashes itself, so that neither the node nor
// a page is believed (members.md 9.3, M49).

namespace flexroom::people {

/// What a person is asked to sign.
struct Request {
  static constexpr size_t kMaxFileBytes = 8 << 20, kMaxInputs = 1024;
  Bytes st;
  Bytes document;  // canonical bytes of the proposal, or of the RULE document
  std::vector<agreement::GivenInput>
      inputs{};  // of a proposal that waited for some: D is over them

  /// One JSON object, "flexroom request to sign 1".
  std::string text() const;
  /// Strict. Throws InputError at `name`.
  static Request parse(std::string_view text, std::string_view name);
  static Request load(const std::filesystem::path& file);
  /// All that the person reads before signing, rendered from these bytes alone. Throws InputError
  /// where the document's digest is not the one in st: something else would be signed than shown.
  std::string shown(std::string_view place) const;
};

/// The answer: one JSON object, "flexroom signature 1".
std::string voice_text(const Voice& voice);
Voice parse_voice(std::string_view text, std::string_view name);
Voice load_voice(const std::filesystem::path& file);

}  // namespace flexroom::people
