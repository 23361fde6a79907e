#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace flexroom::node {

/// What is wrong with a request, as an HTTP status: 400, 403, 404, 405, 409, 413, 415, 431, 503 ..
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& text, std::string remedy = "")
      : std::runtime_error(text), status_(status), remedy_(std::move(remedy)) {}
  int status() const { return status_; }
  const std::string& remedy() const { return remedy_; }

 private:
  int status_;
  std::string remedy_;
};

/// One HTTP/1.1 request, parsed strictly.
struct HttpRequest {
  std::string method;  // "GET" or "POST"
  std::string path;    // "/v1/proposals/3f..", without the query; no percent signs
  std::map<std::string, std::string> query;    // decoded, each name once
  std::map<std::string, std::string> headers;  // lower-case names, each once
  std::string body;
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

/// Takes a request in pieces, as they come; bounded before anything is kept.
///
/// Takes     HTTP/1.1, GET and POST, lines that end in CRLF, one Content-Length of digits, UTF-8 in
///           no place but the body. Refused: chunks, folded lines, a header twice, blanks before a
///           colon, control characters, trailing bytes
/// Errors    HttpError; the connection is of no more use
class HttpRequestParser {
 public:
  static constexpr size_t kMaxHead = 16 << 10, kMaxHeaders = 64;
  explicit HttpRequestParser(size_t max_body) : max_body_(max_body) {}
  /// Nothing: more is needed.
  std::optional<HttpRequest> take(std::string_view bytes);
  /// Whether nothing has come yet.
  bool empty() const { return buffer_.empty() && !head_done_; }

 private:
  void parse_head(std::string_view head);
  size_t max_body_;
  std::string buffer_;
  bool head_done_ = false;
  size_t body_bytes_ = 0;
  HttpRequest request_;
};

/// Who may ask over a connection, by what a browser says of itself (members.md §9.2, M46): `host`
/// must be Host exactly; Origin must be `origin` where there is one, and there must be none if it
/// is empty; a body must be JSON, which no form of a page sends. Throws HttpError 403 or 415.
void require_own_page(const HttpRequest& request, std::string_view host, std::string_view origin);

}  // namespace flexroom::node
