#include "net/party.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/codec.h"
#include "net/abort_reason.h"
#include "support/memory_mesh.h"

// What a corrupted member may put into a frame, below the hooks of the interposer.

namespace flexroom::net {
namespace {

class PartyFrames : public ::testing::Test {
 protected:
  PartyFrames() : mesh_(support::memory_mesh(2, std::chrono::seconds(5))) {
    party_ = std::make_unique<Party>(std::move(mesh_[0]), Prg(Block(1, 1)));
  }
  void peer_sends(uint64_t sequence, std::string_view label, std::string_view payload) {
    Writer frame;
    frame.u64(sequence).field(label).raw(as_bytes(payload));
    mesh_[1]->send(0, frame.take());
  }
  template <typename Receive>
  static std::optional<AbortCode> code_of(Receive receive) {
    try {
      receive();
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.peer(), PartyId{1});
      EXPECT_EQ(abort.abort_class(), AbortClass::kNetwork);
      return abort.code();
    }
    return std::nullopt;
  }

  std::vector<std::unique_ptr<Transport>> mesh_;
  std::unique_ptr<Party> party_;
};

TEST_F(PartyFrames, TheNextMessageOfTheRightLabelAndLengthIsTaken) {
  peer_sends(0, "a", "xyz");
  peer_sends(1, "b", "12");
  EXPECT_EQ(to_text(party_->receive(1, "a", 3)), "xyz");
  EXPECT_EQ(to_text(party_->receive_up_to(1, "b", 5)), "12");
}

TEST(PartyTrace, BothEndsSeeTheSameMessages) {
  auto mesh = support::memory_mesh(2, std::chrono::seconds(5));
  Party a(std::move(mesh[0]), Prg(Block(1, 1))), b(std::move(mesh[1]), Prg(Block(1, 2)));
  std::vector<TraceEntry> at_a, at_b;
  a.send(1, "x", as_bytes("before anybody traces"));
  a.set_trace([&](const TraceEntry& entry) { at_a.push_back(entry); });
  b.set_trace([&](const TraceEntry& entry) { at_b.push_back(entry); });
  a.set_tamper([](const MessageId& message, Bytes& payload) {
    if (message.label == "y") payload = to_bytes("what left");
  });
  a.send(1, "x", as_bytes("abc"));
  a.send(1, "y", as_bytes("what was meant"));
  (void)b.receive(0, "x", 21);
  (void)b.receive(0, "x", 3);
  EXPECT_THROW((void)b.receive(0, "y", 14), ProtocolAbort);  // a wrong length shows, too
  b.send(0, "x", as_bytes("reply"));
  (void)a.receive(1, "x", 5);

  ASSERT_EQ(at_a.size(), 3u);
  ASSERT_EQ(at_b.size(), 4u);
  const auto same = [](const TraceEntry& one, const TraceEntry& other) {
    const MessageId &m = one.message, &o = other.message;
    return m.sender == o.sender && m.receiver == o.receiver && m.label == o.label &&
           m.index == o.index && m.bytes == o.bytes && one.digest == other.digest;
  };
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(same(at_a[i], at_b[i + 1])) << i;
  EXPECT_EQ(at_b[1].message.index, 1u);
  EXPECT_EQ(at_b[1].digest, sha256(as_bytes("abc")));
  EXPECT_EQ(at_b[2].message.bytes, 9u);
  EXPECT_EQ(at_a[2].half_round, 1u);
}

TEST_F(PartyFrames, ARepeatedOrSkippedMessageIsRefused) {
  for (const uint64_t sequence : {0u, 2u}) {
    auto mesh = support::memory_mesh(2, std::chrono::seconds(5));
    Party party(std::move(mesh[0]), Prg(Block(1, 1)));
    for (const uint64_t number : {uint64_t{0}, sequence}) {
      Writer frame;
      frame.u64(number).field("a").raw(as_bytes("xyz"));
      mesh[1]->send(0, frame.take());
    }
    party.receive(1, "a", 3);
    EXPECT_EQ(code_of([&] { party.receive(1, "a", 3); }), AbortCode::kUnexpectedMessage);
  }
}

TEST_F(PartyFrames, AnotherLabelIsRefused) {
  peer_sends(0, "b", "xyz");
  EXPECT_EQ(code_of([&] { party_->receive(1, "a", 3); }), AbortCode::kUnexpectedMessage);
}

TEST_F(PartyFrames, AnotherLengthIsRefused) {
  peer_sends(0, "a", "xyz");
  EXPECT_EQ(code_of([&] { party_->receive(1, "a", 2); }), AbortCode::kUnexpectedMessage);
  peer_sends(1, "a", "xyz");
  EXPECT_EQ(code_of([&] { party_->receive_up_to(1, "a", 2); }), AbortCode::kUnexpectedMessage);
}

TEST_F(PartyFrames, AFrameWithoutAHeaderIsMalformed) {
  mesh_[1]->send(0, Bytes(11));
  EXPECT_EQ(code_of([&] { party_->receive(1, "a", 3); }), AbortCode::kBadFrame);
}

TEST_F(PartyFrames, AbortEndsTheRunWhateverWasExpected) {
  peer_sends(7, "abort", "");
  EXPECT_EQ(code_of([&] { party_->receive(1, "a", 3); }), AbortCode::kCancelled);
}

TEST(PartyAbort, TheOthersHearAFixedWordAndNothingElse) {
  const auto heard = [](const std::function<void(Party&)>& end) -> std::string {
    auto mesh = support::memory_mesh(2, std::chrono::seconds(5));
    Party a(std::move(mesh[0]), Prg(Block(1, 1))), b(std::move(mesh[1]), Prg(Block(1, 2)));
    end(a);
    try {
      (void)b.receive(0, "x", 3);
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kCancelled);
      EXPECT_EQ(abort.peer(), PartyId{0});
      return abort.detail();
    }
    return "no abort";
  };
  const std::string plain = heard([](Party& a) { a.abort(); });
  EXPECT_EQ(plain, "the member stopped the run");
  EXPECT_EQ(heard([](Party& a) { abort_saying(a, AbortReason::kSaidNo); }),
            plain + ": its operator, or a rule of its own, said no");
  EXPECT_EQ(heard([](Party& a) { abort_saying(a, AbortReason::kStopped); }),
            plain + ": its operator stopped it");
  EXPECT_THAT(heard([](Party& a) { abort_saying(a, AbortReason::kOwn); }),
              ::testing::HasSubstr("something of its own is wrong"));
  // A liar's words are not repeated.
  for (const char* more : {"\x09", "you owe me money", "\x01\x01"}) {
    EXPECT_EQ(heard([&](Party& a) { a.send(1, "abort", as_bytes(more)); }), plain);
  }
}

