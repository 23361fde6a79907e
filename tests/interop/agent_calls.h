#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "agent/connection.h"
#include "agent/memory_journal.h"
#include "interop/servers.h"
#include "net/tcp_stream.h"
#include "support/dealer.h"
#include "support/parties.h"

// Calls of the whole secure agent, one TLS 1.3 client shared by two or three members. Only the
// correlated randomness is dealt; arithmetic, garbled circuits and TLS are the real thing.

namespace flexroom::agent {

inline constexpr PartyId kCourier = 1;

class OnceJournal : public MemoryJournal {
 public:
  void mark(std::string_view kind, ByteView id) override {
    MemoryJournal::mark(kind, id);
    if (kind == "release") releases_ += 1;
  }
  int releases() const { return releases_; }

 private:
  int releases_ = 0;
};

struct Call {
  size_t members = 2;
  Groups groups = all_groups();
  std::string suite = "aes128";
  tls::ClientAuth client_auth = tls::ClientAuth::kRefuse;
  std::string root = "root.pem";
  std::string path = "/small.txt";
  std::chrono::milliseconds timeout = std::chrono::seconds(20);
  std::string request;  // in place of a GET of `path`
};

struct Answer {
  support::Run<Reply> run;
  std::vector<bool> released;
  std::vector<int> releases;  // marked in the journal
};

// A server that is not there would be a test that cannot fail.
inline constexpr const char* kMissing = "the server is missing: run tools/install.sh test";

class AgentInterop : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (interop::have_program("openssl")) workshop_ = new interop::Workshop;
  }
  static void TearDownTestSuite() {
    delete workshop_;
    workshop_ = nullptr;
  }
  void SetUp() override {
    ASSERT_NE(workshop_, nullptr) << "openssl is missing: run tools/install.sh test";
    ASSERT_EQ(workshop_->problem(), "");
  }

  Answer call_port(uint16_t port, const Call& what) {
    Answer answer;
    answer.released.resize(what.members);
    answer.releases.resize(what.members);
    std::vector<uint8_t> released(what.members);
    support::Dealer dealer(what.members);
    const std::string text = !what.request.empty()
                                 ? what.request
                                 : "GET " + what.path +
                                       " HTTP/1.1\r\nHost: " + interop::Workshop::kHost +
                                       "\r\nConnection: close\r\n\r\n";
    answer.run = support::run_parties(
        what.members,
        [&](net::Party& party) {
          prep::Source& source = dealer.source(party.id());
          arith::ArithEngine arith(party, source);
          boolean::Engine engine(party, source);
          OnceJournal journal;
          ConnectionConfig config;
          config.host = interop::Workshop::kHost;
          config.groups = what.groups;
          config.suite = tls::find_suite(what.suite);
          config.client_auth = what.client_auth;
          config.courier = kCourier;
          config.no_secret = true;
          config.handshake = tls::handshake_config(
              {interop::Workshop::kHost,
               tls::TrustStore::from_files({workshop_->file(what.root)}, "test"),
               [] { return std::chrono::system_clock::now(); }, std::nullopt});
          RequestPlan plan;
          plan.bytes = text.size();
          Connection connection({party, source, arith, engine, journal}, config, plan);
          Timeline timeline(party);
          connection.prepare(timeline);
          Request request;
          request.text = to_bytes(text);
          request.id = sha256(request.text);
          struct AtEnd {
            std::function<void()> action;
            ~AtEnd() { action(); }
          } at_end{[&] {
            released[party.id()] = connection.released();
            answer.releases[party.id()] = journal.releases();
          }};
          return connection.call(
              request, [&] { return net::connect_tcp("127.0.0.1", port, what.timeout); }, timeline);
        },
        nullptr, std::chrono::seconds(120));
    answer.released.assign(released.begin(), released.end());
    return answer;
  }

  void expect_answer(uint16_t port, const Call& what, const std::string& body) {
    const Answer answer = call_port(port, what);
    for (const auto& outcome : answer.run.outcomes) {
      EXPECT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    }
    if (HasFailure()) return;
    for (PartyId i = 0; i < what.members; ++i) {
      const auto& outcome = answer.run.outcomes[i];
      EXPECT_FALSE(outcome.value->unknown_outcome.has_value()) << *outcome.value->unknown_outcome;
      EXPECT_EQ(outcome.value->response.status, 200);
      EXPECT_THAT(to_text(outcome.value->response.body), ::testing::HasSubstr(body));
      EXPECT_TRUE(answer.released[i]);
      EXPECT_EQ(answer.releases[i], 1);
    }
  }
  void expect_big(uint16_t port, Call what) {
    what.path = "/big.txt";
    expect_answer(port, what, interop::read_file(workshop_->file("big.txt")));
  }

  /// Who can know the reason: what is in the server's bytes, all; what happened to the socket, the
  /// courier, and the others can only say that it did.
  enum class Seen { kByAll, kByCourier };

  /// Nobody released anything, everybody says why; the epoch lives on.
  void expect_refusal(uint16_t port, const Call& what, const std::string& reason,
                      Seen seen = Seen::kByAll, AbortCode at_courier = AbortCode::kServer) {
    const Answer answer = call_port(port, what);
    for (PartyId i = 0; i < what.members; ++i) {
      const auto& abort = answer.run.outcomes[i].abort;
      ASSERT_TRUE(abort.has_value()) << "member " << i << " got an answer";
      EXPECT_EQ(abort->abort_class(), AbortClass::kNetwork);
      EXPECT_EQ(abort->code(), i == kCourier ? at_courier : AbortCode::kServer) << abort->what();
      const bool knows = seen == Seen::kByAll || i == kCourier;
      EXPECT_THAT(abort->what(),
                  ::testing::HasSubstr(knows ? reason : "the courier lost the connection"))
          << "member " << i;
      EXPECT_FALSE(answer.released[i]);
      EXPECT_EQ(answer.releases[i], 0);
    }
  }

  static std::vector<std::string> s_server(uint16_t port, const std::string& certificate,
                                           std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "openssl",     "s_server",           "-accept", "127.0.0.1:" + std::to_string(port),
        "-cert",       certificate + ".pem", "-key",    certificate + ".key",
        "-cert_chain", certificate + ".pem", "-quiet"};
    if (more.empty() || more[0] != "-www") words.push_back("-WWW");
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::unique_ptr<interop::ServerProcess> openssl_server(
      const std::string& certificate, const std::vector<std::string>& more = {}) {
    return std::make_unique<interop::ServerProcess>(
        *workshop_, [&](uint16_t port) { return s_server(port, certificate, more); });
  }

  inline static interop::Workshop* workshop_ = nullptr;
};

}  // namespace flexroom::agent
