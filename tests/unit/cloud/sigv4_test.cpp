#include "cloud/sigv4.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace flexroom::cloud {
namespace {

nlohmann::json vectors(const std::string& name) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR "/tests/vectors/") + name);
  return nlohmann::json::parse(in);
}

/// The suite's request files: raw spaces in targets, folded header values.
Request parse(const std::string& text) {
  Request request;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const size_t first = line.find(' '), last = line.rfind(' ');
  request.method = line.substr(0, first);
  const std::string target = line.substr(first + 1, last - first - 1);
  const size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  while (std::getline(lines, line) && !line.empty()) {
    if (line[0] == ' ') {
      request.headers.back().second += "\n" + line;
    } else {
      request.headers.emplace_back(line.substr(0, line.find(':')), line.substr(line.find(':') + 1));
    }
  }
  request.body = {std::istreambuf_iterator<char>(lines), {}};
  return request;
}

TEST(SigV4, AgreesWithThePublishedSuite) {
  size_t num_cases = 0;
  for (const auto& row : vectors("sigv4-suite.json")) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto& context = row["context"];
    const std::string expected = row["canonical"];
    // The canonical request names which headers are signed, and the date among them.
    Request request = parse(row["signed"]);
    std::vector<std::string> names;
    std::istringstream lines(expected);
    std::string line, before;
    std::vector<std::string> all;
    while (std::getline(lines, line)) all.push_back(line);
    std::istringstream list(all[all.size() - 2]);
    for (std::string name; std::getline(list, name, ';');) names.push_back(name);
    const PathRules rules{context.at("normalize").get<bool>(), true};
    const std::string canonical =
        canonical_request(request, names, to_hex(sha256(as_bytes(request.body))), rules);
    EXPECT_EQ(canonical, expected);
    const std::string date = request.header("x-amz-date").value_or("");
    const CredentialScope scope{"", date.substr(0, 8), context.at("region"), context.at("service"),
                                "aws4_request"};
    const std::string text = string_to_sign(date, scope, canonical);
    EXPECT_EQ(text, row["to_sign"].get<std::string>());
    const std::string secret = context.at("credentials").at("secret_access_key");
    EXPECT_EQ(signature(signing_key(secret, scope), text), row["signature"].get<std::string>());
    ++num_cases;
  }
  EXPECT_GE(num_cases, 38u);
}

TEST(SigV4, AgreesWithVectorsOfAnotherSigner) {
  const nlohmann::json cases = vectors("sigv4-signers.json");
  ASSERT_FALSE(cases.empty());
  for (const auto& vector : cases) {
    SCOPED_TRACE(vector.at("id").dump());
    Request request;
    request.method = vector.at("method");
    const std::string url = vector.at("url");
    const size_t path = url.find('/', 8), mark = url.find('?');
    request.path = url.substr(path, mark == std::string::npos ? mark : mark - path);
    if (mark != std::string::npos) request.query = url.substr(mark + 1);
    request.headers.emplace_back("Host", vector.at("host"));
    for (const auto& [name, value] : vector.at("headers").items()) {
      request.headers.emplace_back(name, value.get<std::string>());
    }
    const std::string canonical = vector.at("canonical_request");
    const size_t hash_at = canonical.rfind('\n');
    const size_t names_at = canonical.rfind('\n', hash_at - 1);
    std::istringstream list(canonical.substr(names_at + 1, hash_at - names_at - 1));
    std::vector<std::string> names;
    for (std::string name; std::getline(list, name, ';');) names.push_back(name);
    const bool twice = vector.at("double_encode_path");
    const std::string payload_hash = vector.at("payload_hash");
    EXPECT_EQ(canonical_request(request, names, payload_hash, {twice, twice}), canonical);
    const CredentialScope scope{vector.at("access_key"),
                                vector.at("timestamp").get<std::string>().substr(0, 8),
                                vector.at("region"), vector.at("service"), "aws4_request"};
    const std::string text =
        string_to_sign(vector.at("timestamp").get<std::string>(), scope, canonical);
    EXPECT_EQ(text, vector.at("string_to_sign"));
    const std::string secret = vector.at("secret_key");
    EXPECT_EQ(signature(signing_key(secret, scope), text), vector.at("signature"));
  }
}

}  // namespace
}  // namespace flexroom::cloud
