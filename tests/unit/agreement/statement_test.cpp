#include "agreement/statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::agreement {
namespace statement_test {

using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& body) {
  try {
    body();
    return "no error";
  } catch (const InputError& error) {
    return error.what();
  }
}

MemberId mid(uint8_t which) { return {which}; }

Statement example(const net::Identity& identity) {
  Statement s;
  s.room = {1};
  s.author = mid(2);
  s.incarnation = 3;
  s.number = 4;
  s.previous = {5};
  s.time = 1'700'000'000;
  s.kind = StatementKind::kNote;
  s.body = NoteBody{{}, "hello", {}}.encode();
  s.sign(identity);
  return s;
}

// The bytes of members.md Appendix A, written out once by hand: what a verifier relies on.
TEST(StatementTest, TheBytesAreThoseOfTheFormat) {
  const net::Identity identity = net::Identity::make("a");
  const Statement s = example(identity);
  const auto zeros = [](size_t n) { return std::string(2 * n, '0'); };
  EXPECT_EQ(to_hex(s.text()),
            "01" + zeros(31) + "02" + zeros(15) + "00000003" + "0000000000000004" + "05" +
                zeros(31) + "000000006553f100" + "0d" +
                "0000002e" +  // 46 bytes: form, proposal, text, no statement
                "01" + zeros(32) + "00000005" + to_hex(as_bytes("hello")) + "00000000");
  EXPECT_EQ(s.encode().size(), s.text().size() + 64);
  EXPECT_TRUE(s.verify(identity.signing_key()));
  EXPECT_FALSE(s.verify(net::Identity::make("b").signing_key()));
  // A signature for another purpose is none for this one.
  Statement other = s;
  other.signature = identity.sign("flexroom/proposal/1", s.text());
  EXPECT_FALSE(other.verify(identity.signing_key()));
}

