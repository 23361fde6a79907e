#include "cloud/http_reader.h"

namespace flexroom::cloud {

HttpReader::HttpReader(HttpLimits limits) : limits_(limits) {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
}

int HttpReader::fail(int status, const char* code, const char* message) {
  error_.emplace(status, code, message);
  return 1;
}

http_parser_settings HttpReader::settings() {
  http_parser_settings out;
  http_parser_settings_init(&out);
  out.on_message_begin = [](http_parser* p) {
    self(p).started_ = true;
    return 0;
  };
  out.on_url = [](http_parser* p, const char* at, size_t n) {
    HttpReader& r = self(p);
    r.target_.append(at, n);
    if (r.target_.size() <= r.limits_.request_line_bytes) return 0;
    return r.fail(414, "RequestURITooLong", "The request line is too long");
  };
  out.on_header_field = [](http_parser* p, const char* at, size_t n) {
    HttpReader& r = self(p);
    r.head_bytes_ += n;
    if (!r.head_done_) {
      if (r.request_.headers.empty() || r.in_value_) r.request_.headers.emplace_back();
      r.in_value_ = false;
      r.request_.headers.back().first.append(at, n);
    }
    if (r.head_bytes_ <= r.limits_.header_bytes &&
        r.request_.headers.size() <= r.limits_.num_headers) {
      return 0;
    }
    return r.fail(431, "RequestHeaderSectionTooLarge", "The request's headers are too large");
  };
  out.on_header_value = [](http_parser* p, const char* at, size_t n) {
    HttpReader& r = self(p);
    r.head_bytes_ += n;
    // Trailers of a chunked body are dropped: nothing that matters may come after the signature.
    if (!r.head_done_) {
      r.in_value_ = true;
      r.request_.headers.back().second.append(at, n);
    }
    if (r.head_bytes_ <= r.limits_.header_bytes) return 0;
    return r.fail(431, "RequestHeaderSectionTooLarge", "The request's headers are too large");
  };
  out.on_headers_complete = [](http_parser* p) { return self(p).headers_complete(); };
  out.on_body = [](http_parser* p, const char* at, size_t n) {
    HttpReader& r = self(p);
    if (r.request_.body.size() + n > r.max_body_) {
      return r.fail(413, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
    }
    r.request_.body.append(at, n);
    return 0;
  };
  out.on_message_complete = [](http_parser* p) {
    self(p).complete_ = true;
    http_parser_pause(p, 1);
    return 0;
  };
  return out;
}

int HttpReader::headers_complete() {
  head_done_ = true;
  size_t num_hosts = 0, num_lengths = 0, num_encodings = 0;
  for (auto& [name, value] : request_.headers) {
    value = std::string(trim(value));
    const std::string key = lower(name);
    num_hosts += key == "host";
    num_lengths += key == "content-length";
    if (key == "transfer-encoding") {
      ++num_encodings;
      if (!iequals(value, "chunked")) {
        return fail(501, "NotImplemented",
                    "A header you provided implies functionality that is "
                    "not implemented");
      }
    }
    if (key == "expect" && iequals(value, "100-continue")) expect_ = true;
  }
  if (num_hosts != 1 || num_lengths > 1 || num_encodings > 1 ||
      (num_lengths != 0 && num_encodings != 0)) {
    return fail(400, "InvalidRequest",
                "Conflicting or missing Host, Content-Length or "
                "Transfer-Encoding");
  }
  if (parser_.http_major != 1 || (parser_.http_minor == 0 && num_encodings != 0)) {
    return fail(400, "InvalidRequest", "Unsupported protocol version");
  }
  if (target_.empty() || target_[0] != '/' || parser_.upgrade != 0) {
    return fail(400, "InvalidRequest", "The request target is not an absolute path");
  }
  request_.method = http_method_str(static_cast<http_method>(parser_.method));
  const size_t mark = target_.find('?');
  request_.path = target_.substr(0, mark);
  if (mark != std::string::npos) request_.query = target_.substr(mark + 1);
  keep_alive_ = http_should_keep_alive(&parser_) != 0;
  max_body_ = body_limit_ ? body_limit_(request_) : limits_.body_bytes;
  const bool has_length = num_lengths == 1;
  if (has_length && parser_.content_length > max_body_) {
    return fail(413, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
  }
  if (expect_) http_parser_pause(&parser_, 1);
  return 0;
}

HttpReader::State HttpReader::feed(std::string_view bytes) {
  buffer_.append(bytes);
  return resume();
}

HttpReader::State HttpReader::resume() {
  static const http_parser_settings kSettings = settings();
  if (complete_) return State::kRequest;
  if (HTTP_PARSER_ERRNO(&parser_) == HPE_PAUSED) http_parser_pause(&parser_, 0);
  if (buffer_.empty()) return State::kNeedMore;
  const size_t used = http_parser_execute(&parser_, &kSettings, buffer_.data(), buffer_.size());
  buffer_.erase(0, used);
  if (error_) throw ApiError(*error_);
  const http_errno code = HTTP_PARSER_ERRNO(&parser_);
  if (code != HPE_OK && code != HPE_PAUSED) {
    throw ApiError(400, "BadRequest", http_errno_description(code));
  }
  if (complete_) return State::kRequest;
  if (code == HPE_PAUSED) {
    // Paused in on_headers_complete, http_parser leaves the head's last LF for the next call.
    const bool waits = expect_ && buffer_.size() <= 1;
    expect_ = false;
    return waits ? State::kExpectContinue : resume();
  }
  return State::kNeedMore;
}

Request HttpReader::take() {
  Request out = std::move(request_);
  request_ = {};
  target_.clear();
  in_value_ = head_done_ = started_ = expect_ = complete_ = false;
  head_bytes_ = 0;
  if (HTTP_PARSER_ERRNO(&parser_) == HPE_PAUSED) http_parser_pause(&parser_, 0);
  return out;
}

}  // namespace flexroom::cloud
