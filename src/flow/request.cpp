#include "flow/request.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "flow/loader.h"

namespace flexroom::flow {
namespace {

using http::CharClass;
using http::Encoding;
using Where = SlotUse::Where;

http::Slot signature_slot() {
  http::Slot out;
  out.name = "signature";
  out.source = http::SlotSource::kComputed;
  out.from = "sigv4";
  out.char_class = CharClass::kHex;
  out.length = 64;
  return out;
}

/// The encoding of a place: none where the value's own characters may stand there (§5.2).
Encoding encoding_in(Where where, CharClass char_class) {
  const http::CharSet& set = http::char_set(char_class);
  if (where == Where::kForm || where == Where::kQuery) {
    return set.subset_of(http::char_set(CharClass::kUrlSafe)) ? Encoding::kNone
                                                              : Encoding::kPercent;
  }
  if (where == Where::kJson) {
    return set.subset_of(http::char_set(CharClass::kJsonSafe)) ? Encoding::kNone : Encoding::kJsonU;
  }
  return Encoding::kNone;
}

/// Header lines that no file writes: framing, and those of a signature. `signed_names`: of the
/// headers that are written there, in lower case.
std::string added_lines(const Step& step, const Filling& filling, std::string_view body,
                        std::vector<std::string> signed_names) {
  std::string out = "\nAccept-Encoding: identity";
  if (!filling.keeps_connection) out += "\nConnection: close";
  const bool length =
      !body.empty() || step.method == "POST" || step.method == "PUT" || step.method == "PATCH";
  if (length) out += "\nContent-Length: {{content-length}}";
  if (step.sign_service.empty()) return out;
  if (step.sign_service == "s3") {
    // S3 demands it; the hash of a body with secrets is not public.
    const bool is_public = body.find("{{") == std::string_view::npos;
    out += "\nX-Amz-Content-Sha256: " +
           (is_public ? to_hex(sha256(as_bytes(body))) : std::string("UNSIGNED-PAYLOAD"));
    signed_names.emplace_back("x-amz-content-sha256");
  }
  out += fmt::format("\nX-Amz-Date: {}", filling.date_time);
  signed_names.insert(signed_names.end(), {"host", "x-amz-date"});
  std::sort(signed_names.begin(), signed_names.end());
  std::string names;
  for (const std::string& name : signed_names) names += (names.empty() ? "" : ";") + name;
  out += fmt::format(
      "\nAuthorization: AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, "
      "Signature={{{{signature}}}}",
      filling.access_key_id, filling.date_time.substr(0, 8), step.sign_region, step.sign_service,
      names);
  return out;
}

/// What SigV4 wants signed of the lines that are written.
std::vector<std::string> names_to_sign(std::string_view head) {
  std::vector<std::string> out;
  for (size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at)) {
    const size_t end = std::min(head.find('\n', ++at), head.size());
    const std::string_view line = head.substr(at, end - at);
    const std::string name = http::to_lower(line.substr(0, std::min(line.find(':'), line.size())));
    if (name == "content-type" || name.starts_with("x-amz-")) out.push_back(name);
  }
  return out;
}

/// The script's slots in the place of its text, which is there once.
///
/// Errors  InputError at the request: the text stands there twice, or not as it is
void place_script(http::Template& request, const http::Base64Text& script, const Place& place) {
  const std::string text = script.encoded('A').text;
  std::vector<http::Part> out;
  size_t found = 0;
  for (http::Part& part : request.parts) {
    const auto* const known = std::get_if<Bytes>(&part);
    const std::string_view bytes = known != nullptr ? as_text(*known) : std::string_view();
    const size_t at = known != nullptr ? bytes.find(text) : std::string_view::npos;
    if (at == std::string_view::npos) {
      out.push_back(std::move(part));
      continue;
    }
    ++found;
    if (bytes.find(text, at + 1) != std::string_view::npos) ++found;
    if (at > 0) out.emplace_back(to_bytes(bytes.substr(0, at)));
    out.emplace_back(script);
    if (at + text.size() < bytes.size()) out.emplace_back(to_bytes(bytes.substr(at + text.size())));
  }
  if (found != 1) throw InputError(place, "does not hold the boot script once, as it is");
  request.parts = std::move(out);
}

http::Slot secret_slot(const SlotUse& use, const Filling::Secret& secret) {
  http::Slot out;
  out.name = use.slot;
  const bool is_private = !secret.member.empty();
  out.source = is_private ? http::SlotSource::kMember : http::SlotSource::kSecret;
  out.from = is_private ? secret.member : use.name;
  out.char_class = secret.char_class;
  out.length = secret.length;
  if (secret.totp_key > 0) {
    out.source = http::SlotSource::kTotp;
    out.key_length = secret.totp_key;
  }
  out.encoding = encoding_in(use.where, secret.char_class);
  return out;
}

/// A step's request whose public values stand in it.
struct FilledText {
  std::string host, text;
  std::vector<http::Slot> slots;             // of its secrets
  const http::Base64Text* script = nullptr;  // that stands in it, if one does
};

FilledText fill(const Step& step, const Filling& filling) {
  FilledText out;
  out.host = step.host;
  size_t next = 0, at = 0;
  // Slots stand in the order of the text but for that of the host, which is looked up.
  const std::string& request = step.request;
  for (size_t open = request.find("{{"); open != std::string::npos;
       open = request.find("{{", at), ++next) {
    const size_t close = request.find("}}", open);
    FLEXROOM_ASSERT(close != std::string::npos && next < step.slots.size());
    const SlotUse& use = step.slots[next];
    FLEXROOM_ASSERT(use.raw == request.substr(open + 2, close - open - 2));
    out.text += request.substr(at, open - at);
    if (const auto secret = filling.secret(use)) {
      out.slots.push_back(secret_slot(use, *secret));
      out.text += "{{" + use.slot + "}}";
    } else {
      if (filling.script && filling.script(use) != nullptr) out.script = filling.script(use);
      const std::string value = public_text_in(use.where, filling.public_text(use));
      if (use.where == Where::kHost) {
        out.host = step.host;
        out.host.replace(out.host.find("{{"), use.raw.size() + 4, value);
      }
      out.text += value;
    }
    at = close + 2;
  }
  out.text += request.substr(at);
  return out;
}

}  // namespace

