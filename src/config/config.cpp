#include "config/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/hex_digest.h"
#include "base/host_name.h"
#include "base/near_name.h"
#include "base/private_file.h"
#include "base/secret.h"
#include "config/checked_text.h"
#include "config/console_terms.h"
#include "config/file_keys.h"
#include "config/group_terms.h"
#include "config/text_file.h"
#include "config/toml.h"
#include "tls/trust_store.h"

namespace flexroom {
namespace {

using config::checked_hex;
using config::checked_name;
using config::is_alnum;
using config::relative_to;

constexpr std::string_view kAnyHost = "*";
constexpr size_t kMinMembers = 2, kMaxMembers = 16;

/// "*.example.com" is for all names below example.com, and not for itself.
bool covers(std::string_view pattern, std::string_view host) {
  if (pattern.rfind("*.", 0) != 0) return pattern == host;
  const std::string_view suffix = pattern.substr(1);
  return host.size() > suffix.size() && host.substr(host.size() - suffix.size()) == suffix;
}

bool lists(const Provider& provider, std::string_view host) {
  return std::any_of(provider.hosts.begin(), provider.hosts.end(),
                     [&](const std::string& pattern) { return covers(pattern, host); });
}

void load_hosts(const TomlTable& table, Provider& out) {
  if (!table.has("hosts")) {
    if (table.has("ca_file")) {
      table.fail("ca_file", "is trusted for no host yet",
                 "list the hosts that it vouches for, for example hosts = [\"api.example.com\", "
                 "\"*.example.org\"]");
    }
    out.hosts = {std::string(kAnyHost)};
    return;
  }
  out.hosts = table.texts_or_empty("hosts");
  for (const std::string& host : out.hosts) {
    if (host == kAnyHost && table.has("ca_file")) {
      table.fail("hosts", "is \"*\" beside ca_file", "list the hosts that ca_file vouches for");
    }
    const std::string_view name = std::string_view(host).substr(host.rfind("*.", 0) == 0 ? 2 : 0);
    if (host != kAnyHost && !is_host_name(name)) {
      table.fail("hosts", fmt::format("has '{}', which is no lower-case DNS name", host),
                 "write for example \"api.example.com\", or \"*.example.com\" for all names below");
    }
  }
  if (out.hosts.empty()) table.fail("hosts", "is empty", "list the hosts of this provider");
}

/// What a host means must not depend on the entry that a recipe names.
void check_hosts_are_apart(const std::vector<Provider>& providers,
                           const std::filesystem::path& file) {
  for (const Provider& one : providers) {
    for (const Provider& other : providers) {
      if (&one == &other) continue;
      for (const std::string& host : one.hosts) {
        // A wildcard is compared by a name below it.
        const std::string name = host.rfind("*.", 0) == 0 ? "x" + host.substr(1) : host;
        if (!lists(other, name)) continue;
        throw InputError(file.string(),
                         fmt::format("providers '{}' and '{}' both list the host '{}'", one.name,
                                     other.name, host),
                         "a host belongs to one provider: take it out of `hosts` of the other");
      }
    }
  }
}

/// Where a [provider.NAME.host."HOST"] stands.
struct HostEntry {
  std::string provider, host, place;
};

/// What an entry of `listed` says holds for the host.
bool is_at_or_below(std::string_view host, const std::string& listed) {
  return host == listed || host.ends_with("." + listed);
}

/// An entry of a host says something of names that its provider serves: the host, or one below it.
void check_host_entries(const std::vector<Provider>& providers,
                        const std::vector<HostEntry>& entries) {
  for (const HostEntry& entry : entries) {
    const auto one =
        std::find_if(providers.begin(), providers.end(),
                     [&](const Provider& provider) { return provider.name == entry.provider; });
    const bool below = std::any_of(one->hosts.begin(), one->hosts.end(), [&](const auto& listed) {
      return listed.ends_with("." + entry.host);
    });
    if (below || serves(providers, *one, entry.host)) continue;
    throw InputError(
        entry.place,
        fmt::format("[provider.{}.host.\"{}\"] is of a host that '{}' does not serve{}", one->name,
                    entry.host, one->name, did_you_mean(entry.host, one->hosts)),
        "write it into the entry of the provider that serves the host");
  }
}

void load_host_entries(const TomlTable& table, const GroupTerms& groups, Provider& out,
                       std::vector<HostEntry>& entries) {
  for (const auto& [host, entry] : table.named_tables("host")) {
    if (!is_host_name(host)) {
      entry.fail("mailbox", fmt::format("belongs to '{}', which is no DNS name", host));
    }
    const bool mailbox = entry.flag_or("mailbox", false);
    if (entry.has("mailbox")) out.host_mailbox[host] = mailbox;
    const tls::CipherSuite& suite = load_suite(entry, *out.tls.suite);
    if (entry.has("suite")) out.host_suite[host] = &suite;
    const tls::ClientAuth auth = load_client_auth(entry, out.tls.client_auth);
    if (entry.has("client_auth")) out.host_client_auth[host] = auth;
    const GroupTerms own = GroupTerms::load(entry, groups);
    if (entry.has("groups") || entry.has("pq")) out.host_groups[host] = own.offered();
    const TrafficTerms traffic = TrafficTerms::load(entry, out.traffic);
    if (TrafficTerms::is_said(entry)) out.host_traffic[host] = traffic;
    config::finish(entry, config::FileTable::kHost);
    entries.push_back({out.name, host, entry.place("")});
  }
}

/// Behind what reads and judges them.
void load_own_keys(const TomlTable& table, Provider& out) {
  for (const char* key : {"ca_file", "crl_file", "revocation", "spki_pin", "trust"}) {
    if (table.has(key)) out.own_keys.emplace_back(key, table.text(key));
  }
  for (const std::string& rule : table.texts_or_empty("connect_to")) {
    out.own_keys.emplace_back("connect_to", rule);
  }
  std::stable_sort(out.own_keys.begin(), out.own_keys.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

void load_connect_to(const TomlTable& table, Provider& out) {
  for (const std::string& rule : table.texts_or_empty("connect_to")) {
    const size_t equals = rule.find('=');
    if (equals == std::string::npos) {
      table.fail("connect_to", "has a rule without '='", "write \"HOST:PORT=ADDRESS:PORT\"");
    }
    Provider::ConnectTo entry;
    const std::string from = rule.substr(0, equals);
    const size_t colon = from.rfind(':');
    entry.host = from.substr(0, colon);
    if (colon != std::string::npos && from.substr(colon + 1) != "*") {
      entry.port = parse_endpoint("x:" + from.substr(colon + 1), table.place("connect_to")).port;
    }
    entry.target = parse_endpoint(rule.substr(equals + 1), table.place("connect_to"));
    out.connect_to.push_back(std::move(entry));
  }
}

/// `look`: at the files that it names.
Provider load_provider(const std::string& name, const TomlTable& table,
                       const std::filesystem::path& file, bool look,
                       std::vector<HostEntry>& entries) {
  Provider out;
  out.name = name;
  load_hosts(table, out);
  if (table.has("ca_file")) {
    out.ca_file = relative_to(file, table.text("ca_file"));
    if (look) {
      (void)table.content("ca_file", *out.ca_file, tls::TrustStore::kMaxFileBytes,
                          "correct the path, or let this user read the file");
    }
  }
  if (table.has("crl_file")) {
    out.crl_file = relative_to(file, table.text("crl_file"));
    if (look) {
      (void)table.content("crl_file", *out.crl_file, tls::RevocationLists::kMaxFileBytes,
                          "correct the path, or let this user read the file");
    }
  }
  const GroupTerms groups = GroupTerms::load(table, {});
  out.groups = groups.offered();
  out.tls = TlsTerms::load(table);
  out.traffic = TrafficTerms::load(table, {});
  load_connect_to(table, out);
  load_own_keys(table, out);
  out.open_calls = table.texts_or_empty("open_calls");
  out.mailbox = table.flag_or("mailbox", false);
  load_host_entries(table, groups, out, entries);
  config::finish(table, config::FileTable::kProvider);
  return out;
}

/// A few words of people for people, which are shown to others.
std::string load_words(const TomlTable& room, std::string_view key) {
  std::string text = room.text_or(key, "");
  if (room.has(key) && !is_few_words(text)) {
    room.fail(key, "is not 1 to 64 printable characters of ASCII", "say it in a few words");
  }
  return text;
}

/// How this room's members compute and talk.
void load_terms(const TomlTable& room, RoomConfig& out) {
  out.name = checked_name(room, "name");
  out.profile = room.text_or("profile", "default");
  if (out.profile != "default" && out.profile != "bandwidth" && out.profile != "high") {
    room.fail("profile", "is none of default, bandwidth, high");
  }
  out.triples = room.text_or("triples", "bucket");
  if (out.triples != "bucket" && out.triples != "masked") {
    room.fail("triples", "is neither bucket nor masked");
  }
  if (out.triples == "masked" && out.profile == "bandwidth") {
    room.fail("triples", "masked does not go with profile \"bandwidth\"",
              "use profile \"default\" or \"high\"; masked triples send less than buckets anyway");
  }
  out.link = room.text_or("link", "fast");
  if (out.link != "fast" && out.link != "slow") room.fail("link", "is neither fast nor slow");
  out.mesh_pq = room.text_or("mesh_pq", "prefer");
  if (out.mesh_pq != "prefer" && out.mesh_pq != "required") {
    room.fail("mesh_pq", "is neither prefer nor required");
  }
  out.timeout = std::chrono::seconds(room.integer_or("timeout_seconds", 60, 1, 3600));
  out.size = static_cast<size_t>(room.integer_or("size", 0, kMinMembers, kMaxMembers));
  out.account_opener = load_words(room, "account_opened_by");
  out.account_root = load_words(room, "account_root");
}

std::vector<MemberEntry> load_members(const TomlTable& root, const std::filesystem::path& path,
                                      size_t least) {
  std::vector<MemberEntry> out;
  std::set<std::string> names;
  for (const TomlTable& table : root.tables("member")) {
    MemberEntry member;
    member.name = checked_name(table, "name");
    if (!names.insert(member.name).second) table.fail("name", "is used twice");
    member.address = parse_endpoint(table.text("address"), table.place("address"));
    member.certificate_sha256 =
        checked_hex(table, "certificate", 64,
                    "paste the certificate fingerprint that `flexroom init --identity` printed");
    config::finish(table, config::FileTable::kRoomMember);
    out.push_back(std::move(member));
  }
  if (out.size() < least || out.size() > kMaxMembers) {
    throw InputError(path.string(), fmt::format("has {} [[member]] entries", out.size()),
                     "a room has 2 to 16 members");
  }
  return out;
}

/// Behind the members, of whom it is one.
void load_courier(const TomlTable& room, RoomConfig& out) {
  out.courier = room.text_or("courier", out.members[1].name);
  const auto courier =
      std::find_if(out.members.begin(), out.members.end(),
                   [&](const MemberEntry& member) { return member.name == out.courier; });
  if (courier == out.members.end()) room.fail("courier", "is no member of this room");
  if (courier == out.members.begin()) {
    room.fail("courier", "is the first member, who evaluates",
              "name another member, or list that member later");
  }
}

}  // namespace

bool is_few_words(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '-' || c == '_' || c == '.';
  });
}

Endpoint parse_endpoint(std::string_view text, std::string_view place) {
  const size_t colon = text.rfind(':');
  unsigned port = 0;
  const char* end = text.data() + text.size();
  if (colon == std::string_view::npos || colon == 0 ||
      std::from_chars(text.data() + colon + 1, end, port).ptr != end || port == 0 || port > 65535) {
    throw InputError(place, fmt::format("'{}' is not HOST:PORT", text),
                     "write for example 10.0.0.5:7100");
  }
  return {std::string(text.substr(0, colon)), static_cast<uint16_t>(port)};
}

Endpoint parse_address(std::string_view text, std::string_view place) {
  Endpoint out = parse_endpoint(text, place);
  const bool plain = std::all_of(out.host.begin(), out.host.end(), [](char c) {
    return is_alnum(c) || std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
  if (!plain || out.host.size() > 253) {
    throw InputError(place, "has a host that is neither a name nor an address",
                     "write for example a.example:7100 or 10.0.0.5:7100");
  }
  return out;
}

std::string to_string(const Endpoint& endpoint) {
  return fmt::format("{}:{}", endpoint.host, endpoint.port);
}

Digest MemberEntry::certificate() const {
  const auto digest = digest_of_hex(certificate_sha256);
  FLEXROOM_ASSERT(digest.has_value());
  return *digest;
}

bool Provider::is_mailbox(std::string_view host) const {
  bool said = false, mail = false;
  for (const auto& [listed, yes] : host_mailbox) {
    if (!is_at_or_below(host, listed)) continue;
    said = true;
    mail |= yes;
  }
  return said ? mail : mailbox;
}

namespace {

/// What the longest entry says that the host stands under, or null.
template <typename T>
const T* said_of_host(const std::map<std::string, T, std::less<>>& entries, std::string_view host) {
  const T* out = nullptr;
  size_t longest = 0;
  for (const auto& [listed, said] : entries) {
    if (!is_at_or_below(host, listed) || listed.size() < longest) continue;
    out = &said;
    longest = listed.size();
  }
  return out;
}

}  // namespace

const tls::CipherSuite& Provider::suite_for(std::string_view host) const {
  const auto* const said = said_of_host(host_suite, host);
  return said != nullptr ? **said : *tls.suite;
}

const Groups& Provider::groups_for(std::string_view host) const {
  const Groups* const said = said_of_host(host_groups, host);
  return said != nullptr ? *said : groups;
}

const TrafficTerms& Provider::traffic_for(std::string_view host) const {
  const TrafficTerms* const said = said_of_host(host_traffic, host);
  return said != nullptr ? *said : traffic;
}

tls::ClientAuth Provider::client_auth_for(std::string_view host) const {
  const auto* const said = said_of_host(host_client_auth, host);
  return said != nullptr ? *said : tls.client_auth;
}

bool Provider::has_mailbox_under(std::string_view parent) const {
  const std::string below = "." + std::string(parent);
  // A label that no entry can name, then every name that one does.
  std::vector<std::string> names = {"?" + below};
  for (const auto& [listed, yes] : host_mailbox) names.push_back(listed);
  for (const std::string& host : hosts) {
    names.push_back(host.rfind("*.", 0) == 0 ? "?" + host.substr(1) : host);
  }
  const bool any = std::find(hosts.begin(), hosts.end(), kAnyHost) != hosts.end();
  return std::any_of(names.begin(), names.end(), [&](const std::string& one) {
    return one.ends_with(below) && (any || lists(*this, one)) && is_mailbox(one);
  });
}

Endpoint Provider::resolve(const std::string& host, uint16_t port) const {
  for (const ConnectTo& rule : connect_to) {
    if ((rule.host == "*" || rule.host == host) && (rule.port == 0 || rule.port == port)) {
      return rule.target;
    }
  }
  return {host, port};
}

namespace {

/// All of it but what hangs on the number of members.
RoomConfig read_room(const TomlTable& root, const std::filesystem::path& path, bool draft) {
  RoomConfig out;
  out.file = path;
  const TomlTable room = root.table("room");
  load_terms(room, out);
  out.members = load_members(root, path, draft ? 1 : kMinMembers);
  if (out.size != 0 && (draft ? out.members.size() > out.size : out.members.size() != out.size)) {
    room.fail(
        "size",
        fmt::format("is {}, but there are {} [[member]] entries", out.size, out.members.size()),
        "all that were agreed on must be in, and nobody else");
  }
  if (draft) {
    out.courier = room.has("courier") ? checked_name(room, "courier") : "";
  } else {
    load_courier(room, out);
  }
  std::vector<HostEntry> entries;
  for (const auto& [name, table] : root.named_tables("provider")) {
    out.providers.push_back(load_provider(name, table, path, !draft, entries));
  }
  check_hosts_are_apart(out.providers, path);
  check_host_entries(out.providers, entries);
  config::finish(room, config::FileTable::kRoom);
  return out;
}

}  // namespace

RoomConfig RoomConfig::draft(const TomlTable& root, const std::filesystem::path& path) {
  return read_room(root, path, true);
}

RoomConfig RoomConfig::of(const TomlTable& root, const std::filesystem::path& path) {
  RoomConfig out = read_room(root, path, false);
  config::finish(root, config::FileTable::kRoomFile);
  return out;
}

RoomConfig RoomConfig::load(const std::filesystem::path& path) {
  return of(
      TomlTable::load(path,
                      "write it together, the same at every member (docs/onboarding.md), or say in "
                      "member.toml where it is"),
      path);
}

PartyId RoomConfig::member_id(std::string_view member_name) const {
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].name == member_name) return static_cast<PartyId>(i);
  }
  throw InputError(file.string(), fmt::format("no member is called '{}'", member_name),
                   "the name in member.toml must be one of the [[member]] entries of room.toml");
}

