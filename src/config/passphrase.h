#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace flexroom {

/// Where the passphrase of state.db comes from: an answer at the terminal, or for machines a file
/// of mode 0600, an open file descriptor, or a credential of systemd (LoadCredential=). Never an
/// argument or an environment variable: other processes and children see those.
struct PassphraseSource {
  enum class Kind { kPrompt, kFile, kDescriptor, kCredential };
  Kind kind = Kind::kPrompt;
  std::filesystem::path file;  // kFile
  int descriptor = -1;         // kDescriptor
  std::string credential;      // kCredential
  /// "prompt", "file:PATH" (relative to `base`), "fd:N" or "credential:NAME". The error does not
  /// show the text: somebody may have written the passphrase itself there.
  static PassphraseSource parse(std::string_view text, std::string_view place,
                                const std::filesystem::path& base);
  std::string text() const;
};

/// The first line of the source, at most 1024 bytes. At the terminal it is not echoed, `question`
/// is shown, and with `twice` it has to be typed alike two times. Throws InputError.
SecretBytes read_passphrase(const PassphraseSource& source, std::string_view question, bool twice);

}  // namespace flexroom
