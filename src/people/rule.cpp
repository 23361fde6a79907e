#include "people/rule.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/base64.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "base/read_array.h"
#include "config/config.h"
#include "people/rule_checks.h"
#include "people/webauthn.h"

namespace flexroom::people {
namespace {

constexpr size_t kMaxName = 64, kMaxRp = 253, kMaxKeyBytes = 65;

void put_quorum(Writer& out, const Quorum& quorum) {
  out.u32(quorum.needed).u32(static_cast<uint32_t>(quorum.of.size()));
  for (const std::string& name : quorum.of) out.field(name);
}

size_t read_count(Reader& in, size_t most, std::string_view place) {
  const uint32_t count = in.u32();
  if (count > most) throw InputError(place, "has a list longer than its limit");
  return count;
}

bool read_flag(Reader& in, std::string_view place) {
  const uint8_t flag = in.u8();
  if (flag > 1) throw InputError(place, "has a flag that is neither 0 nor 1");
  return flag == 1;
}

Quorum read_quorum(Reader& in, std::string_view place) {
  Quorum out;
  out.needed = in.u32();
  const size_t count = read_count(in, Rule::kMaxPersons, place);
  for (size_t i = 0; i < count; ++i) out.of.push_back(to_text(in.field(kMaxName)));
  return out;
}

Key read_key(Reader& in, std::string_view place) {
  Key out;
  const uint8_t kind = in.u8();
  if (kind > static_cast<uint8_t>(KeyKind::kEdDsa)) {
    throw InputError(place, "has a key of unknown kind", "a newer program wrote it");
  }
  out.kind = static_cast<KeyKind>(kind);
  out.rp = to_text(in.field(kMaxRp));
  const ByteView credential = in.field(Rule::kMaxCredential);
  out.credential.assign(credential.begin(), credential.end());
  const ByteView bytes = in.field(kMaxKeyBytes);
  out.bytes.assign(bytes.begin(), bytes.end());
  out.synced = read_flag(in, place);
  return out;
}

Person read_person(Reader& in, std::string_view place) {
  Person out;
  out.name = to_text(in.field(kMaxName));
  const uint8_t roles = in.u8();
  if (roles >> kNumRoles != 0) {
    throw InputError(place, "has a role that this program does not know");
  }
  for (size_t r = 0; r < kNumRoles; ++r) {
    if ((roles >> r & 1) != 0) out.roles.push_back(static_cast<Role>(r));
  }
  const size_t keys = read_count(in, Rule::kMaxKeys, place);
  for (size_t i = 0; i < keys; ++i) out.keys.push_back(read_key(in, place));
  return out;
}

void put_person(Writer& out, const Person& person) {
  uint8_t roles = 0;
  for (const Role role : person.roles) {
    roles = static_cast<uint8_t>(roles | 1u << static_cast<unsigned>(role));
  }
  out.field(person.name).u8(roles).u32(static_cast<uint32_t>(person.keys.size()));
  for (const Key& key : person.keys) {
    out.u8(static_cast<uint8_t>(key.kind)).field(key.rp).field(key.credential).field(key.bytes);
    out.u8(key.synced ? 1 : 0);
  }
}

template <typename T>
bool ascending(const std::vector<T>& list) {
  return std::adjacent_find(list.begin(), list.end(),
                            [](const T& a, const T& b) { return !(a < b); }) == list.end();
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRp &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

}  // namespace

std::string_view to_string(Role role) {
  static constexpr std::string_view kNames[] = {"see", "propose", "approve", "administer"};
  return kNames[static_cast<size_t>(role)];
}

std::string_view to_string(KeyKind kind) {
  static constexpr std::string_view kNames[] = {"file", "es256", "eddsa"};
  return kNames[static_cast<size_t>(kind)];
}

Digest Key::digest() const {
  RandomOracle out("person key", RoScope{});
  out.field(uint64_t{static_cast<uint8_t>(kind)}).field(rp).field(credential).field(bytes);
  return out.digest();
}

bool Person::has(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

std::string Quorum::text() const {
  std::string names;
  for (const std::string& name : of) names += (names.empty() ? "" : ", ") + name;
  return fmt::format("{} of ({})", needed, names);
}

const Person* Rule::person(std::string_view name) const {
  for (const Person& one : persons) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

Rule::Holder Rule::holder(ByteView key_id) const {
  for (const Person& one : persons) {
    for (const Key& key : one.keys) {
      const ByteView id = key.id();
      if (std::equal(id.begin(), id.end(), key_id.begin(), key_id.end())) return {&one, &key};
    }
  }
  return {};
}

const Quorum* Rule::quorum(Role role) const {
  if (role == Role::kApprove) return &approve;
  return role == Role::kAdminister ? &administer : nullptr;
}

// One lost key takes a person away who has no other one; the rest must still be enough.
bool Rule::needs_every_key() const {
  for (const Quorum* quorum : {&approve, &administer}) {
    if (quorum->of.size() > quorum->needed) continue;
    for (const std::string& name : quorum->of) {
      const Person* const one = person(name);
      if (one != nullptr && one->keys.size() == 1) return true;
    }
  }
  return false;
}

void check_key(const Key& key, std::string_view place) {
  const bool webauthn = key.is_webauthn();
  if (!is_point(key.kind, key.bytes)) {
    throw InputError(place, fmt::format("is no public key of kind {}", to_string(key.kind)),
                     "take it over as `flexroom people key` or the enrolment printed it");
  }
  if (webauthn != is_host(key.rp)) {
    throw InputError(place, webauthn ? "has no rpId (`rp`), a host name in lower case"
                                     : "is a key file and has an rpId");
  }
  if (webauthn == key.credential.empty() || key.credential.size() > Rule::kMaxCredential) {
    throw InputError(place, webauthn ? "has no credential id of 1 to 1023 bytes"
                                     : "is a key file and has a credential id");
  }
  if (!webauthn && key.synced) throw InputError(place, "is a key file and is called synced");
}

void check_person(const Person& person, std::string_view place) {
  if (!is_name(person.name)) {
    throw InputError(place, "is no name of a person", std::string(kNameRemedy));
  }
  if (person.roles.empty() || !ascending(person.roles)) {
    throw InputError(place, "has no role, or one twice");
  }
  if (person.keys.empty() || person.keys.size() > Rule::kMaxKeys) {
    throw InputError(place, fmt::format("has {} keys; 1 to {} are possible", person.keys.size(),
                                        Rule::kMaxKeys));
  }
}

void check_quorum(const Rule& rule, Role role, std::string_view place) {
  const Quorum& quorum = *rule.quorum(role);
  if (!ascending(quorum.of)) throw InputError(place, "names a person twice");
  size_t proposing = 0;
  for (const std::string& name : quorum.of) {
    const Person* const one = rule.person(name);
    if (one == nullptr) {
      throw InputError(place, fmt::format("names {}, who is no [[person]]", display_short(name)));
    }
    if (!one->has(role)) {
      throw InputError(place,
                       fmt::format("names {}, who has not the role {}", name, to_string(role)),
                       fmt::format("add \"{}\" to the roles of {}", to_string(role), name));
    }
    if (one->has(Role::kPropose)) proposing = 1;
  }
  const size_t here = quorum.of.size();
  if (quorum.needed == 0 || quorum.needed > here) {
    throw InputError(place, fmt::format("needs {} of {} persons", quorum.needed, here));
  }
  if (role == Role::kApprove && rule.not_own && quorum.needed > here - proposing) {
    throw InputError(place,
                     "cannot be reached with not_own when one of them proposes: who proposed does "
                     "not count",
                     "name one person more, or take the role propose away");
  }
}

void check_unique(const Person& person, const Key& key, std::set<Bytes>& ids, std::set<Bytes>& keys,
                  std::string_view place) {
  const ByteView id = key.id();
  const bool fresh =
      ids.insert(Bytes(id.begin(), id.end())).second && keys.insert(key.bytes).second;
  if (!fresh) {
    throw InputError(place, fmt::format("stands twice, here under {}", display_short(person.name)),
                     "one key is of one person, once");
  }
}

void Rule::require_sound(std::string_view place) const {
  if (version == 0 || (version == 1) != (previous == Digest{}) || (version == 1 && reset)) {
    throw InputError(place, "has a version that does not go with the one before");
  }
  if (persons.empty() || persons.size() > kMaxPersons) {
    throw InputError(
        place, fmt::format("has {} persons; 1 to {} are possible", persons.size(), kMaxPersons));
  }
  std::set<Bytes> ids, keys;
  for (const Person& one : persons) {
    check_person(one, place);
    for (const Key& key : one.keys) {
      check_key(key, place);
      check_unique(one, key, ids, keys, place);
    }
  }
  for (size_t i = 1; i < persons.size(); ++i) {
    if (persons[i - 1].name >= persons[i].name) {
      throw InputError(place, "lists a person twice, or not in order");
    }
  }
  check_quorum(*this, Role::kApprove, place);
  check_quorum(*this, Role::kAdminister, place);
  if (standing.size() > kMaxStanding) throw InputError(place, "has standing rules over 128 KiB");
  if (needs_every_key() && !one_key) {
    throw InputError(place, std::string(kOneKeyProblem), std::string(kOneKeyRemedy));
  }
}

Bytes Rule::encode() const {
  require_sound("rule of this member's people");
  Writer out;
  out.u8(kFormat).raw(room).raw(member).u32(version).raw(previous);
  out.u8(reset ? 1 : 0).u8(not_own ? 1 : 0).u8(one_key ? 1 : 0);
  put_quorum(out, approve);
  put_quorum(out, administer);
  out.u32(static_cast<uint32_t>(persons.size()));
  for (const Person& one : persons) put_person(out, one);
  out.field(standing);
  if (out.size() > kMaxBytes) {
    throw InputError("rule of this member's people", "is longer than 256 KiB");
  }
  return out.take();
}

Rule Rule::decode(ByteView bytes, std::string_view place) {
  if (bytes.size() > kMaxBytes) throw InputError(place, "is longer than 256 KiB");
  Rule out;
  try {
    Reader in(bytes, place);
    if (in.u8() != kFormat) {
      throw InputError(place, "is a rule of another format", "a newer program wrote it");
    }
    out.room = in.digest();
    out.member = read_array<16>(in);
    out.version = in.u32();
    out.previous = in.digest();
    out.reset = read_flag(in, place);
    out.not_own = read_flag(in, place);
    out.one_key = read_flag(in, place);
    out.approve = read_quorum(in, place);
    out.administer = read_quorum(in, place);
    const size_t count = read_count(in, kMaxPersons, place);
    for (size_t i = 0; i < count; ++i) out.persons.push_back(read_person(in, place));
    out.standing = to_text(in.field(kMaxStanding));
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  out.require_sound(place);
  return out;
}

Digest Rule::digest() const { return RandomOracle("rule", RoScope{}).field(encode()).digest(); }

bool Rule::is_followed_by(const Rule& next) const {
  return next.room == room && next.member == member && next.version == version + 1 &&
         next.previous == digest();
}

std::string Rule::text() const {
  std::string out = fmt::format("rule version {} of this member's people{}\n", version,
                                reset ? ", RESET by its machine's administrator" : "");
  out += fmt::format("  approve       {}{}\n", approve.text(),
                     not_own ? "; who proposed does not count" : "");
  out += fmt::format("  administer    {}\n", administer.text());
  if (needs_every_key()) out += "  one lost key stops this member\n";
  for (const Person& one : persons) {
    std::string roles;
    for (const Role role : one.roles) {
      roles += (roles.empty() ? "" : ", ") + std::string(to_string(role));
    }
    out += fmt::format("  person        {}: {}\n", display_text(one.name), roles);
    for (const Key& key : one.keys) {
      out += fmt::format("    key         {} {}\n", to_string(key.kind), to_hex(key.bytes));
      if (!key.is_webauthn()) continue;
      out += fmt::format("      for       {}, credential {}{}\n", display_text(key.rp),
                         base64url_encode(key.credential),
                         key.synced ? ", synced: copies of it are not noticed" : "");
    }
  }
  if (!standing.empty()) out += "  standing rules:\n" + display_lines(standing) + "\n";
  return out;
}

}  // namespace flexroom::people
