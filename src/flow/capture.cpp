#include "flow/capture.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/display.h"
#include "config/config.h"
#include "flow/flow.h"
#include "http/response.h"
#include "http/text.h"
#include "http/url.h"

namespace flexroom::flow {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxCapture = size_t{1} << 20;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line(text.substr(at, end - at));
    if (!line.empty() && line.back() == '\r') line.pop_back();
    out.push_back(std::move(line));
    at = end + 1;
  }
  return out;
}

/// What a name of the answer says about its value. Of the request nothing is guessed.
bool names_a_secret(std::string_view name) {
  constexpr std::array<std::string_view, 15> kWords = {
      "password", "passwd", "secret", "token",  "session", "csrf",       "apikey", "api-key",
      "api_key",  "auth",   "cookie", "bearer", "otp",     "credential", "code"};
  const std::string low = http::to_lower(name);
  return low == "key" || low == "pin" || low == "email" || low == "address" || low == "card" ||
         low == "number" || std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
           return low.find(word) != std::string::npos;
         });
}

/// A long run without blanks is one more likely than not.
bool looks_random(std::string_view value) {
  if (value.size() < 24 || value.find(' ') != std::string_view::npos) return false;
  bool digit = false, letter = false;
  for (const char c : value) {
    digit |= c >= '0' && c <= '9';
    letter |= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  return digit && letter;
}

ValueClass narrowest(std::string_view value) {
  for (const ValueClass one :
       {ValueClass::kDigits, ValueClass::kHex, ValueClass::kBase32, ValueClass::kBase64Url,
        ValueClass::kUrlSafe, ValueClass::kBase64, ValueClass::kCookie, ValueClass::kJsonSafe}) {
    if (std::all_of(value.begin(), value.end(), [&](char c) { return set_of(one).contains(c); })) {
      return one;
    }
  }
  return ValueClass::kRaw;
}

/// A name of the language for a name of the wire.
std::string value_name(std::string_view name) {
  std::string out;
  for (const char c : http::to_lower(name)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out.push_back(plain ? c : '-');
  }
  return out.substr(0, 40);
}

std::string toml_text(std::string_view text) { return Json(std::string(text)).dump(); }

/// Header values that say what the software is, not who sends.
bool is_plain_header(std::string_view name) {
  constexpr std::array<std::string_view, 6> kPlain = {
      "accept", "accept-charset", "accept-language", "cache-control", "content-type", "user-agent"};
  return std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end();
}

/// A word of a path: letters of one case and '-', '_', '.', or the version of an interface.
bool is_plain_segment(std::string_view text) {
  constexpr size_t kMaxWord = 23;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() >= 2 && text.size() <= 3 && text[0] == 'v') {
    return std::all_of(text.begin() + 1, text.end(), digit);
  }
  bool lower = false, upper = false, other = false;
  for (const char c : text) {
    const bool is_lower = c >= 'a' && c <= 'z', is_upper = c >= 'A' && c <= 'Z';
    lower |= is_lower;
    upper |= is_upper;
    other |= !is_lower && !is_upper && c != '-' && c != '_' && c != '.';
  }
  return !other && text.size() <= kMaxWord && !(lower && upper && text.size() >= 8);
}

class Draft {
 public:
  Draft(const Capture& capture, std::string_view place, const std::set<std::string>& show)
      : place_(place), show_(show) {
    read_request(capture.request);
    if (!capture.answer.empty()) read_answer(capture.answer);
  }

  std::string text(std::string_view name, std::string_view provider) const {
    std::string out = fmt::format(
        "#:schema flow.schema.json\n# A draft made of a recorded request and its answer: check "
        "every "
        "slot, keep and rule.\n\n[flow]\nname = {}\nprovider = {}\nprefix = {}\nhosts = [{}]\n",
        toml_text(name), toml_text(provider), toml_text(name), toml_text(host_));
    if (!sign_.empty()) out += "key = \"keys\"\n";
    if (!uses_.empty()) {
      out += "uses = [";
      for (size_t k = 0; k < uses_.size(); ++k) out += (k == 0 ? "" : ", ") + toml_text(uses_[k]);
      out += "]                       # secrets of the request: where does each come from?\n";
    }
    out += "\n[[step]]\nname = \"Call\"\n";
    if (!sign_.empty()) out += "sign = " + toml_text(sign_) + "\n";
    out += "request = '''\n" + request_ + "\n'''\n";
    if (status_ != 0 && status_ != 200) out += fmt::format("status = [{}]\n", status_);
    if (!type_.empty()) out += "type = " + toml_text(type_) + "\n";
    if (body_max_ > 4096) out += fmt::format("body_max = {}\n", body_max_);
    if (method_ != "GET") {
      out += "on.unknown = \"stop\"               # may it be sent again? then \"again\"\n";
    }
    return out + parts_;
  }

