#include "call/link_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

#include "base/error.h"
#include "http/text.h"

namespace flexroom {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

/// A part with a '%' that encodes nothing stays as it is.
std::string percent_decoded(std::string_view text) {
  return http::percent_decode(text).value_or(std::string(text));
}

Parameters parameters_of(std::string_view url) {
  Parameters out;
  const size_t question = url.find('?');
  if (question == std::string_view::npos) return out;
  std::string_view rest = url.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const size_t equals = pair.find('=');
    out.emplace_back(
        percent_decoded(pair.substr(0, equals)),
        equals == std::string_view::npos ? "" : percent_decoded(pair.substr(equals + 1)));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
  }
  return out;
}

const std::string* find(const Parameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::optional<int64_t> number(std::string_view digits) {
  int64_t out = 0;
  if (digits.empty() || digits.size() > 12 ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

/// 20260102T030405Z, in seconds since 1970.
std::optional<int64_t> seconds_of(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto date = number(text.substr(0, 8)), time = number(text.substr(9, 6));
  if (!date || !time) return std::nullopt;
  std::tm when{};
  when.tm_year = static_cast<int>(*date / 10000) - 1900;
  when.tm_mon = static_cast<int>(*date / 100 % 100) - 1;
  when.tm_mday = static_cast<int>(*date % 100);
  when.tm_hour = static_cast<int>(*time / 10000);
  when.tm_min = static_cast<int>(*time / 100 % 100);
  when.tm_sec = static_cast<int>(*time % 100);
  return timegm(&when);
}

/// What begins and ends a link of a family ("X-Amz-").
struct Validity {
  int64_t begin = 0, end = 0;
};
std::optional<Validity> validity_of(const Parameters& parameters, const std::string& family) {
  const std::string* const date = find(parameters, family + "Date");
  const std::string* const seconds = find(parameters, family + "Expires");
  if (date == nullptr || seconds == nullptr) return std::nullopt;
  const auto begin = seconds_of(*date), valid = number(*seconds);
  if (!begin || !valid) return std::nullopt;
  return Validity{*begin, *begin + *valid};
}

constexpr std::string_view kFamilies[] = {"X-Amz-", "X-Goog-"};

/// One link. `until`: it must hold so long; `why`: what happens then.
class Check {
 public:
  Check(std::vector<LinkProblem>& out, std::string_view name, const std::string& url)
      : out_(out), name_(name), parameters_(parameters_of(url)) {}

  void run(bool is_put, int64_t now, int64_t until, std::string_view why) {
    for (const std::string_view family : kFamilies) {
      const bool of_it = std::any_of(parameters_.begin(), parameters_.end(), [&](const auto& pair) {
        return pair.first.starts_with(family);
      });
      if (of_it) return check_signed(std::string(family), is_put, now, until, why);
    }
    if (const std::string* expires = find(parameters_, "Expires")) {
      if (const auto end = number(*expires)) check_end(*end, now, until, why);
      return;
    }
    if (parameters_.empty()) {
      add("is not signed: whoever learns its address can use it", "sign it, if it can be signed",
          false);
    }
  }

 private:
  void check_signed(const std::string& family, bool is_put, int64_t now, int64_t until,
                    std::string_view why) {
    const std::string* const signature = find(parameters_, family + "Signature");
    if (signature == nullptr || signature->empty()) {
      add(fmt::format("has no {}Signature", family), "it was cut off: copy the link whole");
    } else if (family == "X-Amz-" &&
               (signature->size() != 64 ||
                signature->find_first_not_of("0123456789abcdef") != std::string::npos)) {
      add(fmt::format("has an X-Amz-Signature of {} characters, not 64 hexadecimal digits",
                      signature->size()),
          "it was cut off or joined with something: copy the link whole", false);
    }
    const std::string* const headers = find(parameters_, family + "SignedHeaders");
    if (headers != nullptr && *headers != "host") {
      add(fmt::format("wants headers that the machine does not send ({}SignedHeaders is '{}')",
                      family, *headers),
          "sign it with no header but host, so without a content type, metadata or ACL");
    }
    if (is_put) {
      for (const auto& [key, value] : parameters_) {
        if (key.starts_with("x-amz-checksum-") || key == "x-amz-sdk-checksum-algorithm") {
          add(fmt::format("has a checksum signed in ({}), which fits one content only", key),
              "sign it without: requestChecksumCalculation: \"WHEN_REQUIRED\" in the JavaScript "
              "SDK");
          break;
        }
      }
    }
    const auto valid = validity_of(parameters_, family);
    if (!valid) return;
    constexpr int64_t kClocksApart = 900;  // what S3 allows
    if (valid->begin > now + kClocksApart) {
      add(fmt::format("is valid from {} on, by this machine's clock in {} minutes",
                      utc_text(valid->begin), (valid->begin - now) / 60),
          "set the clock of the machine that signed it, or of this one");
    }
    check_end(valid->end, now, until, why);
  }

  void check_end(int64_t end, int64_t now, int64_t until, std::string_view why) {
    if (end <= now) {
      add("expired at " + utc_text(end), "sign a new link");
    } else if (end < until) {
      add(fmt::format("expires at {}, before {} at {}", utc_text(end), why, utc_text(until)),
          "sign a link that is valid longer, or agree on a shorter deadline_minutes");
    }
  }

  void add(std::string problem, std::string remedy, bool certain = true) {
    out_.push_back({name_, std::move(problem), std::move(remedy), certain});
  }

  std::vector<LinkProblem>& out_;
  std::string name_;
  Parameters parameters_;
};

}  // namespace

std::optional<int64_t> link_end(std::string_view url) {
  const Parameters parameters = parameters_of(url);
  for (const std::string_view family : kFamilies) {
    if (const auto valid = validity_of(parameters, std::string(family))) return valid->end;
  }
  const std::string* const expires = find(parameters, "Expires");
  return expires != nullptr ? number(*expires) : std::nullopt;
}

std::string utc_text(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm when{};
  char text[32];
  gmtime_r(&time, &when);
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &when)};
}

