#include "http/layout.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::http {

Layout::Layout(const Template& request) : host_(request.host) {
  for (const Part& part : request.parts) {
    if (const auto* bytes = std::get_if<Bytes>(&part)) {
      if (std::find(bytes->begin(), bytes->end(), static_cast<uint8_t>(kHole)) != bytes->end()) {
        fail(text_.size(), "a public part holds a control character");
      }
      text_ += as_text(*bytes);
    } else if (const auto* slot = std::get_if<Slot>(&part)) {
      slots_.push_back({slot, text_.size()});
      text_.append(slot->encoded_length(), kHole);
    } else {
      const Base64Text& base64 = std::get<Base64Text>(part);
      const size_t start = text_.size();
      text_ += base64.encoded(kHole).text;
      base64_.push_back({&base64, start, text_.size()});
    }
    if (text_.size() > kMaxRequest) {
      fail(text_.size(), "the request is longer than 65,536 bytes", "shorten its body");
    }
  }
  split_head();
  for (const PlacedBase64& placed : base64_) {
    const Header* const type = header("content-type");
    const std::string media =
        type == nullptr ? "" : to_lower(trim_blanks(type->value.substr(0, type->value.find(';'))));
    if (placed.start < body_start_ || media != "application/x-www-form-urlencoded") {
      fail(placed.start, "base64 text with slots may stand in a form body only");
    }
  }
}

void Layout::split_head() {
  const size_t end = text_.find("\r\n\r\n");
  if (end == std::string::npos) fail(0, "the request has no empty line after its header");
  body_start_ = end + 4;
  const std::string_view head = std::string_view(text_).substr(0, end + 2);
  size_t at = head.find("\r\n");
  request_line_ = head.substr(0, at);
  const size_t first = request_line_.find(' ');
  if (first == std::string_view::npos || !request_line_.ends_with(" HTTP/1.1") ||
      request_line_.size() < first + 10) {
    fail(0, "the first line is not `METHOD /target HTTP/1.1`");
  }
  method_ = request_line_.substr(0, first);
  target_ = request_line_.substr(first + 1, request_line_.size() - first - 10);
  for (at += 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at);
    const std::string_view line = head.substr(at, stop - at);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      fail(at, "a header line is not `Name: value`");
    std::string_view value = line.substr(colon + 1);
    const size_t skipped =
        value.size() - value.substr(std::min(value.find_first_not_of(' '), value.size())).size();
    headers_.push_back({line.substr(0, colon), trim_blanks(value), at + colon + 1 + skipped});
    at = stop + 2;
  }
}

const Layout::Header* Layout::header(std::string_view name) const {
  for (const Header& header : headers_) {
    if (same_name(header.name, name)) return &header;
  }
  return nullptr;
}

void Layout::fail(size_t at, std::string_view problem, std::string_view remedy) const {
  std::string place = "request to " + host_ + ", byte " + std::to_string(at);
  for (const Placed& placed : slots_) {
    if (at >= placed.start && at < placed.end()) place += ", slot '" + placed.slot->name + "'";
  }
  throw InputError(place, problem, remedy);
}

}  // namespace flexroom::http