 private:
  /// The slot for a recorded value: one name for one value, another for the next of that name.
  std::string slot(std::string_view name, std::string_view value) {
    std::string out = value_name(name);
    if (out.empty() || is_built_in(out)) out = "value-" + out;
    auto& values = values_[out];
    const auto known = std::find(values.begin(), values.end(), value);
    const auto at = static_cast<size_t>(known - values.begin());
    if (known == values.end()) values.emplace_back(value);
    if (at > 0) out += fmt::format("-{}", at + 1);
    if (std::find(uses_.begin(), uses_.end(), out) == uses_.end()) uses_.push_back(out);
    return "{{" + out + "}}";
  }

  /// A person said that the value of that name is no secret.
  bool shows(std::string_view name) const { return show_.contains(http::to_lower(name)); }

  void read_request(const std::string& text) {
    const std::vector<std::string> lines = lines_of(text);
    const auto blank = std::find(lines.begin(), lines.end(), "");
    if (lines.empty() || lines[0].find(" HTTP/1.1") == std::string::npos) {
      throw InputError(place_, "has no request `METHOD /target HTTP/1.1`",
                       "record the request with its header lines, then the answer");
    }
    const size_t first = lines[0].find(' '), last = lines[0].rfind(' ');
    method_ = lines[0].substr(0, first);
    std::string head =
        method_ + " " + target(lines[0].substr(first + 1, last - first - 1)) + " HTTP/1.1";
    std::string content;
    for (auto it = lines.begin() + 1; it != blank; ++it) {
      const size_t colon = it->find(':');
      if (colon == std::string::npos) throw InputError(place_, "has a header line without ':'");
      head += header(it->substr(0, colon), std::string(http::trim_blanks(it->substr(colon + 1))));
    }
    for (auto it = blank == lines.end() ? blank : blank + 1; it != lines.end(); ++it) {
      content += (content.empty() ? "" : "\n") + *it;
    }
    while (!content.empty() && content.back() == '\n') content.pop_back();
    if (host_.empty()) throw InputError(place_, "has a request without Host");
    request_ = head + "\n";
    if (!content.empty()) request_ += "\n" + body(content);
    if (request_.find("'''") != std::string::npos) {
      throw InputError(place_, "has three quotes in a row, which this draft cannot hold");
    }
  }

  std::string fields(std::string_view text) {
    std::string out;
    for (size_t at = 0; at <= text.size() && !text.empty();) {
      const size_t end = std::min(text.find('&', at), text.size());
      const std::string_view field = text.substr(at, end - at);
      const size_t equals = field.find('=');
      if (equals == std::string_view::npos) {
        throw InputError(place_, "has a field without '=' in its query or form",
                         "a slot stands in a value: write NAME=VALUE, or take the field out");
      }
      const std::string_view name = field.substr(0, equals), value = field.substr(equals + 1);
      if (at != 0) out += '&';
      out.append(name).append("=");
      out.append(value.empty() || shows(name) ? std::string(value) : slot(name, value));
      at = end + 1;
    }
    return out;
  }

  /// The segments of the path that are no plain words become slots `path-N`.
  std::string target(const std::string& text) {
    const size_t query = std::min(text.find('?'), text.size());
    std::string out;
    size_t number = 0;
    for (size_t at = 0; at < query;) {
      const size_t end = std::min(text.find('/', at), query);
      const std::string segment = text.substr(at, end - at);
      if (at != 0) ++number;
      const std::string name = fmt::format("path-{}", number);
      out += segment.empty() || is_plain_segment(segment) || shows(name) ? segment
                                                                         : slot(name, segment);
      if (end < query) out += '/';
      at = end + 1;
    }
    if (query == text.size()) return out;
    return out + "?" + fields(std::string_view(text).substr(query + 1));
  }

