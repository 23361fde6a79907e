#include "cloud/web.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "cloud/json_rpc.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxSightings = 100000;

bool is_cookie_octet(char c) {
  return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WebBehaviour, rotate_cookies, blank_cookie, delete_cookie,
                                   strangers, planted_codes, lost_mails, mail_delay_s,
                                   taken_addresses, taken_accounts, refused_cards, wrong_code_ends,
                                   key_lag_s, list_lag_s, role_lag_s, group_lag_s, no_instances,
                                   odd_lists, voucher_answers, compressed_pdf, quota_case_s,
                                   quota_answer_s, quota_answer, support_plan, desk_words,
                                   desk_answer_s, captcha_lifetime_s, code_lifetime_s,
                                   otp_lifetime_s, session_lifetime_s, creds_lifetime_s,
                                   console_lifetime_s, token_lifetime_s)

nlohmann::json settings_of(const WebBehaviour& behaviour) { return behaviour; }

void apply_settings(WebBehaviour& behaviour, const nlohmann::json& changes) {
  nlohmann::json all = behaviour;
  if (!changes.is_object()) throw InputError("settings", "are not a JSON object");
  for (const auto& [name, value] : changes.items()) {
    if (!all.contains(name)) {
      std::string names;
      for (const auto& [known, unused] : all.items()) names += (names.empty() ? "" : ", ") + known;
      throw InputError("setting " + name, "does not exist", "there are " + names);
    }
    const bool fits = all[name].is_number() ? value.is_number_unsigned() && value <= 1000000000u
                                            : value.type() == all[name].type();
    if (!fits) {
      throw InputError("setting " + name, "has a value of another kind",
                       "it is now " + json_text(all[name]));
    }
    all[name] = value;
  }
  behaviour = all.get<WebBehaviour>();
}

void apply_setting(WebBehaviour& behaviour, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos) {
    throw InputError("setting " + setting, "has no value", "say NAME=VALUE");
  }
  const std::string name = setting.substr(0, equals), text = setting.substr(equals + 1);
  auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) value = text;
  apply_settings(behaviour, {{name, value}});
}

Sightings::Sightings(std::filesystem::path file) : file_(std::move(file)) {
  if (file_.empty()) return;
  const Fd fd(::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    throw InputError(file_.string(), "cannot be written", "name a file you may write to");
  }
}

void Sightings::add(One one) {
  const std::lock_guard lock(mutex_);
  if (!file_.empty()) {
    const Fd fd(
        ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    const std::string line = json_text(json_of(one)) + "\n";
    if (!fd.valid() || !write_all(fd.get(), as_bytes(line))) {
      throw ApiError(500, "NoRecord", "The record of what was seen cannot be written.");
    }
  }
  if (all_.size() >= kMaxSightings) all_.erase(all_.begin(), all_.begin() + kMaxSightings / 10);
  all_.push_back(std::move(one));
}

nlohmann::json json_of(const Sightings::One& one) {
  return {{"way", one.way},
          {"host", one.host},
          {"what", one.what},
          {"value", one.value},
          {"about", one.about}};
}

std::vector<Sightings::One> Sightings::list() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

void malformed(const std::string& what) { throw ApiError(400, "Malformed", what); }
void no_such_page() { throw ApiError(404, "NotFound", "There is no such page."); }

Visit::Visit(const Request& request, std::string host, Sightings& sightings)
    : request_(request), host_(std::move(host)), sightings_(sightings) {
  if (request.method == "GET" && !request.body.empty()) malformed("A GET has no body.");
  if (!is_utf8(request.path) || !is_utf8(request.query) || !is_utf8(request.body)) {
    malformed("The request is not UTF-8.");
  }
  read_cookies();
}

void Visit::read_cookies() {
  const auto refuse = [](const char* what) { throw ApiError(400, "BadCookie", what); };
  size_t num_lines = 0;
  for (const auto& [name, value] : request_.headers) num_lines += iequals(name, "cookie");
  if (num_lines > 1) refuse("There is more than one Cookie line.");
  std::string_view rest;
  const std::string line = request_.header("cookie").value_or("");
  for (rest = line; !rest.empty();) {
    const size_t end = rest.find("; ");
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0 || pair.size() == equals + 1) {
      refuse("A crumb is not name=value.");
    }
    if (!std::all_of(pair.begin(), pair.end(), is_cookie_octet)) {
      refuse("A cookie has a character that none may have.");
    }
    const std::string name(pair.substr(0, equals)), value(pair.substr(equals + 1));
    if (!cookies_.emplace(name, value).second) refuse("A cookie stands there twice.");
    saw("cookie " + name, value);
  }
}

