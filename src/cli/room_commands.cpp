#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <csignal>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>

#include "base/codec.h"
#include "cli/commands.h"
#include "cli/joined.h"
#include "config/passphrase.h"
#include "net/identity.h"
#include "prep/triple_parameters.h"
#include "session/pool_source.h"
#include "session/secret_import.h"
#include "session/secret_refresh.h"
#include "session/signing_keys.h"
#include "store/passphrase.h"
#include "store/sealed_db.h"

namespace flexroom::cli {
namespace {

void write_new(const std::filesystem::path& path, const std::string& text) {
  if (std::filesystem::exists(path)) return;
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw InputError(path.string(), "cannot be written");
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

/// Without a day's signing keys, which are derived and made again when missing.
std::vector<store::RecordMeta> listed_secrets(session::MemberState& state) {
  std::vector<store::RecordMeta> out = state.secrets().list();
  std::erase_if(
      out, [](const store::RecordMeta& meta) { return meta.kind == session::kSigningKeyKind; });
  return out;
}

nlohmann::json json_of(const store::RecordMeta& meta) {
  return {{"name", meta.name},           {"kind", meta.kind},
          {"class", meta.value_class},   {"bytes", meta.bits / 8},
          {"version", meta.version},     {"record", to_hex(meta.id)},
          {"epoch", to_hex(meta.epoch)}, {"provenance", to_hex(meta.provenance)},
          {"purposes", meta.purposes}};
}

}  // namespace

int init_identity(Output& out, const std::string& name, const std::filesystem::path& directory,
                  const std::string& address, const std::string& passphrase) {
  if (!is_name(name)) throw InputError("--identity " + name, "is not a name", kNameRemedy);
  (void)parse_endpoint(address, "--address");
  const std::filesystem::path keys = directory / "identity";
  std::filesystem::create_directories(directory);
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
  Joined joined(out, common);
  bool made = false;
  joined.session().guard([&] {
    if (new_epoch && !common.yes &&
        !out.confirm("A new epoch: every secret of this room's old epoch is lost. Go on?")) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "init", "the operator said no");
    }
    made = joined.session().ensure_epoch(new_epoch);
    joined.session().start();
  });
  const std::string eid = to_hex(joined.session().party().scope().eid).substr(0, 16);
  out.line(made ? fmt::format("Room {} is set up: epoch {}.", joined.state().room().name, eid)
                : fmt::format("Room {} was set up before: epoch {}; nothing to do.",
                              joined.state().room().name, eid));
  out.result({{"ok", true}, {"new_epoch", made}, {"epoch", eid}});
  return kOk;
}

int peer_accept(Output& out, const Common& common) {
  session::MemberState state = open_state(common);
  const auto before = state.once().counters();
  if (!common.yes &&
      !out.confirm("Go on with these members although batches ended without a verdict (or this "
                   "machine was restored from a backup)? Say yes only if you know why it happened "
                   "and that the epoch was not burned.")) {
    return kRefused;
  }
  state.once().operator_accepts();
  if (state.founded()) state.log().accept_loss();
  out.line(fmt::format("Accepted. Unfinished batches over the life of the relation were {}.",
                       before.life));
  out.result({{"ok", true}, {"life_before", before.life}});
  return kOk;
}

int secret_import(Output& out, const Common& common, const std::filesystem::path& path) {
  const MemberConfig member = MemberConfig::load(common.member_file);
  const session::SecretFile file = session::SecretFile::load(path, member.name);
  // What is wrong with it is said before anybody is contacted.
  (void)session::import_proposal(RoomConfig::load(member.room_file), file);
  Joined joined(out, common);
  std::optional<store::RecordMeta> meta;
  joined.run("secret import " + file.name, [&] {
    joined.session().start();
    const Digest digest =
        joined.approve(session::import_proposal(joined.state().room(), file), common.yes);
    meta = session::import_secret(joined.session(), file, digest);
  });
  joined.log_outcome(store::LogOutcome::kDone,
                     fmt::format("secret import {} version {}", meta->name, meta->version));
  out.line(fmt::format("Stored {} version {}: {} bytes, class {}. No member knows it.", meta->name,
                       meta->version, meta->bits / 8, meta->value_class));
  nlohmann::json result = json_of(*meta);
  result["ok"] = true;
  out.result(result);
  return kOk;
}

int secret_list(Output& out, const Common& common) {
  session::MemberState state = open_state(common);
  nlohmann::json rows = nlohmann::json::array();
  out.line(
      fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}", "name", "kind", "class", "bytes", "version"));
  for (const store::RecordMeta& meta : listed_secrets(state)) {
    out.line(fmt::format("{:<32} {:<18} {:<10} {:>6} {:>8}", meta.name, meta.kind, meta.value_class,
                         meta.bits / 8, meta.version));
    rows.push_back(json_of(meta));
  }
  out.result({{"ok", true}, {"secrets", rows}});
  return kOk;
}

int secret_show(Output& out, const Common& common, const std::string& name) {
  session::MemberState state = open_state(common);
  const nlohmann::json fields = json_of(state.secret(name));
  for (const auto& [key, value] : fields.items()) {
    out.line(
        fmt::format("{:<12} {}", key, value.is_string() ? value.get<std::string>() : value.dump()));
  }
  out.result({{"ok", true}, {"secret", fields}});
  return kOk;
}

