#pragma once

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cloud/message.h"

/// What the hosts of a sign-up have in common: mail, signup, signin, console, shop
/// (docs/sandbox.md, "The hosts of a sign-up"; operations.md (d) and (f) are what calls them).
namespace flexroom::cloud {

/// How these hosts, and the desks behind servicequotas and support, behave beside the plain way.
/// All of it can be changed while they run.
struct WebBehaviour {
  bool rotate_cookies = false;   // sessions are renewed with each step
  std::string blank_cookie;      // the next renewal of that cookie is `NAME=`; once
  std::string delete_cookie;     // ... comes with Max-Age=0; once
  unsigned strangers = 0;        // mails of others in each new box, and beside each code
  unsigned planted_codes = 0;    // so many codes come with a newer false one
  unsigned lost_mails = 0;       // so many mails never come
  unsigned mail_delay_s = 0;     // each mail comes that late
  unsigned taken_addresses = 0;  // so many new mailboxes are somebody else's already
  unsigned taken_accounts = 0;   // so many addresses have an account of somebody else's
  unsigned refused_cards = 0;    // so many charges are declined
  bool wrong_code_ends = false;  // a wrong one-time code voids the right one
  unsigned key_lag_s = 0;        // a new key is unknown to the services that long
  unsigned list_lag_s = 0;       // the console's list of keys is that old
  unsigned role_lag_s = 0;       // a new role is unknown to IAM and SageMaker that long
  unsigned group_lag_s = 0;      // ... a new security group to EC2's list
  bool no_instances = false;     // EC2's list has none, as long after their end
  bool odd_lists = false;        // the lists of mails and of keys begin with entries of other kinds
  unsigned voucher_answers = 0;  // a voucher's link answers so often; 0: without end
  bool compressed_pdf = false;   // the voucher's PDF is
  unsigned quota_case_s = 5;     // a quota request is PENDING that long, then CASE_OPENED
  unsigned quota_answer_s = 0;   // ... and after so long in all
  std::string quota_answer;      // becomes APPROVED or DENIED; empty: nobody decides
  bool support_plan = true;      // of every account
  std::string desk_words;        // what the desk answers each new case; empty: nothing
  unsigned desk_answer_s = 0;    // ... after so long
  unsigned captcha_lifetime_s = 300, code_lifetime_s = 300, otp_lifetime_s = 600;
  unsigned session_lifetime_s = 900, creds_lifetime_s = 1800, console_lifetime_s = 3600;
  unsigned token_lifetime_s = 3600;
};

/// Changes the named fields. Throws InputError for a name that is none or a value of another type;
/// nothing is changed then.
void apply_settings(WebBehaviour& behaviour, const nlohmann::json& changes);
/// The same for one `NAME=VALUE` of a command line.
void apply_setting(WebBehaviour& behaviour, const std::string& setting);
nlohmann::json settings_of(const WebBehaviour& behaviour);

/// What these hosts saw and gave out, in clear, so that a test can compare it with what the members
/// hold. In memory, the newest 100,000; with a file also appended there (0600, JSON lines).
/// Thread-safe.
class Sightings {
 public:
  struct One {
    std::string way;    // "saw" or "gave"
    std::string host;   // "signup", ...
    std::string what;   // "address", "password", "cookie session", "captcha answer", ...
    std::string value;  // in clear
    std::string about;  // whose: an address, a captcha's id, an account
  };
  /// Throws InputError if the file cannot be appended to.
  explicit Sightings(std::filesystem::path file);
  void add(One one);
  std::vector<One> list() const;