std::vector<LinkProblem> check_links(const LinksConfig& links, std::chrono::minutes deadline,
                                     std::chrono::system_clock::time_point now_point) {
  std::vector<LinkProblem> out;
  const int64_t now = std::chrono::system_clock::to_time_t(now_point);
  constexpr int64_t kUntilItRuns = 600;  // agreeing, preparing and starting a machine take a while
  const int64_t stop = now + kUntilItRuns + 60 * deadline.count();
  const int64_t started = std::min(stop, now + 2 * kUntilItRuns);
  constexpr std::string_view kFetch = "the machine fetches it";
  constexpr std::string_view kEnd = "the machine may stop";
  Check(out, "data_url", links.data_url).run(false, now, started, kFetch);
  Check(out, "result_url", links.result_url).run(true, now, stop, kEnd);
  if (links.result_get_url) {
    Check(out, "result_get_url", *links.result_get_url).run(false, now, stop, kEnd);
  }
  if (links.loader_url) {
    // Public on purpose: what lies there is sealed, and the request names its SHA-256.
    if (links.loader_url->find('?') != std::string::npos) {
      Check(out, "loader_url", *links.loader_url).run(false, now, started, kFetch);
    }
    Check(out, "loader_put_url", *links.loader_put_url).run(true, now, now + 60, "it is used");
  }
  return out;
}

std::vector<std::string> require_good_links(const LinksConfig& links, std::string_view place,
                                            std::chrono::minutes deadline,
                                            std::chrono::system_clock::time_point now) {
  std::vector<std::string> words;
  std::vector<LinkProblem> certain;
  for (LinkProblem& problem : check_links(links, deadline, now)) {
    if (problem.certain) {
      certain.push_back(std::move(problem));
    } else {
      words.push_back(fmt::format("{}: {} {}", place, problem.link, problem.problem));
    }
  }
  if (certain.empty()) return words;
  std::string all = certain[0].problem;
  for (size_t i = 1; i < certain.size(); ++i) {
    all += fmt::format("; {} {}", certain[i].link, certain[i].problem);
  }
  throw InputError(fmt::format("{}: {}", place, certain[0].link), all, certain[0].remedy);
}

}  // namespace flexroom