const Provider& RoomConfig::provider(std::string_view provider_name) const {
  for (const Provider& provider : providers) {
    if (provider.name == provider_name) return provider;
  }
  throw InputError(file.string(), fmt::format("no provider is called '{}'", provider_name),
                   fmt::format("add [provider.{}]", provider_name));
}

bool serves(const std::vector<Provider>& all, const Provider& provider, std::string_view host) {
  if (lists(provider, host)) return true;
  if (std::find(provider.hosts.begin(), provider.hosts.end(), kAnyHost) == provider.hosts.end()) {
    return false;
  }
  return std::none_of(all.begin(), all.end(),
                      [&](const Provider& other) { return lists(other, host); });
}

bool RoomConfig::serves(const Provider& provider, std::string_view host) const {
  return flexroom::serves(providers, provider, host);
}

const Provider& RoomConfig::provider_for(std::string_view provider_name,
                                         std::string_view host) const {
  const Provider& found = provider(provider_name);
  if (serves(found, host)) return found;
  for (const Provider& other : providers) {
    if (lists(other, host)) {
      throw InputError(file.string(),
                       fmt::format("host '{}' belongs to provider '{}', not to '{}'", host,
                                   other.name, found.name),
                       fmt::format("name provider '{}'", other.name));
    }
  }
  throw InputError(file.string(),
                   fmt::format("provider '{}' does not list the host '{}'", found.name, host),
                   fmt::format("if it belongs there, every member adds it to `hosts` of "
                               "[provider.{}]",
                               found.name));
}

