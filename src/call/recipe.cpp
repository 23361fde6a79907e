#include "call/recipe.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "agreement/proposal.h"
#include "base/private_file.h"
#include "config/toml.h"

namespace flexroom {
namespace {

constexpr std::string_view kOpen = "everything to all";
constexpr uint32_t kMaxSlotBytes = 4096;
constexpr uint32_t kNonceDigits = 32;  // 128 bits
constexpr uint32_t kTotpDigits = 6, kMaxTotpKeyBytes = 64;

/// What `{{NAME}}` means already.
bool is_taken(std::string_view name) {
  constexpr std::array<std::string_view, 4> kOwn = {"amz-date", "amz-day", "content-length",
                                                    "signature"};
  return std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end();
}

bool is_slot_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
}

http::Encoding encoding_of(const TomlTable& table) {
  const std::string text = table.text_or("encoding", "none");
  for (const http::Encoding encoding :
       {http::Encoding::kNone, http::Encoding::kBase64, http::Encoding::kBase64InForm,
        http::Encoding::kHex, http::Encoding::kPercent, http::Encoding::kJsonU,
        http::Encoding::kBase64Url, http::Encoding::kXml}) {
    if (text == to_string(encoding)) return encoding;
  }
  table.fail("encoding",
             "is none of none, base64, base64-in-form, base64url, hex, percent, json-u, xml");
}

void load_value(const TomlTable& table, http::Slot& slot) {
  slot.encoding = encoding_of(table);
  const auto char_class = http::char_class_of(table.text("class"));
  if (!char_class) {
    table.fail("class", "is none of the known ones",
               "use hex, base32, b64, base64url, urlsafe, cookie, json-safe, xml-text, digits, "
               "shell-url, shell-path or raw");
  }
  slot.char_class = *char_class;
  slot.length = static_cast<uint32_t>(table.integer("length", 1, kMaxSlotBytes));
}

Recipe::Slot load_slot(const std::string& name, const TomlTable& table) {
  Recipe::Slot out;
  out.place = table.place("source");
  http::Slot& slot = out.slot;
  slot.name = name;
  if (!is_slot_name(name) || is_taken(name)) {
    table.fail("source", fmt::format("belongs to a slot called '{}', which is no free name", name),
               "use letters, digits, '-' and '_', and none of the names that have a meaning");
  }
  const std::string source = table.text("source");
  if (source == "secret") {
    slot.source = http::SlotSource::kSecret;
    slot.from = table.text("secret");
    load_value(table, slot);
  } else if (source == "member") {
    slot.source = http::SlotSource::kMember;
    slot.from = table.text("member");
    load_value(table, slot);
    if (table.has("fill")) {
      const std::string fill = table.text("fill");
      if (fill.size() != 1 || !slot.checked_set().contains(fill[0])) {
        table.fail("fill", "is not one character of the slot's class");
      }
      out.fill = fill[0];
    }
    out.echo_ok = table.flag_or("echo_ok", false);
  } else if (source == "totp") {
    slot.source = http::SlotSource::kTotp;
    slot.from = table.text("secret");
    slot.char_class = http::CharClass::kDigits;
    slot.length = kTotpDigits;
    slot.key_length = static_cast<uint32_t>(table.integer("key_length", 1, kMaxTotpKeyBytes));
  } else if (source == "random") {
    // Hidden bodies need 128 bits (§6.2), and nothing needs another nonce.
    slot.source = http::SlotSource::kRandom;
    slot.char_class = http::CharClass::kHex;
    slot.length = kNonceDigits;
  } else {
    table.fail("source", "is none of secret, member, random, totp");
  }
  if (slot.from.size() > 256) table.fail(source, "is longer than 256 characters");
  table.finish();
  return out;
}

}  // namespace

Recipe Recipe::load(const std::filesystem::path& path) {
  return parse(read_own_file(path, TomlTable::kMaxBytes, "check the path"), path.string());
}

Recipe Recipe::parse(std::string_view text, std::string_view file_name) {
  const TomlTable root = TomlTable::parse(text, file_name);
  const TomlTable table = root.table("recipe");
  Recipe out;
  out.name = table.text("name");
  if (out.name.empty() || out.name.size() > agreement::Proposal::kMaxTitle) {
    table.fail("name", "is empty or longer than 256 bytes",
               "give a short one; it is the title of what members approve");
  }
  out.provider = table.text("provider");
  out.host = table.text("host");
  out.request = table.text("request");
  out.request_place = table.place("request");
  if (table.text_or("open", "") != kOpen) {
    table.fail("open", "is not \"everything to all\"",
               "answers that stay sealed are not built yet (docs/status.md); write open = "
               "\"everything to all\" if all members may read the whole answer");
  }
  table.finish();
  for (const auto& [name, argument] : root.named_tables("argument")) {
    if (is_taken(name)) argument.fail("default", fmt::format("'{}' has a meaning already", name));
    out.arguments[name] = argument.text_or("default", "");
    argument.finish();
  }
  if (root.has("sign")) {
    const TomlTable sign = root.table("sign");
    out.sign = Sign{sign.text_or("secret", ""), sign.text("region"), sign.text("service")};
    if (sign.has("secret") && !out.sign->names_key()) sign.fail("secret", "is empty");
    if (!out.sign->names_key() && out.arguments.contains(kAccessKeyId)) {
      sign.fail("service",
                "stands without `secret`: then {{access-key-id}} is that of the room's key",
                "name the secret, or take [argument.access-key-id] out");
    }
    sign.finish();
    if (!out.sign->names_key()) out.arguments[kAccessKeyId] = "";
  }
  for (const auto& [name, slot] : root.named_tables("slot")) {
    if (out.arguments.contains(name)) {
      slot.fail("source", fmt::format("belongs to slot '{}', but an argument has that name", name));
    }
    out.slots.push_back(load_slot(name, slot));
  }
  root.finish();
  out.digest = sha256(as_bytes(text));
  return out;
}

}  // namespace flexroom
