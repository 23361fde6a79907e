#include "session/draw_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "call/birth_list.h"
#include "call/purpose.h"
#include "config/toml.h"
#include "http/text.h"
#include "session/printable_text.h"
#include "session/secret_file.h"
#include "session/signing_keys.h"
#include "store/limits.h"

namespace flexroom::session {
namespace {

using Alphabet = agent::Sampler::Alphabet;

constexpr size_t kMaxBirths = 32;
constexpr uint32_t kMaxCharacters = 256, kMaxDigits = 64;
constexpr uint32_t kIdentifyingEntropy = 128;  // tls-in-mpc.md §5.2a

struct NamedAlphabet {
  std::string_view name;
  Alphabet alphabet;
  std::string_view symbols;
};
constexpr std::array<NamedAlphabet, 4> kAlphabets = {{
    {"hex", Alphabet::kHex, "0123456789abcdef"},
    {"base32", Alphabet::kBase32, "abcdefghijklmnopqrstuvwxyz234567"},
    {"base64url", Alphabet::kBase64Url,
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
    {"digits", Alphabet::kDigits, "0123456789"},
}};

const NamedAlphabet& named(Alphabet alphabet) {
  return *std::find_if(kAlphabets.begin(), kAlphabets.end(),
                       [&](const NamedAlphabet& one) { return one.alphabet == alphabet; });
}

/// One entry a line.
std::vector<std::string> entries_of(const TomlTable& table, std::string_view text) {
  auto out = parse_birth_list(text);
  if (!out) {
    table.fail("list", "is not 2^k sorted, different, printable lines of one length",
               fmt::format("a list has 2, 4, 8 .. {} entries: a number that is no power of two "
                           "gives some more often, another length tells which it was",
                           kMaxListEntries));
  }
  return std::move(*out);
}

void load_sampler(const TomlTable& table, const std::filesystem::path& folder, Birth& out) {
  agent::Sampler& sampler = out.sampler;
  if (table.has("list")) {
    if (table.has("alphabet") || table.has("length")) {
      table.fail("list", "stands beside `alphabet` or `length`", "one of the two is drawn from");
    }
    out.list_file = table.text("list");
    if (!is_birth_list_name(out.list_file)) {
      table.fail("list", "is no name of a list",
                 "a list is a .txt beside the file or in a folder below it: lower-case letters, "
                 "digits and '-'");
    }
    const std::string text = table.content("list", folder / out.list_file, kMaxListBytes,
                                           "a list lies beside the file that names it");
    out.list_digest = sha256(as_bytes(text));
    sampler.alphabet = Alphabet::kList;
    sampler.list = entries_of(table, text);
    sampler.length = static_cast<uint32_t>(sampler.list[0].size());
  } else {
    const std::string name = table.text("alphabet");
    const auto found = std::find_if(kAlphabets.begin(), kAlphabets.end(),
                                    [&](const NamedAlphabet& one) { return one.name == name; });
    if (found == kAlphabets.end()) {
      table.fail("alphabet", "is none of hex, base32, base64url, digits",
                 "other sizes would make some symbols more likely than others");
    }
    sampler.alphabet = found->alphabet;
    sampler.length = static_cast<uint32_t>(table.integer(
        "length", 1, sampler.alphabet == Alphabet::kDigits ? kMaxDigits : kMaxCharacters));
  }
  sampler.suffix = table.text_or("suffix", "");
  if (sampler.suffix.size() > kMaxCharacters || !is_printable(sampler.suffix) ||
      sampler.suffix.find("{{") != std::string::npos) {
    table.fail("suffix", "is no literal text",
               "printable ASCII without {{: who chooses the domain of an address reads its mail");
  }
}

Birth load_birth(const std::string& name, const TomlTable& table,
                 const std::filesystem::path& folder) {
  Birth out;
  out.name = name;
  if (!is_secret_name(name) || name.starts_with("run/")) {
    table.fail("purposes", fmt::format("belongs to '{}', which is no name of a secret", name),
               fmt::format("use letters, digits and - _ . /, at most {}, not run/...",
                           store::kMaxNameBytes));
  }
  out.kind = table.text_or("kind", "secret");
  if (out.kind.empty() || out.kind.size() > store::kMaxKindBytes || !is_printable(out.kind) ||
      out.kind == kSigningKeyKind || out.kind.starts_with(store::kFlowKind)) {
    table.fail("kind", fmt::format("is not 1 to {} printable characters, or is for keys that "
                                   "flexroom derives",
                                   store::kMaxKindBytes));
  }
  load_sampler(table, folder, out);
  out.identifies = table.flag_or("identifies", false);
  if (out.identifies && out.entropy() < kIdentifyingEntropy) {
    table.fail("identifies",
               fmt::format("names the identity with {} bits, needs {}", out.entropy(),
                           kIdentifyingEntropy),
               "outsiders could try every value: 26 characters of base32 have 130 bits");
  }
  out.purposes = table.texts_or_empty("purposes");
  if (out.purposes.size() > store::kMaxPurposes) {
    table.fail("purposes", fmt::format("has more than {} entries", store::kMaxPurposes));
  }
  for (const std::string& purpose : out.purposes) {
    (void)parse_purpose(purpose, table.place("purposes"));
  }
  out.replaces = static_cast<uint32_t>(table.integer_or("replaces", 0, 0, 1 << 30));
  table.finish();
  return out;
}

Digest digest_of(const DrawFile& file) {
  RandomOracle hash("draw", RoScope{});
  hash.field(file.provider).field(uint64_t{file.births.size()});
  for (const Birth& birth : file.births) {
    hash.field(birth.name).field(birth.kind).field(birth.description()).field(birth.list_digest);
    hash.field(uint64_t{birth.identifies ? 1u : 0u}).field(uint64_t{birth.replaces});
    hash.field(uint64_t{birth.purposes.size()});
    for (const std::string& purpose : birth.purposes) hash.field(purpose);
  }
  return hash.digest();
}

}  // namespace

std::string Birth::description() const {
  const std::string drawn =
      sampler.alphabet == Alphabet::kList
          ? fmt::format("one of the {} entries of {}, {} bytes each", sampler.list.size(),
                        list_file, sampler.length)
          : fmt::format("{} character{} of {}", sampler.length, sampler.length == 1 ? "" : "s",
                        named(sampler.alphabet).name);
  return sampler.suffix.empty() ? drawn : fmt::format("{}, then {}", drawn, sampler.suffix);
}

std::string Birth::value_class() const {
  http::CharSet bytes = http::CharSet::of(sampler.suffix);
  if (sampler.alphabet == Alphabet::kList) {
    for (const std::string& entry : sampler.list) bytes = bytes | http::CharSet::of(entry);
  } else {
    bytes = bytes | http::CharSet::of(named(sampler.alphabet).symbols);
  }
  return std::string(to_string(http::narrowest_class(bytes)));
}

uint32_t Birth::entropy() const {
  return static_cast<uint32_t>(std::floor(sampler.entropy_bits()));
}

DrawFile DrawFile::load(const std::filesystem::path& file) {
  const TomlTable root = TomlTable::load(file, "docs/secrets.md shows a whole file");
  DrawFile out;
  out.provider = root.text_or("provider", "");
  const auto births = root.named_tables("born");
  if (births.empty() || births.size() > kMaxBirths) {
    root.fail("born", fmt::format("has not 1 to {} tables", kMaxBirths),
              "write [born.NAME] for each secret that is drawn");
  }
  for (const auto& [name, table] : births) {
    out.births.push_back(load_birth(name, table, file.parent_path()));
  }
  root.finish();
  out.digest = digest_of(out);
  return out;
}

}  // namespace flexroom::session