const Provider& RoomConfig::provider_of(std::string_view host) const {
  for (const Provider& one : providers) {
    if (serves(one, host)) return one;
  }
  throw InputError(file.string(), fmt::format("no provider lists the host '{}'", host),
                   "add it to `hosts` of a [provider.NAME], at every member");
}

Provider RoomConfig::provider_of_link(std::string_view host) const {
  for (const Provider& one : providers) {
    if (serves(one, host)) return one;
  }
  Provider nobodys;
  nobodys.name = std::string(host);
  nobodys.hosts = {std::string(host)};
  return nobodys;
}

PartyId RoomConfig::courier_id() const { return member_id(courier); }

MemberConfig MemberConfig::load(const std::filesystem::path& path) {
  const TomlTable root = TomlTable::load(path,
                                         "make it with `flexroom room new` or `room join` "
                                         "(docs/onboarding.md), or say with --member where it is");
  MemberConfig out;
  out.file = path;
  out.name = checked_name(root, "name");
  out.room_file = relative_to(path, root.text_or("room", "room.toml"));
  out.state_dir = relative_to(path, root.text_or("state_dir", "state"));
  out.identity_dir = relative_to(path, root.text_or("identity_dir", "identity"));
  out.state_key_file = relative_to(path, root.text_or("state_key_file", "identity/state.key"));
  if (root.has("state_passphrase")) {
    if (root.has("state_key_file")) {
      root.fail("state_passphrase", "stands beside state_key_file", "keep one of the two");
    }
    out.state_passphrase = PassphraseSource::parse(
        root.text("state_passphrase"), root.place("state_passphrase"), path.parent_path());
  }
  out.once_key_file = relative_to(path, root.text_or("once_key_file", "identity/once.key"));
  if (root.has("words_file")) out.words_file = relative_to(path, root.text("words_file"));
  if (root.has("listen")) out.listen = parse_endpoint(root.text("listen"), root.place("listen"));
  out.auto_approve = root.flag_or("auto_approve", false);
  out.node = NodeTerms::load(root, path, out.state_dir);
  (void)ConsoleTerms::load(root);  // its node asks for it
  config::finish(root, config::FileTable::kMemberFile);
  return out;
}

}  // namespace flexroom