int secret_remove(Output& out, const Common& common, const std::string& name) {
  Joined joined(out, common);
  joined.run("secret remove " + name, [&] {
    joined.session().start();
    (void)joined.approve(session::remove_proposal(joined.session(), name), common.yes);
    session::remove_secret(joined.session(), name);
  });
  joined.log_outcome(store::LogOutcome::kDone, "secret remove " + name);
  out.line(fmt::format("Removed {}: all its shares are erased here.", name));
  out.result({{"ok", true}, {"removed", name}});
  return kOk;
}

int secret_refresh(Output& out, const Common& common) {
  Joined joined(out, common);
  session::RefreshPlan plan;
  Digest epoch{};
  try {
    joined.run("secret refresh", [&] {
      joined.session().start();
      plan = session::plan_refresh(joined.session());
      (void)joined.approve(session::refresh_proposal(joined.state().room(), plan), common.yes);
      epoch = session::refresh_secrets(joined.session(), plan);
    });
  } catch (const std::exception&) {
    if (store::EpochChange(joined.state().db(), joined.state().rid()).staged()) {
      out.note(
          "The new epoch lies ready here, but not all members confirmed it: the next command that "
          "meets all members finishes the refresh or drops it, at all of them alike.");
    }
    throw;
  }
  joined.log_outcome(store::LogOutcome::kDone,
                     fmt::format("secret refresh: {} records to epoch {}; {} unfinished batches in "
                                 "the one before",
                                 plan.records.size(), to_hex(epoch).substr(0, 16), plan.dirty));
  out.line(fmt::format("Moved {} records to epoch {}: the old shares and keys are erased.",
                       plan.records.size(), to_hex(epoch).substr(0, 16)));
  out.result({{"ok", true},
              {"records", plan.records.size()},
              {"epoch", to_hex(epoch)},
              {"epoch_before", to_hex(plan.epoch)},
              {"unfinished_before", plan.dirty}});
  return kOk;
}

int show_log(Output& out, const Common& common, bool verify) {
  session::MemberState state = open_state(common);
  const auto entries = state.log().verify();
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& stored : entries) {
    out.line(fmt::format("{:>4}  {:%Y-%m-%d %H:%M:%SZ}  {}  {:<26} {}  [{}]", rows.size() + 1,
                         fmt::gmtime(static_cast<std::time_t>(stored.entry.unix_seconds)),
                         to_hex(stored.entry.proposal).substr(0, 12),
                         store::to_string(stored.entry.outcome), stored.entry.text,
                         stored.joint ? "signed by all" : "this member alone"));
    rows.push_back({{"time", stored.entry.unix_seconds},
                    {"proposal", to_hex(stored.entry.proposal)},
                    {"outcome", store::to_string(stored.entry.outcome)},
                    {"text", stored.entry.text},
                    {"joint", stored.joint},
                    {"head", to_hex(stored.head)}});
  }
  if (verify) {
    out.line(fmt::format("{} entries: the chain and all signatures are right.", entries.size()));
  }
  out.result({{"ok", true}, {"entries", rows}, {"verified", true}});
  return kOk;
}

int status(Output& out, const Common& common) {
  session::MemberState state = open_state(common);
  const auto counters = state.once().counters();
  const bool epoch = state.has_epoch();
  out.line(fmt::format("member       {} of room {}", state.member().name, state.room().name));
  const std::time_t expires = state.identity().not_after();
  out.line(fmt::format("certificate  {}, valid until {:%Y-%m-%d}",
                       to_hex(state.identity().fingerprint()), fmt::gmtime(expires)));
  out.line(fmt::format("epoch        {}", !epoch            ? "none: run `flexroom init`"
                                          : counters.burned ? "BURNED: run `flexroom init "
                                                              "--new-epoch` at all members, then "
                                                              "import the secrets again"
                                                            : "set up"));
  out.line(fmt::format("counters     dirty {}, life {}, strikes {}{}", counters.dirty,
                       counters.life, counters.strikes,
                       counters.needs_operator ? "; run `flexroom peer accept`" : ""));
  const std::string reason =
      epoch && !counters.burned ? session::reason_to_refresh(
                                      counters.dirty, prep::profile(state.room().profile).dirty_max,
                                      state.epoch_made(), static_cast<uint64_t>(std::time(nullptr)))
                                : "";
  if (!reason.empty()) {
    out.line(fmt::format("             {}: run `flexroom secret refresh` at all members", reason));
  }
  const std::vector<store::RecordMeta> secrets = listed_secrets(state);
  out.line(fmt::format("secrets      {}", secrets.size()));
  const session::PoolStock pool =
      session::summarise(state.once().pool().on_disk(), state.room().members.size());
  out.line(fmt::format("stock        {} AND triples{}", pool.triples,
                       pool.triples == 0 ? " (`flexroom stock --fill` makes calls faster)" : ""));
  out.result({{"ok", true},
              {"member", state.member().name},
              {"room", state.room().name},
              {"epoch", epoch},
              {"epoch_made", state.epoch_made()},
              {"refresh_due", !reason.empty()},
              {"burned", counters.burned},
              {"needs_operator", counters.needs_operator},
              {"dirty", counters.dirty},
              {"life", counters.life},
              {"strikes", counters.strikes},
              {"secrets", secrets.size()},
              {"stock_triples", pool.triples},
              {"certificate", to_hex(state.identity().fingerprint())},
              {"certificate_expires", expires}});
  return kOk;
}

}  // namespace flexroom::cli
