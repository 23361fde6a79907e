#include "people/exchange.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "agreement/render.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/private_file.h"
#include "people/strict_json.h"

namespace flexroom::people {

using agreement::StatementKind;
using nlohmann::json;

namespace {

constexpr const char* kRequest = "flexroom request to sign";
constexpr const char* kSignature = "flexroom signature";
constexpr size_t kMaxVoiceFile = 64 << 10;

/// `more`: a key that may be there beside so many.
json read_object(std::string_view text, std::string_view name, const char* format, size_t keys,
                 const char* more = nullptr) {
  auto out = strict_json(text);
  const auto version = out ? out->find(format) : json::iterator();
  if (out && more != nullptr && out->contains(more)) ++keys;
  if (!out || version == out->end() || *version != 1 || out->size() != keys) {
    throw InputError(name, fmt::format("is no {} of this version", format));
  }
  return std::move(*out);
}

Bytes read_bytes(const json& object, const char* key, std::string_view name) {
  const auto found = object.find(key);
  auto bytes = found != object.end() && found->is_string()
                   ? base64_decode(found->get_ref<const std::string&>())
                   : std::nullopt;
  if (!bytes) throw InputError(name, fmt::format("has no `{}` in base64", key));
  return std::move(*bytes);
}

std::string date(uint64_t seconds) {
  constexpr uint64_t kYear9999 = 253'402'300'799;
  return fmt::format("{:%Y-%m-%d %H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(std::min(seconds, kYear9999))));
}

/// The members' inputs as they are in D: whose, for which slot, and what of them is public.
std::vector<agreement::GivenInput> read_inputs(const json& object, std::string_view name) {
  std::vector<agreement::GivenInput> out;
  const auto list = object.find("inputs");
  if (list == object.end()) return out;
  if (!list->is_array() || list->empty() || list->size() > Request::kMaxInputs) {
    throw InputError(name, "has no list of `inputs`");
  }
  for (const json& one : *list) {
    if (!one.is_object() || one.size() != 2) throw InputError(name, "has an input that is none");
    agreement::GivenInput& given = out.emplace_back();
    const Bytes member = read_bytes(one, "member", name);
    if (member.size() != given.member.size()) {
      throw InputError(name, "has an input of a member with no id");
    }
    std::copy(member.begin(), member.end(), given.member.begin());
    given.body = agreement::InputBody::decode(read_bytes(one, "body", name), name);
  }
  return out;
}

std::string document_text(const PersonStatement& st, const Request& request,
                          std::string_view place) {
  const ByteView document = request.document;
  if (st.kind != StatementKind::kRule) {
    // Of a proposal that waited D is signed, over the inputs that it has.
    const Digest proposal = agreement::proposal_digest(document);
    const bool waited = agreement::complete_digest(proposal, request.inputs) == st.what;
    if (!waited && (proposal != st.what || !request.inputs.empty())) {
      throw InputError(place, "shows another proposal than would be signed",
                       "sign nothing; find out who made this file");
    }
    return agreement::render(document, place) + agreement::inputs_text(request.inputs);
  }
  const Rule rule = Rule::decode(document, place);
  if (!request.inputs.empty() || rule.digest() != st.what || rule.room != st.room ||
      rule.member != st.member || rule.version != st.rule_version + 1) {
    throw InputError(place, "shows another rule than would be signed",
                     "sign nothing; find out who made this file");
  }
  return rule.text() + fmt::format("  digest        {}\n", to_hex(st.what));
}

}  // namespace

std::string Request::text() const {
  json out = {{kRequest, 1}, {"st", base64_encode(st)}, {"document", base64_encode(document)}};
  for (const agreement::GivenInput& one : inputs) {
    out["inputs"].push_back(
        {{"member", base64_encode(one.member)}, {"body", base64_encode(one.body.encode())}});
  }
  return out.dump() + "\n";
}

Request Request::parse(std::string_view text, std::string_view name) {
  const json object = read_object(text, name, kRequest, 3, "inputs");
  return {read_bytes(object, "st", name), read_bytes(object, "document", name),
          read_inputs(object, name)};
}

Request Request::load(const std::filesystem::path& file) {
  return parse(read_own_file(file, kMaxFileBytes, "take over the file that the member made"),
               file.string());
}

std::string Request::shown(std::string_view place) const {
  const PersonStatement statement = PersonStatement::decode(st, place);
  std::string out = document_text(statement, *this, place);
  out += fmt::format("\nyou sign\n  as            {}, who may {}\n  what          {}\n",
                     statement.person, to_string(statement.role),
                     agreement::to_string(statement.kind));
  if (statement.kind != StatementKind::kRule) {
    out += fmt::format("  valid         {} to {}\n", date(statement.not_before),
                       date(statement.not_after));
  }
  out += fmt::format(
      "  digest        {}\n  member        {}\n  room          {}\n"
      "  rule version  {}\n",
      to_hex(statement.what), to_hex(statement.member), to_hex(statement.room),
      statement.rule_version);
  return out;
}

std::string voice_text(const Voice& voice) {
  return json{{kSignature, 1}, {"voice", base64_encode(voice.encode())}}.dump() + "\n";
}

Voice parse_voice(std::string_view text, std::string_view name) {
  const json object = read_object(text, name, kSignature, 2);
  return Voice::decode(read_bytes(object, "voice", name), name);
}

Voice load_voice(const std::filesystem::path& file) {
  return parse_voice(read_own_file(file, kMaxVoiceFile, "take over the file that the person made"),
                     file.string());
}

}  // namespace flexroom::people
