#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "config/config.h"
#include "net/identity.h"

/// The files that people exchange to found a room (docs/files.md). All are TOML, bounded, strict: a
/// key that is not known is refused with line and column. None holds a secret.
namespace flexroom::room {

inline constexpr size_t kMaxOnboardingBytes = size_t{256} << 10;

/// What the founder sends: its draft of the room, and until when it stands.
struct Invitation {
  RoomConfig room;
  int64_t expires = 0;  // Unix seconds
  Digest digest{};      // of the file's bytes
  std::string text;

  static Invitation load(const std::filesystem::path& file);
  /// `draft`: the text of the draft, whole.
  static std::string write(const std::string& draft, const std::string& room, int64_t expires);
};

/// What a joiner sends back.
struct Reply {
  Digest invitation{};
  MemberEntry member;
  net::SigningKey key{};

  /// Throws InputError where certificate and fingerprint do not fit, or the certificate is not one
  /// of flexroom.
  static Reply load(const std::filesystem::path& file);
  static std::string write(const Digest& invitation, const MemberEntry& member,
                           const net::Identity& identity);
};

/// "[[member]] ..." as it stands in draft and room.toml.
std::string entry_text(const MemberEntry& member);
/// A draft's text, read and judged.
RoomConfig parse_draft(const std::string& text, const std::filesystem::path& file);
/// A file that goes from hand to hand, whole.
std::string read_onboarding(const std::filesystem::path& file, std::string_view missing_remedy);

/// What this member compared by telephone: words.toml. Absent: nothing yet.
struct ComparedWords {
  struct One {
    std::string member, certificate;
    Digest text{};  // SHA-256 of session::member_text
  };
  std::vector<One> all;
  bool done = false;  // the room was set up with them

  static ComparedWords load(const std::filesystem::path& file);
  std::string write() const;
};

}  // namespace flexroom::room
