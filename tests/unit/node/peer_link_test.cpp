#include "node/peer_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/codec.h"
#include "flexroom/version.h"
#include "support/tcp_members.h"

namespace flexroom::node {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

bool comes(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

/// A chain that is one number: who has the smaller one wants the larger one.
class OneNumber final : public LinkWork {
 public:
  LinkHello hello() override {
    LinkHello out = hello_;
    out.program = kVersion;
    return out;
  }
  void heard_hello(const agreement::MemberId&, const LinkHello& hello) override {
    if (hello.session == 13) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "node/hello", "runs twice, or was restored");
    }
  }
  Bytes heads() override { return Writer().u64(number).take(); }
  Bytes missing(const agreement::MemberId&, ByteView heads) override {
    return Reader(heads, "test").u64() > number ? Bytes{1} : Bytes{};
  }
  Bytes give(const agreement::MemberId&, ByteView) override { return heads(); }
  bool take(const agreement::MemberId&, ByteView bundle) override {
    const uint64_t theirs = Reader(bundle, "test").u64();
    if (theirs <= number) return false;
    number = theirs;
    return true;
  }
  void asked_to_meet(const agreement::MemberId&) override { ++asked; }
  void link_changed(const agreement::MemberId&) override {}

  LinkHello hello_;
  std::atomic<uint64_t> number{0}, asked{0};
};

/// Two members, of which the second connects.
struct Pair {
  Pair() : members(2) {
    for (size_t i = 0; i < 2; ++i) {
      ids[i] = {static_cast<uint8_t>(i + 1)};
      listeners[i] =
          std::make_unique<Listener>(Fd(std::exchange(members.configs[i].listen_socket, -1)),
                                     std::vector{agreement::MemberId{static_cast<uint8_t>(2 - i)}});
    }
  }
  void start(size_t i) {
    PeerLink::Settings settings;
    settings.self = members.configs[i].members[i];
    settings.peer = members.configs[i].members[1 - i];
    settings.self_id = ids[i];
    settings.peer_id = ids[1 - i];
    settings.connects = i == 1;
    links[i] = std::make_unique<PeerLink>(settings, members.identities[i],
                                          listeners[i]->of_peer(ids[1 - i]), work[i]);
    links[i]->start();
  }
  bool both_up() {
    return comes([&] { return links[0]->state().up && links[1]->state().up; });
  }
  support::TcpMembers members;
  agreement::MemberId ids[2];
  std::unique_ptr<Listener> listeners[2];
  OneNumber work[2];
  std::unique_ptr<PeerLink> links[2];
};

TEST(PeerLinkTest, FetchesWhatIsMissingAndComesBackAfterARestart) {
  Pair pair;
  pair.work[0].number = 7;
  pair.start(0);
  pair.start(1);
  ASSERT_TRUE(pair.both_up());
  EXPECT_TRUE(comes([&] { return pair.work[1].number == 7; }));
  EXPECT_EQ(pair.links[0]->state().program, kVersion);
  pair.work[1].number = 8;
  pair.links[1]->tell_heads();
  EXPECT_TRUE(comes([&] { return pair.work[0].number == 8; }));
  pair.links[0]->ask_to_meet();
  EXPECT_TRUE(comes([&] { return pair.work[1].asked == 1; }));

  pair.links[0].reset();
  EXPECT_TRUE(comes([&] { return !pair.links[1]->state().up; }));
  pair.work[0].number = 9;
  pair.start(0);
  EXPECT_TRUE(comes([&] { return pair.work[1].number == 9; }));
}

TEST(PeerLinkTest, NamesTheVersionsThatDoNotSpeakWithEachOther) {
  Pair pair;
  pair.work[1].hello_.oldest = kExchangeNewest + 1;
  pair.work[1].hello_.newest = kExchangeNewest + 2;
  pair.start(0);
  pair.start(1);
  EXPECT_TRUE(comes([&] {
    return pair.links[0]->state().problem.find("update the older one") != std::string::npos;
  }));
  EXPECT_FALSE(pair.links[0]->state().up);
}

// members.md §5.2: a newer one that still speaks our form is spoken to.
TEST(PeerLinkTest, SpeaksWithTheNextVersion) {
  Pair pair;
  pair.work[1].hello_.newest = kExchangeNewest + 1;
  pair.start(0);
  pair.start(1);
  EXPECT_TRUE(pair.both_up());
}

// M38: what the inbox says of a session counter ends the link, by name.
TEST(PeerLinkTest, SpeaksWithNobodyWhoRunsTwice) {
  Pair pair;
  pair.work[1].hello_.session = 13;
  pair.start(0);
  pair.start(1);
  EXPECT_TRUE(comes(
      [&] { return pair.links[0]->state().problem.find("runs twice") != std::string::npos; }));
}

// M37: who sends without end waits, and is counted.
TEST(PeerLinkTest, HoldsBackAPeerThatFloods) {
  Pair pair;
  pair.start(0);
  pair.start(1);
  ASSERT_TRUE(pair.both_up());
  for (int i = 0; i < 100'000 && pair.links[0]->state().held_back == 0; ++i) {
    pair.links[1]->ask_to_meet();
    std::this_thread::yield();
  }
  EXPECT_GT(pair.links[0]->state().held_back, 0u);
  EXPECT_LE(pair.work[0].asked, 400u);
}

TEST(PaceTest, LetsABurstGoAndThenSoManyASecond) {
  const auto start = Pace::Clock::time_point{};
  Pace pace(10, 5, start);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pace.next(start).count(), 0);
  EXPECT_GE(pace.next(start).count(), 100);
  EXPECT_EQ(pace.next(start + 2s).count(), 0);
}

TEST(LinkHelloTest, RefusesWhatIsCutOrTooLong) {
  LinkHello hello;
  hello.program = "1";
  const Bytes good = hello.encode();
  EXPECT_EQ(LinkHello::decode(good, 1).program, "1");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW(LinkHello::decode(ByteView(good).first(size), 1), ProtocolAbort);
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_THROW(LinkHello::decode(longer, 1), ProtocolAbort);
}

}  // namespace
}  // namespace flexroom::node
