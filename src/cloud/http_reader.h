#pragma once

#include <http_parser.h>

#include <functional>
#include <string>

#include "cloud/message.h"

namespace flexroom::cloud {

/// Limits of what one request may occupy.
struct HttpLimits {
  size_t request_line_bytes = 32768;
  size_t header_bytes = 32768;
  size_t num_headers = 128;
  size_t body_bytes = 1 << 20;
};

/// Incremental HTTP/1.1 requests over http_parser, with the framing rules made strict: one
/// Content-Length, or Transfer-Encoding exactly "chunked", never both; one Host; origin-form
/// targets; no upgrade. Bytes after a request belong to the next one.
class HttpReader {
 public:
  explicit HttpReader(HttpLimits limits);

  enum class State { kNeedMore, kExpectContinue, kRequest };
  /// Consumes bytes up to the end of a request. Throws ApiError(400, 413, 431 or 501): the
  /// connection is then of no more use. kExpectContinue comes at most once a request, when its
  /// headers are in and the client waits for "100 Continue".
  State feed(std::string_view bytes);
  /// Another look at bytes fed already, after kRequest or kExpectContinue.
  State resume();
  /// The request that is complete. Leaves the reader ready for the next.
  Request take();
  bool keep_alive() const { return keep_alive_; }
  size_t body_bytes() const { return request_.body.size(); }
  /// True between requests: an end of the connection here is no fault.
  bool idle() const { return !started_ && buffer_.empty(); }
  /// May set another limit for the body, when the headers are known.
  void on_headers(std::function<size_t(const Request&)> body_limit) {
    body_limit_ = std::move(body_limit);
  }

 private:
  static HttpReader& self(http_parser* parser) { return *static_cast<HttpReader*>(parser->data); }
  static http_parser_settings settings();
  int headers_complete();
  int fail(int status, const char* code, const char* message);

  HttpLimits limits_;
  http_parser parser_{};
  std::function<size_t(const Request&)> body_limit_;
  std::string buffer_;  // fed, not yet parsed
  Request request_;
  std::string target_;
  bool in_value_ = false;
  bool head_done_ = false;
  size_t head_bytes_ = 0;
  size_t max_body_ = 0;
  bool started_ = false;
  bool expect_ = false;
  bool complete_ = false;
  bool keep_alive_ = true;
  std::optional<ApiError> error_;
};

}  // namespace flexroom::cloud
