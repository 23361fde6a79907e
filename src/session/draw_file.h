#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "agent/drawn_values.h"
#include "base/hash.h"

namespace flexroom::session {

/// What is born by one `secret draw` (operations.md (b); docs/secrets.md): the same file and the
/// same lists at every member.
///
///   provider = "sandbox"
///   [born."mail/address"]
///   alphabet = "base32"            # hex, base32, base64url, digits; or list = "names/given.txt"
///   length = 26
///   suffix = "@example-mail.test"
///   identifies = true              # outsiders can name the identity by it: at least 128 bits
///   purposes = ["POST https://mail.flexroom.example/accounts json /address={{}}"]
struct Birth {
  std::string name;
  std::string kind;
  agent::Sampler sampler;
  std::string list_file;  // as the file names it; empty: an alphabet
  Digest list_digest{};   // of the list as it lies there
  bool identifies = false;
  std::vector<std::string> purposes;
  uint32_t replaces = 0;  // 0: a new name

  /// "26 characters of base32, then @example-mail.test"
  std::string description() const;
  /// The smallest class that holds every value, its suffix included.
  std::string value_class() const;
  /// Whole bits of the value's entropy: exact, not a claim (tls-in-mpc.md §3.4(i)).
  uint32_t entropy() const;
};

struct DrawFile {
  std::string provider;  // empty: none, then no birth has purposes
  std::vector<Birth> births;
  /// Of all that is drawn by: equal at members whose files and lists mean the same.
  Digest digest{};

  /// Lists lie beside the file or in a folder below it. Throws InputError with line and column: an
  /// alphabet that is none, a list whose entries are not 2^k sorted, different, printable ones of
  /// one length, a suffix that is no literal, an identity below 128 bits.
  static DrawFile load(const std::filesystem::path& file);
};

}  // namespace flexroom::session
