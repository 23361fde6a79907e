#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cloud/message.h"

namespace flexroom::cloud {

/// The members of one object of a call, read strictly: what is missing, of another type or out of
/// its bounds is refused with ValidationException, naming the member. Refers to the object.
class Members {
 public:
  Members(const nlohmann::json& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  bool has(const std::string& name) const { return object_.contains(name); }
  /// Not empty and of at most `most` bytes.
  std::string text(const std::string& name, size_t most = 1024) const;
  std::string text_or(const std::string& name, const std::string& otherwise,
                      size_t most = 1024) const;
  bool flag(const std::string& name, bool otherwise) const;
  /// A whole number from `least` to `most`.
  long whole(const std::string& name, long least, long most) const;
  long whole_or(const std::string& name, long least, long most, long otherwise) const;
  /// Finite, above zero and at most 10^9.
  double amount(const std::string& name) const;
  Members object(const std::string& name) const;
  /// As it came.
  const nlohmann::json& raw(const std::string& name) const { return member(name); }
  /// At most `most` of them; none where the member is missing.
  std::vector<std::string> texts(const std::string& name, size_t most) const;
  std::vector<Members> objects(const std::string& name, size_t most) const;
  /// The pairs of an object of texts, at most `most`; none where it is missing.
  Pairs text_map(const std::string& name, size_t most) const;
  /// Refuses members that are not listed: what is not offered is not passed over.
  void only(std::initializer_list<const char*> names) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& what) const;

 private:
  const nlohmann::json& member(const std::string& name) const;
  const nlohmann::json& object_;
  std::string path_;
};

/// One call of the JSON 1.1 protocol: X-Amz-Target names the action, the body is an object without
/// a name twice.
class JsonCall {
 public:
  /// `prefix`: what stands before the action's name, "SageMaker.". Throws ApiError.
  JsonCall(const Request& request, std::string_view prefix);
  const std::string& action() const { return action_; }
  Members in() const { return {body_, ""}; }

 private:
  std::string action_;
  nlohmann::json body_;
};

/// An object where no object of it has a name twice, or nothing.
std::optional<nlohmann::json> parse_object(const std::string& text);

/// The answer in that protocol; of nothing for a null.
Response json_rpc_answer(const nlohmann::json& body);
[[noreturn]] void unknown_operation(const std::string& action);

/// Which of `count` entries stand on the page that `token` (of the page before; empty: the first)
/// names, at most `most`, and the token of the next one, empty at the end.
struct ListPage {
  size_t begin = 0, end = 0;
  std::string next;
};
/// Throws ApiError(400, `code`) for a token that none of these pages gave.
ListPage list_page(size_t count, size_t most, const std::string& token, const std::string& code);

/// As the provider writes times in JSON: seconds, as a number with a point.
double json_time(std::time_t time);

}  // namespace flexroom::cloud