  std::string cookies(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find("; ", at), text.size());
      const std::string_view crumb = text.substr(at, end - at);
      const size_t equals = crumb.find('=');
      if (equals == std::string_view::npos) {
        throw InputError(place_, "has a cookie without '='",
                         "a Cookie line is NAME=VALUE joined by `; `");
      }
      const std::string_view name = crumb.substr(0, equals);
      out += at == 0 ? "" : "; ";
      out.append(name).append("=").append(slot(name, crumb.substr(equals + 1)));
      at = end + 2;
    }
    return out;
  }

  std::string header(const std::string& name, const std::string& value) {
    const std::string low = http::to_lower(name);
    constexpr std::array<std::string_view, 6> kAdded = {"content-length", "accept-encoding",
                                                        "connection",     "transfer-encoding",
                                                        "expect",         "upgrade"};
    if (std::find(kAdded.begin(), kAdded.end(), low) != kAdded.end()) return "";
    if (low == "host") {
      host_ = value;
      return "\nHost: " + value;
    }
    if (low == "authorization" && value.starts_with("AWS4-HMAC-SHA256 ")) {
      read_scope(value);
      return "";
    }
    if (low == "x-amz-date" || low == "x-amz-content-sha256" || low == "x-amz-security-token")
      return "";
    if (low == "content-type") is_json_ = value.find("json") != std::string::npos;
    if (low == "cookie") return "\n" + name + ": " + cookies(value);
    if (low == "authorization") {
      const size_t blank = std::min(value.find(' '), value.size());
      const std::string scheme = http::to_lower(value.substr(0, blank));
      const bool known = scheme == "bearer" || scheme == "basic" || scheme == "token";
      if (blank != value.size() && known) {
        return "\n" + name + ": " + value.substr(0, blank + 1) +
               slot("token", value.substr(blank + 1));
      }
    }
    const bool plain = value.empty() || is_plain_header(low) || shows(low);
    return "\n" + name + ": " + (plain ? value : slot(low, value));
  }

  /// "Credential=ID/DAY/REGION/SERVICE/aws4_request".
  void read_scope(std::string_view value) {
    std::vector<std::string_view> parts;
    value = value.substr(std::min(value.find("Credential="), value.size()));
    value = value.substr(0, value.find(','));
    for (size_t at = 0; at <= value.size();) {
      const size_t end = std::min(value.find('/', at), value.size());
      parts.push_back(value.substr(at, end - at));
      at = end + 1;
    }
    if (parts.size() != 5) throw InputError(place_, "has an Authorization line that is no SigV4");
    sign_ = fmt::format("{} {}", parts[3], parts[2]);
  }

  /// Texts and numbers; true, false and null are what a program says, not a person.
  void mark_json(Json& json, const std::string& name) {
    if (json.is_object()) {
      for (auto& [key, value] : json.items()) mark_json(value, key);
    } else if (json.is_array()) {
      for (Json& value : json) mark_json(value, name);
    } else if (!shows(name) && json.is_string() && !json.get<std::string>().empty()) {
      json = slot(name, json.get<std::string>());
    } else if (!shows(name) && json.is_number()) {
      json = kNumber + slot(name, json.dump());
    }
  }

  std::string body(const std::string& text) {
    if (!is_json_) return fields(text);
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) throw InputError(place_, "has a request body that is not JSON");
    mark_json(json, "");
    // A number stands without quotes.
    std::string out = json.dump();
    const std::string open = "\"" + kNumber + "{{";
    for (size_t at = out.find(open); at != std::string::npos; at = out.find(open, at)) {
      out.erase(at, open.size() - 2);
      out.erase(out.find("}}\"", at) + 2, 1);
    }
    return out;
  }

  // ------------------------------------------------------------------ the answer

  void read_answer(const std::string& text) {
    std::string wire;
    const size_t blank = std::min(text.find("\r\n\r\n"), text.find("\n\n"));
    for (const std::string& line : lines_of(text.substr(0, blank))) wire += line + "\r\n";
    const bool crlf = blank != std::string::npos && text.compare(blank, 4, "\r\n\r\n") == 0;
    std::string content = blank == std::string::npos ? "" : text.substr(blank + (crlf ? 4 : 2));
    // Recorded text has lost its framing; what is left is the body.
    std::string kept;
    for (const std::string& line : lines_of(wire)) {
      const std::string low = http::to_lower(line.substr(0, std::min(line.find(':'), line.size())));
      if (low == "content-length" || low == "transfer-encoding" || low == "content-encoding")
        continue;
      kept += line + "\r\n";
    }
    while (!content.empty() && (content.back() == '\n' || content.back() == '\r'))
      content.pop_back();
    http::ResponseParser parser;
    const std::string status = kept.substr(9, 3);
    const bool bodiless = status == "204" || status == "304" || status == "205";
    if (!bodiless) kept += fmt::format("Content-Length: {}\r\n", content.size());
    parser.feed(as_bytes(kept + "\r\n" + (bodiless ? "" : content)));
    const http::Response response = parser.finish(true);
    status_ = response.status;
    for (const auto& [name, value] : response.headers) read_line(name, value);
    type_ = http::to_lower(response.header("content-type").value_or("application/json"));
    type_ = std::string(http::trim_blanks(std::string_view(type_).substr(0, type_.find(';'))));
    body_max_ = 2 * content.size();
    if (type_.find("json") == std::string::npos) return;
    const Json json = Json::parse(content, nullptr, false);
    if (!json.is_discarded()) read_json(json, "", "");
  }

  void read_line(const std::string& name, const std::string& value) {
    if (http::to_lower(name) != "set-cookie") return;
    const std::string_view pair = std::string_view(value).substr(0, value.find(';'));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals + 1 == pair.size()) return;
    keep("cookie " + std::string(pair.substr(0, equals)), pair.substr(0, equals),
         pair.substr(equals + 1), ValueClass::kCookie);
  }

  void read_json(const Json& json, const std::string& path, const std::string& name) {
    if (json.is_object()) {
      for (const auto& [key, value] : json.items()) {
        if (key.find_first_of("/\"{}[] ") != std::string::npos || key.empty()) continue;
        read_json(value, path + "/" + key, key);
      }
    } else if (json.is_string() && !path.empty()) {
      const std::string value = json.get<std::string>();
      if (value.empty() || (!names_a_secret(name) && !looks_random(value))) return;
      keep("json " + path, name, value, narrowest(value));
    }
  }

  void keep(const std::string& at, std::string_view name, std::string_view value,
            ValueClass value_class) {
    const std::string kept = "run/" + value_name(name);
    if (!kept_.insert(kept).second || value.size() > 2048) return;
    // Half and twice of what was seen: one answer does not tell the shortest and the longest.
    parts_ += fmt::format(
        "\n[step.keep.\"{}\"]\nat = {}\nclass = \"{}\"\nlength = [{}, {}]\n"
        "entropy = 0                      # bits that all members believe it has; 128 for a "
        "session\n",
        kept, toml_text(at), to_string(value_class), std::max<size_t>(1, value.size() / 2),
        2 * value.size());
    if (value_class != ValueClass::kCookie) {
      parts_ +=
          "purposes = []                    # METHOD https://HOST/PATH PLACE; none: usable "
          "nowhere\n";
    }
  }

  // In front of a number's slot until the JSON is written; no name or shown text begins so.
  inline static const std::string kNumber = "\x7fnumber ";

  const std::string place_;
  const std::set<std::string>& show_;
  std::map<std::string, std::vector<std::string>> values_;  // by name of a slot, as they came
  std::string method_, host_, request_, sign_, type_, parts_;
  std::vector<std::string> uses_;
  std::set<std::string> kept_;
  bool is_json_ = false;
  int status_ = 0;
  size_t body_max_ = 0;
};

}  // namespace

