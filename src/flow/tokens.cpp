#include "flow/tokens.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <vector>

#include "http/text.h"

namespace flexroom::flow {
namespace {

/// Parts of a name, letters alone in lower case; and whole words of it.
constexpr std::array<std::string_view, 11> kParts = {"token",    "session",  "sessid",    "cookie",
                                                     "password", "passcode", "csrf",      "xsrf",
                                                     "apikey",   "secret",   "credential"};
constexpr std::array<std::string_view, 13> kWords = {
    "auth", "oauth", "authorization", "bearer", "jwt",   "ticket",   "code",
    "otp",  "sid",   "signature",     "sig",    "grant", "assertion"};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/// "csrf", "token" of "CSRFToken", "csrf-token" and "csrfToken2", in lower case.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> out(1);
  for (size_t k = 0; k < name.size(); ++k) {
    const bool letter = is_lower(name[k]) || is_upper(name[k]);
    const bool new_word =
        is_upper(name[k]) && k > 0 &&
        (!is_upper(name[k - 1]) || (k + 1 < name.size() && is_lower(name[k + 1])));
    if (!letter || new_word) out.emplace_back();
    if (letter) out.back() += name[k];
  }
  for (std::string& word : out) word = http::to_lower(word);
  return out;
}

/// The name that a slot stands under: of "form N={{}}", "json /P={{}}", "header N: V".
std::string_view name_in(std::string_view position) {
  const size_t blank = position.find(' ');
  if (blank == std::string_view::npos) return {};
  const std::string_view rest = position.substr(blank + 1);
  const bool header = position.starts_with("header ");
  return rest.substr(0, header ? rest.find(':') : rest.rfind('='));
}

/// "code" of "https://a.example/callback?state=x&code=": what a literal says of what follows it.
std::string_view name_before(std::string_view literal) {
  if (!literal.ends_with('=')) return {};
  literal.remove_suffix(1);
  const size_t begin = literal.find_last_of("?&;# /");
  return begin == std::string_view::npos ? literal : literal.substr(begin + 1);
}

/// Whether the answer has it where a token stands.
bool is_token_source(const Selector& at) {
  if (!at.steps.empty() && names_token(at.steps.back())) return true;
  const std::string_view literal = at.literal ? std::string_view(*at.literal) : at.before;
  return names_token(name_before(literal)) ||
         (at.kind == Selector::Kind::kHeader && names_token(at.name));
}

}  // namespace

bool names_token(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  std::string whole;
  for (const std::string& word : words) whole += word;
  return std::any_of(
             kParts.begin(), kParts.end(),
             [&](std::string_view part) { return whole.find(part) != std::string::npos; }) ||
         std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
           return std::find(words.begin(), words.end(), word) != words.end();
         });
}

bool is_token_place(const SlotUse& use) {
  using Where = SlotUse::Where;
  if (use.where == Where::kCookie) return true;
  if (use.where == Where::kPath || use.where == Where::kHost) return false;
  return names_token(name_in(use.position));
}

void check_tokens(const Loading& in) {
  const auto check = [&](const Step& step, const SlotUse& use) {
    bool opened = false, is_token = is_token_place(use);
    in.flow.each_step([&](const Step& other) {
      const Open* const open = other.open(use.name);
      if (open == nullptr || !open->at) return;
      opened = true;
      is_token |= is_token_source(*open->at);
    });
    if (!opened || !is_token) return;
    refuse(step.request_place,
           fmt::format("{{{{{}}}}} authorises a request, and an answer opens it to all members",
                       use.raw),
           "who has a token can go on in the members' place: keep it, of a sealed answer");
  };
  in.flow.each_step([&](const Step& step) {
    for (const SlotUse& use : step.slots) check(step, use);
  });
}

}  // namespace flexroom::flow
