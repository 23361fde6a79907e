#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <functional>
#include <memory>

#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "config/config.h"
#include "config/passphrase.h"
#include "net/identity.h"
#include "session/member_session.h"
#include "store/passphrase.h"
#include "store/sealed_db.h"

namespace flexroom::cli {
namespace {

/// Stays what it is, if it is there.
void write_new(const std::filesystem::path& path, const std::string& text) {
  if (write_new_file(path, as_bytes(text)) || errno == EEXIST) return;
  throw InputError(path.string(), std::string("cannot be written: ") + std::strerror(errno));
}

struct NewPassphrase {
  std::string source;                   // as it stands in member.toml
  std::function<void()> make_database;  // sealed under it
};
NewPassphrase new_passphrase(const std::string& text, const std::filesystem::path& database) {
  const PassphraseSource source =
      PassphraseSource::parse(text, "--state-passphrase", std::filesystem::current_path());
  if (std::filesystem::exists(database)) {
    throw InputError(database.string(), "exists already",
                     "take another --dir; `flexroom passphrase` changes a passphrase");
  }
  auto key = std::make_shared<const store::SealKey>(store::SealKey::random());
  const Bytes record = store::make_key_record(
      *key, read_passphrase(source, "New passphrase for " + database.string(), true));
  return {source.text(), [key, record, database] {
            const store::SealedDb made(database, [&](bool, Bytes& key_record) {
              key_record = record;
              return key->clone();
            });
          }};
}

nlohmann::json json_of(const SecretInfo& secret) {
  return {{"name", secret.name},         {"kind", secret.kind},
          {"class", secret.value_class}, {"bytes", secret.bytes},
          {"version", secret.version},   {"record", secret.record},
          {"set", secret.set},           {"provenance", secret.provenance},
          {"purposes", secret.purposes}, {"provider", secret.provider},
          {"entropy", secret.entropy},   {"owner", secret.owner},
          {"known_to", secret.known_to}};
}

}  // namespace

int init_identity(Output& out, const std::string& name, const std::filesystem::path& directory,
                  const std::string& address, const std::string& passphrase) {
  if (!is_name(name)) throw InputError("--identity " + name, "is not a name", kNameRemedy);
  (void)parse_endpoint(address, "--address");
  const std::filesystem::path keys = directory / "identity";
  if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path());
  make_private_folder(directory);
  std::string key_line = "state_key_file = \"identity/state.key\"";
  std::function<void()> make_key = [&] { (void)store::SealKey::create(keys / "state.key"); };
  if (!passphrase.empty()) {
    // Asked first: what is wrong with it leaves no half identity.
    const NewPassphrase made = new_passphrase(passphrase, directory / "state" / "state.db");
    key_line = fmt::format("state_passphrase = {}", nlohmann::json(made.source).dump());
    make_key = made.make_database;
  }
  const net::Identity identity = net::Identity::make(name);
  identity.save(keys);
  make_key();
  write_new(directory / "member.toml",
            fmt::format("# {0}: private to this member.\nname = \"{0}\"\nroom = \"room.toml\"\n"
                        "state_dir = \"state\"\nidentity_dir = \"identity\"\n{1}\n"
                        "once_key_file = \"identity/once.key\"  # keep out of every backup\n",
                        name, key_line));
  const std::string fingerprint = to_hex(identity.fingerprint());
  out.line(fmt::format("Made the identity of {} in {}.", name, keys.string()));
  out.line(
      "Put this into room.toml, the same at every member, and read the fingerprint to each "
      "other:\n");
  out.line(fmt::format("[[member]]\nname = \"{}\"\naddress = \"{}\"\ncertificate = \"{}\"", name,
                       address, fingerprint));
  out.result({{"ok", true}, {"name", name}, {"address", address}, {"certificate", fingerprint}});
  return kOk;
}

