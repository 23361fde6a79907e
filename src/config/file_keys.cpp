#include "config/file_keys.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace flexroom::config {
namespace {

using T = KeyType;
using F = FileTable;

constexpr std::array kRoomFileKeys = {
    FileKey{"room", T::kTable, "how the members compute and talk", "", F::kRoom, true},
    FileKey{"member", T::kList, "the members, in the same order everywhere", "", F::kRoomMember,
            true, 2, 16},
    FileKey{"provider", T::kNamed, "the services, each with its hosts", "", F::kProvider},
};
constexpr std::array kRoomKeys = {
    FileKey{"name", T::kText, "of the room: another name is another room", "", F::kRoom, true},
    FileKey{"courier", T::kText,
            "the member that opens the connection to a service; never the first (default: the "
            "second)"},
    FileKey{"profile", T::kText, "traffic and statistical security (default)",
            "default|bandwidth|high"},
    FileKey{"triples", T::kText,
            "how AND triples are made; new rooms use masked, one without this line buckets",
            "bucket|masked"},
    FileKey{"link", T::kText, "between the members: slow is below half a gigabit a second (fast)",
            "fast|slow"},
    FileKey{"mesh_pq", T::kText,
            "required: no member joins whose connections a later quantum computer could read "
            "(prefer)",
            "prefer|required"},
    FileKey{"timeout_seconds", T::kInteger, "how long a member waits for another's message (60)",
            "", F::kRoom, false, 1, 3600},
    FileKey{"size", T::kInteger, "how many members were agreed on, where `flexroom room` wrote it",
            "", F::kRoom, false, 2, 16},
    FileKey{"account_opened_by", T::kText, "who opens the account at the service, for people"},
    FileKey{"account_root", T::kText, "who holds its root, for people"},
};
constexpr std::array kRoomMemberKeys = {
    FileKey{"name", T::kText, "of the member", "", F::kRoom, true},
    FileKey{"address", T::kText, "HOST:PORT where the others reach it", "", F::kRoom, true},
    FileKey{"certificate", T::kText, "the SHA-256 that `flexroom init --identity` printed", "",
            F::kRoom, true},
};
constexpr std::array kProviderKeys = {
    FileKey{"hosts", T::kTexts,
            "its hosts: names, *.example.com for all below, * for every host that no other entry "
            "lists (*)"},
    FileKey{"groups", T::kTexts, "groups of the key exchange that it is offered, in order (all)",
            "x25519mlkem768|x25519|p256"},
    FileKey{"pq", T::kText, "required: X25519MLKEM768 alone is offered (prefer)",
            "prefer|required"},
    FileKey{"suite", T::kText, "the one cipher suite that its hosts are offered (aes128)",
            "aes128|chacha20|aes256"},
    FileKey{"client_auth", T::kText,
            "what a service gets that asks for a client certificate: nothing, the run ends; or the "
            "answer that there is none (refuse)",
            "refuse|none"},
    FileKey{"receive", T::kText, "every member reads the answers", "open"},
    FileKey{"await_close", T::kFlag,
            "true: an answer is whole only when the service closed the connection (false)"},
    FileKey{"max_answer", T::kInteger, "the longest body that is taken, in bytes (16777216)", "",
            F::kRoom, false, 1024, 268435456},
    FileKey{"trust", T::kText, "exact: the certificates of ca_file themselves (roots)",
            "roots|exact"},
    FileKey{"revocation", T::kText, "whether a stapled OCSP answer is looked at (off)",
            "off|staple|must"},
    FileKey{"spki_pin", T::kText,
            "64 lower-case hex digits: SHA-256 of the server's SubjectPublicKeyInfo"},
    FileKey{"ca_file", T::kText, "PEM file of the authorities that vouch for its hosts"},
    FileKey{"crl_file", T::kText, "PEM file of revocation lists"},
    FileKey{"connect_to", T::kTexts, "HOST:PORT=ADDRESS:PORT: where the connection goes really"},
    FileKey{"mailbox", T::kFlag,
            "true: its hosts are mailboxes, of which a flow opens numbers and ids only (false)"},
    FileKey{"pad", T::kText, "how long requests are made for who sees the line (none)",
            "none|padme|256|512|1024"},
    FileKey{"slots", T::kText, "every N s, min or h: when new connections begin"},
    FileKey{"cover", T::kText, "HEAD or GET and a path: what `flexroom cover` asks for"},
    FileKey{"open_calls", T::kTexts,
            "METHOD https://HOST/PATH PLACE: places that no answer repeats, errors included"},
    FileKey{"host", T::kNamed, "the same of one host and all names below it", "", F::kHost},
};
constexpr std::array kHostKeys = {
    FileKey{"mailbox", T::kFlag, "a mailbox, or not"},
    FileKey{"suite", T::kText, "as of the provider", "aes128|chacha20|aes256"},
    FileKey{"client_auth", T::kText, "as of the provider", "refuse|none"},
    FileKey{"groups", T::kTexts, "as of the provider", "x25519mlkem768|x25519|p256"},
    FileKey{"pq", T::kText, "as of the provider", "prefer|required"},
    FileKey{"pad", T::kText, "as of the provider", "none|padme|256|512|1024"},
    FileKey{"slots", T::kText, "as of the provider"},
    FileKey{"cover", T::kText, "as of the provider"},
};
constexpr std::array kMemberFileKeys = {
    FileKey{"name", T::kText, "one of the [[member]] names of room.toml", "", F::kRoom, true},
    FileKey{"room", T::kText, "path of room.toml (room.toml)"},
    FileKey{"state_dir", T::kText, "folder of shares, log, counters, stock; mode 0700 (state)"},
    FileKey{"identity_dir", T::kText, "folder of member.key, tls.key, tls.crt (identity)"},
    FileKey{"state_key_file", T::kText, "opens state.db (identity/state.key)"},
    FileKey{"state_passphrase", T::kText,
            "in its place: prompt, file:PATH, fd:N or credential:NAME"},
    FileKey{"once_key_file", T::kText,
            "opens what must never exist twice; in no backup (identity/once.key)"},
    FileKey{"listen", T::kText,
            "HOST:PORT to listen on, where that is not the address in room.toml"},
    FileKey{"words_file", T::kText,
            "the words that the members compared, where `flexroom room` wrote the files"},
    FileKey{"auto_approve", T::kFlag,
            "true: every proposal is approved without asking, by a rule of your organisation "
            "(false)"},
    FileKey{"node", T::kTable, "of the resident node, flexroom-node", "", F::kNode},
    FileKey{"person", T::kList, "who may ask the node for what", "", F::kPerson, false, 0, 256},
    FileKey{"console", T::kTable, "the node's page for browsers of this machine (none)", "",
            F::kConsole},
};
constexpr std::array kNodeKeys = {
    FileKey{"socket", T::kText, "where flexroom-node takes commands (state/node.sock)"},
    FileKey{"stock_max_mib", T::kInteger, "how much stock it keeps on disk, in MiB", "", F::kRoom,
            false, 0, 1 << 20},
    FileKey{"stock_hours", T::kTexts, "when it makes stock: Mon-Fri 20:00-06:00 +01:00 (always)"},
};
constexpr std::array kPersonKeys = {
    FileKey{"name", T::kText, "of the person", "", F::kRoom, true},
    FileKey{"unix", T::kText, "the user of this machine who is that person", "", F::kRoom, true},
    FileKey{"roles", T::kTexts, "what that user may ask the node for", "see|propose"},
};
constexpr std::array kConsoleKeys = {
    FileKey{"port", T::kInteger, "the page is http://localhost:PORT", "", F::kRoom, true, 1024,
            65535},
    FileKey{"address", T::kText, "loopback alone is served", "localhost|127.0.0.1|::1"},
};
constexpr std::array kJobFileKeys = {
    FileKey{"job", T::kTable, "the machine", "", F::kJob, true},
    FileKey{"script", T::kTable, "what it runs", "", F::kScript, true},
};
constexpr std::array kJobKeys = {
    FileKey{"name", T::kText, "of the job", "", F::kRoom, true},
    FileKey{"provider", T::kText, "a [provider.NAME] of room.toml", "", F::kRoom, true},
    FileKey{"region", T::kText, "of RunInstances", "", F::kRoom, true},
    FileKey{"image_id", T::kText, "of RunInstances", "", F::kRoom, true},
    FileKey{"instance_type", T::kText, "of RunInstances", "", F::kRoom, true},
    FileKey{"instance_profile", T::kText, "of RunInstances"},
    FileKey{"access_key_id", T::kText, "public part of the joint account's key"},
    FileKey{"secret", T::kText, "its secret part, by its name in `flexroom secret list`"},
    FileKey{"deadline_minutes", T::kInteger, "after so long the machine stops (60)", "", F::kRoom,
            false, 1, 1440},
    FileKey{"price_per_hour", T::kText, "what the machine costs, for the summary: 0.0832 USD"},
};
constexpr std::array kScriptKeys = {
    FileKey{"url", T::kText, "https:// where the machine fetches the script", "", F::kRoom, true},
    FileKey{"sha256", T::kText, "of the script that was reviewed", "", F::kRoom, true},
    FileKey{"interpreter", T::kText, "on the machine, with options (python3)"},
    FileKey{"arguments", T::kTexts, "words for the script, before the data files"},
    FileKey{"failure_output", T::kText,
            "of a script that failed: who reads the end of what it printed (to nobody)",
            "to nobody|to all"},
    FileKey{"file", T::kText, "a local copy of the script, which is shown for approval"},
};
constexpr std::array kLinksFileKeys = {
    FileKey{"data_url", T::kText, "pre-signed GET of this member's data", "", F::kRoom, true},
    FileKey{"result_url", T::kText, "pre-signed PUT of this member's result", "", F::kRoom, true},
    FileKey{"result_get_url", T::kText, "pre-signed GET of the result"},
    FileKey{"loader_url", T::kText, "where the machine can fetch the loader"},
    FileKey{"loader_put_url", T::kText, "pre-signed PUT of the same object"},
};

std::string_view name_of(FileTable table) {
  constexpr std::array<std::string_view, 12> kNames = {
      "room-file", "room",   "member", "provider", "host",   "member",
      "node",      "person", "job",    "job-part", "script", "links"};
  return kNames[static_cast<size_t>(table)];
}

FileTable file_of(std::string_view file) {
  if (file == "room") return F::kRoomFile;
  if (file == "member") return F::kMemberFile;
  if (file == "job") return F::kJobFile;
  FLEXROOM_ASSERT(file == "links");
  return F::kLinksFile;
}

/// Also the definitions of all tables below this one.
void define(FileTable table, nlohmann::ordered_json& definitions) {
  for (const FileKey& key : keys_of(table)) {
    if (key.type != T::kTable && key.type != T::kNamed && key.type != T::kList) continue;
    definitions[std::string(name_of(key.table))] = schema_of_table(keys_of(key.table), name_of);
    define(key.table, definitions);
  }
}

}  // namespace

