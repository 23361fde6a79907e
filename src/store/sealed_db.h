#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/secret.h"

struct sqlite3;

namespace flexroom::store {

/// The key that seals a database: 32 bytes, from a file (0600) or out of a key record
/// (passphrase.h).
class SealKey {
 public:
  /// Reads a key file; refuses one that others can read. Throws InputError.
  static SealKey load(const std::filesystem::path& file);
  /// Makes a new key file (0600, durable). Throws InputError if it exists.
  static SealKey create(const std::filesystem::path& file);
  /// Another key, fixed by this one and the purpose; says nothing about this one (BLAKE2b).
  SealKey derive(std::string_view purpose) const;
  static SealKey random();
  /// Takes 32 bytes over that reveal() gave.
  explicit SealKey(SecretBytes&& key);
  SealKey clone() const { return SealKey(key_.clone()); }
  ByteView reveal() const { return key_.reveal(); }

 private:
  SealKey() = default;
  SecretBytes key_;
};

/// Bytes that sealing adds.
inline constexpr size_t kSealBytes = 24 + 16;
/// XChaCha20-Poly1305: 24-byte random nonce, ciphertext, tag.
Bytes seal(const SealKey& key, ByteView plaintext, ByteView associated);
/// Empty when the key is not the right one or anything was altered.
std::optional<SecretBytes> unseal(const SealKey& key, ByteView sealed, ByteView associated);
/// The same into `plaintext`, whose size must fit; false as above, `plaintext` is then zero.
[[nodiscard]] bool unseal_into(const SealKey& key, ByteView sealed, ByteView associated,
                               std::span<uint8_t> plaintext);

/// SQLite file (WAL, synchronous=FULL: on disk when a call returns) of rows (kind, id) -> metadata
/// and a secret, all sealed: readable without the key are only the kind, how many rows there are
/// and how long. Rows are found by a keyed hash of kind and id; the secret's associated data are
/// kind, id and metadata: no row can be altered or moved to another place unnoticed. Throws
/// InputError with a remedy when the file is locked by another process, damaged, sealed under
/// another key, or the disk is full; then nothing of the current transaction was written.
class SealedDb {
 public:
  /// kLook: the file is read once, in one consistent state, into memory, and never written: for
  /// commands that only show something, also on a read-only or full disk. A change is one of the
  /// copy. Without a file the copy is empty.
  enum class Access : uint8_t { kUse, kLook };

  struct Row {
    Bytes meta;
    SecretBytes secret;
  };

  /// Finds the key. It gets the key record that stands in the clear in the file (empty: none); of a
  /// new file it may set one. Called before anything is locked: it may ask a person.
  using KeyFinder = std::function<SealKey(bool is_new, Bytes& key_record)>;
  /// Makes the directory (0700) and the file (0600) if missing.
  SealedDb(const std::filesystem::path& file, const KeyFinder& find_key,
           Access access = Access::kUse);
  bool only_looks() const { return access_ == Access::kLook; }
  ~SealedDb();
  SealedDb(const SealedDb&) = delete;
  SealedDb& operator=(const SealedDb&) = delete;

  /// Gives what a row's secret is sealed with in the place of kind, id and metadata: for secrets
  /// that belong to more than their place in this file. Its metadata say what.
  using Associated = std::function<Bytes(ByteView meta)>;
  void put(std::string_view kind, ByteView id, ByteView meta, ByteView secret,
           const Associated& associated = nullptr);
  std::optional<Row> get(std::string_view kind, ByteView id,
                         const Associated& associated = nullptr);
  std::vector<Bytes> ids(std::string_view kind);  // ascending
  /// Ids and metadata, ascending by id, without opening the secrets.
  struct Label {
    Bytes id, meta;
  };
  std::vector<Label> labels(std::string_view kind);
  /// How many rows of that kind there are, without opening any.
  uint64_t count(std::string_view kind);
  void remove(std::string_view kind, ByteView id);
  /// All of `body` or nothing of it.
  void transaction(const std::function<void()>& body);
  /// Replaces the key record; the rows stay sealed under the same key, which `make` gets.
  void set_key_record(const std::function<Bytes(const SealKey& key)>& make);
  /// What was overwritten or removed is now gone from the file's log too, unless another process
  /// reads: then at the next start.
  void scrub();
  /// At most so many pages of 4096 bytes. No command sets it: tests fill a "disk" with it.
  void set_max_pages(uint32_t pages);

 private:
  class Statement;
  void execute(const char* sql);
  [[noreturn]] void fail(int code) const;
  void open_file();
  void copy_file();
  std::string_view remedy_for_damage() const;
  std::optional<Bytes> header(uint8_t name);
  void set_header(uint8_t name, ByteView value);
  std::optional<Row> read(std::string_view kind, ByteView id, const Associated& associated);
  Label open_label(std::string_view kind, ByteView sealed) const;
  Digest row_name(std::string_view kind, ByteView id) const;
  [[noreturn]] void altered(std::string_view kind) const;

  std::filesystem::path file_;
  const Access access_;
  sqlite3* db_ = nullptr;
  std::optional<SealKey> key_, name_key_;
  int depth_ = 0;
};

}  // namespace flexroom::store
