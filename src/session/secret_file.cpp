#include "session/secret_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "base/near_name.h"
#include "call/purpose.h"
#include "config/private_json.h"
#include "http/text.h"
#include "session/printable_text.h"
#include "session/signing_keys.h"
#include "store/limits.h"

namespace flexroom::session {
namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = 1 << 16;

/// Reads keys, each with an error of its own, and in the end knows which nobody asked for.
class Fields {
 public:
  explicit Fields(PrivateJson& file) : file_(file), root_(file.root()) {}

  [[noreturn]] void fail(const std::string& key, std::string_view problem,
                         std::string_view remedy = "") const {
    throw InputError(file_.place_of(key), fmt::format("`{}` {}", key, problem), remedy);
  }
  bool has(const std::string& key) {
    known_.push_back(key);
    return root_.contains(key);
  }
  std::string& text(const std::string& key) {
    if (!has(key)) missing(key);
    if (!root_[key].is_string())
      fail(key, "is not a text", fmt::format("write \"{}\": \"...\"", key));
    return root_[key].get_ref<std::string&>();
  }
  std::string text_or(const std::string& key, const std::string& fallback) {
    return has(key) ? text(key) : fallback;
  }
  uint32_t number(const std::string& key, uint32_t min, uint32_t max) {
    if (!has(key)) missing(key);
    const json& value = root_[key];
    if (!value.is_number_unsigned() || value.get<uint64_t>() < min || value.get<uint64_t>() > max) {
      fail(key, fmt::format("is not a whole number from {} to {}", min, max));
    }
    return static_cast<uint32_t>(value.get<uint64_t>());
  }
  std::vector<std::string> texts_or_empty(const std::string& key, size_t max) {
    std::vector<std::string> out;
    if (!has(key)) return out;
    const json& list = root_[key];
    if (!list.is_array() ||
        std::any_of(list.begin(), list.end(), [](const json& item) { return !item.is_string(); })) {
      fail(key, "is not a list of texts", fmt::format("write \"{}\": [\"...\"]", key));
    }
    if (list.size() > max) fail(key, fmt::format("has more than {} entries", max));
    for (const json& item : list) out.push_back(item.get<std::string>());
    return out;
  }
  SecretBytes hex(const std::string& key) {
    const std::string& digits = text(key);
    try {
      return SecretBytes(from_hex(digits));
    } catch (const InputError&) {  // would show the digits
      fail(key, "is not hex", "two hex digits a byte");
    }
  }
  void finish() {
    for (const auto& [key, value] : root_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      std::vector<std::string> free = known_;
      std::erase_if(free, [&](const std::string& name) { return root_.contains(name); });
      throw InputError(
          file_.place_of(key),
          fmt::format("unknown key `{}`{}", display_short(key), did_you_mean(key, free)),
          "remove it, or correct its spelling");
    }
  }

 private:
  [[noreturn]] void missing(const std::string& key) {
    // Perhaps it is there under another spelling.
    for (const auto& [name, value] : root_.items()) {
      if (near_name(name, std::vector<std::string>{key}).empty()) continue;
      throw InputError(
          file_.place_of(name),
          fmt::format("unknown key `{}`; did you mean `{}`?", display_short(name), key),
          "correct its spelling");
    }
    throw InputError(file_.place_of(key), fmt::format("`{}` is missing", key),
                     fmt::format("add \"{}\": ...; docs/secrets.md shows a whole file", key));
  }
  PrivateJson& file_;
  json& root_;
  std::vector<std::string> known_;
};

void read_material(Fields& fields, SecretFile& out, std::string_view self_name) {
  if (!out.owner.empty()) {
    for (const char* key : {"share", "salt", "commitments"}) {
      if (fields.has(key)) {
        fields.fail(key, "stands beside `owner`",
                    "either one member owns the value, or each has a share of it");
      }
    }
    if (out.owner != self_name) {
      if (fields.has("value")) {
        fields.fail(
            "value",
            fmt::format("stands in the file of a member who is not its owner, {}", out.owner),
            "take it out; only the owner's file has it");
      }
      return;
    }
    const std::string& value = fields.text("value");
    out.material = SecretBytes::copy_of(as_bytes(value));
    out.ends_in_newline = !value.empty() && value.back() == '\n';
    return;
  }
  if (fields.has("value")) {
    fields.fail("value", "has no `owner`", "name its owner, or give every member a `share`");
  }
  out.material = fields.hex("share");
  const bool salt = fields.has("salt"), list = fields.has("commitments");
  if (salt != list) {
    fields.fail(salt ? "salt" : "commitments", "is there without the other one",
                "an issuer writes both `salt` and `commitments`, or neither");
  }
  if (!list) {
    // Otherwise the class check would answer questions about shares that a member altered.
    if (out.value_class != "raw") {
      fields.fail("class", fmt::format("is {} for shares without commitments", out.value_class),
                  "ask the issuer for `salt` and `commitments` (docs/secrets.md), or write raw");
    }
    return;
  }
  out.salt = fields.hex("salt");
  if (out.salt.size() != kSaltBytes) fields.fail("salt", "is not 16 bytes");
  for (const std::string& text : fields.texts_or_empty("commitments", store::kMaxMembers)) {
    const auto digest = digest_of_hex(text);
    if (!digest) fields.fail("commitments", "has an entry that is not 64 hex digits");
    out.commitments.push_back(*digest);
  }
}

}  // namespace

