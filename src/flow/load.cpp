#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/codec.h"
#include "base/display.h"
#include "base/host_name.h"
#include "base/near_name.h"
#include "base/private_file.h"
#include "call/birth_list.h"
#include "call/purpose.h"
#include "flow/connections.h"
#include "flow/keys.h"
#include "flow/loader.h"
#include "flow/page_keys.h"
#include "flow/tokens.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxHosts = 32, kMaxNames = 64, kMaxSteps = 128;
constexpr size_t kMaxPurposes = 16, kMaxPurposeBytes = 1024;
constexpr uint32_t kMaxValue = 4096;
constexpr size_t kMaxConsent = 400;

bool has(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string label(const TomlTable& table, std::string_view key) {
  std::string out = table.text(key);
  if (!is_name(out)) table.fail(key, "is not a name", kNameRemedy);
  return out;
}

std::vector<std::string> names(const TomlTable& table, std::string_view key) {
  std::vector<std::string> out = table.texts_or_empty(key);
  if (out.size() > kMaxNames) table.fail(key, fmt::format("lists more than {}", kMaxNames));
  for (const std::string& name : out) {
    if (!is_value_name(name)) {
      table.fail(key, fmt::format("lists '{}', which is no name", display_short(name)),
                 "use letters, digits, '.', '_', '/' and '-', at most 64");
    }
    require_no_page_key(table.place(key), name);
  }
  return out;
}

std::vector<std::string> hosts(const TomlTable& table, std::string_view key) {
  std::vector<std::string> out = table.texts_or_empty(key);
  if (out.size() > kMaxHosts) table.fail(key, fmt::format("lists more than {}", kMaxHosts));
  for (const std::string& host : out) {
    if (!is_host_name(host)) {
      table.fail(key,
                 fmt::format("lists '{}', which is no lower-case DNS name", display_short(host)));
    }
  }
  return out;
}

/// A flow goes to hosts of its own provider: what a host means (its CA, whether it is a mailbox)
/// must not depend on the entry that a file names.
void check_served(const Loading& in, const TomlTable& table, std::string_view key) {
  if (in.entry == nullptr) return;
  for (const std::string& host : table.texts_or_empty(key)) {
    if (serves(*in.room.providers, *in.entry, host)) continue;
    table.fail(key, fmt::format("lists {}, which provider {} does not serve", host, in.entry->name),
               "a flow goes to hosts of its own provider");
  }
}

const Provider* entry_of(const Flow& flow, const TomlTable& table, const RoomView& room) {
  if (!room.providers) return nullptr;
  std::vector<std::string> known;
  for (const Provider& one : *room.providers) {
    if (one.name == flow.provider) return &one;
    known.push_back(one.name);
  }
  refuse(table.place("provider"),
         fmt::format("the room has no provider {}{}", display_short(flow.provider),
                     did_you_mean(flow.provider, known)),
         fmt::format("add [provider.{}] to room.toml", display_short(flow.provider)));
}

void load_head(Loading& in, const TomlTable& table) {
  Flow& flow = in.flow;
  check_keys(table, Table::kFlow);
  flow.name = label(table, "name");
  flow.provider = label(table, "provider");
  flow.prefix = label(table, "prefix");
  flow.hosts = hosts(table, "hosts");
  flow.later_hosts = hosts(table, "later_hosts");
  flow.uses = names(table, "uses");
  flow.may_use = names(table, "may_use");
  if (table.has("key")) flow.key = label(table, "key");
  if (table.has("claimant")) flow.claimant = label(table, "claimant");
  if (table.has("consent")) {
    flow.consent = table.text("consent");
    if (flow.consent.empty() || flow.consent.size() > kMaxConsent ||
        display(flow.consent) != flow.consent) {
      refuse(table.place("consent"), "consent is one line of at most 400 characters",
             "say in a sentence what each member's person must know");
    }
  }
  in.entry = entry_of(flow, table, in.room);
  check_served(in, table, "hosts");
  check_served(in, table, "later_hosts");
  if (!table.has("settle_seconds")) return;
  flow.settle_seconds = table.integer("settle_seconds", INT64_MIN, INT64_MAX);
  if (flow.settle_seconds < kSettleSeconds || flow.settle_seconds > 86'400) {
    refuse(table.place("settle_seconds"), "settle_seconds is at least 120 and at most 86400",
           "it can only raise the time after which a request counts as lost");
  }
}

// ------------------------------------------------------------------ purposes

bool is_sigv4(std::string_view purpose) {
  if (!purpose.starts_with("sigv4 ")) return false;
  purpose.remove_prefix(6);
  const size_t blank = purpose.find(' ');
  if (blank == std::string_view::npos) return false;
  const auto plain = [](std::string_view text, std::string_view more) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             more.find(c) != std::string_view::npos;
    });
  };
  const std::string_view services = purpose.substr(0, blank);
  return plain(services, ",") && services.front() != ',' && services.back() != ',' &&
         services.find(",,") == std::string_view::npos && plain(purpose.substr(blank + 1), "-");
}