// Two of three in an order of their own, over the links of all three (members.md 4.3 H8).
TEST(PartyAmong, SomeTalkOverTheLinksOfAll) {
  auto mesh = support::memory_mesh(3, std::chrono::seconds(5));
  std::vector<std::unique_ptr<Party>> all;
  for (PartyId i = 0; i < 3; ++i) {
    all.push_back(std::make_unique<Party>(std::move(mesh[i]), Prg(Block(1, i))));
  }
  std::vector<MessageId> seen;
  all[2]->set_tamper([&](const MessageId& message, Bytes& payload) {
    seen.push_back(message);
    payload[0] ^= 1;
  });
  all[2]->send(0, "word", Bytes{10});
  EXPECT_EQ(all[0]->receive(2, "word", 1), Bytes{11});
  const uint64_t before = all[2]->traffic().bytes_sent;
  {
    const auto zero = all[0]->among({2, 0}), two = all[2]->among({2, 0});
    EXPECT_EQ(zero->id(), 1u);
    EXPECT_EQ(two->id(), 0u);
    EXPECT_EQ(two->num_parties(), 2u);
    two->send(1, "word", Bytes{20});
    EXPECT_EQ(zero->receive(0, "word", 1), Bytes{21});
    EXPECT_EQ(all[2]->traffic().bytes_sent, before);
    try {
      two->send(1, "word", Bytes{30});
      (void)zero->receive(0, "another", 1);
      ADD_FAILURE() << "accepted";
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.peer(), PartyId{0}) << "in the numbers of the part";
    }
  }
  ASSERT_EQ(seen.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(seen[k].sender, 2u);
    EXPECT_EQ(seen[k].receiver, 0u);
    EXPECT_EQ(seen[k].index, k) << "counted on";
  }
  EXPECT_GT(all[2]->traffic().bytes_sent, before) << "of both";
  all[0]->send(2, "later", Bytes{1});
  EXPECT_EQ(all[2]->receive(0, "later", 1), Bytes{1});
  // The end of the whole is the end of the part, named as there.
  const auto zero = all[0]->among({2, 0});
  all[2]->abort();
  try {
    (void)zero->receive(0, "word", 1);
    ADD_FAILURE() << "accepted";
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kCancelled);
    EXPECT_EQ(abort.peer(), PartyId{0});
  }
  try {
    (void)zero->receive(0, "word", 1);
    ADD_FAILURE() << "accepted";
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kPeerLost);
    EXPECT_EQ(abort.peer(), PartyId{0});
  }
}

}  // namespace
}  // namespace flexroom::net
