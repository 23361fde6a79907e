#include "cloud/faults.h"

#include <charconv>
#include <sstream>

#include "base/error.h"
#include "cloud/captcha.h"

namespace flexroom::cloud {

namespace {

constexpr const char* kForm =
    "say METHOD HOST/PATH WHAT[+WHAT..] [xN] [after K], WHAT one of 300-599, late=MS, drop, cut, "
    "truncate, gzip, echo, garble, long=BYTES, header=BYTES, untyped";
constexpr unsigned kMostCalls = 1000000, kMostLate = 600000, kMostBytes = 1 << 20;

[[noreturn]] void bad_rule(const std::string& rule, const std::string& what) {
  throw InputError("fault '" + rule + "'", what, kForm);
}

unsigned number(const std::string& rule, std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) {
    bad_rule(rule, "has '" + std::string(text) + "' where a number belongs");
  }
  return value;
}

}  // namespace

void Faults::parse_what(const std::string& text, const std::string& what, Fault& fault) {
  if (what == "drop") {
    fault.drop = true;
  } else if (what == "cut") {
    fault.cut = true;
  } else if (what == "truncate") {
    fault.truncate = true;
  } else if (what == "gzip") {
    fault.compress = true;
  } else if (what == "echo") {
    fault.echo = true;
  } else if (what == "garble") {
    fault.garble = true;
  } else if (what == "untyped") {
    fault.untyped = true;
  } else if (what.starts_with("late=")) {
    fault.late = std::chrono::milliseconds(number(text, what.substr(5), kMostLate));
  } else if (what.starts_with("long=")) {
    fault.long_body = number(text, what.substr(5), kMostBytes);
  } else if (what.starts_with("header=")) {
    fault.long_header = number(text, what.substr(7), kMostBytes);
  } else {
    const unsigned status = number(text, what, 599);
    if (status < 300) bad_rule(text, "has a status that is no refusal and leads nowhere");
    fault.status = static_cast<int>(status);
  }
}

Faults::Rule Faults::parse(const std::string& text) {
  std::istringstream in(text);
  std::string target, whats, word;
  Rule rule;
  in >> rule.method >> target >> whats;
  const size_t slash = target.find('/');
  if (slash == std::string::npos || slash == 0 || whats.empty()) {
    bad_rule(text, "is not a method, a host with a path and what goes wrong");
  }
  rule.host = lower(target.substr(0, slash));
  rule.path = target.substr(slash);
  rule.prefix = rule.path.ends_with('*');
  if (rule.prefix) rule.path.pop_back();
  std::istringstream parts(whats);
  while (std::getline(parts, word, '+')) parse_what(text, word, rule.fault);
  while (in >> word) {
    if (word == "after" && in >> word) {
      rule.after = number(text, word, kMostCalls);
    } else if (word.starts_with('x')) {
      rule.times = number(text, word.substr(1), kMostCalls);
    } else {
      bad_rule(text, "ends in '" + word + "'");
    }
  }
  return rule;
}

void Faults::set(const std::vector<std::string>& rules) {
  std::vector<Rule> parsed;
  for (const std::string& rule : rules) parsed.push_back(parse(rule));
  const std::lock_guard lock(mutex_);
  rules_ = std::move(parsed);
}

Fault Faults::next(const Request& request) {
  const std::lock_guard lock(mutex_);
  Fault out;
  for (Rule& rule : rules_) {
    const bool fits =
        (rule.method == "*" || rule.method == request.method) && rule.host == request.host() &&
        (rule.prefix ? request.path.starts_with(rule.path) : request.path == rule.path);
    if (!fits) continue;
    if (rule.after > 0) {
      --rule.after;
      continue;
    }
    if (rule.times == 0u) continue;
    if (rule.times) --*rule.times;
    const Fault& one = rule.fault;
    if (one.status != 0) out.status = one.status;
    out.late += one.late;
    out.drop |= one.drop;
    out.cut |= one.cut;
    out.truncate |= one.truncate;
    out.compress |= one.compress;
    out.echo |= one.echo;
    out.garble |= one.garble;
    out.untyped |= one.untyped;
    out.long_body += one.long_body;
    out.long_header += one.long_header;
  }
  return out;
}

std::string echo_of(const Request& request) {
  std::string out = request.method + " " + request.path;
  if (!request.query.empty()) out += "?" + request.query;
  for (const auto& [name, value] : request.headers) out += "\n" + name + ": " + value;
  return out + "\n\n" + request.body;
}

void spoil(const Fault& fault, const Request& request, Response& response) {
  if (fault.status >= 300 && fault.status < 400) {
    const std::string query = request.query.empty() ? "" : "?" + request.query;
    response.headers.emplace_back("Location",
                                  "https://moved.flexroom.example" + request.path + query);
  }
  if (fault.long_header > 0) {
    response.headers.emplace_back("X-Long", std::string(fault.long_header, 'x'));
  }
  response.body.append(fault.long_body, ' ');
  if (fault.garble && response.status >= 400) response.body = "<<<{\"" + response.body;
  if (fault.untyped && response.status >= 400) {
    std::erase_if(response.headers,
                  [](const auto& header) { return lower(header.first) == "content-type"; });
  }
  if (fault.compress) {
    response.body = gzip(response.body);
    response.headers.emplace_back("Content-Encoding", "gzip");
  }
  if (fault.truncate) {
    response.headers.emplace_back("Content-Length", std::to_string(response.body.size()));
    response.body.resize(response.body.size() / 2);
    response.chunked = false;
    response.close = true;
  }
}

}  // namespace flexroom::cloud
