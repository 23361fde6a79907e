#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/named_group.h"
#include "config/node_terms.h"
#include "config/passphrase.h"
#include "config/tls_terms.h"
#include "config/traffic_terms.h"

namespace flexroom {

class TomlTable;

/// A host and port as written HOST:PORT.
struct Endpoint {
  std::string host;
  uint16_t port = 0;
};
Endpoint parse_endpoint(std::string_view text, std::string_view place);

class TomlTable;

/// HOST:PORT as it stands in a room: letters, digits, `.`, `-`, `_`, and of an IPv6 address `[`,
/// `:` and `]`; at most 253 characters before the port. Throws InputError at `place`.
Endpoint parse_address(std::string_view text, std::string_view place);
std::string to_string(const Endpoint& endpoint);

/// What a room, member, job, provider or recipe may be called: 1 to 64 letters, digits, '-', '_'
/// and '.'. `kNameRemedy` says so to the operator.
bool is_name(std::string_view text);
inline constexpr std::string_view kNameRemedy = "use letters, digits, '-', '_' and '.', at most 64";
/// What somebody says to people in a file that all see: 1 to 64 printable characters of ASCII.
bool is_few_words(std::string_view text);

struct MemberEntry {
  std::string name;
  Endpoint address;
  std::string certificate_sha256;  // lower-case hex
  /// The same as a digest.
  Digest certificate() const;
};

/// A service. `connect_to` sends HOST:PORT to another address, as curl's --connect-to does; Host
/// and SNI stay what they are.
struct Provider {
  std::string name;
  /// The hosts that this entry is for: DNS names, "*.example.com" for all names below it, or "*"
  /// for every host that no other entry lists. A secret goes to hosts of its own provider only, and
  /// `ca_file` is trusted for these hosts only (tls-in-mpc.md §5.1 `origin`).
  std::vector<std::string> hosts;
  std::optional<std::filesystem::path> ca_file;  // else the system's trust store
  /// `crl_file`, each member's own: certificates are looked up in it (tls-complete.md §5).
  std::optional<std::filesystem::path> crl_file;
  struct ConnectTo {
    std::string host;   // "*" for any
    uint16_t port = 0;  // 0 for any
    Endpoint target;
  };
  std::vector<ConnectTo> connect_to;
  /// That are offered: `groups`, in its order; with `pq = "required"` those of them with ML-KEM.
  /// A connection asks groups_for().
  Groups groups = all_groups();
  TlsTerms tls;
  /// Positions of secret or private slots that answers may not repeat, and by that the calls whose
  /// answers may be open to all (tls-in-mpc.md §4.6, R2-3; written form: call/purpose.h).
  std::vector<std::string> open_calls;
  /// Hosts of mailboxes: of what they answer, flows open no text (tls-in-mpc.md §5.6). Of the whole
  /// entry, and what [provider.NAME.host."HOST"] says of one host and all names below it.
  bool mailbox = false;
  std::map<std::string, bool, std::less<>> host_mailbox;
  bool is_mailbox(std::string_view host) const;
  /// Cipher suites, as [provider.NAME.host."HOST"] gives them to one host and all names below it.
  std::map<std::string, const tls::CipherSuite*, std::less<>> host_suite;
  /// The one that a hello to the host offers, by the longest of those entries that it stands under,
  /// else by that of the provider (tls-complete.md §1.1). Everything that connects asks here.
  const tls::CipherSuite& suite_for(std::string_view host) const;
  /// What a host gets that asks for a client certificate, likewise (tls-complete.md §4.2).
  std::map<std::string, tls::ClientAuth, std::less<>> host_client_auth;
  tls::ClientAuth client_auth_for(std::string_view host) const;
  /// Groups, as such an entry gives them: of its `groups` and `pq`, what it does not say being as
  /// the provider's entry has it (config/group_terms.h).
  std::map<std::string, Groups, std::less<>> host_groups;
  /// As suite_for().
  const Groups& groups_for(std::string_view host) const;
  /// What who sees the line is to learn less of, of the entry and of one host and the names below
  /// it, and what holds for a host: as suite_for().
  TrafficTerms traffic;
  std::map<std::string, TrafficTerms, std::less<>> host_traffic;
  const TrafficTerms& traffic_for(std::string_view host) const;
  /// As they stand in the file: `ca_file`, `connect_to` and the other keys that each member may
  /// have otherwise, and that nobody compares in a session. Sorted by key.
  std::vector<std::pair<std::string, std::string>> own_keys;
  /// Whether some name with one label more than `parent` is a mailbox of this entry.
  bool has_mailbox_under(std::string_view parent) const;
  Endpoint resolve(const std::string& host, uint16_t port) const;
};

/// Whether that entry, one of `all`, is for the host: it lists it, or has "*" and no entry lists
/// it.
bool serves(const std::vector<Provider>& all, const Provider& provider, std::string_view host);

/// room.toml: the same at every member.
struct RoomConfig {
  std::filesystem::path file;
  std::string name;
  std::string profile = "default";
  std::string triples = "bucket";  // how AND triples are made: "bucket" or "masked"
  std::string link = "fast";       // between members; "slow": fewer bytes for more work, from the
                                   // next epoch on
  std::string mesh_pq = "prefer";  // "required": no member without a post-quantum key exchange
  std::string courier;
  std::vector<MemberEntry> members;
  std::vector<Provider> providers;
  std::chrono::seconds timeout{60};
  size_t size = 0;  // how many members it must have; 0: not said
  /// Who opens the joint account and who holds its root, in words; empty: not said
  /// (members.md 1.4).
  std::string account_opener, account_root;