void check_purpose(const Loading& in, const std::string& purpose, const Place& place) {
  const auto not_one = [&] {
    refuse(place, fmt::format("not a purpose: `{}`", display_short(purpose)),
           "write METHOD https://HOST/PATH PLACE [as FUNCTION], or sigv4 SERVICE,SERVICE REGION");
  };
  const auto at_host = [&](std::string_view host) {
    if (has(in.flow.hosts, host) || has(in.flow.later_hosts, host)) return;
    refuse(place, fmt::format("host {} is neither in hosts nor in later_hosts", host),
           "a value goes to hosts that all members approved");
  };
  for (size_t at = purpose.find("{{"); at != std::string::npos; at = purpose.find("{{", at + 2)) {
    if (purpose.compare(at, 4, "{{}}") != 0) {
      refuse(place, fmt::format("a purpose contains no argument: `{}`", display_short(purpose)));
    }
  }
  if (is_sigv4(purpose)) return;
  std::string_view rest = purpose;
  std::string_view method;
  for (const std::string_view known : {"GET ", "POST ", "PUT ", "DELETE ", "PATCH "}) {
    if (rest.starts_with(known)) method = known;
  }
  rest.remove_prefix(method.size());
  const auto host = host_of_purpose(purpose);
  if (!host) not_one();
  const size_t blank = rest.find(' ');
  std::string_view position = blank == std::string_view::npos ? "" : rest.substr(blank + 1);
  const size_t hole = purpose.find("{{}}");
  const bool one = hole != std::string::npos && purpose.find("{{}}", hole + 4) == std::string::npos;
  std::string_view kind = position.substr(0, position.find(' '));
  constexpr std::array<std::string_view, 5> kPlaces = {"cookie", "header", "query", "form", "json"};
  if (!one || std::find(kPlaces.begin(), kPlaces.end(), kind) == kPlaces.end()) not_one();
  if (const size_t as = position.find(" as "); as != std::string_view::npos) {
    std::string_view function = position.substr(as + 4);
    if (const size_t key = function.find(" key "); key != std::string_view::npos) {
      at_host(function.substr(key + 5));
      function = function.substr(0, key);
    }
    if (std::find(kSlotFunctions.begin(), kSlotFunctions.end(), function) == kSlotFunctions.end()) {
      not_one();
    }
    position = position.substr(0, as);
  }
  const bool whole = position.starts_with("cookie ") && position.ends_with("={{}}");
  if (method.empty() && !whole && !position.starts_with("header authorization: ")) {
    refuse(place, fmt::format(
                      "only cookie and authorization purposes may leave method and path open: `{}`",
                      display_short(purpose)));
  }
  at_host(*host);
}

// ------------------------------------------------------------------ arguments, inputs, births

void check_free(const Loading& in, std::string_view name, const Place& place, bool taken) {
  if (!is_value_name(name)) {
    refuse(place, fmt::format("'{}' is no name of a value", display_short(name)),
           "use letters, digits, '.', '_', '/' and '-', at most 64");
  }
  require_no_page_key(place, name);
  if (!taken && !is_built_in(name) && !in.flow.is_used(name)) return;
  refuse(place, fmt::format("{} is declared twice or built in", name));
}

void load_input(Loading& in, const std::string& name, const TomlTable& table) {
  check_keys(table, Table::kInput);
  Input input;
  input.place = table.place("");
  input.from = table.text("from");
  input.kind = table.text_or("kind", "");
  const auto value_class = value_class_of(table.text("class"));
  if (!value_class || (table.has("kind") && input.kind != "card" && input.kind != "telephone" &&
                       input.kind != "postal")) {
    refuse(table.place(""), "no such class or kind", "kinds are card, telephone and postal");
  }
  const auto from = names_in(input.from);
  const bool argument = from && from->size() == 1 && input.from == "{{" + from->front() + "}}" &&
                        in.flow.arguments.contains(from->front());
  if (!argument && !is_name(input.from)) {
    refuse(table.place("from"), "from is a member, or an argument of this flow as {{NAME}}");
  }
  input.value_class = *value_class;
  input.length = static_cast<uint32_t>(table.integer("length", 1, kMaxValue));
  input.purposes = load_purposes(in, table);
  in.flow.input_order.push_back(name);
  in.flow.inputs[name] = std::move(input);
}

