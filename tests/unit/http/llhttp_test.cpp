#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "http/response.h"

// The response cases of llhttp: what llhttp refuses in its default (strict) mode, we must refuse
// too. The other direction is not asked: this parser is stricter by design.

namespace flexroom::http {
namespace {

TEST(Llhttp, WhatLlhttpRefusesIsRefused) {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/http-responses.json");
  size_t refused = 0, accepted = 0;
  for (const auto& row : nlohmann::json::parse(in)) {
    const std::string message = row[0];
    const bool error = row[1];
    ResponseOptions options;
    options.no_secret = true;
    bool ok = true;
    try {
      parse_response(as_bytes(message), options);
    } catch (const ResponseError&) {
      ok = false;
    }
    EXPECT_FALSE(ok && error) << message;
    refused += !ok;
    accepted += ok;
  }
  EXPECT_GE(refused, 20u);
  EXPECT_GE(accepted, 5u);
}

}  // namespace
}  // namespace flexroom::http