int change_passphrase(Output& out, const Common& common, const std::string& text) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  const PassphraseSource source =
      PassphraseSource::parse(text, "--new", std::filesystem::current_path());
  const auto db = session::open_state_db(member);
  const SecretBytes passphrase =
      read_passphrase(source, "New passphrase for " + member.state_dir.string(), true);
  db->set_key_record(
      [&](const store::SealKey& key) { return store::make_key_record(key, passphrase); });
  out.line("The new passphrase opens state.db. Copies made before keep the key they had.");
  if (!member.state_passphrase) {
    out.line(
        fmt::format("Now write state_passphrase = {} into {} in place of state_key_file; {} "
                    "opens state.db too until you erase it.",
                    nlohmann::json(source.text()).dump(), member.file.string(),
                    member.state_key_file.string()));
  }
  out.result({{"ok", true}, {"source", source.text()}});
  return kOk;
}

int init_room(Output& out, const Common& common, bool new_epoch) {
  Joint joint(out, common);
  const bool made = joint->init(new_epoch);
  const std::string eid = joint->epoch().substr(0, 16);
  const std::string name = joint.room().status().room;
  out.line(made ? fmt::format("Room {} is set up: epoch {}.", name, eid)
                : fmt::format("Room {} was set up before: epoch {}; nothing to do.", name, eid));
  out.result({{"ok", true}, {"new_epoch", made}, {"epoch", eid}});
  return kOk;
}

int init_after_loss(Output& out, const Common& common) {
  Screen screen(out, common.yes);
  RoomOptions options;
  options.member_file = common.member_file;
  if (!give_up_state(options, screen)) return kRefused;
  out.line("Given up. Now run `flexroom init --new-epoch` at all members.");
  out.result({{"ok", true}});
  return kOk;
}

int peer_accept(Output& out, const Common& common) {
  OpenRoom room(common);
  Screen screen(out, common.yes);
  uint64_t life = 0;
  if (!room->accept_peers(screen, &life)) return kRefused;
  out.line(
      fmt::format("Accepted. Unfinished batches over the life of the relation were {}.", life));
  out.result({{"ok", true}, {"life_before", life}});
  return kOk;
}

int secret_import(Output& out, const Common& common, const std::filesystem::path& path) {
  Joint joint(out, common);
  const SecretInfo secret = joint->import_secret(path);
  const std::string known =
      secret.owner.empty()
          ? "No member knows it; its issuer does, and so do all members' files together: delete "
            "them"
          : fmt::format("{} knows it, and can use it alone", display(secret.known_to));
  out.line(fmt::format("Stored {} version {}: {} bytes, class {}. {}.", display(secret.name),
                       secret.version, secret.bytes, display(secret.value_class), known));
  nlohmann::json result = json_of(secret);
  result["ok"] = true;
  out.result(result);
  return kOk;
}

int secret_draw(Output& out, const Common& common, const std::filesystem::path& path) {
  Joint joint(out, common);
  nlohmann::json rows = nlohmann::json::array();
  for (const SecretInfo& secret : joint->draw_secrets(path)) {
    out.line(
        fmt::format("Stored {} version {}: {} bytes, class {}, {} bits of entropy. Nobody "
                    "knows it: it was drawn inside.",
                    display(secret.name), secret.version, secret.bytes, display(secret.value_class),
                    secret.entropy));
    rows.push_back(json_of(secret));
  }
  out.result({{"ok", true}, {"drawn", rows}});
  return kOk;
}

int secret_list(Output& out, const Common& common) {
  OpenRoom room(common, true);
  nlohmann::json rows = nlohmann::json::array();
  out.line(fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}  {}", "name", "kind", "class", "bytes",
                       "version", "known to"));
  for (const SecretInfo& secret : room->secrets()) {
    const std::string known = !secret.owner.empty()         ? display(secret.owner)
                              : secret.known_to == "nobody" ? "nobody: drawn inside"
                                                            : "its issuer";
    out.line(fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}  {}", display(secret.name),
                         display(secret.kind), display(secret.value_class), secret.bytes,
                         secret.version, known));
    rows.push_back(json_of(secret));
  }
  out.result({{"ok", true}, {"secrets", rows}});
  return kOk;
}

int secret_show(Output& out, const Common& common, const std::string& name) {
  OpenRoom room(common, true);
  const nlohmann::json fields = json_of(room->secret(name));
  for (const auto& [key, value] : fields.items()) {
    out.line(fmt::format("{:<12} {}", key,
                         display(value.is_string() ? value.get<std::string>() : value.dump())));
  }
  out.result({{"ok", true}, {"secret", fields}});
  return kOk;
}

