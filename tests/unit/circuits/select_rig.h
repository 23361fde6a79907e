#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "circuits/header_outline.h"
#include "http/select.h"
#include "outline_texts.h"

// What selections on the marks of the circuits are tested with.

namespace flexroom::circuits {

using http::JsonItem;
using http::JsonNode;
using http::JsonStep;
using http::NoCookie;
using http::OutlineFault;
using http::Span;
using Path = std::vector<JsonStep>;

/// A sealed answer with ideal zero tests: counts them, and books what is opened.
class SealedBytes : public http::ClearBytes {
 public:
  explicit SealedBytes(std::string_view text, std::vector<bool> escapes = {})
      : ClearBytes(text), text_(text), escapes_(std::move(escapes)) {}

  bool equal(Span span, std::string_view text, bool any_case) override {
    ++tests;
    EXPECT_EQ(span.size(), text.size());  // a length is never asked of a zero test
    EXPECT_LE(span.end, text_.size());
    return ClearBytes::equal(span, text, any_case);
  }
  bool have_escape(const std::vector<Span>& strings) override {
    return std::any_of(strings.begin(), strings.end(),
                       [&](Span string) { return escapes_.at(string.end); });
  }
  std::string open_marks(const std::vector<size_t>& at) override {
    for (const size_t place : at) {
      EXPECT_NE(std::string_view(";= \t").find(text_[place]), std::string_view::npos);
    }
    return ClearBytes::open_marks(at);
  }
  // What is asked together is asked anyway, but for what the answers to one question say about
  // another.
  void ask_together(const std::vector<Question>& questions) override {
    for (const Question& question : questions) {
      EXPECT_EQ(question.span.size(), question.text.size());
      EXPECT_LE(question.span.end, text_.size());
    }
  }
  std::string open_date(Span span) override {
    return dates.emplace_back(ClearBytes::open_date(span));
  }

  size_t tests = 0;
  std::vector<std::string> dates;

 private:
  std::string_view text_;
  std::vector<bool> escapes_;
};

inline http::HeaderLines lines_of(const Instance& instance, size_t lane, size_t size) {
  http::HeaderMarks marks;
  marks.line_ends = instance.marks(lane, "line_ends", size);
  marks.colons = instance.marks(lane, "colons", size);
  marks.details = instance.marks(lane, "details", size);
  marks.ends = instance.marks(lane, "ends", size);
  marks.bad = instance.marks(lane, "bad", size).back();
  return http::read_header_outline(marks);
}

/// One text through a circuit of its size.
inline Instance run_alone(const mpc::Circuit& circuit, const std::string& text) {
  Instance instance(circuit, text.size());
  RandomText random(1);
  std::vector<std::string> one = {text};
  instance.run(one, random);
  return instance;
}

/// The name of a failure, or what `select` returns.
template <typename Select>
std::string outcome(Select select) {
  try {
    return select();
  } catch (const http::OutlineError& error) {
    return std::string("! ").append(to_string(error.fault()));
  }
}

inline std::string said(std::string_view text, const std::variant<Span, NoCookie>& cookie) {
  if (const auto* none = std::get_if<NoCookie>(&cookie)) {
    return *none == NoCookie::kMissing ? "! missing" : "! deleted";
  }
  return std::string(at(text, std::get<Span>(cookie)));
}

inline std::string cookie_of(const std::string& text, const http::CookieQuery& query,
                             SealedBytes& bytes) {
  const mpc::Circuit circuit = header_outline_circuit(text.size());
  return outcome([&] {
    return said(text, http::select_cookie(lines_of(run_alone(circuit, text), 0, text.size()), query,
                                          bytes));
  });
}
inline std::string cookie_of(const std::string& text, const http::CookieQuery& query) {
  SealedBytes bytes(text);
  return cookie_of(text, query, bytes);
}

constexpr int64_t kNow = 1756810000;
inline http::CookieQuery query_of(std::string name, std::string path = "/") {
  http::CookieQuery out;
  out.name = std::move(name);
  out.path = std::move(path);
  out.host = "h.test";
  out.now = kNow;
  return out;
}

inline std::string answer_with(const std::vector<std::string>& cookies) {
  std::string out = "HTTP/1.1 200 OK\r\n";
  for (const std::string& cookie : cookies) out += "Set-Cookie: " + cookie + "\r\n";
  return out + "\r\n";
}

}  // namespace flexroom::circuits