void load_list(const Loading& in, const TomlTable& table, Birth& birth) {
  birth.list = table.text("list");
  const Place place = table.place("list");
  if (!is_birth_list_name(birth.list)) {
    refuse(place, fmt::format("a list lies beside the flow file: `{}`", display_short(birth.list)));
  }
  const std::string text = read_own_file(in.flow.file.parent_path() / birth.list, kMaxListBytes,
                                         "a list lies beside the flow file");
  const http::CharSet& set = set_of(ValueClass::kJsonSafe);
  auto entries = parse_birth_list(text);
  const bool good =
      entries && std::all_of(entries->begin(), entries->end(), [&](const auto& entry) {
        return std::all_of(entry.begin(), entry.end(), [&](char c) { return set.contains(c); });
      });
  if (!good) {
    refuse(place, "a list has 2^k sorted different entries of one length",
           fmt::format("2 to {}, printable, one a line; sort and shorten it", kMaxListEntries));
  }
  birth.entries = std::move(*entries);
  birth.bits = 0;
  while ((size_t{1} << static_cast<unsigned>(birth.bits)) < birth.entries.size()) birth.bits += 1;
}

void load_alphabet(const TomlTable& table, Birth& birth) {
  birth.alphabet = value_class_of(table.text_or("alphabet", ""));
  const bool known =
      birth.alphabet &&
      (*birth.alphabet == ValueClass::kHex || *birth.alphabet == ValueClass::kBase32 ||
       *birth.alphabet == ValueClass::kBase64Url || *birth.alphabet == ValueClass::kDigits);
  if (!known) refuse(table.place(""), "alphabet is one of hex, base32, base64url, digits");
  if (!table.has("length")) refuse(table.place(""), "`length` is missing");
  birth.length = static_cast<uint32_t>(table.integer("length", 1, 256));
  // Of the alphabets as drawn: hex and base32 in one case (operations.md (b)).
  birth.bits = *birth.alphabet == ValueClass::kHex      ? 4.0 * birth.length
               : *birth.alphabet == ValueClass::kBase32 ? 5.0 * birth.length
                                                        : most_bits(*birth.alphabet, birth.length);
}

void load_birth(Loading& in, const std::string& name, const TomlTable& table) {
  check_keys(table, Table::kBorn);
  Birth birth;
  birth.place = table.place("");
  birth.suffix = table.text_or("suffix", "");
  if (birth.suffix.find("{{") != std::string::npos) {
    refuse(table.place("suffix"),
           "a suffix is a literal: the owner of another domain would read address and codes");
  }
  if (birth.suffix.size() > 128 ||
      !std::all_of(birth.suffix.begin(), birth.suffix.end(),
                   [](char c) { return set_of(ValueClass::kJsonSafe).contains(c); })) {
    refuse(table.place("suffix"), "a suffix has at most 128 printable characters without quotes");
  }
  table.has("list") ? load_list(in, table, birth) : load_alphabet(table, birth);
  if (table.has("list") && (table.has("alphabet") || table.has("length"))) {
    refuse(table.place("list"), "a list has neither alphabet nor length");
  }
  birth.identifies = table.flag_or("identifies", false);
  if (birth.identifies && birth.bits < kFullEntropy) {
    refuse(table.place(""),
           fmt::format("names the identity with {:.0f} bits, needs 128", birth.bits),
           "whoever guesses it addresses the identity");
  }
  birth.purposes = load_purposes(in, table);
  check_code_key(birth.place, name, birth.purposes, birth.bits, birth.bytes());
  for (const std::string& purpose : birth.purposes) {
    const auto host = host_of_purpose(purpose);
    if (birth.bits < kFullEntropy && host && in.is_mailbox(*host)) {
      refuse(table.place(""),
             fmt::format("a secret of a mailbox with {:.0f} bits, needs 128", birth.bits));
    }
  }
  in.flow.born[name] = std::move(birth);
}

