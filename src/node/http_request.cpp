#include "node/http_request.h"

#include <algorithm>
#include <charconv>

namespace flexroom::node {
namespace {

bool is_token(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

[[noreturn]] void bad(const std::string& text) { throw HttpError(400, text); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%') {
      const int high = i + 2 < text.size() + 0 ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() + 0 ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) bad("a percent sign in the query is not followed by two digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void parse_query(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view one = text.substr(0, end);
    const size_t equals = one.find('=');
    if (equals == std::string_view::npos || equals == 0) bad("a query parameter is not NAME=VALUE");
    if (!query.emplace(decoded(one.substr(0, equals)), decoded(one.substr(equals + 1))).second) {
      bad("a query parameter is given twice");
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void parse_request_line(std::string_view line, HttpRequest& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) bad("not a request line");
  request.method = std::string(line.substr(0, first));
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (line.substr(last + 1) != "HTTP/1.1") throw HttpError(505, "only HTTP/1.1 is spoken here");
  if (request.method != "GET" && request.method != "POST") {
    throw HttpError(405, "only GET and POST are known here");
  }
  if (target.empty() || target.front() != '/' ||
      !std::all_of(target.begin(), target.end(), is_visible)) {
    bad("the target is not a path");
  }
  const size_t question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (request.path.find_first_of("%#\\") != std::string::npos) {
    bad("a path has no percent signs here");
  }
  if (question != std::string_view::npos) parse_query(target.substr(question + 1), request.query);
}

void parse_header(std::string_view line, HttpRequest& request) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) bad("not a header line");
  std::string name(line.substr(0, colon));
  if (!std::all_of(name.begin(), name.end(), is_token)) bad("not a header's name");
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (!std::all_of(value.begin(), value.end(),
                   [](char c) { return is_visible(c) || c == ' ' || c == '\t'; })) {
    bad("a header's value has bytes that none may have");
  }
  if (!request.headers.emplace(std::move(name), std::string(value)).second) {
    bad("a header is given twice");
  }
}

}  // namespace

std::optional<HttpRequest> HttpRequestParser::take(std::string_view bytes) {
  if (head_done_ && bytes.size() > body_bytes_ - buffer_.size()) bad("bytes behind the request");
  buffer_ += bytes;
  if (!head_done_) {
    const size_t end = buffer_.find("\r\n\r\n");
    if (end == std::string::npos ? buffer_.size() > kMaxHead : end > kMaxHead) {
      throw HttpError(431, "the head of the request is too long");
    }
    if (end == std::string::npos) return std::nullopt;
    parse_head(std::string_view(buffer_).substr(0, end));
    buffer_.erase(0, end + 4);
    head_done_ = true;
    if (buffer_.size() > body_bytes_) bad("bytes behind the request");
  }
  if (buffer_.size() < body_bytes_) return std::nullopt;
  request_.body = std::move(buffer_);
  return std::move(request_);
}

void HttpRequestParser::parse_head(std::string_view head) {
  size_t lines = 0;
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    if (line.find_first_of("\r\n") != std::string_view::npos) bad("a line does not end in CRLF");
    if (lines++ == 0) {
      parse_request_line(line, request_);
    } else if (lines > kMaxHeaders + 1) {
      throw HttpError(431, "too many headers");
    } else {
      parse_header(line, request_);
    }
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
  }
  if (lines == 0) bad("not a request line");
  if (request_.headers.contains("transfer-encoding")) {
    throw HttpError(501, "chunks are not taken: send Content-Length");
  }
  const std::string length = request_.header("content-length");
  if (!request_.headers.contains("content-length")) return;
  const auto [stop, problem] =
      std::from_chars(length.data(), length.data() + length.size(), body_bytes_);
  if (problem != std::errc() || stop != length.data() + length.size() || length.empty() ||
      length.front() == '+') {
    bad("Content-Length is no number");
  }
  if (body_bytes_ > max_body_) throw HttpError(413, "the body is too long");
  if (request_.method == "GET" && body_bytes_ != 0) bad("a GET has no body");
}

void require_own_page(const HttpRequest& request, std::string_view host, std::string_view origin) {
  if (request.header("host") != host) {
    throw HttpError(403, "Host is not " + std::string(host));
  }
  if (request.headers.contains("origin") &&
      (origin.empty() || request.header("origin") != origin)) {
    throw HttpError(403, "a page of another origin asks");
  }
  const std::string site = request.header("sec-fetch-site");
  if (!site.empty() && (origin.empty() || site != "same-origin")) {
    throw HttpError(403, "a page of another origin asks");
  }
  if (request.method == "POST" && request.header("content-type") != "application/json") {
    throw HttpError(415, "a body here is application/json");
  }
}

}  // namespace flexroom::node