 private:
  std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::vector<One> all_;
};

/// Values under random names that run out: sessions, cookies, codes.
template <typename T>
class Tokens {
 public:
  /// The name of the new entry: 43 characters of base64url. When full the oldest goes.
  std::string add(T value, std::time_t now) {
    if (entries_.size() >= kMost) {
      const auto older = [](const auto& a, const auto& b) { return a.second.made < b.second.made; };
      entries_.erase(std::min_element(entries_.begin(), entries_.end(), older));
    }
    std::string name = random_text(kLength, kAlphabet);
    entries_[name] = {std::move(value), now};
    return name;
  }
  /// Nothing for a name that is unknown or older than `lifetime_s`.
  T* find(const std::string& name, unsigned lifetime_s, std::time_t now) {
    const auto found = entries_.find(name);
    if (found == entries_.end() || now - found->second.made >= lifetime_s) return nullptr;
    return &found->second.value;
  }
  /// The same, and it is gone.
  std::optional<T> take(const std::string& name, unsigned lifetime_s, std::time_t now) {
    T* const found = find(name, lifetime_s, now);
    if (found == nullptr) return std::nullopt;
    std::optional<T> out(std::move(*found));
    entries_.erase(name);
    return out;
  }
  /// The entry goes on under a new name; its age too.
  std::string rename(const std::string& name) {
    auto node = entries_.extract(name);
    node.key() = random_text(kLength, kAlphabet);
    return entries_.insert(std::move(node)).position->first;
  }

 private:
  static constexpr size_t kMost = 10000, kLength = 43;
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  struct Entry {
    T value;
    std::time_t made;
  };
  std::map<std::string, Entry> entries_;
};

nlohmann::json json_of(const Sightings::One& one);

using Fields = std::map<std::string, std::string>;

/// One request to one of these hosts, read strictly: what is not as the host wants it is refused
/// with 400 and a code (Malformed, BadCookie), and every cookie is recorded.
class Visit {
 public:
  Visit(const Request& request, std::string host, Sightings& sightings);

  /// "GET /start"
  std::string page() const { return request_.method + " " + request_.path; }
  /// The rest of a path below `prefix`, for that method: not empty and without a slash.
  std::optional<std::string> below(std::string_view method, std::string_view prefix) const;
  /// The token of `Authorization: Bearer`, or "".
  std::string bearer() const;
  std::string header(std::string_view name) const;
  /// The cookie's value, or "".
  std::string cookie(const std::string& name) const;
  /// Exactly these parameters, each once.
  Fields query(std::initializer_list<const char*> names) const;
  /// Exactly these fields, each once. Content-Type application/x-www-form-urlencoded.
  Fields form(std::initializer_list<const char*> names) const;
  /// An object of exactly these members, each once and a string. Content-Type application/json.
  Fields json(std::initializer_list<const char*> names) const;
  /// Refuses a body.
  void no_body() const;

  void saw(const std::string& what, const std::string& value, const std::string& about = "") const;
  void gave(const std::string& what, const std::string& value, const std::string& about = "") const;

 private:
  void read_cookies();
  void check_type(std::string_view wanted) const;
  Fields exactly(const Pairs& pairs, std::initializer_list<const char*> names) const;

  const Request& request_;
  std::string host_;
  Sightings& sightings_;
  std::map<std::string, std::string> cookies_;
};

[[noreturn]] void malformed(const std::string& what);
/// No such path, or a path that has another method.
[[noreturn]] void no_such_page();

Response json_answer(int status, const nlohmann::json& body,
                     const std::string& type = "application/json");
/// The list behind `opening` in the answer begins with entries that are no objects, and these.
void make_odd(Response& response, const std::string& opening, const std::string& entries);
/// `name=value; Path=/; Secure; HttpOnly`; recorded.
void give_cookie(const Visit& visit, Response& response, const std::string& name,
                 const std::string& value);
/// True if the behaviour ends that cookie now: it is blanked or deleted instead of renewed.
bool end_cookie(WebBehaviour& behaviour, Response& response, const std::string& name);

/// The session's cookie as a step leaves it: renewed, ended, or as it was.
template <typename T>
void renew_cookie(const Visit& visit, WebBehaviour& behaviour, Response& response,
                  const std::string& name, Tokens<T>& sessions) {
  if (end_cookie(behaviour, response, name) || !behaviour.rotate_cookies) return;
  give_cookie(visit, response, name, sessions.rename(visit.cookie(name)));
}

}  // namespace flexroom::cloud