std::optional<std::string> Visit::below(std::string_view method, std::string_view prefix) const {
  if (request_.method != method || !request_.path.starts_with(prefix)) return std::nullopt;
  std::string rest = request_.path.substr(prefix.size());
  if (rest.empty() || rest.find('/') != std::string::npos) return std::nullopt;
  return rest;
}

std::string Visit::header(std::string_view name) const {
  return request_.header(name).value_or("");
}

std::string Visit::bearer() const {
  const std::string value = header("authorization");
  if (!value.starts_with("Bearer ")) return "";
  saw("bearer token", value.substr(7));
  return value.substr(7);
}

std::string Visit::cookie(const std::string& name) const {
  const auto found = cookies_.find(name);
  return found == cookies_.end() ? "" : found->second;
}

Fields Visit::exactly(const Pairs& pairs, std::initializer_list<const char*> names) const {
  Fields out;
  for (const auto& [name, value] : pairs) {
    if (!is_utf8(value)) malformed("A field is not UTF-8.");
    if (!out.emplace(name, value).second) malformed("A field stands there twice.");
  }
  if (out.size() != names.size()) malformed("There are other fields than are known.");
  for (const char* name : names) {
    if (!out.contains(name)) malformed(std::string("The field ") + name + " is missing.");
    saw(name, out.at(name));
  }
  return out;
}

Fields Visit::query(std::initializer_list<const char*> names) const {
  return exactly(parse_form(request_.query), names);
}

void Visit::check_type(std::string_view wanted) const {
  const std::string type = header("content-type");
  if (!iequals(trim(std::string_view(type).substr(0, type.find(';'))), wanted)) {
    throw ApiError(415, "UnsupportedMediaType", "Content-Type is not " + std::string(wanted) + ".");
  }
}

Fields Visit::form(std::initializer_list<const char*> names) const {
  check_type("application/x-www-form-urlencoded");
  return exactly(parse_form(request_.body), names);
}

Fields Visit::json(std::initializer_list<const char*> names) const {
  check_type("application/json");
  const auto body = parse_object(request_.body);
  if (!body) malformed("The body is not a JSON object with each name once.");
  if (body->size() != names.size()) malformed("There are other members than are known.");
  Fields out;
  for (const char* name : names) {
    if (!body->contains(name) || !body->at(name).is_string()) {
      malformed(std::string("The member ") + name + " is not a text.");
    }
    out[name] = body->at(name).get<std::string>();
    saw(name, out[name]);
  }
  return out;
}

void Visit::no_body() const {
  if (!request_.body.empty()) malformed("There is a body where none belongs.");
}

void Visit::saw(const std::string& what, const std::string& value, const std::string& about) const {
  sightings_.add({"saw", host_, what, value, about});
}
void Visit::gave(const std::string& what, const std::string& value,
                 const std::string& about) const {
  sightings_.add({"gave", host_, what, value, about});
}

Response json_answer(int status, const nlohmann::json& body, const std::string& type) {
  return Response{status, {{"Content-Type", type}}, json_text(body), false, false, false};
}

void make_odd(Response& response, const std::string& opening, const std::string& entries) {
  const size_t at = response.body.find(opening);
  if (at == std::string::npos) return;
  const size_t first = at + opening.size();
  const bool empty = response.body[first] == ']';
  response.body.insert(first, R"(7,"x",null,[],{},)" + entries + (empty ? "" : ","));
}

namespace {

constexpr const char* kAttributes = "; Path=/; Secure; HttpOnly";

}  // namespace

void give_cookie(const Visit& visit, Response& response, const std::string& name,
                 const std::string& value) {
  visit.gave("cookie " + name, value);
  response.headers.emplace_back("Set-Cookie", name + "=" + value + kAttributes);
}

bool end_cookie(WebBehaviour& behaviour, Response& response, const std::string& name) {
  if (behaviour.blank_cookie == name) {
    behaviour.blank_cookie.clear();
    response.headers.emplace_back("Set-Cookie", name + "=" + kAttributes);
    return true;
  }
  if (behaviour.delete_cookie == name) {
    behaviour.delete_cookie.clear();
    response.headers.emplace_back("Set-Cookie", name + "=deleted; Max-Age=0" + kAttributes);
    return true;
  }
  return false;
}

}  // namespace flexroom::cloud
