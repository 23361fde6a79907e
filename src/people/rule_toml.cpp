#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "base/private_file.h"
#include "config/checked_text.h"
#include "config/config.h"
#include "config/toml.h"
#include "people/rule.h"
#include "people/rule_checks.h"

// people.toml (docs/people.md).

namespace flexroom::people {
namespace {

constexpr std::string_view kQuorumRemedy = "write it as \"2 of (ann, bob, eve)\"";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// "2 of (ann, bob, eve)"
Quorum read_quorum(const TomlTable& root, std::string_view key) {
  const std::string text = root.text(key);
  const auto fail = [&] { root.fail(key, "is no \"k of (names)\"", kQuorumRemedy); };
  Quorum out;
  std::string_view rest = text;
  size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
  if (digits == 0 || digits > 2 || rest[0] == '0') fail();
  out.needed = static_cast<uint32_t>(std::stoul(std::string(rest.substr(0, digits))));
  rest.remove_prefix(digits);
  if (!rest.starts_with(" of (") || rest.back() != ')') fail();
  rest = rest.substr(5, rest.size() - 6);
  for (;;) {
    const size_t comma = rest.find(',');
    const std::string_view name = trimmed(rest.substr(0, comma));
    if (!is_name(name)) fail();
    out.of.emplace_back(name);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(out.of.begin(), out.of.end());
  return out;
}

Key read_key(const TomlTable& table) {
  Key out;
  const std::string kind = table.text("kind");
  if (kind == to_string(KeyKind::kFile)) {
    out.kind = KeyKind::kFile;
  } else if (kind == to_string(KeyKind::kEs256)) {
    out.kind = KeyKind::kEs256;
  } else if (kind == to_string(KeyKind::kEdDsa)) {
    out.kind = KeyKind::kEdDsa;
  } else {
    table.fail("kind", "is no kind of key", "write \"file\", \"es256\" or \"eddsa\"");
  }
  const std::string hex = table.text("key");
  if (!is_hex(hex) || hex.size() % 2 != 0) {
    table.fail("key", "is not hexadecimal in lower case");
  }
  out.bytes = from_hex(hex);
  out.rp = table.text_or("rp", "");
  const std::string credential = table.text_or("credential", "");
  const auto id = base64url_decode(credential);
  if (!id) table.fail("credential", "is not base64url without padding");
  out.credential = *id;
  out.synced = table.flag_or("synced", false);
  table.finish();
  check_key(out, table.place("key"));
  return out;
}

Person read_person(const TomlTable& table, std::set<Bytes>& ids, std::set<Bytes>& keys) {
  Person out;
  out.name = config::checked_name(table, "name");
  for (const std::string& text : table.texts_or_empty("roles")) {
    size_t role = 0;
    while (role < kNumRoles && to_string(static_cast<Role>(role)) != text) ++role;
    if (role == kNumRoles) {
      table.fail("roles", "has a role that there is not",
                 "write some of \"see\", \"propose\", \"approve\", \"administer\"");
    }
    out.roles.push_back(static_cast<Role>(role));
  }
  std::sort(out.roles.begin(), out.roles.end());
  for (const TomlTable& key : table.tables("key")) {
    out.keys.push_back(read_key(key));
    check_unique(out, out.keys.back(), ids, keys, key.place("key"));
  }
  table.finish();
  check_person(out, table.place("name"));
  return out;
}

std::string toml_text(std::string_view text) {  // names, hex, base64url and host names alone
  return "\"" + std::string(text) + "\"";
}

}  // namespace

Rule Rule::load(const std::filesystem::path& file, bool one_key) {
  return parse(read_own_file(file, TomlTable::kMaxBytes,
                             "write it as docs/people.md shows, or say where it is"),
               file.string(), one_key);
}

Rule Rule::parse(std::string_view toml, std::string_view name, bool one_key) {
  const TomlTable root = TomlTable::parse(toml, name);
  Rule out;
  out.version = 1;  // the caller's
  out.one_key = one_key;
  out.not_own = root.flag_or("not_own", false);
  std::set<Bytes> ids, keys;
  for (const TomlTable& table : root.tables("person")) {
    Person one = read_person(table, ids, keys);
    if (out.person(one.name) != nullptr) {
      throw InputError(table.place("name"), "is a person who stands here twice");
    }
    out.persons.push_back(std::move(one));
  }
  std::sort(out.persons.begin(), out.persons.end(),
            [](const Person& a, const Person& b) { return a.name < b.name; });
  out.approve = read_quorum(root, "approve");
  out.administer = read_quorum(root, "administer");
  root.finish();
  check_quorum(out, Role::kApprove, root.place("approve"));
  check_quorum(out, Role::kAdminister, root.place("administer"));
  out.require_sound(name);
  return out;
}

std::string Rule::toml() const {
  std::string out = fmt::format("approve = {}\nadminister = {}\n", toml_text(approve.text()),
                                toml_text(administer.text()));
  if (not_own) out += "not_own = true\n";
  for (const Person& one : persons) {
    out += fmt::format("\n[[person]]\nname = {}\nroles = [", toml_text(one.name));
    for (size_t i = 0; i < one.roles.size(); ++i) {
      out += (i == 0 ? "" : ", ") + toml_text(to_string(one.roles[i]));
    }
    out += "]\n";
    for (const Key& key : one.keys) {
      out += fmt::format("\n[[person.key]]\nkind = {}\nkey = {}\n", toml_text(to_string(key.kind)),
                         toml_text(to_hex(key.bytes)));
      if (!key.is_webauthn()) continue;
      out += fmt::format("rp = {}\ncredential = {}\n", toml_text(key.rp),
                         toml_text(base64url_encode(key.credential)));
      if (key.synced) out += "synced = true\n";
    }
  }
  return out;
}

}  // namespace flexroom::people