std::span<const FileKey> keys_of(FileTable table) {
  switch (table) {
    case F::kRoomFile:
      return kRoomFileKeys;
    case F::kRoom:
      return kRoomKeys;
    case F::kRoomMember:
      return kRoomMemberKeys;
    case F::kProvider:
      return kProviderKeys;
    case F::kHost:
      return kHostKeys;
    case F::kMemberFile:
      return kMemberFileKeys;
    case F::kNode:
      return kNodeKeys;
    case F::kPerson:
      return kPersonKeys;
    case F::kConsole:
      return kConsoleKeys;
    case F::kJobFile:
      return kJobFileKeys;
    case F::kJob:
      return kJobKeys;
    case F::kScript:
      return kScriptKeys;
    case F::kLinksFile:
      return kLinksFileKeys;
  }
  return {};
}

std::string json_schema(std::string_view file) {
  const FileTable table = file_of(file);
  nlohmann::ordered_json out = {{"$schema", "http://json-schema.org/draft-07/schema#"},
                                {"title", fmt::format("Flexroom {}.toml", file)}};
  nlohmann::ordered_json definitions = nlohmann::ordered_json::object();
  define(table, definitions);
  if (!definitions.empty()) out["definitions"] = definitions;
  out.update(schema_of_table(keys_of(table), name_of));
  return out.dump(2) + "\n";
}

void finish(const TomlTable& toml, FileTable table) {
  const std::span<const FileKey> known = keys_of(table);
  for (const std::string& key : toml.asked()) {
    const bool has = std::any_of(known.begin(), known.end(),
                                 [&](const FileKey& one) { return one.name == key; });
    if (!has) {
      assertion_failed(fmt::format("config/file_keys.cpp lists `{}`", key).c_str(), __FILE__,
                       __LINE__);
    }
  }
  toml.finish();
}

}  // namespace flexroom::config
