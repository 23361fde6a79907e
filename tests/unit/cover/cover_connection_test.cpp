#include "cover/cover_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_service.h"

// Cover connections (tls-complete.md §8.3, attack 87): of the form of the members', and with
// nothing in them.

namespace flexroom::cover {
namespace {

using std::chrono::milliseconds;
using support::TestService;
using tls::testing::hello_retry;
using tls::testing::key_shares_of;

/// What is written to the service, as the line sees it.
class Recorded : public ByteStream {
 public:
  Recorded(TestService::Script script, TestService::Seen& seen)
      : service_(std::move(script), seen) {}
  void write(ByteView bytes) override {
    writes.emplace_back(bytes.begin(), bytes.end());
    service_.write(bytes);
  }
  Bytes read_some(size_t max) override { return service_.read_some(max); }
  std::optional<Bytes> read_some_within(size_t max, milliseconds quiet) override {
    return service_.read_some_within(max, quiet);
  }
  void close() override {}
  std::vector<Bytes> writes;

 private:
  TestService service_;
};

Settings settings() {
  Settings out;
  out.host = "api.example";
  out.handshake = tls::handshake_config(tls::testing::chain_policy());
  return out;
}

struct Made {
  TestService::Seen seen;
  std::vector<Bytes> writes;
  std::vector<milliseconds> waits;
};
Made make(const Settings& how, const Shape& shape, const TestService::Script& script = {}) {
  Made out;
  Recorded stream(script, out.seen);
  const auto wait = [&](milliseconds time) { out.waits.push_back(time); };
  try {
    connect_once(stream, how, shape, wait);
  } catch (...) {
    out.writes = stream.writes;
    throw;
  }
  out.writes = stream.writes;
  return out;
}

Shape shape_of(std::vector<size_t> record_bytes, milliseconds pause = milliseconds(0)) {
  Shape out;
  out.pause = pause;
  out.record_bytes = std::move(record_bytes);
  return out;
}

// 87: the request of the entry, its type and zeros, and not a byte of anything else.
TEST(CoverConnection, HoldsItsRequestAndZerosAlone) {
  for (const NamedGroup group : all_groups()) {
    for (const bool likely : {false, true}) {
      Settings how = settings();
      if (likely) how.likely_curve = NamedGroup::kP256;
      TestService::Script script;
      script.group = group;
      const NamedGroup held = likely ? NamedGroup::kX25519 : NamedGroup::kP256;
      if (group == held) script.retry = {hello_retry(tls::code_point(group))};
      const Made done = make(how, shape_of({1024}), script);
      EXPECT_EQ(done.seen.retried, group == held);
      EXPECT_TRUE(done.seen.finished);
      EXPECT_EQ(done.seen.request, request_text(how) + '\x17');
      EXPECT_EQ(done.seen.record_bytes, std::vector<size_t>{1024});
    }
  }
}

TEST(CoverConnection, RecordsAreAsLongAsTheOnesItLooksLike) {
  const Settings how = settings();
  const size_t whole = request_text(how).size() + 1;
  for (const std::vector<size_t>& sizes : {std::vector<size_t>{whole},
                                           {whole + 1},
                                           {16385},
                                           {41, 41, 41, 41},
                                           {16385, 16385, 2048},
                                           {2, whole, 2}}) {
    TestService::Script script;
    script.request_bytes = whole;
    const Made done = make(how, shape_of(sizes), script);
    EXPECT_EQ(done.seen.record_bytes, sizes);
    EXPECT_EQ(done.seen.request, request_text(how) + '\x17');
  }
}

TEST(CoverConnection, OnlyWhatFitsIsALikeness) {
  const Settings how = settings();
  const size_t whole = request_text(how).size() + 1;
  EXPECT_TRUE(fits(how, shape_of({whole})));
  EXPECT_FALSE(fits(how, shape_of({whole - 1})));
  EXPECT_FALSE(fits(how, shape_of({})));
  EXPECT_FALSE(fits(how, shape_of({1024, 1})));  // a record without content
  EXPECT_FALSE(fits(how, shape_of({16386})));
  EXPECT_FALSE(fits(how, shape_of(std::vector<size_t>(whole, 16385))));  // a byte for each
}

// The hello of the members byte for byte, but for what is random: extensions, their order, one
// X25519 key in both entries.
TEST(CoverConnection, HasTheHelloOfTheMembers) {
  for (const bool status_request : {false, true}) {
    Settings how = settings();
    how.handshake.status_request = status_request;
    const Made done = make(how, shape_of({1024}));
    const Bytes& record = done.writes.front();
    EXPECT_EQ(record.size(), tls::client_hello_bytes(how.groups, how.host, status_request));
    const Bytes message(record.begin() + 5, record.end());
    const auto shares = key_shares_of(message);
    ASSERT_EQ(shares.size(), 2u);
    EXPECT_EQ(shares[0].first, 0x11ec);
    EXPECT_EQ(Bytes(shares[0].second.end() - 32, shares[0].second.end()), shares[1].second);
    tls::ClientHelloInput members;
    members.host = how.host;
    members.status_request = status_request;
    members.held_back = tls::held_back_of(how.groups);
    std::copy_n(message.begin() + 6, 32, members.random.begin());
    members.session_id.assign(message.begin() + 39, message.begin() + 71);
    members.key_shares = {{NamedGroup::kX25519MlKem768, shares[0].second},
                          {NamedGroup::kX25519, shares[1].second},
                          {NamedGroup::kP256, Bytes(65, 4)}};
    EXPECT_EQ(tls::build_client_hello(members).message, message);
  }
}

// Finished and request leave in one write, as the members' do, when the pause is over.
TEST(CoverConnection, WaitsAsLongAsTheMembersDid) {
  const Made done = make(settings(), shape_of({1024}, std::chrono::hours(10)));
  ASSERT_EQ(done.waits.size(), 1u);
  EXPECT_LE(done.waits[0], std::chrono::hours(10));
  EXPECT_GT(done.waits[0], std::chrono::hours(9));
  EXPECT_EQ(done.writes.size(), 2u);
  EXPECT_TRUE(make(settings(), shape_of({1024})).waits.empty());
}

// Whoever is no host of the entry hears an alert and gets no request.
TEST(CoverConnection, IsMadeWithTheHostAlone) {
  Settings how = settings();
  how.handshake = tls::handshake_config(tls::testing::chain_policy("other.example"));
  TestService::Seen seen;
  Recorded stream({}, seen);
  EXPECT_THROW(connect_once(stream, how, shape_of({1024}), [](milliseconds) {}), tls::ServerFault);
  EXPECT_FALSE(seen.finished);
  EXPECT_EQ(seen.request, "");
  EXPECT_EQ(seen.alert.size(), 2u);
}

// A service that says more than any answer may is not listened to.
TEST(CoverConnection, AnAnswerIsReadToItsEndAndDropped) {
  TestService::Script script;
  script.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
  script.more = {"more", "and more"};
  const Made done = make(settings(), shape_of({1024}), script);
  EXPECT_EQ(done.seen.requests.size(), 1u);
}

}  // namespace
}  // namespace flexroom::cover
