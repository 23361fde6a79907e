#include "agent/server_bytes.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/codec.h"
#include "support/parties.h"

namespace flexroom::agent {
namespace {

class Pieces : public ByteStream {
 public:
  Pieces(std::deque<Bytes> pieces, bool resets = false)
      : pieces_(std::move(pieces)), resets_(resets) {}
  void write(ByteView) override {}
  Bytes read_some(size_t) override {
    if (pieces_.empty() && resets_) throw ProtocolAbort(AbortCode::kServer, "socket", "reset");
    if (pieces_.empty()) return {};
    Bytes out = pieces_.front();
    pieces_.pop_front();
    return out;
  }
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds) override {
    if (pieces_.empty() && !resets_) return std::nullopt;
    return read_some(max);
  }
  void close() override {}

 private:
  std::deque<Bytes> pieces_;
  bool resets_;
};

struct Received {
  Bytes bytes;
  Digest digest{};
  uint64_t offset = 0;
};

// No test waits so long: the codes tell what a member was told from what it had to wait for.
constexpr auto kPatience = std::chrono::minutes(5);

auto forward(size_t n, std::deque<Bytes> pieces, const net::Tamper& tamper = nullptr,
             bool resets = false, uint64_t limit = 1 << 20) {
  return support::run_parties(
      n,
      [=](net::Party& party) {
        ServerBytes server(
            party, 1, [&] { return std::make_unique<Pieces>(pieces, resets); }, limit);
        server.open(Bytes{1});
        Received out;
        while (true) {
          const Bytes piece = server.next();
          if (piece.empty()) break;
          append(out.bytes, piece);
        }
        EXPECT_TRUE(server.ended());
        EXPECT_TRUE(server.next().empty());
        out.digest = server.digest();
        out.offset = server.offset();
        return out;
      },
      tamper, kPatience);
}

TEST(ServerBytesTest, AllSeeTheSameStream) {
  for (const size_t n : {2u, 3u}) {
    const auto run = forward(n, {Bytes(3, 1), Bytes(65536, 2), Bytes(1, 3)});
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value());
      EXPECT_EQ(outcome.value->bytes, run.outcomes[1].value->bytes);
      EXPECT_EQ(outcome.value->digest, sha256(outcome.value->bytes));
      EXPECT_EQ(outcome.value->offset, 65540u);
    }
  }
}

net::Tamper change(std::function<void(Bytes&)> how) {
  return [how](const net::MessageId& message, Bytes& payload) {
    if (message.receiver == 0 && message.index == 1) how(payload);
  };
}

TEST(ServerBytesTest, TheCourierCannotBendOffsetsKindsOrSizes) {
  const std::deque<Bytes> pieces{Bytes(3, 1), Bytes(4, 2)};
  const std::vector<std::function<void(Bytes&)>> bends = {
      [](Bytes& m) { m[8] ^= 1; },                      // offset
      [](Bytes& m) { m[0] = 1; },                      // end with bytes
      [](Bytes& m) { m.resize(9); },                      // bytes without bytes
      [](Bytes& m) { m[0] = 3; },                      // unknown kind
      [](Bytes& m) { m.resize(5); },                      // cut
      [](Bytes& m) { m.clear(); },   [](Bytes& m) { m.resize(64 * 1024 + 10); },  // over the bound
  };
  for (const auto& bend : bends) {
    const auto run = forward(2, pieces, change(bend));
    ASSERT_TRUE(run.outcomes[0].abort.has_value());
    EXPECT_EQ(run.outcomes[0].abort->abort_class(), AbortClass::kNetwork);
  }
}

TEST(ServerBytesTest, OtherBytesOfTheSameLengthShowInTheDigest) {
  const auto run = forward(3, {Bytes(3, 1), Bytes(4, 2)}, change([](Bytes& m) { m[9] ^= 1; }));
  EXPECT_NE(run.outcomes[0].value->digest, run.outcomes[2].value->digest);
}

TEST(ServerBytesTest, TooMuchIsRefusedByAll) {
  const auto run = forward(2, {Bytes(60, 1), Bytes(60, 2)}, nullptr, false, 100);
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.code(), AbortCode::kServer);
}

TEST(ServerBytesTest, AResetReachesEverybodyAtOnce) {
  const auto run = forward(3, {Bytes(3, 1)}, nullptr, true);
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.code(), AbortCode::kServer);
}

// Also what is no protocol failure at the courier, such as a name that does not resolve.
TEST(ServerBytesTest, AFailedConnectReachesEverybodyAtOnce) {
  const auto run = support::run_parties(
      2,
      [](net::Party& party) {
        ServerBytes server(
            party, 1,
            []() -> std::unique_ptr<ByteStream> { throw InputError("host", "does not resolve"); },
            1 << 20);
        try {
          server.open(Bytes{1});
          (void)server.next();
        } catch (const InputError&) {
          return std::string("input error");
        } catch (const ProtocolAbort& abort) {
          return std::string(to_string(abort.code()));
        }
        return std::string("nothing");
      },
      nullptr, kPatience);
  EXPECT_EQ(run.outcomes[1].value, "input error");
  EXPECT_EQ(run.outcomes[0].value, std::string(to_string(AbortCode::kServer)));
}

}  // namespace
}  // namespace flexroom::agent
