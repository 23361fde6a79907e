#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/configuration.h"
#include "base/bytes.h"
#include "base/hash.h"

// RULE: who speaks for a member (members.md §7.1; docs/people.md).

namespace flexroom::people {

/// The numbers stand in what people sign (Appendix A, `st`).
enum class Role : uint8_t { kSee = 0, kPropose, kApprove, kAdminister };
inline constexpr size_t kNumRoles = 4;
std::string_view to_string(Role role);

/// What a signature is made with.
enum class KeyKind : uint8_t {
  kFile = 0,  // Ed25519 key file (key_file.h)
  kEs256,     // WebAuthn, ECDSA over P-256 with SHA-256 (COSE -7)
  kEdDsa      // WebAuthn, Ed25519 (COSE -8)
};
std::string_view to_string(KeyKind kind);

/// One public key of a person.
struct Key {
  KeyKind kind = KeyKind::kFile;
  std::string rp;       // WebAuthn: rpId that the credential was made for; of a key file empty
  Bytes credential;     // WebAuthn: credential id, 1 to 1023 bytes; of a key file empty
  Bytes bytes;          // Ed25519: 32; P-256: 65, uncompressed
  bool synced = false;  // may be copied by its maker (backup eligible): copies are not noticed

  bool operator==(const Key&) const = default;
  bool is_webauthn() const { return kind != KeyKind::kFile; }
  /// By which a signature names it: the credential id, or the key of a key file.
  ByteView id() const { return is_webauthn() ? ByteView(credential) : ByteView(bytes); }
  /// Of kind, rpId, credential and key: what people compare as words.
  Digest digest() const;
};

struct Person {
  std::string name;         // is_name() of config/config.h
  std::vector<Role> roles;  // ascending, each once
  std::vector<Key> keys;    // one at least
  bool operator==(const Person&) const = default;
  bool has(Role role) const;
};

/// "2 of (ann, bob, eve)". Persons count, never keys.
struct Quorum {
  uint32_t needed = 1;
  std::vector<std::string> of;
  bool operator==(const Quorum&) const = default;
  std::string text() const;
};

/// A RULE document.
///
/// Guarantee  decode() and parse() give only documents that can be fulfilled: quorums of persons
///            who are there, once each, with the role for it and in reach; ids of keys unique over
///            all persons; keys that are points of their curve. Where one lost key would stop the
///            member (`needs_every_key()`), `one_key` says that this was meant
/// Errors     InputError: of a file with line and column, of bytes at `place`
struct Rule {
  static constexpr uint8_t kFormat = 1;
  static constexpr size_t kMaxBytes = 256 << 10;
  static constexpr size_t kMaxPersons = 64, kMaxKeys = 16;  // keys of one person
  static constexpr size_t kMaxCredential = 1023, kMaxStanding = 128 << 10;

  Digest room{};                 // rid
  agreement::MemberId member{};  // mid
  uint32_t version = 0;          // from 1
  Digest previous{};             // digest of the version before; zeros of the first one
  bool reset = false;            // made by root in place of the administrators
  std::vector<Person> persons;   // ascending by name
  Quorum approve, administer;
  bool not_own = false;  // who proposed does not count towards `approve`
  bool one_key = false;  // --i-have-one-key
  std::string standing;  // text of rules.toml (members.md 6.5); empty: none

  bool operator==(const Rule&) const = default;

  /// people.toml: persons, keys, quorums, not_own. Room, member, version, previous and reset are
  /// the caller's; `one_key` as given. Strict: unknown keys, other types and spellings are refused
  /// with line and column.
  static Rule parse(std::string_view toml, std::string_view name, bool one_key);
  static Rule load(const std::filesystem::path& file, bool one_key);
  /// people.toml that parse() reads as this rule.
  std::string toml() const;

  /// Canonical bytes; throws InputError for a document that decode() would refuse.
  Bytes encode() const;
  static Rule decode(ByteView bytes, std::string_view place);
  /// RO("rule", encode()).
  Digest digest() const;
  /// For people, from these bytes alone: who, which keys, which quorums. Printable.
  std::string text() const;

  const Person* person(std::string_view name) const;
  struct Holder {
    const Person* person = nullptr;
    const Key* key = nullptr;
  };
  /// Whose key has that id; nobody: both nullptr.
  Holder holder(ByteView key_id) const;
  /// The quorum that a role of people.toml stands for; of kSee and kPropose there is none
  /// (nullptr).
  const Quorum* quorum(Role role) const;
  /// Whether some one lost key makes `approve` or `administer` impossible.
  bool needs_every_key() const;
  /// Throws InputError at `place` for what the Guarantee above excludes.
  void require_sound(std::string_view place) const;
  /// `next` follows from this one: same room and member, version + 1, previous = digest().
  bool is_followed_by(const Rule& next) const;
};

}  // namespace flexroom::people
