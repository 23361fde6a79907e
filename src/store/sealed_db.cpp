#include "store/sealed_db.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sodium.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kMaxKeyFileBytes = 4096;  // anything larger is another file
static_assert(kSealBytes == kNonceBytes + kTagBytes);
constexpr int kBusyMs = 2000;
// Rows of the table header, which is not sealed.
constexpr uint8_t kFormatHeader = 0, kKeyHeader = 1;
constexpr std::string_view kFormat = "flexroom store 1", kAnyFormat = "flexroom store ";

Bytes associated_data(std::string_view kind, ByteView id, ByteView meta) {
  Writer out;
  out.field("flexroom store/1").field(kind).field(id).field(meta);
  return out.take();
}

Bytes label_data(std::string_view kind) {
  Writer out;
  out.field("flexroom store label/1").field(kind);
  return out.take();
}

}  // namespace

SealKey::SealKey(SecretBytes&& key) : key_(std::move(key)) {
  FLEXROOM_ASSERT(key_.size() == kKeyBytes);
}

SealKey SealKey::random() {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  SecretBytes key(kKeyBytes);
  randombytes_buf(key.writable().data(), kKeyBytes);
  return SealKey(std::move(key));
}

SealKey SealKey::derive(std::string_view purpose) const {
  SecretBytes out(kKeyBytes);
  const ByteView text = as_bytes(purpose);
  crypto_generichash(out.writable().data(), kKeyBytes, text.data(), text.size(),
                     key_.reveal().data(), kKeyBytes);
  return SealKey(std::move(out));
}

SealKey SealKey::load(const fs::path& file) {
  SealKey key;
  key.key_ = read_private_file(file, kMaxKeyFileBytes,
                               "bring the key file back to where member.toml says; without it what "
                               "it sealed cannot be read");
  if (key.key_.size() != kKeyBytes) {
    throw InputError(file.string(), "is not a key file: 32 bytes expected");
  }
  return key;
}

SealKey SealKey::create(const fs::path& file) {
  SealKey key = random();
  if (!write_new_file(file, key.key_.reveal())) {
    throw InputError(file.string(), std::string("key file cannot be made: ") + std::strerror(errno),
                     errno == EEXIST ? "" : "is the disk full?");
  }
  return key;
}

Bytes seal(const SealKey& key, ByteView plaintext, ByteView associated) {
  Bytes out(kNonceBytes + plaintext.size() + kTagBytes);
  randombytes_buf(out.data(), kNonceBytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out.data() + kNonceBytes, nullptr, plaintext.data(),
                                             plaintext.size(), associated.data(), associated.size(),
                                             nullptr, out.data(), key.reveal().data());
  return out;
}

bool unseal_into(const SealKey& key, ByteView sealed, ByteView associated,
                 std::span<uint8_t> plaintext) {
  FLEXROOM_ASSERT(sealed.size() == plaintext.size() + kSealBytes);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             plaintext.data(), nullptr, nullptr, sealed.data() + kNonceBytes,
             sealed.size() - kNonceBytes, associated.data(), associated.size(), sealed.data(),
             key.reveal().data()) == 0;
}

std::optional<SecretBytes> unseal(const SealKey& key, ByteView sealed, ByteView associated) {
  if (sealed.size() < kSealBytes) return std::nullopt;
  SecretBytes out(sealed.size() - kSealBytes);
  if (!unseal_into(key, sealed, associated, out.writable())) return std::nullopt;
  return out;
}

class SealedDb::Statement {
 public:
  Statement(const SealedDb& db, const char* sql) : db_(db) {
    const int code = sqlite3_prepare_v2(db.db_, sql, -1, &statement_, nullptr);
    if (code != SQLITE_OK) db_.fail(code);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& bind(int index, ByteView value) {
    sqlite3_bind_blob64(statement_, index,
                        value.empty() ? "" : static_cast<const void*>(value.data()), value.size(),
                        SQLITE_TRANSIENT);
    return *this;
  }
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) db_.fail(code);
    return false;
  }
  Bytes column(int index) const {
    const auto* p = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, index));
    const int size = sqlite3_column_bytes(statement_, index);
    return p == nullptr ? Bytes() : Bytes(p, p + size);
  }
  uint64_t number(int index) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_, index));
  }

 private:
  const SealedDb& db_;
  sqlite3_stmt* statement_ = nullptr;
};

void SealedDb::fail(int code) const {
  // Where this ends an operation a request may have been released before: no remedy says that
  // nothing was changed, or to do it again. The exit code says which it is.
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw InputError(file_.string(), "is in use by another flexroom process",
                       "wait for it or stop it");
    case SQLITE_IOERR: {
      const int reason = sqlite3_system_errno(db_);
      if (reason != EFBIG && reason != EDQUOT && reason != ENOSPC) {
        throw InputError(file_.string(),
                         std::string("cannot be read or written: ") + std::strerror(reason));
      }
      [[fallthrough]];
    }
    case SQLITE_FULL:
      throw InputError(file_.string(), "the disk (or the quota) is full", "free some space");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw InputError(file_.string(), "is damaged", remedy_for_damage());
    default:
      throw InputError(file_.string(), std::string("cannot be used: ") + sqlite3_errmsg(db_));
  }
}