TEST(StatementTest, EveryBitIsSignedAndOnlyItsBytesAreRead) {
  const net::Identity identity = net::Identity::make("a");
  const Bytes bytes = example(identity).encode();
  EXPECT_EQ(Statement::decode(bytes, "s").encode(), bytes);
  for (size_t k = 0; k < bytes.size(); ++k) {
    Bytes other = bytes;
    other[k] ^= 1;
    try {
      EXPECT_FALSE(Statement::decode(other, "s").verify(identity.signing_key())) << k;
    } catch (const InputError&) {
      // refused
    }
    EXPECT_THROW((void)Statement::decode(ByteView(bytes).first(k), "s"), InputError);
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(error_of([&] { (void)Statement::decode(longer, "s"); }), HasSubstr("too many"));
  for (const int kind : {0, 16, 255}) {
    Bytes other = bytes;
    other[32 + 16 + 4 + 8 + 32 + 8] = static_cast<uint8_t>(kind);
    EXPECT_THAT(error_of([&] { (void)Statement::decode(other, "s"); }), HasSubstr("unknown kind"));
  }
  Statement numberless = example(identity);
  numberless.number = 0;
  EXPECT_THAT(error_of([&] { (void)Statement::decode(numberless.encode(), "s"); }),
              HasSubstr("without a number"));
}

TEST(StatementTest, BodiesComeBack) {
  const ResultBody result{{1}, {2}, Outcome::kFailed, 403, "said 403", {3}, 7, {{}, {}}};
  const ResultBody read = ResultBody::decode(result.encode(), "r");
  EXPECT_EQ(read.encode(), result.encode());
  EXPECT_TRUE(read.joint());
  EXPECT_EQ(read.status, 403u);
  // Room, time and every field are in what all sign.
  const Bytes text = result.joint_text({9}, 10);
  EXPECT_NE(text, result.joint_text({8}, 10));
  EXPECT_NE(text, result.joint_text({9}, 11));
  ResultBody other = result;
  other.outcome = Outcome::kDone;
  EXPECT_NE(text, other.joint_text({9}, 10));
  other = result;
  other.place = 8;
  EXPECT_NE(text, other.joint_text({9}, 10));
  Bytes bytes = result.encode();
  bytes[1 + 64] = 4;
  EXPECT_THAT(error_of([&] { (void)ResultBody::decode(bytes, "r"); }), HasSubstr("outcome"));

  const RejectBody reject{{4}, std::string(3000, 'x')};
  EXPECT_EQ(RejectBody::decode(reject.encode(), "r").reason.size(), kMaxReasonBytes);
  EXPECT_EQ(NoteBody::decode(NoteBody{{5}, "t", {1, 2}}.encode(), "n").statement, (Bytes{1, 2}));
}

Configuration configuration(const std::vector<net::Identity>& identities) {
  Configuration c;
  c.room = {1};
  c.number = 2;
  c.previous = {3};
  c.name = "room";
  c.profile = "default";
  for (size_t i = 0; i < identities.size(); ++i) {
    c.members.push_back({mid(static_cast<uint8_t>(i + 1)), "m" + std::to_string(i),
                         identities[i].signing_key(), identities[i].fingerprint(), "h:1"});
  }
  c.couriers = {mid(2)};
  c.providers = {{"a", {"x.example"}, {"group=x25519"}, {"GET https://x.example/"}},
                 {"b", {}, {}, {}}};
  return c;
}

TEST(ConfigurationTest, ComesBackAndRefusesWhatIsNotCanonical) {
  std::vector<net::Identity> identities;
  for (int i = 0; i < 3; ++i) identities.push_back(net::Identity::make("m"));
  const Configuration c = configuration(identities);
  EXPECT_EQ(Configuration::decode(c.encode(), "c"), c);
  EXPECT_EQ(c.index_of(mid(3)), 2u);
  EXPECT_EQ(c.index_of(mid(9)), std::nullopt);
  const auto refused = [&](const std::function<void(Configuration&)>& change) {
    Configuration other = c;
    change(other);
    return error_of([&] { (void)other.encode(); });
  };
  EXPECT_THAT(refused([](Configuration& o) { o.members[1].id = o.members[0].id; }),
              HasSubstr("member twice"));
  EXPECT_THAT(refused([](Configuration& o) { o.members[1].key = o.members[0].key; }),
              HasSubstr("key twice"));
  EXPECT_THAT(refused([](Configuration& o) { o.members.clear(); }), HasSubstr("1 to 255"));
  EXPECT_THAT(refused([](Configuration& o) { o.couriers = {mid(9)}; }), HasSubstr("courier"));
  EXPECT_THAT(refused([](Configuration& o) { std::swap(o.providers[0], o.providers[1]); }),
              HasSubstr("unsorted"));
  EXPECT_THAT(refused([](Configuration& o) {
                o.providers[0].settings = {"b=1", "a=1"};
              }),
              HasSubstr("unsorted"));
  EXPECT_NE(refused([](Configuration& o) { o.quotas = std::string(2000, 'q'); }), "no error");
  Configuration renumbered = c;
  renumbered.number = 5;
  EXPECT_TRUE(c.same_content(renumbered));
  renumbered.couriers.clear();
  renumbered.members[0].address = "elsewhere:1";
  EXPECT_EQ(c.terms(), renumbered.terms());
  renumbered.providers[0].open_calls.clear();
  EXPECT_NE(c.terms(), renumbered.terms());
  renumbered.name = "other";
  EXPECT_FALSE(c.same_content(renumbered));
}

// M39: a configuration counts when everybody in it signed it, each with the key it states.
TEST(ConfigurationTest, OnlyWhatAllSignedHolds) {
  std::vector<net::Identity> identities;
  for (int i = 0; i < 3; ++i) identities.push_back(net::Identity::make("m"));
  ChangeBody body;
  body.configuration = configuration(identities);
  for (const net::Identity& identity : identities) {
    body.signatures.push_back(sign_configuration(identity, body.configuration.digest()));
  }
  EXPECT_TRUE(body.verify());
  EXPECT_TRUE(ChangeBody::decode(body.encode(), "c").verify());
  for (size_t i = 0; i < 3; ++i) {
    ChangeBody other = body;
    other.signatures[i][0] ^= 1;
    EXPECT_FALSE(other.verify());
  }
  ChangeBody fewer = body;
  fewer.signatures.pop_back();
  EXPECT_FALSE(fewer.verify());
  ChangeBody evil = body;
  evil.configuration.members[1].key = net::Identity::make("evil").signing_key();
  EXPECT_FALSE(evil.verify());
}

}  // namespace statement_test
}  // namespace flexroom::agreement