int secret_remove(Output& out, const Common& common, const std::string& name) {
  Joint joint(out, common);
  joint->remove_secret(name);
  out.line(fmt::format("Removed {}: all its shares are erased here.", display(name)));
  out.result({{"ok", true}, {"removed", name}});
  return kOk;
}

int secret_refresh(Output& out, const Common& common) {
  Joint joint(out, common);
  const SecretsMoved moved = joint->refresh_secrets();
  out.line(
      moved.epoch == moved.epoch_before
          ? fmt::format("{} secrets have new rows; the old ones are erased. Make a new backup of "
                        "state.db now: older ones no longer restore anything, delete them.",
                        moved.records)
          : fmt::format("Moved {} records to epoch {}: the old shares and keys are erased. The "
                        "next command turns them into rows.",
                        moved.records, moved.epoch.substr(0, 16)));
  out.result({{"ok", true},
              {"records", moved.records},
              {"epoch", moved.epoch},
              {"epoch_before", moved.epoch_before},
              {"unfinished_before", moved.unfinished_before}});
  return kOk;
}

int show_log(Output& out, const Common& common, bool verify) {
  OpenRoom room(common, true);
  const std::vector<LogEntry> entries = room->log();
  nlohmann::json rows = nlohmann::json::array();
  for (const LogEntry& entry : entries) {
    out.line(fmt::format("{:>4}  {:%Y-%m-%d %H:%M:%SZ}  {}  {:<26} {}  [{}]", rows.size() + 1,
                         fmt::gmtime(static_cast<std::time_t>(entry.unix_seconds)),
                         entry.proposal.substr(0, 12), entry.outcome, display(entry.text),
                         entry.joint ? "signed by all" : "this member alone"));
    rows.push_back({{"time", entry.unix_seconds},
                    {"proposal", entry.proposal},
                    {"outcome", entry.outcome},
                    {"text", entry.text},
                    {"joint", entry.joint},
                    {"head", entry.head}});
    if (entry.status != 0) rows.back()["status"] = entry.status;
  }
  if (verify) {
    out.line(fmt::format("{} entries: the chain and all signatures are right.", entries.size()));
  }
  out.result({{"ok", true}, {"entries", rows}, {"verified", true}});
  return kOk;
}

int status(Output& out, const Common& common) {
  const RoomStatus status = OpenRoom(common, true)->status();
  out.line(fmt::format("member       {} of room {}", status.member, status.room));
  out.line(fmt::format("certificate  {}, valid until {:%Y-%m-%d}", status.certificate,
                       fmt::gmtime(static_cast<std::time_t>(status.certificate_expires))));
  out.line(fmt::format("epoch        {}", !status.has_epoch ? "none: run `flexroom init`"
                                          : status.burned   ? "BURNED: run `flexroom init "
                                                              "--new-epoch` at all members"
                                                            : "set up"));
  out.line(fmt::format("counters     dirty {}, life {}, strikes {}{}", status.dirty, status.life,
                       status.strikes,
                       status.needs_operator ? "; run `flexroom peer accept`" : ""));
  if (!status.reason_to_refresh.empty()) {
    out.line(fmt::format("             {}: run `flexroom init --new-epoch` at all members",
                         status.reason_to_refresh));
  }
  for (const std::string& mark : status.open_marks) {
    out.line(fmt::format("left open    {}", display(mark)));
  }
  out.line(fmt::format("secrets      {}", status.secrets));
  out.line(fmt::format(
      "stock        {} AND triples{}", status.stock.triples,
      status.stock.triples == 0 ? " (`flexroom stock --fill` makes calls faster)" : ""));
  out.result({{"ok", true},
              {"member", status.member},
              {"room", status.room},
              {"epoch", status.has_epoch},
              {"epoch_made", status.epoch_made},
              {"refresh_due", !status.reason_to_refresh.empty()},
              {"burned", status.burned},
              {"needs_operator", status.needs_operator},
              {"dirty", status.dirty},
              {"life", status.life},
              {"strikes", status.strikes},
              {"open_marks", status.open_marks},
              {"secrets", status.secrets},
              {"stock_triples", status.stock.triples},
              {"certificate", status.certificate},
              {"certificate_expires", status.certificate_expires}});
  return kOk;
}

}  // namespace flexroom::cli
