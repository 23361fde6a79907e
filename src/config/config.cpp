#include "config/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/hex_digest.h"
#include "base/host_name.h"
#include "base/private_file.h"
#include "base/secret.h"
#include "config/text_file.h"
#include "config/toml.h"

namespace flexroom {
namespace {

// Of this file's rules only: std::isalnum follows the locale.
bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// A short string lives in the object, a long one on the heap; both are overwritten, with what a
/// longer value left behind.
void wipe_text(std::string& text) {
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

std::filesystem::path relative_to(const std::filesystem::path& file, const std::string& path) {
  const std::filesystem::path p(path);
  return p.is_absolute() ? p : file.parent_path() / p;
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string checked_name(const TomlTable& table, std::string_view key) {
  std::string name = table.text(key);
  if (!is_name(name)) {
    table.fail(key, "is not a name", kNameRemedy);
  }
  return name;
}

std::string checked_hex(const TomlTable& table, std::string_view key, size_t digits,
                        std::string_view remedy) {
  std::string text = table.text(key);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  text.erase(std::remove(text.begin(), text.end(), ':'), text.end());
  if (!is_hex(text, digits)) table.fail(key, fmt::format("is not {} hex digits", digits), remedy);
  return text;
}

constexpr std::string_view kAnyHost = "*";

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

/// An entry of a host says something of names that its provider serves: the host, or one below it.
void check_host_entries(const std::vector<Provider>& providers, const std::filesystem::path& file) {
  for (const Provider& one : providers) {
    for (const auto& entry : one.host_mailbox) {
      const std::string& host = entry.first;
      const bool below = std::any_of(one.hosts.begin(), one.hosts.end(), [&](const auto& listed) {
        return listed.ends_with("." + host);
      });
      if (below || serves(providers, one, host)) continue;
      throw InputError(
          file.string(),
          fmt::format("[provider.{}.host.\"{}\"] is of a host that '{}' does not serve", one.name,
                      host, one.name),
          "write it into the entry of the provider that serves the host");
    }
  }
}

Provider load_provider(const std::string& name, const TomlTable& table,
                       const std::filesystem::path& file) {
  Provider out;
  out.name = name;
  load_hosts(table, out);
  if (table.has("ca_file")) {
    out.ca_file = relative_to(file, table.text("ca_file"));
    if (!std::ifstream(*out.ca_file)) {
      table.fail("ca_file", fmt::format("names {}, which cannot be read", out.ca_file->string()),
                 "correct the path, or let this user read the file");
    }
  }
  const auto group = parse_named_group(table.text_or("group", std::string(to_string(out.group))));
  if (!group) table.fail("group", "is neither \"x25519\" nor \"p256\"");
  out.group = *group;
  out.tls = TlsTerms::load(table);
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
  out.open_calls = table.texts_or_empty("open_calls");
  out.mailbox = table.flag_or("mailbox", false);
  for (const auto& [host, entry] : table.named_tables("host")) {
    if (!is_host_name(host)) {
      entry.fail("mailbox", fmt::format("belongs to '{}', which is no DNS name", host));
    }
    if (entry.has("mailbox")) out.host_mailbox[host] = entry.flag_or("mailbox", false);
    entry.finish();
  }
  table.finish();
  return out;
}

}  // namespace

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

Digest MemberEntry::certificate() const {
  const auto digest = digest_of_hex(certificate_sha256);
  FLEXROOM_ASSERT(digest.has_value());
  return *digest;
}

bool Provider::is_mailbox(std::string_view host) const {
  bool said = false, mail = false;
  for (const auto& [listed, yes] : host_mailbox) {
    if (host != listed && !host.ends_with("." + listed)) continue;
    said = true;
    mail |= yes;
  }
  return said ? mail : mailbox;
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

RoomConfig RoomConfig::load(const std::filesystem::path& path) {
  const TomlTable root = TomlTable::load(
      path,
      "write it together, the same at every member (docs/files.md), or say in member.toml "
      "where it is");
  RoomConfig out;
  out.file = path;
  const TomlTable room = root.table("room");
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
  out.timeout = std::chrono::seconds(room.integer_or("timeout_seconds", 60, 1, 3600));
  std::set<std::string> names;
  for (const TomlTable& table : root.tables("member")) {
    MemberEntry member;
    member.name = checked_name(table, "name");
    if (!names.insert(member.name).second) table.fail("name", "is used twice");
    member.address = parse_endpoint(table.text("address"), table.place("address"));
    member.certificate_sha256 =
        checked_hex(table, "certificate", 64,
                    "paste the certificate fingerprint that `flexroom init --identity` printed");
    table.finish();
    out.members.push_back(std::move(member));
  }
  if (out.members.size() < 2 || out.members.size() > 16) {
    throw InputError(path.string(), fmt::format("has {} [[member]] entries", out.members.size()),
                     "a room has 2 to 16 members");
  }
  out.courier = room.text_or("courier", out.members[1].name);
  if (!names.contains(out.courier)) room.fail("courier", "is no member of this room");
  if (out.member_id(out.courier) == 0) {
    room.fail("courier", "is the first member, who evaluates",
              "name another member, or list that member later");
  }
  for (const auto& [name, table] : root.named_tables("provider")) {
    out.providers.push_back(load_provider(name, table, path));
  }
  check_hosts_are_apart(out.providers, path);
  check_host_entries(out.providers, path);
  room.finish();
  root.finish();
  return out;
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
  const TomlTable root = TomlTable::load(
      path, "make it with `flexroom init --identity NAME`, or say with --member where it is");
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
  if (root.has("listen")) out.listen = parse_endpoint(root.text("listen"), root.place("listen"));
  out.auto_approve = root.flag_or("auto_approve", false);
  root.finish();
  return out;
}

PrivateUrl::~PrivateUrl() {
  wipe_text(path);
  wipe_text(tail);
}

LinksConfig::~LinksConfig() {
  wipe_text(data_url);
  wipe_text(result_url);
  for (auto* url : {&result_get_url, &loader_url, &loader_put_url}) {
    if (*url) wipe_text(**url);
  }
}

namespace {

constexpr size_t kMaxUrlBytes = 4096;

/// As a person finds it in the file; never what stands around it.
std::string character_at(std::string_view url, size_t at) {
  const auto byte = static_cast<unsigned char>(url[at]);
  const std::string shown = byte == '\n'                ? "a line break"
                            : byte == '\r'              ? "a carriage return"
                            : byte == '\t'              ? "a tab"
                            : byte == ' '               ? "a blank"
                            : byte > ' ' && byte < 0x7f ? fmt::format("'{}'", char(byte))
                                                        : fmt::format("the byte {:#04x}", byte);
  const bool last = at + 1 == url.size();
  return last ? fmt::format("{} at its end", shown)
              : fmt::format("{} as character {} of {}", shown, at + 1, url.size());
}

[[noreturn]] void refuse_character(std::string_view url, size_t at, std::string_view place) {
  const auto byte = static_cast<unsigned char>(url[at]);
  const std::string problem = "has " + character_at(url, at);
  const size_t entity = url.rfind("&amp;", at);
  if (byte == ';' && entity != std::string_view::npos && entity + 4 == at) {
    throw InputError(place, problem + ", of an `&amp;`",
                     "the link was copied from HTML: write & in place of every &amp;");
  }
  if (byte <= ' ') {
    throw InputError(place, problem + ", which no link has",
                     "write the link on one line, in \"...\"");
  }
  if (byte == '?') {
    throw InputError(place, problem + ", a second one", "write %3F in place of the second");
  }
  throw InputError(place, problem + ", which is not allowed in a link",
                   fmt::format("write %{:02X} in its place", byte));
}

}  // namespace

PrivateUrl split_private_url(std::string_view url, std::string_view place) {
  constexpr std::string_view kScheme = "https://";
  const auto refuse = [&](std::string_view problem, std::string_view remedy) {
    throw InputError(place, problem, remedy);
  };
  if (url.substr(0, kScheme.size()) != kScheme) refuse("is not an https:// URL", "use https://");
  const size_t slash = url.find('/', kScheme.size());
  if (slash == std::string_view::npos || slash == kScheme.size()) {
    refuse("has no path", "a link names an object: https://host/object");
  }
  if (slash + 1 == url.size() || url[slash + 1] == '?') {
    refuse("names no object", "a link names an object: https://host/object");
  }
  if (url.size() > kMaxUrlBytes) {
    refuse(fmt::format("has {} characters, more than {}", url.size(), kMaxUrlBytes),
           "sign it with a user's key: a session token makes links long");
  }
  for (size_t i = kScheme.size(); i < slash; ++i) {
    if (!is_alnum(url[i]) && url[i] != '.' && url[i] != '-' && url[i] != ':') {
      refuse(fmt::format("has {}, in its host", character_at(url, i)), "correct the host's name");
    }
  }
  const size_t question = std::min(url.find('?', slash), url.size());
  for (size_t i = slash + 1; i < url.size(); ++i) {
    const bool allowed =
        is_alnum(url[i]) || std::string_view("._~/=&%+:-").find(url[i]) != std::string_view::npos;
    if (i != question && !allowed) refuse_character(url, i, place);
  }
  PrivateUrl out;
  out.public_prefix = std::string(url.substr(0, slash + 1));
  out.path = std::string(url.substr(slash + 1, question - slash - 1));
  if (question != url.size()) {
    const std::string_view query = url.substr(question + 1);
    constexpr std::string_view kSignature = "X-Amz-Signature=";
    const size_t signature = query.find(kSignature);
    const bool last =
        signature != std::string_view::npos && query.find('&', signature) == std::string_view::npos;
    const size_t cut = last ? signature + kSignature.size() : 0;
    out.public_query = "?" + std::string(query.substr(0, cut));
    out.tail = std::string(query.substr(cut));
  }
  return out;
}

LinksConfig LinksConfig::load(const std::filesystem::path& path) {
  // A pre-signed link is all that protects what it leads to.
  const SecretBytes file = read_private_file(
      path, TomlTable::kMaxBytes,
      "write this member's links there (docs/files.md), or say with --links where they are");
  const TomlTable root = TomlTable::parse(as_text(file.reveal()), path.string());
  LinksConfig out;
  out.data_url = root.text("data_url");
  out.result_url = root.text("result_url");
  const auto optional = [&](std::string_view key) {
    return root.has(key) ? std::optional(root.text(key)) : std::nullopt;
  };
  out.result_get_url = optional("result_get_url");
  out.loader_url = optional("loader_url");
  out.loader_put_url = optional("loader_put_url");
  (void)split_private_url(out.data_url, root.place("data_url"));
  (void)split_private_url(out.result_url, root.place("result_url"));
  for (const auto& [key, url] : {std::pair("result_get_url", &out.result_get_url),
                                 {"loader_url", &out.loader_url},
                                 {"loader_put_url", &out.loader_put_url}}) {
    if (*url) (void)split_private_url(**url, root.place(key));
  }
  if (out.loader_url.has_value() != out.loader_put_url.has_value()) {
    const std::string_view there = out.loader_url ? "loader_url" : "loader_put_url";
    const std::string_view missing = out.loader_url ? "loader_put_url" : "loader_url";
    root.fail(there, fmt::format("stands without `{}`", missing),
              "give both, the GET and the PUT of one object, or neither");
  }
  root.finish();
  return out;
}

namespace {

/// A local copy of the script: its digest is checked, and what a machine would stumble over.
std::string read_script_file(const TomlTable& script, const JobConfig& job) {
  std::string text = read_own_file(*job.script_file, kMaxScriptBytes,
                                   "correct the path in script.file, or leave it out");
  if (to_hex(sha256(as_bytes(text))) != job.script_sha256) {
    script.fail("sha256", "does not match the script file",
                "the script changed: review it, then put its new SHA-256 into the job; every "
                "member has to approve again");
  }
  if (ends_in_crlf(text)) {
    script.fail("file", "names a script whose lines end in CR LF, which no shell reads",
                "convert it (sed -i 's/\\r$//' FILE), put it where `url` says, and its new SHA-256 "
                "here");
  }
  return text;
}

/// "0.0832 USD": at most six digits before and behind the point.
Price price_of(const TomlTable& job) {
  Price out;
  out.text = job.text("price_per_hour");
  const size_t blank = std::min(out.text.find(' '), out.text.size());
  const size_t point = std::min(out.text.find('.'), blank);
  const std::string whole = out.text.substr(0, point);
  std::string parts = point == blank ? "0" : out.text.substr(point + 1, blank - point - 1);
  const auto are = [](const std::string& text, char from, char to) {
    return std::all_of(text.begin(), text.end(), [&](char c) { return from <= c && c <= to; });
  };
  const auto is_number = [&](const std::string& digits) {
    return !digits.empty() && digits.size() <= 6 && are(digits, '0', '9');
  };
  out.currency = out.text.substr(std::min(blank + 1, out.text.size()));
  if (!is_number(whole) || !is_number(parts) || out.currency.size() != 3 ||
      !are(out.currency, 'A', 'Z')) {
    job.fail("price_per_hour", "is no price", "write it as \"0.0832 USD\"");
  }
  parts.resize(6, '0');
  out.millionths = std::stoull(whole) * 1'000'000 + std::stoull(parts);
  return out;
}

/// Every byte of a list of words is a printable ASCII character; what is checked is what bash gets.
std::vector<std::string> words_of(const TomlTable& table, std::string_view key) {
  std::vector<std::string> words = table.texts_or_empty(key);
  size_t bytes = 0;
  for (const std::string& word : words) {
    bytes += word.size();
    if (!std::all_of(word.begin(), word.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      table.fail(key, "has a character that is not printable ASCII", "put it into the script");
    }
  }
  if (words.size() > 64 || bytes > 4096) {
    table.fail(key, "is longer than 64 words or 4096 bytes", "put them into the script");
  }
  return words;
}

}  // namespace

std::vector<std::string> JobConfig::interpreter_words() const {
  std::vector<std::string> words(1);
  for (const char c : interpreter) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

JobConfig JobConfig::load(const std::filesystem::path& path) {
  const TomlTable root =
      TomlTable::load(path, "give the path of the agreed job (docs/files.md shows one)");
  const TomlTable job = root.table("job");
  JobConfig out;
  out.file = path;
  const auto plain = [&](const TomlTable& table, std::string_view key, std::string_view more = "") {
    std::string text = table.text(key);
    if (text.empty() || text.size() > 256) table.fail(key, "is empty or longer than 256 bytes");
    const auto bad = std::find_if(text.begin(), text.end(), [&](char c) {
      return !is_alnum(c) && std::string_view("-_./:").find(c) == std::string_view::npos &&
             more.find(c) == std::string_view::npos;
    });
    if (bad != text.end()) {
      table.fail(key,
                 fmt::format("has {}, which is not allowed here",
                             character_at(text, static_cast<size_t>(bad - text.begin()))),
                 fmt::format("use letters, digits and - _ . / : {}", more));
    }
    return text;
  };
  out.name = checked_name(job, "name");
  out.provider = checked_name(job, "provider");
  out.region = plain(job, "region");
  out.image_id = plain(job, "image_id");
  out.instance_type = plain(job, "instance_type");
  out.access_key_id = plain(job, "access_key_id");
  out.secret = plain(job, "secret");
  if (job.has("instance_profile")) out.instance_profile = plain(job, "instance_profile");
  out.deadline_minutes = job.integer_or("deadline_minutes", 60, 1, 1440);
  if (job.has("price_per_hour")) out.price_per_hour = price_of(job);
  job.finish();
  const TomlTable script = root.table("script");
  out.script_url = plain(script, "url", "?=&%~+");
  if (out.script_url.rfind("https://", 0) != 0) script.fail("url", "is not an https:// URL");
  out.script_sha256 = checked_hex(script, "sha256", 64, "run `sha256sum SCRIPT`");
  if (script.has("interpreter")) out.interpreter = plain(script, "interpreter", " =+,");
  const std::vector<std::string> words = out.interpreter_words();
  if (std::find(words.begin(), words.end(), "") != words.end()) {
    script.fail("interpreter", "has a blank too many", "write one blank between its words");
  }
  out.arguments = words_of(script, "arguments");
  const std::string output = script.text_or("failure_output", "to nobody");
  if (output != "to nobody" && output != "to all") {
    script.fail("failure_output", "is neither \"to nobody\" nor \"to all\"",
                "\"to all\": if the script fails, all members read the end of what it printed");
  }
  out.failure_output_to_all = output == "to all";
  if (script.has("file")) {
    out.script_file = relative_to(path, script.text("file"));
    out.script_text = read_script_file(script, out);
  }
  script.finish();
  root.finish();
  return out;
}

}  // namespace flexroom