  static RoomConfig load(const std::filesystem::path& path);
  /// The same of a text that was read already, as it would stand in `path`.
  static RoomConfig of(const TomlTable& root, const std::filesystem::path& path);
  /// A room that is being founded: 1 to 16 members so far, the courier may be one to come, and the
  /// files that it names are not looked at. finish() of `root` is the caller's, whose file may hold
  /// more beside the room.
  static RoomConfig draft(const TomlTable& root, const std::filesystem::path& path);
  PartyId member_id(std::string_view member_name) const;  // InputError if unknown
  const Provider& provider(std::string_view provider_name) const;
  /// Whether that provider's entry is for the host.
  bool serves(const Provider& provider, std::string_view host) const;
  /// The provider, if it serves the host. Throws InputError naming the key to change.
  const Provider& provider_for(std::string_view provider_name, std::string_view host) const;
  /// The provider whose entry is for the host. Throws InputError if there is none.
  const Provider& provider_of(std::string_view host) const;
  /// For a member's own link, which may lead anywhere: as provider_of(), and where no entry is for
  /// the host an empty one, so that only the system's roots are trusted for it and nothing that a
  /// provider set for its own hosts.
  Provider provider_of_link(std::string_view host) const;
  /// The courier's party id. n = 2: always a garbler (party 1), tls-in-mpc.md §0.3(1).
  PartyId courier_id() const;
};

/// member.toml: private to one member.
struct MemberConfig {
  std::filesystem::path file;
  std::string name;
  std::filesystem::path room_file;
  std::filesystem::path state_dir;
  std::filesystem::path identity_dir;
  std::filesystem::path state_key_file;  // opens state.db, unless a passphrase does
  std::optional<PassphraseSource> state_passphrase;
  std::filesystem::path once_key_file;  // opens once.db; never in a backup
  std::optional<Endpoint> listen;       // else the address in room.toml
  /// Where it stands which members' words were compared; nothing: a room that people wrote by hand,
  /// whose fingerprints they read to each other.
  std::optional<std::filesystem::path> words_file;
  bool auto_approve = false;
  NodeTerms node;

  static MemberConfig load(const std::filesystem::path& path);
};

/// One private link of a member: where the VM fetches its data and where it puts the result. The
/// object path and the signature stay private; host and the other query parameters are public.
struct PrivateUrl {
  ~PrivateUrl();              // wipes the private parts
  std::string public_prefix;  // https://host/
  std::string path;           // private, without the leading slash
  std::string public_query;   // "?X-Amz-Algorithm=...&X-Amz-Signature=" or "" or "?"
  std::string tail;           // private: the signature, or the whole query
};
/// Throws InputError naming the character and its place (never showing the private parts). What is
/// accepted holds only letters, digits and . _ ~ / = & % + : - beside "https://" and one '?' (the
/// public part no '~'): nothing in it can end a quoted string of a shell.
PrivateUrl split_private_url(std::string_view url, std::string_view place);

/// links.toml: the private half of a job, read by one member only, never sent.
struct LinksConfig {
  ~LinksConfig();                             // wipes the links
  std::string data_url;                       // pre-signed GET
  std::string result_url;                     // pre-signed PUT
  std::optional<std::string> result_get_url;  // where this member fetches its own result
  /// Where the machine fetches the loader, and where run-script writes it for that (pre-signed
  /// PUT): of a member that has a place for it. Both or neither.
  std::optional<std::string> loader_url, loader_put_url;
  static LinksConfig load(const std::filesystem::path& path);
};

/// Of a script, which is shown, signed and logged in full.
inline constexpr size_t kMaxScriptBytes = size_t{1} << 20;

/// As job.toml states it: "0.0832 USD".
struct Price {
  std::string text;
  uint64_t millionths = 0;
  std::string currency;
};

/// job.toml: the agreed half.
struct JobConfig {
  std::filesystem::path file;
  std::string name;
  std::string provider;
  std::string region;
  std::string image_id;
  std::string instance_type;
  /// Both or neither: without them the key is the one that a flow left in the room for `provider`.
  std::string access_key_id;
  std::string secret;  // name of the stored secret access key
  bool names_key() const { return !secret.empty(); }
  std::string instance_profile;
  std::string script_url;
  std::string script_sha256;
  std::string interpreter = "python3";  // with options, one blank between words
  std::vector<std::string> arguments;   // of the script, before the names of the data files
  bool failure_output_to_all = false;   // the end of a failed script's output: else to nobody
  std::optional<std::filesystem::path> script_file;  // local copy: its digest is checked
  std::optional<std::string> script_text;            // what is in it
  std::optional<Price> price_per_hour;               // of the machine
  int64_t deadline_minutes = 60;

  static JobConfig load(const std::filesystem::path& path);
  std::vector<std::string> interpreter_words() const;
};

}  // namespace flexroom