Capture parse_capture(std::string_view text, std::string_view place) {
  if (text.size() > kMaxCapture) throw InputError(place, "is longer than 1 MB");
  Capture out;
  const std::vector<std::string> lines = lines_of(text);
  const bool curl = std::any_of(lines.begin(), lines.end(),
                                [](const std::string& line) { return line.starts_with("> "); });
  bool in_answer = false, body = false;
  for (const std::string& line : lines) {
    if (!curl) {
      in_answer |= line.starts_with("HTTP/1.");
      (in_answer ? out.answer : out.request) += line + "\n";
      continue;
    }
    if (line.starts_with(">")) {
      out.request += (line.size() > 2 ? line.substr(2) : "") + "\n";
    } else if (line.starts_with("<")) {
      out.answer += (line.size() > 2 ? line.substr(2) : "") + "\n";
      in_answer = true;
      body = line.size() <= 2;
    } else if (body && !line.starts_with("* ")) {
      out.answer += line + "\n";
    } else if (!in_answer && !line.starts_with("* ") && !out.request.empty()) {
      out.request += line + "\n";
    }
  }
  return out;
}

std::string draft_flow(const Capture& capture, std::string_view name, std::string_view provider,
                       std::string_view place, const std::set<std::string>& show) {
  if (!is_name(name) || !is_name(provider)) {
    throw InputError("--name", "is not a name", kNameRemedy);
  }
  const std::string out = Draft(capture, place, show).text(name, provider);
  (void)parse_flow(out, std::string(place) + " (the draft)", RoomView());
  return out;
}

}  // namespace flexroom::flow