bool is_secret_name(std::string_view text) {
  return !text.empty() && text.size() <= store::kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  std::string_view("-_./").find(c) != std::string_view::npos;
         });
}

SecretFile SecretFile::load(const std::filesystem::path& file, std::string_view self_name) {
  PrivateJson json(file, kMaxFileBytes, "docs/secrets.md shows what this member's file looks like",
                   "docs/secrets.md shows a whole file");
  Fields fields(json);
  SecretFile out;
  out.name = fields.text("name");
  if (!is_secret_name(out.name)) {
    fields.fail("name", "is not a name",
                fmt::format("use letters, digits and - _ . /, at most {}; PREFIX:NAME is what "
                            "flows make. A secret that is called so since before: `flexroom "
                            "secret remove` it, and give it another name",
                            store::kMaxNameBytes));
  }
  if (out.name.starts_with("run/")) {
    fields.fail("name", "begins with run/, which belongs to a run", "give it another name");
  }
  out.kind = fields.text_or("kind", "secret");
  if (out.kind.empty() || out.kind.size() > store::kMaxKindBytes || !is_printable(out.kind)) {
    fields.fail("kind", fmt::format("is not 1 to {} printable characters", store::kMaxKindBytes));
  }
  if (out.kind.starts_with(store::kFlowKind)) {
    fields.fail("kind", "is that of values which flows make", "give it another kind");
  }
  if (out.kind == kSigningKeyKind) {
    fields.fail("kind", fmt::format("'{}' is for keys that flexroom derives", out.kind),
                "give it another kind");
  }
  out.value_class = fields.text("class");
  if (!http::char_class_of(out.value_class)) {
    fields.fail("class", "is none of the known ones", "use for example b64, hex or raw");
  }
  out.length = fields.number("length", 1, store::kMaxSecretBytes);
  out.owner = fields.text_or("owner", "");
  out.purposes = fields.texts_or_empty("purposes", store::kMaxPurposes);
  for (const std::string& purpose : out.purposes) {
    if (purpose.size() > store::kMaxPurposeBytes) {
      fields.fail("purposes",
                  fmt::format("has an entry of more than {} bytes", store::kMaxPurposeBytes));
    }
    (void)parse_purpose(purpose, json.place_of("purposes"));
  }
  out.provider = fields.text_or("provider", "");
  if (fields.has("entropy")) out.entropy = fields.number("entropy", 0, 8 * store::kMaxSecretBytes);
  if (fields.has("replaces")) out.replaces = fields.number("replaces", 0, 1u << 30);
  read_material(fields, out, self_name);
  fields.finish();
  if (!out.material.empty() && out.material.size() != out.length) {
    throw InputError(
        json.place_of("length"),
        fmt::format("`length` is {}, but the file holds {} bytes", out.length, out.material.size()),
        out.ends_in_newline ? "the value ends in a newline; `printf %s` leaves it out" : "");
  }
  return out;
}

}  // namespace flexroom::session
