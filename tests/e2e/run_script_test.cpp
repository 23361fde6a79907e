#include "call/run_script.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/memory_journal.h"
#include "cloud/sandbox.h"
#include "net/tcp_stream.h"
#include "prep/epoch.h"
#include "prep/memory_safety.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "support/parties.h"

// Two and three members, all protocols real, against the sandbox cloud: a VM starts only if every
// signature, hash and record that MPC made is right.

namespace flexroom {
namespace {

struct Outcome {
  RunScriptResult result;
  uint64_t ands = 0;
  size_t request_bytes = 0;
};

struct Setting {
  size_t members;
  Groups groups;
  const tls::CipherSuite* suite;
};
const tls::CipherSuite* const kAes = &tls::aes128_gcm_sha256();
const tls::CipherSuite* const kChaCha = &tls::chacha20_poly1305_sha256();
const tls::CipherSuite* const kAes256 = &tls::aes256_gcm_sha384();

class RunScriptTest : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override { start_sandbox(0); }
  void start_sandbox(unsigned throttled_runs) {
    if (sandbox_) sandbox_->stop();
    dir_ = std::filesystem::temp_directory_path() / ("flexroom-e2e-" + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    cloud::SandboxOptions options;
    options.state_dir = dir_;
    options.quiet = true;
    options.throttled_runs = throttled_runs;
    sandbox_ = std::make_unique<cloud::Sandbox>(options);
    sandbox_->start();
  }
  void TearDown() override {
    sandbox_->stop();
    sandbox_.reset();
    std::filesystem::remove_all(dir_);
  }

  RunScriptTerms terms(size_t n, const std::string& access_key) {
    RunScriptTerms out;
    out.job.region = "us-east-1";
    out.job.image_id = "ami-0123456789abcdef0";
    out.job.instance_type = "t3.large";
    out.job.access_key_id = access_key;
    out.job.script_url = "https://scripts.s3.us-east-1.amazonaws.com/train.py";
    out.job.script_sha256 = std::string(64, 'a');
    out.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
    for (size_t i = 0; i < n; ++i) {
      out.links.push_back(own_links(i).public_part("member-" + std::to_string(i)));
    }
    return out;
  }
  /// The same at every member of the test.
  static OwnLinks own_links(size_t i) {
    Prg prg(Block(i, 1));
    return {data_url(i), result_url(i), result_url(i), prg};
  }
  static PrivateUrl data_url(size_t i) {
    return split_private_url("https://m" + std::to_string(i) +
                                 ".s3.us-east-1.amazonaws.com/private-object-" + std::to_string(i) +
                                 "?X-Amz-Expires=60&X-Amz-Signature=" + std::string(64, 'b'),
                             "test");
  }
  static PrivateUrl result_url(size_t i) {
    return split_private_url("https://m" + std::to_string(i) +
                                 ".s3.us-east-1.amazonaws.com/r?X-Amz-Expires=60&X-Amz-Signature=" +
                                 std::string(64, 'c'),
                             "test");
  }

  /// All members run it; what each of them got.
  std::vector<Outcome> run_all();

  std::filesystem::path dir_;
  std::unique_ptr<cloud::Sandbox> sandbox_;
};

std::vector<Outcome> RunScriptTest::run_all() {
  const auto [n, groups, suite] = GetParam();
  const cloud::AccountKey account = sandbox_->create_account("joint-test");
  const std::string secret = account.secret_access_key;
  const auto protocol = [&, n = n, groups = groups, suite = suite](net::Party& party) {
    prep::EpochParameters parameters;
    for (size_t i = 0; i < n; ++i) parameters.identities.push_back(Bytes(1, uint8_t(i)));
    const prep::EpochState epoch = prep::setup_epoch(party, parameters);
    prep::session_hello(party, epoch, prep::kProtocol);
    prep::MemorySafety safety;
    prep::SessionPrep source(party, epoch, safety);
    arith::ArithEngine arith(party, source);
    boolean::Engine engine(party, source);
    agent::MemoryJournal journal;
    agent::Context context{party, source, arith, engine, journal};

    // The secret key comes from member 0 here; its bits are then authenticated shares.
    std::vector<uint8_t> bits;
    for (const char c : secret) {
      for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(uint8_t(c) >> b & 1));
    }
    const prep::AuthBits key = source.owned_bits_of(0, bits.size(), bits);

    agent::ConnectionConfig config;
    config.host = "ec2.us-east-1.amazonaws.com";
    config.groups = groups;
    config.suite = suite;
    config.handshake = tls::handshake_config(
        {config.host, tls::TrustStore::from_files({sandbox_->ca_file().string()}, "sandbox"),
         [] { return std::chrono::system_clock::now(); }, std::nullopt});
    const PartyId me = party.id();
    RunScriptCall call(context, terms(n, account.access_key_id), config,
                       own_links(me).private_part(me == 0));
    agent::Timeline timeline(party);
    call.prepare(key, timeline);
    Outcome out;
    out.result = call.call(
        [&] { return net::connect_tcp("127.0.0.1", sandbox_->port(), std::chrono::seconds(20)); },
        timeline, [](const RunScriptResult&, std::chrono::seconds) {});
    out.ands = call.num_ands();
    out.request_bytes = call.request_bytes();
    if (party.id() == 0) {
      for (const auto& phase : timeline.phases()) {
        std::printf("  %-32s %8.1f ms  %10llu bytes  %3llu half rounds\n", phase.name.c_str(),
                    1e3 * phase.seconds, static_cast<unsigned long long>(phase.bytes_sent),
                    static_cast<unsigned long long>(phase.half_rounds));
      }
      std::printf("  request %zu bytes, %llu ANDs\n", out.request_bytes,
                  static_cast<unsigned long long>(out.ands));
    }
    return out;
  };
  const auto run = support::run_parties(n, protocol, nullptr, std::chrono::seconds(120));
  std::vector<Outcome> out;
  for (const auto& outcome : run.outcomes) {
    EXPECT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    if (outcome.value) out.push_back(*outcome.value);
  }
  return out;
}

TEST_P(RunScriptTest, StartsTheVmWithASignatureNobodyCouldMakeAlone) {
  const std::vector<Outcome> all = run_all();
  ASSERT_EQ(all.size(), GetParam().members);
  for (const Outcome& outcome : all) {
    EXPECT_EQ(outcome.result.status, 200) << outcome.result.body;
    EXPECT_EQ(outcome.result.instance_id, all[0].result.instance_id);
    EXPECT_EQ(outcome.result.attempts, 1u);
  }
}

class RunScriptThrottledTest : public RunScriptTest {};

TEST_P(RunScriptThrottledTest, AThrottledStartIsMadeAgainWithAnotherSignature) {
  start_sandbox(2);
  const std::vector<Outcome> all = run_all();
  ASSERT_EQ(all.size(), GetParam().members);
  for (const Outcome& outcome : all) {
    EXPECT_EQ(outcome.result.status, 200) << outcome.result.body;
    EXPECT_EQ(outcome.result.attempts, 3u);
    EXPECT_EQ(outcome.result.instance_id, all[0].result.instance_id);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rooms, RunScriptTest,
    ::testing::Values(Setting{2, all_groups(), kAes}, Setting{2, {NamedGroup::kP256}, kAes},
                      Setting{3, all_groups(), kAes}, Setting{2, all_groups(), kChaCha},
                      Setting{3, all_groups(), kChaCha}, Setting{2, all_groups(), kAes256},
                      Setting{3, {NamedGroup::kP256}, kAes256}));
INSTANTIATE_TEST_SUITE_P(Rooms, RunScriptThrottledTest,
                         ::testing::Values(Setting{2, all_groups(), kChaCha},
                                           Setting{3, all_groups(), kAes}));

}  // namespace
}  // namespace flexroom