std::string public_text_in(Where where, std::string_view value) {
  if (where == Where::kForm || where == Where::kQuery) return http::percent_encode(value);
  if (where != Where::kJson) return std::string(value);
  const std::string quoted = nlohmann::json(std::string(value)).dump();
  return quoted.substr(1, quoted.size() - 2);
}

uint32_t function_length(const SlotUse& slot, uint32_t value_length) {
  if (slot.function.starts_with("totp")) return 6;
  if (!slot.is_jwe()) return value_length;
  // Header with a kid of 128 characters that are all escaped, key of 4096 bits, IV, ciphertext,
  // tag, in base64url with four dots.
  return 404 + 683 + 16 + (value_length * 4 + 2) / 3 + 22 + 4;
}

http::Template request_template(const Step& step, const Filling& filling) {
  FilledText filled = fill(step, filling);
  const size_t blank = filled.text.find("\n\n");
  std::string head = filled.text.substr(0, blank);
  const std::string body = blank == std::string::npos ? "" : filled.text.substr(blank + 2);
  if (!step.sign_service.empty()) filled.slots.push_back(signature_slot());
  head += added_lines(step, filling, body, names_to_sign(head));
  try {
    http::Template out =
        http::template_from_text(filled.host, 443, head + "\n\n" + body, filled.slots);
    const bool has_script = filled.script != nullptr;
    if (has_script) place_script(out, *filled.script, step.request_place);
    http::validate(out, has_script ? http::ScriptSource::kOwnScript : http::ScriptSource::kRecipe);
    return out;
  } catch (const InputError& error) {
    throw InputError(step.request_place + ": " + error.place(), error.problem(), error.remedy());
  }
}

}  // namespace flexroom::flow
