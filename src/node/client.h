#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace flexroom::node {

/// A program's side of the control socket: one request a connection.
///
/// Errors  InputError: nobody listens there, with what to do; flexroom::Error with the node's own
///         words: it refused (Exit::kBadInput of 400 to 404, else kRefused), or did not answer
class Client {
 public:
  explicit Client(std::filesystem::path socket) : socket_(std::move(socket)) {}
  nlohmann::json get(const std::string& target) const;
  nlohmann::json post(const std::string& target, const nlohmann::json& body) const;
  /// Bytes as they came.
  std::string get_bytes(const std::string& target) const;
  /// Server-sent events until `sink` returns false or the node ends.
  void follow(const std::string& target,
              const std::function<bool(const nlohmann::json&)>& sink) const;

 private:
  struct Answer {
    int status = 0;
    std::string body;
  };
  Answer ask(const std::string& head, const std::string& body,
             const std::function<bool(std::string_view)>& sink = nullptr) const;
  nlohmann::json object(const Answer& answer) const;
  std::filesystem::path socket_;
};

/// A value of a query, for a target.
std::string query_value(const std::string& text);

}  // namespace flexroom::node
