#include "flexroom/identity.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/codec.h"
#include "base/error.h"
#include "base/private_file.h"
#include "config/config.h"
#include "config/passphrase.h"
#include "net/identity.h"
#include "room/failure.h"
#include "session/member_state.h"
#include "store/passphrase.h"
#include "store/sealed_db.h"

namespace flexroom {
namespace {

PassphraseSource source_of(const std::string& text) {
  return PassphraseSource::parse(text, "source of the new passphrase",
                                 std::filesystem::current_path());
}

/// Stays what it is, if it is there.
void write_new(const std::filesystem::path& path, const std::string& text) {
  if (write_new_file(path, as_bytes(text)) || errno == EEXIST) return;
  throw InputError(path.string(), std::string("cannot be written: ") + std::strerror(errno));
}

/// What seals state.db: the line of member.toml, and what makes it once all that a person may have
/// to be asked for is there.
struct Seal {
  std::string line;
  std::function<void()> make;
};

Seal seal_by_key_file(const std::filesystem::path& keys) {
  return {"state_key_file = \"identity/state.key\"",
          [keys] { (void)store::SealKey::create(keys / "state.key"); }};
}

Seal seal_by_passphrase(const std::string& text, const std::filesystem::path& database) {
  const PassphraseSource source = source_of(text);
  if (std::filesystem::exists(database)) {
    throw InputError(database.string(), "exists already",
                     "take another folder; `flexroom passphrase` changes a passphrase");
  }
  auto key = std::make_shared<const store::SealKey>(store::SealKey::random());
  const Bytes record = store::make_key_record(
      *key, read_passphrase(source, "New passphrase for " + database.string(), true));
  return {fmt::format("state_passphrase = {}", nlohmann::json(source.text()).dump()),
          [key, record, database] {
            const store::SealedDb made(database, [&](bool, Bytes& key_record) {
              key_record = record;
              return key->clone();
            });
          }};
}

}  // namespace

IdentityMade make_identity(const IdentityOptions& options) {
  return room::translated({}, [&] {
    const std::string& name = options.name;
    if (!is_name(name)) throw InputError("identity " + name, "is not a name", kNameRemedy);
    const std::filesystem::path& folder = options.folder;
    const std::filesystem::path keys = folder / "identity";
    if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path());
    make_private_folder(folder);
    const Seal seal =
        options.state_passphrase.empty()
            ? seal_by_key_file(keys)
            : seal_by_passphrase(options.state_passphrase, folder / "state" / "state.db");
    const net::Identity identity = net::Identity::make(name);
    identity.save(keys);
    seal.make();
    write_new(folder / "member.toml",
              fmt::format("# {0}: private to this member.\nname = \"{0}\"\nroom = \"room.toml\"\n"
                          "state_dir = \"state\"\nidentity_dir = \"identity\"\n{1}\n"
                          "once_key_file = \"identity/once.key\"  # keep out of every backup\n{2}",
                          name, seal.line,
                          options.compares_words ? "words_file = \"words.toml\"\n" : ""));
    return IdentityMade{keys, to_hex(identity.fingerprint())};
  });
}

PassphraseChanged change_passphrase(const std::filesystem::path& member_file,
                                    const std::string& source) {
  return room::translated({}, [&] {
    const MemberConfig member = MemberConfig::load(member_file);
    const PassphraseSource from = source_of(source);
    const auto db = session::open_state_db(member);
    const SecretBytes passphrase =
        read_passphrase(from, "New passphrase for " + member.state_dir.string(), true);
    db->set_key_record(
        [&](const store::SealKey& key) { return store::make_key_record(key, passphrase); });
    return PassphraseChanged{
        from.text(), member.state_passphrase ? std::filesystem::path() : member.state_key_file};
  });
}

}  // namespace flexroom
