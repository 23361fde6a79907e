#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/canaries.h"

namespace flexroom::support {

/// What the hosts of a sign-up saw and gave, in the clear (docs/sandbox.md, `--record FILE`).
class Sightings {
 public:
  explicit Sightings(std::filesystem::path file) : file_(std::move(file)) {}

  /// Values of that kind, oldest first; `about`: only those about it.
  std::vector<std::string> values(const std::string& what, const std::string& about = "") const {
    std::vector<std::string> out;
    for (const nlohmann::json& one : all()) {
      if (one["what"] == what && (about.empty() || one["about"] == about)) {
        out.push_back(one["value"]);
      }
    }
    return out;
  }
  /// What a member's person would be shown or told: the answer to the newest question.
  std::string answer_to(const std::string& question) const {
    const bool telephone = question.find("TypePhoneCode") != std::string::npos;
    return values(telephone ? "telephone code" : "captcha answer").back();
  }
  /// Each value that no member may have, once, behind what it is. What is shorter than twelve bytes
  /// would be found by chance.
  std::vector<std::pair<std::string, std::string>> secrets() const {
    // Opened to all, typed by a person, or the words of an approved file.
    static const std::set<std::string> open = {
        "account",         "answer",    "captcha", "captcha answer", "case",          "id",
        "idempotency key", "metadata1", "product", "quota request",  "telephone code"};
    std::vector<std::pair<std::string, std::string>> out;
    std::set<std::string> known;
    for (const nlohmann::json& one : all()) {
      const std::string what = one["what"], value = one["value"];
      if (open.contains(what) || value.size() < 12 || !known.insert(value).second) continue;
      out.emplace_back(what, value);
    }
    return out;
  }
  /// Those of them that are not among `known`, to be searched for.
  Canaries canaries(const std::set<std::string>& known = {}) const {
    Canaries out;
    for (const auto& [what, value] : secrets()) {
      if (known.contains(value)) continue;
      out.add(what, as_bytes(value));
      // What is behind it is public.
      const size_t at = value.find('@');
      if (at != std::string::npos) out.add(what, as_bytes(std::string_view(value).substr(0, at)));
    }
    // Six digits are found by chance; not so with what stands before them in the mail, and in the
    // request that gives them back.
    for (const std::string& code : values("one-time code")) {
      for (const char* const before : {"verification code is ", "example-mail.test&otp="}) {
        out.add("one-time code", as_bytes(before + code));
      }
    }
    return out;
  }

 private:
  std::vector<nlohmann::json> all() const {
    std::vector<nlohmann::json> out;
    std::ifstream in(file_);
    for (std::string line; std::getline(in, line);) {
      nlohmann::json one = nlohmann::json::parse(line, nullptr, false);
      if (one.is_object()) out.push_back(std::move(one));  // the last one may be half written
    }
    return out;
  }
  const std::filesystem::path file_;
};

}  // namespace flexroom::support