void load_values(Loading& in, const TomlTable& root) {
  Flow& flow = in.flow;
  const auto tables_of = [&](std::string_view key) {
    return root.has(key) ? std::optional(root.table(key)) : std::nullopt;
  };
  const auto each = [&](std::string_view key, const auto& take) {
    const auto all = tables_of(key);
    if (!all) return;
    const std::vector<std::string> there = all->keys();
    if (there.size() > kMaxNames) root.fail(key, fmt::format("has more than {}", kMaxNames));
    for (const std::string& name : there) take(name, all->table(name), *all);
  };
  each("argument", [&](const std::string& name, const TomlTable& table, const TomlTable& all) {
    check_keys(table, Table::kArgument);
    const auto in_table = [&](std::string_view key) {
      const auto other = tables_of(key);
      return other && other->has(name);
    };
    check_free(in, name, all.place(name), in_table("input") || in_table("born"));
    Argument argument;
    argument.place = all.place(name);
    if (table.has("default")) argument.fallback = table.text("default");
    flow.arguments[name] = std::move(argument);
  });
  each("input", [&](const std::string& name, const TomlTable& table, const TomlTable& all) {
    const auto born = tables_of("born");
    check_free(in, name, all.place(name), born && born->has(name));
    load_input(in, name, table);
  });
  each("born", [&](const std::string& name, const TomlTable& table, const TomlTable& all) {
    check_free(in, name, all.place(name), false);
    load_birth(in, name, table);
  });
}

// ------------------------------------------------------------------ steps, digests

/// What `on.*` says of every step is read first: rules name steps of all lines.
void load_lines(Loading& in, const TomlTable& root) {
  Flow& flow = in.flow;
  struct Row {
    std::string line;
    TomlTable table;
  };
  std::vector<Row> rows;
  for (TomlTable& table : root.tables("step")) rows.push_back({"main", std::move(table)});
  flow.lines.push_back({"main", {}});
  if (root.has("branch")) {
    const TomlTable branches = root.table("branch");
    for (const std::string& name : branches.keys()) {
      if (!is_name(name) || name == "main") {
        refuse(branches.place(name),
               fmt::format("'{}' is no name of a branch", display_short(name)));
      }
      flow.lines.push_back({name, {}});
      for (TomlTable& table : branches.tables(name)) rows.push_back({name, std::move(table)});
    }
  }
  if (rows.size() > kMaxSteps) {
    refuse(rows[kMaxSteps].table.place(""), fmt::format("has more than {} steps", kMaxSteps));
  }
  for (const Row& row : rows) {
    const auto line = std::find_if(flow.lines.begin(), flow.lines.end(),
                                   [&](const Line& one) { return one.name == row.line; });
    Step step;
    step.line = row.line;
    step.index = line->steps.size();
    step.place = row.table.place("");
    load_step(in, row.table, step);
    line->steps.push_back(std::move(step));
  }
}

/// Everything that a step says.
Digest digest_of(const Step& step) {
  Writer out;
  out.field("flexroom flow step/1").field(step.name).field(step.request).field(step.ask);
  for (const std::string& name : step.show) out.field(name);
  out.u64(static_cast<uint64_t>(step.within_seconds))
      .u64(static_cast<uint64_t>(step.every_seconds));
  out.u8(step.sealed ? 1 : 0).field(step.sign_service).field(step.sign_region).field(step.leaves);
  for (const int status : step.status) out.u32(static_cast<uint32_t>(status));
  out.field(step.type).u32(step.header_max).u32(step.body_max);
  out.field(step.item ? step.item->text : "").u8(step.pick_first ? 1 : 0).field(step.proves);
  for (const Keep& keep : step.keeps) {
    out.field("keep").field(keep.name).field(keep.at.text).field(keep.signature());
    out.u8(keep.missing_same ? 1 : 0).u8(keep.replace ? 1 : 0);
  }
  for (const Open& open : step.opens) {
    out.field("open").field(open.name).field(open.at ? open.at->text : "");
    out.field(to_string(open.value_class)).u32(open.max).field(open.to);
  }
  for (const Assertion& one : step.asserts) {
    out.field("assert").field(one.name).field(one.at.text).u8(one.equals ? 1 : 0);
    out.field(one.equals.value_or(""));
  }
  if (step.code) {
    out.field("code").field(step.code->at.text);
    for (const std::string& code : step.code->one_of) out.field(code);
  }
  for (const auto& [event, rule] : step.on) out.field("on").field(event).field(rule.text());
  return sha256(out.bytes());
}

