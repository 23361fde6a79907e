#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/template.h"

namespace flexroom::http {

/// A template laid out byte for byte: slot bytes stand as kHole, which no public part of a request
/// may hold, and owner() says to which slot a byte belongs.
class Layout {
 public:
  static constexpr char kHole = '\x01';
  explicit Layout(const Template& request);

  std::string_view text() const { return text_; }
  std::string_view head() const { return std::string_view(text_).substr(0, body_start_); }
  std::string_view body() const { return std::string_view(text_).substr(body_start_); }
  size_t body_start() const { return body_start_; }

  struct Placed {
    const Slot* slot;
    size_t start;
    size_t end() const { return start + slot->encoded_length(); }
  };
  /// Those that stand by themselves.
  const std::vector<Placed>& slots() const { return slots_; }
  struct PlacedBase64 {
    const Base64Text* text;
    size_t start, end;
  };
  const std::vector<PlacedBase64>& base64() const { return base64_; }

  struct Header {
    std::string_view name;
    std::string_view value;  // without outer blanks
    size_t value_start;      // in text()
  };
  const std::vector<Header>& headers() const { return headers_; }
  std::string_view request_line() const { return request_line_; }
  std::string_view method() const { return method_; }
  std::string_view target() const { return target_; }
  size_t target_start() const { return method_.size() + 1; }
  /// The value of the only header of that name, or nothing.
  const Header* header(std::string_view name) const;

  /// Reports a fault at byte `at`, naming the slot there if there is one.
  [[noreturn]] void fail(size_t at, std::string_view problem, std::string_view remedy = "") const;

 private:
  void split_head();
  std::string host_;
  std::string text_;
  std::vector<Placed> slots_;
  std::vector<PlacedBase64> base64_;
  std::vector<Header> headers_;
  std::string_view request_line_, method_, target_;
  size_t body_start_ = 0;
};

}  // namespace flexroom::http
