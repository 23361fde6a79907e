#include <arpa/inet.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/base64.h"
#include "limbo/own_cases.h"

// tls-complete.md §10.2: chains through the check that the handshake uses. The verdict is the one
// expected, or the case stands in exceptions.tsv with its reason.

namespace flexroom::tls {
namespace {

using testing::LimboCase;

bool is_address(const std::string& host) {
  std::array<uint8_t, sizeof(in6_addr)> parsed = {};
  return inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

/// As a member has them, in a file.
RevocationLists lists_of(const std::string& pem) {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("flexroom-limbo-{}.pem", getpid()))
          .string();
  std::ofstream(path) << pem;
  const RevocationLists lists = RevocationLists::from_file(path, "limbo");
  std::filesystem::remove(path);
  return lists;
}

/// What refuses it, or "".
std::string verdict(const LimboCase& one) {
  ChainPolicy policy{one.host, testing::trust_of(one.roots), {}, std::nullopt};
  policy.clock = [&one] { return std::chrono::system_clock::from_time_t(one.at); };
  policy.partial_chains = one.exact;
  if (!one.crls.empty()) policy.revocation_lists = lists_of(one.crls);
  return testing::abort_of([&] { check_chain(one.chain, policy); });
}

/// Of exceptions.tsv: every case whose service is named by an IP address.
const std::string kAddress = "(any)::ip-address-as-name";

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
  size_t agree = 0, let_in = 0, refused = 0;
  for (const LimboCase& one : cases) {
    EXPECT_TRUE(ids.insert(one.id).second) << one.id << " twice";
    const std::string reason = verdict(one);
    const bool accepted = reason.empty();
    // An IP address as the service's name is one cause, whatever else the case is about.
    const bool for_its_name = is_address(one.host) && one.valid && !accepted;
    const auto listed = exceptions.find(for_its_name ? kAddress : one.id);
    if (listed == exceptions.end()) {
      EXPECT_EQ(accepted, one.valid) << one.id << ": " << reason.substr(0, 300);
      agree += accepted == one.valid ? 1 : 0;
      continue;
    }
    listed->second.seen = true;
    EXPECT_NE(accepted, one.valid) << one.id << " agrees: take it off exceptions.tsv";
    EXPECT_EQ(accepted, listed->second.accepted) << one.id << ": " << reason.substr(0, 300);
    ++(accepted ? let_in : refused);
  }
  std::cout << cases.size() << " cases, " << agree << " agree, " << let_in << " accepted and "
            << refused << " refused by the lists\n";
}

TEST(Limbo, OwnCasesOfEveryClass) {
  auto exceptions = read_exceptions();
  hold_against_the_list(testing::own_cases(), exceptions);
}

std::string to_text(ByteView der, const char* what) {
  std::string base64 = base64_encode(der);
  for (size_t at = 64; at < base64.size(); at += 65) base64.insert(at, "\n");
  return fmt::format("-----BEGIN {0}-----\n{1}\n-----END {0}-----\n", what, base64);
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
  for (const auto& pem : entry.value("crls", nlohmann::json::array())) {
    out.crls += pem.get<std::string>() + "\n";
  }
  if (out.roots.empty()) out.roots = testing::to_pem(testing::Pki::shared().root);
  return out;
}

/// The cases of tests/vectors/x509-limbo.json: certificates once each, cases by their numbers.
std::vector<LimboCase> compact_cases() {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/x509-limbo.json");
  const auto file = nlohmann::json::parse(in);
  const auto der = [&](const nlohmann::json& number) {
    return base64_decode(file["certificates"].at(number.get<size_t>()).get<std::string>()).value();
  };
  std::vector<LimboCase> cases;
  for (const auto& entry : file["cases"]) {
    LimboCase one;
    one.id = entry["id"];
    one.valid = entry["valid"];
    one.host = entry["host"];
    one.at = time_of(entry.value("at", nlohmann::json()));
    for (const auto& number : entry["chain"]) one.chain.push_back(der(number));
    for (const auto& number : entry["roots"]) one.roots += to_text(der(number), "CERTIFICATE");
    if (one.roots.empty()) one.roots = testing::to_pem(testing::Pki::shared().root);
    for (const auto& number : entry.value("crls", nlohmann::json::array())) {
      one.crls += to_text(der(number), "X509 CRL");
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

TEST(Limbo, EveryPublishedCaseIsDecidedAsListed) {
  const std::vector<LimboCase> cases = compact_cases();
  ASSERT_GT(cases.size(), 250u);
  auto exceptions = read_exceptions();
  hold_against_the_list(cases, exceptions);
  for (const auto& [id, exception] : exceptions) EXPECT_TRUE(exception.seen) << id << " is no case";
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
