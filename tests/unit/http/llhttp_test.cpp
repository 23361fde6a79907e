#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "http/response.h"

// The response cases of llhttp: what llhttp refuses in its default (strict) mode, we must refuse
// too. The other direction is not asked: this parser is stricter by design.

namespace flexroom::http {
namespace {

const std::filesystem::path kCases = FLEXROOM_SOURCE_DIR "/../shared/vectors/llhttp/response";

// In the cases a line end is CRLF, "\r" and the like are escapes, and a backslash at the end of a
// line joins it to the next.
std::string unescape(const std::string& block) {
  std::string out;
  for (size_t i = 0; i < block.size(); ++i) {
    if (block[i] == '\n') {
      out += "\r\n";
    } else if (block[i] != '\\' || i + 1 == block.size()) {
      out.push_back(block[i]);
    } else {
      const char c = block[++i];
      if (c == 'r') out.push_back('\r');
      if (c == 'n') out.push_back('\n');
      if (c == 't') out.push_back('\t');
      if (c == 'f') out.push_back('\f');
      if (c != 'r' && c != 'n' && c != 't' && c != 'f' && c != '\n') out.push_back(c);
    }
  }
  // The newline in front of the closing fence is not part of the message.
  return out.ends_with("\r\n") ? out.substr(0, out.size() - 2) : out;
}

TEST(Llhttp, WhatLlhttpRefusesIsRefused) {
  if (!std::filesystem::exists(kCases)) GTEST_SKIP() << "cases are not there: " << kCases;
  size_t refused = 0, accepted = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kCases)) {
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    const std::string all = text.str();
    for (size_t meta = all.find("<!-- meta="); meta != std::string::npos;
         meta = all.find("<!-- meta=", meta + 1)) {
      const std::string kind = all.substr(meta, all.find("-->", meta) - meta);
      const size_t start = all.find("```http\n", meta) + 8;
      const size_t end = all.find("```", start);
      const size_t log = all.find("```log\n", end) + 7;
      const std::string events = all.substr(log, all.find("```", log) - log);
      if (kind.find("\"response\"") == std::string::npos) continue;
      const std::string message = unescape(all.substr(start, end - start));
      ResponseOptions options;
      options.no_secret = true;
      bool ok = true;
      try {
        parse_response(as_bytes(message), options);
      } catch (const ResponseError&) {
        ok = false;
      }
      const bool error = events.find("error code=") != std::string::npos;
      EXPECT_FALSE(ok && error) << entry.path() << "\n" << message << events;
      refused += !ok;
      accepted += ok;
    }
  }
  EXPECT_GE(refused, 20u);
  EXPECT_GE(accepted, 5u);
}

}  // namespace
}  // namespace flexroom::http