std::string_view SealedDb::remedy_for_damage() const {
  return file_.filename() == "once.db" ? "remove once.db, not its key, and never put an older one "
                                         "back: it is made anew, then "
                                         "`flexroom peer accept`"
                                       : "put the newest backup of it back";
}

void SealedDb::execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void SealedDb::open_file() {
  const fs::path directory = file_.parent_path();
  make_private_folder(directory);
  struct stat info {};
  if (stat(directory.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    throw InputError(directory.string(), "is open to other users",
                     "chmod 700 " + directory.string());
  }
  // Made by us first: SQLite would use the umask, and gives -wal and -shm the same mode.
  if (!Fd(open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)).valid()) {
    throw InputError(file_.string(), std::strerror(errno));
  }
  const int code =
      sqlite3_open_v2(file_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  if (code != SQLITE_OK) fail(code);
  sqlite3_busy_timeout(db_, kBusyMs);
  execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=FULL");
  execute("PRAGMA secure_delete=ON");
}

// Into memory. A file whose log cannot be made visible beside it (a read-only or full disk) is read
// as it lies there, which is all of it if it has no log.
void SealedDb::copy_file() {
  const int code =
      sqlite3_open_v2(":memory:", &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  if (code != SQLITE_OK) fail(code);
  if (!fs::exists(file_)) return;
  std::error_code none;
  const bool no_log = fs::file_size(file_.string() + "-wal", none) == 0 || none;
  std::string uri = "file:";
  for (const char c : file_.string()) {
    static const char kHex[] = "0123456789ABCDEF";
    if (c == '?' || c == '#' || c == '%') {
      uri += {'%', kHex[static_cast<uint8_t>(c) >> 4], kHex[c & 15]};
    } else {
      uri += c;
    }
  }
  int result = SQLITE_OK;
  for (const std::string_view how : {"?mode=ro", "?mode=ro&immutable=1"}) {
    if (how.ends_with("1") && !no_log) break;
    sqlite3* source = nullptr;
    result =
        sqlite3_open_v2((uri + std::string(how)).c_str(), &source,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX, nullptr);
    if (result == SQLITE_OK) {
      sqlite3_busy_timeout(source, kBusyMs);
      sqlite3_backup* copy = sqlite3_backup_init(db_, "main", source, "main");
      result = copy == nullptr ? sqlite3_errcode(db_) : sqlite3_backup_step(copy, -1);
      if (copy != nullptr) sqlite3_backup_finish(copy);
      if (result == SQLITE_DONE) result = SQLITE_OK;
    }
    sqlite3_close(source);
    if (result == SQLITE_OK || result == SQLITE_CORRUPT || result == SQLITE_NOTADB) break;
  }
  if (result != SQLITE_OK) fail(result);
}

std::optional<Bytes> SealedDb::header(uint8_t name) {
  Statement statement(*this, "SELECT value FROM header WHERE name = ?");
  if (!statement.bind(1, ByteView(&name, 1)).step()) return std::nullopt;
  return statement.column(0);
}

void SealedDb::set_header(uint8_t name, ByteView value) {
  Statement(*this, "INSERT OR REPLACE INTO header VALUES (?, ?)")
      .bind(1, ByteView(&name, 1))
      .bind(2, value)
      .step();
}

SealedDb::SealedDb(const fs::path& file, const KeyFinder& find_key, Access access)
    : file_(file), access_(access) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  try {
    only_looks() ? copy_file() : open_file();
    execute("PRAGMA temp_store=MEMORY");
    execute("CREATE TABLE IF NOT EXISTS header (name BLOB PRIMARY KEY, value BLOB)");
    execute(
        "CREATE TABLE IF NOT EXISTS rows (kind BLOB, name BLOB, label BLOB, sealed BLOB,"
        " PRIMARY KEY (kind, name)) WITHOUT ROWID");
    const auto format = header(kFormatHeader);
    const bool fresh = !format;
    if (!fresh && *format != to_bytes(kFormat)) {
      if (!to_text(*format).starts_with(kAnyFormat)) fail(SQLITE_NOTADB);
      throw InputError(file_.string(),
                       fmt::format("was written by another version of flexroom: its format is "
                                   "'{}', this version has '{}'",
                                   display_short(to_text(*format)), kFormat),
                       "use that version, or a newer one; the file is whole");
    }
    Bytes record = header(kKeyHeader).value_or(Bytes());
    const Bytes before = record;
    key_ = find_key(fresh, record);
    FLEXROOM_ASSERT(fresh || record == before);
    name_key_ = key_->derive("flexroom store row names/1");
    transaction([&] {
      if (fresh && header(kFormatHeader)) fail(SQLITE_BUSY);  // made by another process meanwhile
      if (fresh) {
        set_header(kFormatHeader, as_bytes(kFormat));
        if (!record.empty()) set_header(kKeyHeader, record);
        put("key check", {}, {}, {});
      }
      // Under another key it has another name.
      if (!read("key check", {}, nullptr)) {
        throw InputError(file_.string(), "is sealed under another key",
                         "name the right key file or passphrase");
      }
    });
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

void SealedDb::set_key_record(const std::function<Bytes(const SealKey&)>& make) {
  const Bytes record = make(*key_);
  transaction([&] { set_header(kKeyHeader, record); });
  scrub();
}

void SealedDb::scrub() { execute("PRAGMA wal_checkpoint(TRUNCATE)"); }

SealedDb::~SealedDb() { sqlite3_close(db_); }

void SealedDb::altered(std::string_view kind) const {
  throw InputError(file_.string(), "holds an altered row (" + std::string(kind) + ")",
                   remedy_for_damage());
}

SealedDb::Label SealedDb::open_label(std::string_view kind, ByteView sealed) const {
  const auto plain = unseal(*key_, sealed, label_data(kind));
  if (!plain) altered(kind);
  RowReader in(plain->reveal(), file_.filename().string() + ", the label of a row");
  const ByteView id = in.field(plain->size());
  const ByteView meta = in.raw(in.remaining());
  return {Bytes(id.begin(), id.end()), Bytes(meta.begin(), meta.end())};
}

Digest SealedDb::row_name(std::string_view kind, ByteView id) const {
  Writer text;
  text.field(kind).raw(id);
  Digest name{};
  const ByteView key = name_key_->reveal();
  crypto_generichash(name.data(), name.size(), text.bytes().data(), text.size(), key.data(),
                     key.size());
  return name;
}

void SealedDb::put(std::string_view kind, ByteView id, ByteView meta, ByteView secret,
                   const Associated& associated) {
  Writer label;
  label.field(id).raw(meta);
  Statement(*this, "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)")
      .bind(1, as_bytes(kind))
      .bind(2, row_name(kind, id))
      .bind(3, seal(*key_, label.bytes(), label_data(kind)))
      .bind(4, seal(*key_, secret, associated ? associated(meta) : associated_data(kind, id, meta)))
      .step();
}

std::optional<SealedDb::Row> SealedDb::read(std::string_view kind, ByteView id,
                                            const Associated& associated) {
  Statement statement(*this, "SELECT label, sealed FROM rows WHERE kind = ? AND name = ?");
  if (!statement.bind(1, as_bytes(kind)).bind(2, row_name(kind, id)).step()) return std::nullopt;
  Label label = open_label(kind, statement.column(0));
  if (!std::equal(label.id.begin(), label.id.end(), id.begin(), id.end())) altered(kind);
  auto secret = unseal(*key_, statement.column(1),
                       associated ? associated(label.meta) : associated_data(kind, id, label.meta));
  if (!secret) altered(kind);
  return Row{std::move(label.meta), std::move(*secret)};
}

std::optional<SealedDb::Row> SealedDb::get(std::string_view kind, ByteView id,
                                           const Associated& associated) {
  return read(kind, id, associated);
}

std::vector<SealedDb::Label> SealedDb::labels(std::string_view kind) {
  Statement statement(*this, "SELECT name, label FROM rows WHERE kind = ?");
  statement.bind(1, as_bytes(kind));
  std::vector<Label> out;
  while (statement.step()) {
    out.push_back(open_label(kind, statement.column(1)));
    const Digest name = row_name(kind, out.back().id);
    const Bytes stored = statement.column(0);
    if (!std::equal(name.begin(), name.end(), stored.begin(), stored.end())) altered(kind);
  }
  std::sort(out.begin(), out.end(), [](const Label& a, const Label& b) { return a.id < b.id; });
  return out;
}

std::vector<Bytes> SealedDb::ids(std::string_view kind) {
  std::vector<Bytes> out;
  for (Label& label : labels(kind)) out.push_back(std::move(label.id));
  return out;
}

uint64_t SealedDb::count(std::string_view kind) {
  Statement statement(*this, "SELECT COUNT(*) FROM rows WHERE kind = ?");
  statement.bind(1, as_bytes(kind)).step();
  return statement.number(0);
}

void SealedDb::remove(std::string_view kind, ByteView id) {
  Statement(*this, "DELETE FROM rows WHERE kind = ? AND name = ?")
      .bind(1, as_bytes(kind))
      .bind(2, row_name(kind, id))
      .step();
}

void SealedDb::transaction(const std::function<void()>& body) {
  if (depth_ > 0) return body();  // part of the outer one
  execute("BEGIN IMMEDIATE");
  ++depth_;
  try {
    body();
    execute("COMMIT");
    --depth_;
  } catch (...) {
    --depth_;
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void SealedDb::set_max_pages(uint32_t pages) {
  execute(("PRAGMA max_page_count=" + std::to_string(pages)).c_str());
}

}  // namespace flexroom::store
