#include <gtest/gtest.h>
#include <time.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "limbo/own_cases.h"

// tls-complete.md §10.2: chains through the check that the handshake uses. The verdict is the one
// expected, or the case stands in exceptions.tsv with its reason.

namespace flexroom::tls {
namespace {

using testing::LimboCase;

/// What refuses it, or "".
std::string verdict(const LimboCase& one) {
  ChainPolicy policy{one.host, testing::trust_of(one.roots), {}, std::nullopt};
  policy.clock = [&one] { return std::chrono::system_clock::from_time_t(one.at); };
  policy.partial_chains = one.exact;
  return testing::abort_of([&] { check_chain(one.chain, policy); });
}

struct Exception {
  bool accepted = false;  // what this client does
  bool seen = false;
};

std::map<std::string, Exception> read_exceptions() {
  std::map<std::string, Exception> out;
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/limbo/exceptions.tsv");
  EXPECT_TRUE(in);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream fields(line);
    std::string verdict, id, reason;
    std::getline(fields, verdict, '\t');
    std::getline(fields, id, '\t');
    std::getline(fields, reason);
    EXPECT_TRUE(verdict == "accepted" || verdict == "refused") << line;
    EXPECT_FALSE(reason.empty()) << line;
    EXPECT_TRUE(out.emplace(id, Exception{verdict == "accepted", false}).second) << id << " twice";
  }
  return out;
}

/// Fails for a case that differs and is not listed, and for one that is listed and agrees.
void hold_against_the_list(const std::vector<LimboCase>& cases,
                           std::map<std::string, Exception>& exceptions) {
  std::set<std::string> ids;
  size_t agree = 0;
  for (const LimboCase& one : cases) {
    EXPECT_TRUE(ids.insert(one.id).second) << one.id << " twice";
    const std::string reason = verdict(one);
    const bool accepted = reason.empty();
    const auto listed = exceptions.find(one.id);
    if (listed == exceptions.end()) {
      EXPECT_EQ(accepted, one.valid) << one.id << ": " << reason.substr(0, 300);
      agree += accepted == one.valid ? 1 : 0;
      continue;
    }
    listed->second.seen = true;
    EXPECT_NE(accepted, one.valid) << one.id << " agrees: take it off exceptions.tsv";
    EXPECT_EQ(accepted, listed->second.accepted) << one.id << ": " << reason.substr(0, 300);
  }
  std::cout << cases.size() << " cases, " << agree << " agree\n";
}

TEST(Limbo, OwnCasesOfEveryClass) {
  auto exceptions = read_exceptions();
  hold_against_the_list(testing::own_cases(), exceptions);
}

Bytes der_of(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  char *name = nullptr, *header = nullptr;
  uint8_t* data = nullptr;
  long size = 0;
  FLEXROOM_ASSERT(PEM_read_bio(bio, &name, &header, &data, &size) == 1);
  Bytes out(data, data + size);
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  BIO_free(bio);
  return out;
}

time_t time_of(const nlohmann::json& text) {
  if (!text.is_string()) return testing::kNow;
  struct tm parts = {};
  FLEXROOM_ASSERT(strptime(text.get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &parts) !=
                  nullptr);
  return timegm(&parts);
}

/// A case of limbo.json; none for what no client of a server is asked.
std::optional<LimboCase> read_case(const nlohmann::json& entry) {
  if (entry["validation_kind"] != "SERVER" || entry["expected_peer_name"].is_null()) return {};
  LimboCase out;
  out.id = entry["id"];
  out.valid = entry["expected_result"] == "SUCCESS";
  out.host = entry["expected_peer_name"]["value"];
  out.at = time_of(entry["validation_time"]);
  out.chain.push_back(der_of(entry["peer_certificate"]));
  for (const auto& pem : entry["untrusted_intermediates"]) out.chain.push_back(der_of(pem));
  for (const auto& pem : entry["trusted_certs"]) out.roots += pem.get<std::string>() + "\n";
  if (out.roots.empty()) out.roots = testing::to_pem(testing::Pki::shared().root);
  return out;
}

/// The limbo.json that LIMBO_JSON names, if it names one (README.md).
std::vector<std::string> files() {
  const char* path = std::getenv("LIMBO_JSON");
  return path == nullptr ? std::vector<std::string>() : std::vector<std::string>{path};
}

class LimboFile : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LimboFile);
INSTANTIATE_TEST_SUITE_P(Given, LimboFile, ::testing::ValuesIn(files()));

TEST_P(LimboFile, EveryCaseIsDecidedAsListed) {
  std::ifstream in(GetParam());
  ASSERT_TRUE(in) << GetParam();
  std::vector<LimboCase> cases;
  size_t not_asked = 0;
  const auto file = nlohmann::json::parse(in);
  for (const auto& entry : file["testcases"]) {
    if (const auto one = read_case(entry)) {
      cases.push_back(*one);
    } else {
      ++not_asked;
    }
  }
  auto exceptions = read_exceptions();
  hold_against_the_list(cases, exceptions);
  std::cout << not_asked << " not asked (client certificates, no host)\n";
  for (const auto& [id, exception] : exceptions) EXPECT_TRUE(exception.seen) << id << " is no case";
}

}  // namespace
}  // namespace flexroom::tls