void add_digests(Flow& flow, std::string_view text) {
  Writer all, births;
  all.field("flexroom flow/1").field(text);
  births.field("flexroom flow births/1").field(flow.name).field(flow.prefix);
  for (const auto& [name, birth] : flow.born) {
    births.field(name)
        .field(birth.alphabet ? to_string(*birth.alphabet) : "list")
        .u32(birth.length);
    births.field(birth.suffix).u8(birth.identifies ? 1 : 0);
    for (const std::string& purpose : birth.purposes) births.field(purpose);
    births.u32(static_cast<uint32_t>(birth.entries.size()));
    for (const std::string& entry : birth.entries) births.field(entry);
    for (const std::string& entry : birth.entries) all.field(entry);
  }
  for (const Step& step : flow.lines.front().steps) flow.step_digests.push_back(digest_of(step));
  flow.digest = sha256(all.bytes());
  flow.births_digest = sha256(births.bytes());
}

}  // namespace

void require_no_page_key(const Place& place, std::string_view name) {
  if (!name.starts_with(kPageKeyNames)) return;
  refuse(place, fmt::format("{} is a name that runs make", name), "give the value another name");
}

void refuse(const Place& place, std::string_view problem, std::string_view remedy) {
  throw InputError(place, problem, remedy);
}

bool Loading::is_mailbox(std::string_view host) const {
  if (!room.providers) return false;
  const bool slot = host.find("{{") != std::string_view::npos;
  const std::string_view parent =
      host.substr(std::min(host.find('.', host.find("}}")), host.size()));
  return std::any_of(room.providers->begin(), room.providers->end(), [&](const Provider& one) {
    if (slot) return parent.empty() || one.has_mailbox_under(parent.substr(1));
    return serves(*room.providers, one, host) && one.is_mailbox(host);
  });
}

std::optional<std::string> host_of_purpose(std::string_view purpose) {
  constexpr std::string_view kScheme = "https://";
  const size_t at = purpose.find(kScheme);
  if (at == std::string_view::npos) return std::nullopt;
  // In front of it stands a method, or nothing.
  const std::string_view before = purpose.substr(0, at);
  if (!before.empty() && before.find(' ') != before.size() - 1) return std::nullopt;
  std::string_view rest = purpose.substr(at + kScheme.size());
  rest = rest.substr(0, rest.find_first_of("/ "));
  if (rest.empty()) return std::nullopt;
  return std::string(rest);
}

std::vector<std::string> load_purposes(const Loading& in, const TomlTable& table,
                                       std::vector<std::string> fallback) {
  const bool said = table.has("purposes");
  std::vector<std::string> out = said ? table.texts_or_empty("purposes") : std::move(fallback);
  const Place place = table.place("purposes");
  if (out.size() > kMaxPurposes)
    refuse(place, fmt::format("has more than {} purposes", kMaxPurposes));
  for (const std::string& purpose : out) {
    if (purpose.size() > kMaxPurposeBytes ||
        !std::all_of(purpose.begin(), purpose.end(),
                     [](char c) { return http::printable().contains(c); })) {
      refuse(place, "a purpose is longer than 1,024 bytes or is not printable ASCII");
    }
    check_purpose(in, purpose, place);
  }
  return out;
}

Flow parse_flow(std::string_view text, const std::filesystem::path& file, const RoomView& room) {
  const TomlTable root = TomlTable::parse(text, file.string());
  Flow flow;
  flow.file = file;
  Loading in{flow, room, nullptr, {}};
  check_keys(root, Table::kFile);
  load_head(in, root.table("flow"));
  load_values(in, root);
  load_lines(in, root);
  if (!flow.key.empty() && flow.kept(flow.key + "/secret") == nullptr) {
    flow.uses.push_back(flow.key + "/secret");
    flow.uses.push_back(flow.key + "/id");
  }
  check_slots(in);
  check_tokens(in);
  check_claimant(flow, {}, flow.claimant);
  check_ways(in);
  flow.leaks = leaks_of(flow, {});
  share_connections(flow);
  add_digests(flow, text);
  return flow;
}

Flow load_flow(const std::filesystem::path& file, const RoomView& room) {
  const std::string text = read_own_file(file, TomlTable::kMaxBytes, "check the path");
  return parse_flow(text, file, room);
}

}  // namespace flexroom::flow
