#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "config/text_file.h"
#include "config/toml.h"

namespace flexroom {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() / ("flexroom-config-" + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ / name) << text;
    return dir_ / name;
  }
  std::filesystem::path write_private(const std::string& name, const std::string& text) const {
    std::filesystem::permissions(write(name, text), std::filesystem::perms(0600));
    return dir_ / name;
  }
  /// "file:line:column" and the problem of the error that `load` throws, "" if none.
  template <typename Load>
  static std::pair<std::string, std::string> error_of(Load load) {
    try {
      (void)load();
    } catch (const InputError& error) {
      return {error.place(), error.problem()};
    }
    return {};
  }
  std::string position(int line, int column) const {
    return (dir_ / "f.toml").string() + ":" + std::to_string(line) + ":" + std::to_string(column);
  }
  std::pair<std::string, std::string> room_error(const std::string& text) const {
    return error_of([&] { return RoomConfig::load(write("f.toml", text)); });
  }

  static std::string member(const std::string& name) {
    return "[[member]]\nname = \"" + name + "\"\naddress = \"127.0.0.1:7100\"\ncertificate = \"" +
           std::string(64, 'a') + "\"\n";
  }
  static std::string room(const std::string& more = "") { return "[room]\nname = \"r\"\n" + more; }

  std::filesystem::path dir_;
};

TEST_F(ConfigTest, RoomIsReadAsWritten) {
  const RoomConfig config = RoomConfig::load(
      write("f.toml",
            room("profile = \"high\"\nlink = \"slow\"\ncourier = \"c\"\ntimeout_seconds = 7\n") +
                member("a") + member("b") + member("c") +
                "[provider.aws]\ngroups = [\"p256\"]\n"
                "connect_to = [\"*:443=127.0.0.1:9443\", \"h:*=[::1]:1\"]\n"));
  EXPECT_EQ(config.name, "r");
  EXPECT_EQ(config.profile, "high");
  EXPECT_EQ(config.link, "slow");
  EXPECT_EQ(config.timeout, std::chrono::seconds(7));
  EXPECT_EQ(config.courier_id(), 2u);
  EXPECT_EQ(config.member_id("b"), 1u);
  EXPECT_THROW(config.member_id("z"), InputError);
  EXPECT_EQ(config.provider("aws").groups, Groups{NamedGroup::kP256});
  EXPECT_THROW(config.provider("none"), InputError);
}

TEST_F(ConfigTest, MailboxesAreSaidOfAProviderOrOfAHostAndWhatIsBelowIt) {
  const RoomConfig config =
      RoomConfig::load(write("f.toml", room() + member("a") + member("b") +
                                           "[provider.one]\nmailbox = true\n"
                                           "[provider.one.host.\"shop.example\"]\nmailbox = false\n"
                                           "[provider.two]\nhosts = [\"*.test\"]\n"
                                           "[provider.two.host.\"mail.test\"]\nmailbox = true\n"));
  EXPECT_TRUE(config.provider("one").is_mailbox("mail.example"));
  EXPECT_FALSE(config.provider("one").is_mailbox("shop.example"));
  EXPECT_TRUE(config.provider("two").is_mailbox("eu.mail.test"));
  EXPECT_FALSE(config.provider("two").is_mailbox("notmail.test"));
  const auto said = [&](const std::string& more) {
    return room_error(room() + member("a") + member("b") + "[provider.p]\n" + more).second;
  };
  EXPECT_THAT(said("mailbox = \"yes\"\n"), HasSubstr("neither true nor false"));
  EXPECT_THAT(said("[provider.p.host.\"NO\"]\nmailbox = true\n"), HasSubstr("no DNS name"));
  // An entry that means nothing is one that somebody relies on.
  EXPECT_THAT(said("hosts = [\"a.example\"]\n[provider.p.host.\"b.example\"]\nmailbox = true\n"),
              HasSubstr("is of a host that 'p' does not serve"));
  EXPECT_THAT(said("[provider.p.host.\"a.q.test\"]\nmailbox = true\n"
                   "[provider.q]\nhosts = [\"*.q.test\"]\n"),
              HasSubstr("does not serve"));
  EXPECT_EQ(room_error(room() + member("a") + member("b") +
                       "[provider.p]\nhosts = [\"a.b.test\"]\n[provider.p.host.\"b.test\"]\n"
                       "mailbox = true\n")
                .second,
            room_error(room() + member("a") + member("b")).second);
  EXPECT_THAT(said("[provider.p.host.\"a.b\"]\nmailbix = true\n"), HasSubstr("unknown key"));
}

// tls-complete.md 1.1: a flow has one provider and many hosts.
TEST_F(ConfigTest, ASuiteIsSaidOfAProviderOrOfAHostAndWhatIsBelowIt) {
  const std::string two = room() + member("a") + member("b");
  const RoomConfig config = RoomConfig::load(
      write("f.toml", two + "[provider.one]\nsuite = \"chacha20\"\n"
                            "[provider.one.host.\"shop.example\"]\nsuite = \"aes128\"\n"
                            "[provider.one.host.\"eu.shop.example\"]\nsuite = \"chacha20\"\n"
                            "[provider.one.host.\"mail.example\"]\nmailbox = true\n"
                            "[provider.two]\nhosts = [\"a.test\", \"b.test\"]\n"
                            "[provider.two.host.\"b.test\"]\nsuite = \"chacha20\"\n"));
  const auto suite = [&](const std::string& provider, const std::string& host) {
    return config.provider(provider).suite_for(host).setting;
  };
  EXPECT_EQ(suite("one", "any.example"), "chacha20");
  EXPECT_EQ(suite("one", "mail.example"), "chacha20");  // its entry says nothing of it
  EXPECT_EQ(suite("one", "shop.example"), "aes128");
  EXPECT_EQ(suite("one", "de.shop.example"), "aes128");
  EXPECT_EQ(suite("one", "workshop.example"), "chacha20");
  EXPECT_EQ(suite("one", "a.eu.shop.example"), "chacha20");  // the nearest entry
  EXPECT_EQ(suite("two", "a.test"), "aes128");
  EXPECT_EQ(suite("two", "b.test"), "chacha20");

  const auto said = [&](const std::string& more) {
    return room_error(two + "[provider.p]\nhosts = [\"a.example\"]\n" + more);
  };
  const auto [place, words] = said("[provider.p.host.\"a.example\"]\nsuite = \"chacha\"\n");
  EXPECT_EQ(place, position(14, 9));
  EXPECT_THAT(words, HasSubstr("is 'chacha', which is not built; did you mean `chacha20`?"));
  const auto [key_place, key] = said("[provider.p.host.\"a.example\"]\nsuit = \"aes128\"\n");
  EXPECT_EQ(key_place, position(14, 8));
  EXPECT_THAT(key, HasSubstr("unknown key `suit`; did you mean `suite`?"));
  const auto [host_place, host] = said("[provider.p.host.\"b.example\"]\nsuite = \"aes128\"\n");
  EXPECT_THAT(host_place, HasSubstr(":13:"));
  EXPECT_THAT(host, HasSubstr("is of a host that 'p' does not serve; did you mean `a.example`?"));
}

// tls-complete.md 4.2.
TEST_F(ConfigTest, ClientAuthIsSaidOfAProviderOrOfAHostAndWhatIsBelowIt) {
  const std::string two = room() + member("a") + member("b");
  const RoomConfig config = RoomConfig::load(
      write("f.toml", two + "[provider.one]\nclient_auth = \"none\"\n"
                            "[provider.one.host.\"shop.example\"]\nclient_auth = \"refuse\"\n"
                            "[provider.one.host.\"eu.shop.example\"]\nclient_auth = \"none\"\n"
                            "[provider.one.host.\"mail.example\"]\nsuite = \"chacha20\"\n"
                            "[provider.two]\nhosts = [\"a.test\", \"b.test\"]\n"
                            "[provider.two.host.\"b.test\"]\nclient_auth = \"none\"\n"));
  const auto auth = [&](const std::string& provider, const std::string& host) {
    return to_string(config.provider(provider).client_auth_for(host));
  };
  EXPECT_EQ(auth("one", "any.example"), "none");
  EXPECT_EQ(auth("one", "mail.example"), "none");  // its entry says nothing of it
  EXPECT_EQ(auth("one", "de.shop.example"), "refuse");
  EXPECT_EQ(auth("one", "a.eu.shop.example"), "none");  // the nearest entry
  EXPECT_EQ(auth("two", "a.test"), "refuse");
  EXPECT_EQ(auth("two", "b.test"), "none");
  const auto [place, words] =
      room_error(two +
                 "[provider.p]\nhosts = [\"a.example\"]\n[provider.p.host.\"a.example\"]\n"
                 "client_auth = \"optional\"\n");
  EXPECT_EQ(place, position(14, 15));
  EXPECT_THAT(words, HasSubstr("is 'optional'"));
}

TEST_F(ConfigTest, AFileThatOthersCanChangeOrThatIsNoneIsRefused) {
  const auto file = write("f.toml", room() + member("a") + member("b"));
  std::filesystem::permissions(file, std::filesystem::perms(0646));
  EXPECT_THAT(error_of([&] { return RoomConfig::load(file); }).second,
              HasSubstr("changed by other users"));
  std::filesystem::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);  // and nothing waits for a writer
  EXPECT_THAT(error_of([&] { return RoomConfig::load(file); }).second, HasSubstr("is not a file"));
}

TEST_F(ConfigTest, AFileOfRootsIsAFileThatOthersCannotChange) {
  const auto said = [&] {
    return room_error(room() + member("a") + member("b") +
                      "[provider.p]\nhosts = [\"a.example\"]\nca_file = \"ca.pem\"\n");
  };
  const auto file = dir_ / "ca.pem";
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);  // and nothing waits for a writer
  EXPECT_EQ(said(), (std::pair{position(13, 11),
                               "`ca_file` names " + file.string() + ", which is not a file"}));
  std::filesystem::remove(file);
  std::filesystem::permissions(write("ca.pem", "x"), std::filesystem::perms(0646));
  EXPECT_THAT(said().second, HasSubstr("changed by other users"));
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  EXPECT_EQ(said().second, "");
}

// Who can change it says which certificates are still good.
TEST_F(ConfigTest, AFileOfRevocationListsIsAFileThatOthersCannotChange) {
  const auto said = [&] {
    return room_error(room() + member("a") + member("b") +
                      "[provider.p]\ncrl_file = \"lists.pem\"\n");
  };
  EXPECT_THAT(said().second, HasSubstr("`crl_file` names"));
  std::filesystem::permissions(write("lists.pem", "x"), std::filesystem::perms(0646));
  EXPECT_THAT(said().second, HasSubstr("changed by other users"));
  std::filesystem::permissions(dir_ / "lists.pem", std::filesystem::perms(0644));
  EXPECT_EQ(said().second, "");
}

TEST_F(ConfigTest, RoomErrorsNameTheLineAndColumn) {
  const std::string two = member("a") + member("b");
  EXPECT_EQ(room_error(room("profile = \"best\"\n") + two).first, position(3, 11));
  EXPECT_EQ(room_error(room("triples = \"best\"\n") + two).first, position(3, 11));
  EXPECT_EQ(room_error(room("link = \"dsl\"\n") + two).first, position(3, 8));
  EXPECT_EQ(room_error(room("mesh_pq = \"no\"\n") + two).first, position(3, 11));
  EXPECT_EQ(room_error(room("profile = \"bandwidth\"\ntriples = \"masked\"\n") + two).first,
            position(4, 11));
  EXPECT_EQ(room_error(room("timeout_seconds = 0\n") + two).first, position(3, 19));
  EXPECT_EQ(room_error(room("courier = \"a\"\n") + two).first, position(3, 11));
  EXPECT_EQ(room_error(room("courier = \"x\"\n") + two).first, position(3, 11));
  EXPECT_EQ(room_error(room("nmae = \"x\"\n") + two).first, position(3, 8));  // unknown key
  EXPECT_EQ(room_error(room() + member("a") + member("a")).first, position(8, 8));
  EXPECT_EQ(room_error(room() + member("a b") + member("b")).first, position(4, 8));
  EXPECT_EQ(room_error("[room\n").first.rfind((dir_ / "f.toml").string() + ":1:", 0), 0u);
  EXPECT_THAT(room_error(room() + member("a")).second, HasSubstr("1 [[member]]"));
  std::string bad = room() + two;
  bad.replace(bad.find("aaaa"), 1, "x");
  EXPECT_EQ(room_error(bad).first, position(6, 15));
  EXPECT_EQ(room_error(room() + two + "[provider.p]\nca_file = \"none.pem\"\n").first,
            position(12, 11));
  EXPECT_EQ(room_error(room() + two + "[provider.p]\ngroups = [\"x448\"]\n").first,
            position(12, 10));
  EXPECT_EQ(room_error(room() + two + "[provider.p]\nconnect_to = [\"h:1\"]\n").first,
            position(12, 14));
}

TEST_F(ConfigTest, ARoomHasTheMembersThatItsSizeSaysAndTellsWhoHoldsTheRoot) {
  const std::string two = member("a") + member("b");
  const RoomConfig config = RoomConfig::load(write(
      "f.toml", room("size = 2\naccount_opened_by = \"a\"\naccount_root = \"its CFO\"\n") + two));
  EXPECT_EQ(config.size, 2u);
  EXPECT_EQ(config.account_opener, "a");
  EXPECT_EQ(config.account_root, "its CFO");
  const auto more = room_error(room("size = 3\n") + two);
  EXPECT_EQ(more.first, position(3, 8));
  EXPECT_THAT(more.second, HasSubstr("is 3, but there are 2"));
  EXPECT_THAT(room_error(room("size = 2\n") + two + member("c")).second, HasSubstr("are 3"));
  EXPECT_EQ(room_error(room("size = 17\n") + two).first, position(3, 8));
  EXPECT_EQ(room_error(room("account_root = \"\"\n") + two).first, position(3, 16));
  EXPECT_EQ(room_error(room("account_opened_by = \"\\u202e\"\n") + two).first, position(3, 21));
}

TEST(AddressTest, HasNothingThatWouldEndItsText) {
  for (const char* good : {"a.example:7100", "10.0.0.5:1", "[2001:db8::1]:443", "a_b-c:65535"}) {
    EXPECT_EQ(to_string(parse_address(good, "")), good);
  }
  for (const char* bad : {"a\":1", "a b:1", "a\n:1", "a#:1", "a", ":1", "a:0", "a:65536"}) {
    EXPECT_THROW((void)parse_address(bad, ""), InputError) << bad;
  }
}

// tls-complete.md §1.1.
TEST_F(ConfigTest, GroupsAreOfferedInTheirOrderAndMlKemMayBeRequired) {
  const auto provider = [&](const std::string& keys) {
    return room() + member("a") + member("b") + "[provider.p]\n" + keys;
  };
  const auto groups = [&](const std::string& keys) {
    return to_string(RoomConfig::load(write("f.toml", provider(keys))).provider("p").groups);
  };
  EXPECT_EQ(groups(""), "x25519mlkem768, x25519, p256");
  EXPECT_EQ(groups("pq = \"prefer\"\n"), "x25519mlkem768, x25519, p256");
  EXPECT_EQ(groups("pq = \"required\"\n"), "x25519mlkem768");
  EXPECT_EQ(groups("groups = [\"p256\", \"x25519\"]\n"), "p256, x25519");
  EXPECT_EQ(groups("groups = [\"x25519\", \"x25519mlkem768\"]\npq = \"required\"\n"),
            "x25519mlkem768");
  const auto error = [&](const std::string& keys) { return room_error(provider(keys)).second; };
  EXPECT_THAT(error("groups = [\"p256\", \"p256\"]\n"), HasSubstr("'p256' twice"));
  EXPECT_THAT(error("groups = []\n"), HasSubstr("is empty"));
  EXPECT_THAT(error("groups = [\"x448\"]\n"), HasSubstr("none of x25519mlkem768, x25519, p256"));
  EXPECT_THAT(error("pq = \"yes\"\n"), HasSubstr("neither \"prefer\" nor \"required\""));
  EXPECT_THAT(error("groups = [\"p256\"]\npq = \"required\"\n"), HasSubstr("has none with ML-KEM"));
  EXPECT_THAT(error("group = \"p256\"\n"), HasSubstr("groups"));
}

// tls-complete.md §1.1: of one host, what it does not say being as its provider has it.
TEST_F(ConfigTest, GroupsAndPqAreSaidOfAHostAndWhatIsBelowIt) {
  const auto provider = [&](const std::string& keys) {
    return room() + member("a") + member("b") + "[provider.p]\n" + keys;
  };
  const auto groups = [&](const std::string& keys, const std::string& host) {
    const RoomConfig config = RoomConfig::load(write("f.toml", provider(keys)));
    return to_string(config.provider("p").groups_for(host));
  };
  const std::string of_host = "[provider.p.host.\"old.example\"]\n";
  const std::string p256 = of_host + "groups = [\"p256\"]\n";
  EXPECT_EQ(groups(p256, "new.example"), "x25519mlkem768, x25519, p256");
  EXPECT_EQ(groups(p256, "old.example"), "p256");
  EXPECT_EQ(groups(p256, "a.old.example"), "p256");
  EXPECT_EQ(groups(p256, "cold.example"), "x25519mlkem768, x25519, p256");
  EXPECT_EQ(
      groups(p256 + "[provider.p.host.\"a.old.example\"]\npq = \"required\"\n", "a.old.example"),
      "x25519mlkem768");  // the nearest entry; its groups are the provider's
  const std::string required = "pq = \"required\"\n";
  EXPECT_EQ(groups(required + of_host + "pq = \"prefer\"\n", "old.example"),
            "x25519mlkem768, x25519, p256");
  EXPECT_EQ(groups(required + of_host + "pq = \"prefer\"\ngroups = [\"x25519\"]\n", "old.example"),
            "x25519");
  EXPECT_EQ(
      groups(required + of_host + "groups = [\"x25519\", \"x25519mlkem768\"]\n", "old.example"),
      "x25519mlkem768");
  EXPECT_EQ(groups(required + of_host + "suite = \"chacha20\"\n", "old.example"), "x25519mlkem768");
  const auto error = [&](const std::string& keys) { return room_error(provider(keys)).second; };
  EXPECT_THAT(error(required + p256), HasSubstr("`pq` of the provider is \"required\""));
  EXPECT_THAT(error("groups = [\"p256\"]\n" + of_host + required),
              HasSubstr("has none with ML-KEM"));
  EXPECT_THAT(error(of_host + "groups = [\"x448\"]\n"), HasSubstr("none of x25519mlkem768"));
  EXPECT_THAT(error(of_host + "pq = \"yes\"\n"), HasSubstr("neither \"prefer\""));
}

// tls-complete.md §8.2, §8.3.
TEST_F(ConfigTest, PaddingCoverAndSlotsAreSaidOfAProviderOrOfAHost) {
  const auto provider = [&](const std::string& keys) {
    return room() + member("a") + member("b") + "[provider.p]\n" + keys;
  };
  const auto loaded = [&](const std::string& keys) {
    return RoomConfig::load(write("f.toml", provider(keys))).provider("p");
  };
  EXPECT_EQ(loaded("").traffic_for("a.example").pad, tls::Padding::kNone);
  EXPECT_FALSE(loaded("").traffic_for("a.example").period.has_value());
  const Provider all = loaded(
      "pad = \"1024\"\nslots = \"every 10 min\"\ncover = \"HEAD /health?x=1\"\n"
      "[provider.p.host.\"b.example\"]\npad = \"padme\"\nslots = \"every 2 h\"\n");
  EXPECT_EQ(all.traffic_for("a.example").pad, tls::Padding::k1024);
  EXPECT_EQ(all.traffic_for("a.example").period, std::chrono::minutes(10));
  EXPECT_EQ(all.traffic_for("a.example").slots_text(), "every 10 min");
  EXPECT_EQ(all.traffic_for("x.b.example").pad, tls::Padding::kPadme);
  EXPECT_EQ(all.traffic_for("b.example").cover, "HEAD /health?x=1");
  EXPECT_EQ(all.traffic_for("b.example").slots_text(), "every 2 h");
  EXPECT_EQ(loaded("slots = \"every 90 s\"\n").traffic_for("a").slots_text(), "every 90 s");

  const auto error = [&](const std::string& keys) { return room_error(provider(keys)).second; };
  EXPECT_THAT(error("pad = \"128\"\n"), HasSubstr("is '128'"));
  EXPECT_THAT(error("pad = 1024\n"), HasSubstr("pad"));
  for (const char* slots : {"", "10 min", "every 10", "every 0 s", "every 25 h", "every 10 mins",
                            "every -1 s", "every 99999999999 s", "every  1 s"}) {
    EXPECT_THAT(error("slots = \"" + std::string(slots) + "\"\n"), HasSubstr("slots")) << slots;
  }
  const std::string rest = "pad = \"256\"\nslots = \"every 1 h\"\n";
  for (const char* cover : {"", "HEAD", "POST /", "HEAD x", "HEAD /a b", "HEAD /#a", "head /"}) {
    EXPECT_THAT(error(rest + "cover = \"" + cover + "\"\n"), HasSubstr("at any time")) << cover;
  }
  EXPECT_THAT(error("pad = \"256\"\ncover = \"HEAD /\"\n"), HasSubstr("without a timetable"));
  EXPECT_THAT(error("slots = \"every 1 h\"\ncover = \"HEAD /\"\n"),
              HasSubstr("as long as they are"));
}

// Of a private CA, nothing is left at a host that its provider does not list.
TEST_F(ConfigTest, ALinkToAHostOfNoProviderHasTheSystemsRootsAlone) {
  write("ca.pem", "x");
  const RoomConfig config = RoomConfig::load(
      write("f.toml", room() + member("a") + member("b") +
                          "[provider.one]\nca_file = \"ca.pem\"\nhosts = [\"*.example\"]\n"
                          "connect_to = [\"*:443=127.0.0.1:9\"]\ntrust = \"exact\"\n"));
  EXPECT_TRUE(config.provider_of_link("a.example").ca_file.has_value());
  const Provider none = config.provider_of_link("a.test");
  EXPECT_FALSE(none.ca_file.has_value());
  EXPECT_TRUE(none.connect_to.empty());
  EXPECT_FALSE(none.tls.trust_exact);
}

// B4: trust roots, open calls and secrets follow the host, and a host has one provider.
TEST_F(ConfigTest, AHostBelongsToOneProvider) {
  const std::string two = room() + member("a") + member("b");
  write("ca.pem", "x");
  const auto hosts = [&](const std::string& one, const std::string& other) {
    return room_error(two + "[provider.one]\n" + one + "[provider.other]\n" + other).second;
  };
  EXPECT_THAT(hosts("hosts = [\"a.example\"]\n", "hosts = [\"a.example\"]\n"),
              HasSubstr("both list"));
  EXPECT_THAT(hosts("hosts = [\"*.example\"]\n", "hosts = [\"a.b.example\"]\n"),
              HasSubstr("both list"));
  EXPECT_THAT(hosts("hosts = [\"*.b.example\"]\n", "hosts = [\"*.example\"]\n"),
              HasSubstr("both list"));
  EXPECT_THAT(hosts("ca_file = \"ca.pem\"\n", "groups = [\"p256\"]\n"), HasSubstr("for no host"));
  EXPECT_THAT(hosts("ca_file = \"ca.pem\"\nhosts = [\"*\"]\n", ""), HasSubstr("beside ca_file"));
  for (const char* bad :
       {"https://a.example", "A.example", "1.2.3.4", "a.*", "*.", "a.example:443"}) {
    EXPECT_THAT(hosts("hosts = [\"" + std::string(bad) + "\"]\n", ""), HasSubstr("DNS name"));
  }
  EXPECT_THAT(hosts("hosts = []\n", ""), HasSubstr("empty"));
  const RoomConfig config = RoomConfig::load(
      write("f.toml", two + "[provider.one]\nhosts = [\"*.example\", \"example\"]\n"
                            "[provider.rest]\n[provider.two]\nhosts = [\"a.test\"]\n"));
  const auto serves = [&](const char* provider, const char* host) {
    return config.serves(config.provider(provider), host);
  };
  EXPECT_TRUE(serves("one", "a.b.example"));
  EXPECT_TRUE(serves("one", "example"));
  EXPECT_FALSE(serves("one", "aexample"));
  EXPECT_FALSE(serves("one", "a.test"));
  EXPECT_FALSE(serves("rest", "a.example"));  // "*": what no other lists
  EXPECT_TRUE(serves("rest", "b.test"));
  EXPECT_EQ(config.provider_of("a.test").name, "two");
  EXPECT_EQ(config.provider_of_link("b.test").name, "rest");
  EXPECT_EQ(config.provider_for("two", "a.test").name, "two");
  EXPECT_THROW(config.provider_for("rest", "a.test"), InputError);
  EXPECT_THROW(config.provider_for("two", "b.test"), InputError);
}

TEST_F(ConfigTest, ConnectToTakesTheFirstRuleThatMatches) {
  Provider provider;
  provider.connect_to = {{"a", 443, {"one", 1}}, {"a", 0, {"two", 2}}, {"*", 443, {"three", 3}}};
  EXPECT_EQ(provider.resolve("a", 443).host, "one");
  EXPECT_EQ(provider.resolve("a", 80).host, "two");
  EXPECT_EQ(provider.resolve("b", 443).host, "three");
  EXPECT_EQ(provider.resolve("b", 80).host, "b");
  EXPECT_EQ(provider.resolve("b", 80).port, 80);
}

TEST(EndpointTest, HostAndPort) {
  EXPECT_EQ(parse_endpoint("h:1", "p").port, 1);
  EXPECT_EQ(parse_endpoint("h:65535", "p").host, "h");
  for (const char* bad :
       {"", "h", "h:", ":1", "h:0", "h:65536", "h:1x", "h:-1", "h: 1", "h:99999999999"}) {
    EXPECT_THROW(parse_endpoint(bad, "p"), InputError) << bad;
  }
}

TEST_F(ConfigTest, MemberPathsAreRelativeToTheFile) {
  const MemberConfig config = MemberConfig::load(
      write("f.toml", "name = \"a\"\nstate_dir = \"s\"\nonce_key_file=\"/k\"\n"));
  EXPECT_EQ(config.state_dir, dir_ / "s");
  EXPECT_EQ(config.once_key_file, "/k");
  EXPECT_FALSE(config.auto_approve);
  EXPECT_EQ(error_of([&] {
              return MemberConfig::load(write("f.toml", "name = \"a\"\nauto_aprove = true\n"));
            }).first,
            position(2, 15));
}

TEST_F(ConfigTest, StateDbHasOneKey) {
  const MemberConfig config =
      MemberConfig::load(write("f.toml", "name = \"a\"\nstate_passphrase = \"file:p\"\n"));
  EXPECT_EQ(config.state_passphrase->file, dir_ / "p");
  EXPECT_FALSE(MemberConfig::load(write("f.toml", "name = \"a\"\n")).state_passphrase);
  const auto [place, problem] = error_of([&] {
    return MemberConfig::load(
        write("f.toml", "name = \"a\"\nstate_passphrase = \"prompt\"\nstate_key_file = \"k\"\n"));
  });
  EXPECT_EQ(place, position(2, 20));
  EXPECT_THAT(problem, HasSubstr("beside state_key_file"));
}

std::string job(const std::string& url, const std::string& interpreter = "python3",
                const std::string& region = "us-east-1") {
  return "[job]\nname=\"j\"\nprovider=\"p\"\nregion=\"" + region +
         "\"\nimage_id=\"ami-1\"\ninstance_type=\"t\"\naccess_key_id=\"AK\"\nsecret=\"s\"\n"
         "[script]\nurl=\"" +
         url + "\"\nsha256=\"" + std::string(64, 'a') + "\"\ninterpreter=\"" + interpreter + "\"\n";
}

// What stands in the boot loader without quotes can hold nothing that a shell reads.
TEST_F(ConfigTest, JobTextsHoldNoShell) {
  EXPECT_EQ(JobConfig::load(write("f.toml", job("https://h/s.py"))).script_url, "https://h/s.py");
  for (const char* bad : {"http://h/s.py", "https://h/$x", "https://h/`x`", "https://h/a b",
                          "https://h/a;b", "https://h/'a", "https://h/a\"b", "https://h/a|b",
                          "https://h/a\\nb", "https://h/a#b", "https://h/a>b", "https://h/*"}) {
    EXPECT_THROW(JobConfig::load(write("f.toml", job(bad))), InputError) << bad;
  }
  const std::string usual = job("https://h/s.py");
  EXPECT_EQ(
      JobConfig::load(write("f.toml", usual.substr(0, usual.find("interpreter")))).interpreter,
      "python3");
  for (const char* bad : {"", "sh  -c", " sh", "sh ", "sh 'x'", "python3;", "$(x)"}) {
    EXPECT_THROW(JobConfig::load(write("f.toml", job("https://h/s", bad))), InputError) << bad;
  }
  // cases/job: a version of the script, options of its interpreter.
  const JobConfig more = JobConfig::load(
      write("f.toml", job("https://h/s?versionId=3L4kqtJlcpXroDTDmBmxLq", "Rscript --vanilla")));
  EXPECT_EQ(more.script_url, "https://h/s?versionId=3L4kqtJlcpXroDTDmBmxLq");
  EXPECT_EQ(more.interpreter_words(), (std::vector<std::string>{"Rscript", "--vanilla"}));
  EXPECT_THROW(JobConfig::load(write("f.toml", job("https://h/s", "sh", "us\\r\\nX: y"))),
               InputError);
}

TEST_F(ConfigTest, JobChecksTheDigestOfTheLocalScript) {
  write("s.py", "print(1)\n");
  std::string text = job("https://h/s.py") + "file=\"s.py\"\n";
  EXPECT_THROW(JobConfig::load(write("f.toml", text)), InputError);
  const std::string digest = to_hex(sha256(as_bytes(std::string_view("print(1)\n"))));
  text.replace(text.find(std::string(64, 'a')), 64, digest);
  const JobConfig loaded = JobConfig::load(write("f.toml", text));
  EXPECT_EQ(loaded.script_sha256, digest);
  EXPECT_EQ(loaded.script_text, "print(1)\n");
  // It is approved in full, so it cannot be of any length.
  const std::string large(kMaxScriptBytes + 1, 'x');
  write("s.py", large);
  text.replace(text.find(digest), 64, to_hex(sha256(as_bytes(large))));
  EXPECT_THROW(JobConfig::load(write("f.toml", text)), InputError);
}

TEST_F(ConfigTest, ThePriceOfAMachineIsANumberAndACurrency) {
  const auto load = [&](const std::string& price) {
    std::string text = job("https://h/s.py");
    text.replace(text.find("[script]"), 0, "price_per_hour=\"" + price + "\"\n");
    return JobConfig::load(write("f.toml", text)).price_per_hour;
  };
  EXPECT_EQ(load("0.0832 USD")->millionths, 83'200u);
  EXPECT_EQ(load("0.0832 USD")->currency, "USD");
  EXPECT_EQ(load("999999.999999 EUR")->millionths, 999'999'999'999u);
  EXPECT_EQ(load("12 CHF")->millionths, 12'000'000u);
  for (const char* bad :
       {"", "1", "USD", "1 usd", "1 US", "1.2.3 USD", "-1 USD", ". USD", "1. USD", ".5 USD",
        "1  USD", "1234567 USD", "0.1234567 USD", "1 USD ", "0x1 USD"}) {
    EXPECT_THROW((void)load(bad), InputError) << bad;
  }
  EXPECT_FALSE(JobConfig::load(write("f.toml", job("https://h/s.py"))).price_per_hour.has_value());
}

TEST(PrivateUrlTest, KeepsObjectAndSignaturePrivate) {
  const PrivateUrl url = split_private_url(
      "https://b.s3.amazonaws.com/d/x.csv?X-Amz-Expires=60&X-Amz-Signature=abc", "p");
  EXPECT_EQ(url.public_prefix, "https://b.s3.amazonaws.com/");
  EXPECT_EQ(url.path, "d/x.csv");
  EXPECT_EQ(url.public_query, "?X-Amz-Expires=60&X-Amz-Signature=");
  EXPECT_EQ(url.tail, "abc");
}

TEST(PrivateUrlTest, WithoutASignatureAtTheEndTheWholeQueryIsPrivate) {
  for (const char* query : {"token=s3cret", "X-Amz-Signature=abc&x-id=GetObject", ""}) {
    const PrivateUrl url = split_private_url("https://h/o?" + std::string(query), "p");
    EXPECT_EQ(url.public_query, "?");
    EXPECT_EQ(url.tail, query);
  }
  const PrivateUrl bare = split_private_url("https://h:8443/o", "p");
  EXPECT_EQ(bare.public_prefix, "https://h:8443/");
  EXPECT_EQ(bare.public_query + bare.tail, "");
}

TEST(PrivateUrlTest, RefusesWhatAShellOrAFormWouldRead) {
  const std::string chars = "'\"$`\\\n\r\t ;|<>(){}[]#*!^@,\x7f";
  for (const char c : chars) {
    for (const std::string& url :
         {"https://h" + std::string(1, c) + "/o", "https://h/o" + std::string(1, c) + "x",
          "https://h/o?a=" + std::string(1, c) + "&X-Amz-Signature=b",
          "https://h/o?X-Amz-Signature=" + std::string(1, c)}) {
      EXPECT_THROW(split_private_url(url, "p"), InputError) << url;
    }
  }
  for (const std::string& url :
       {std::string("https://h/o\0x", 13), std::string("https://h/o\xc3\xa4"),
        std::string("https://h/o?a?b"), std::string("http://h/o"), std::string("https://h"),
        std::string("https:///o"), std::string("https://h/"), std::string("https://h/?q=1"),
        std::string("https://h?x/o"), std::string(), "https://h/" + std::string(4096, 'a'),
        std::string("https://h~/o")}) {
    EXPECT_THROW(split_private_url(url, "p"), InputError) << url;
  }
}

// cases/links: which character, and where, of several hundred.
TEST_F(ConfigTest, LinkErrorsNameTheCharacterAndItsPlace) {
  const auto problem = [](const std::string& url) {
    try {
      (void)split_private_url(url, "p");
    } catch (const InputError& error) {
      return error.problem();
    }
    return std::string();
  };
  EXPECT_EQ(problem("https://h/o?a=1&amp;b=2"), "has ';' as character 20 of 23, of an `&amp;`");
  EXPECT_EQ(problem("https://h/o?a=1;b"),
            "has ';' as character 16 of 17, which is not allowed in a "
            "link");
  EXPECT_EQ(problem("https://h/o\n"), "has a line break at its end, which no link has");
  EXPECT_EQ(problem("https://h/a b"), "has a blank as character 12 of 13, which no link has");
  EXPECT_EQ(problem("https://h/a?b?c"), "has '?' as character 14 of 15, a second one");
  EXPECT_EQ(problem("https://h\xc3/a"), "has the byte 0xc3 as character 10 of 12, in its host");
  // key-tilde.toml, long-sts.toml
  EXPECT_EQ(split_private_url("https://h/c~1.csv", "p").path, "c~1.csv");
  EXPECT_EQ(split_private_url("https://h/" + std::string(2200, 'a'), "p").path.size(), 2200u);
}

TEST_F(ConfigTest, TextThatIsNotUtf8IsSaid) {
  EXPECT_EQ(error_of([&] { return JobConfig::load(write("f.toml", "\xff\xfe[\x01")); }).second,
            "is text in UTF-16");
}

// cases/job/utf16, and what other editors and half-written files make: before any parser, for all.
TEST_F(ConfigTest, TextOfAnotherFormIsNamed) {
  const auto problem = [](std::string_view text) {
    return error_of([&] { return (require_utf8_text(text, "f"), 0); });
  };
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(problem("\xff\xfe[\0j\0"sv).second, "is text in UTF-16");
  EXPECT_EQ(problem("\xfe\xff\0[\0j"sv).second, "is text in UTF-16");
  EXPECT_EQ(problem("[\0j\0"sv).second, "is text in UTF-16") << "without a mark";
  EXPECT_EQ(problem("\0[\0j"sv).second, "is text in UTF-16");
  EXPECT_EQ(problem("\xff\xfe\0\0[\0\0\0"sv).second, "is text in UTF-32");
  EXPECT_EQ(problem("[\0\0\0j\0\0\0"sv).second, "is text in UTF-32");
  EXPECT_EQ(problem("\0\0\0["sv).second, "is text in UTF-32");
  EXPECT_EQ(problem("[job]\nna\0me"sv).first, "f:2:3");
  EXPECT_THAT(problem("[job]\nna\0me"sv).second, HasSubstr("NUL"));
  EXPECT_EQ(problem(""sv).second, "");
  EXPECT_EQ(problem("{}"sv).second, "");
  // A mark of UTF-8 is no difference.
  EXPECT_EQ(TomlTable::parse("\xef\xbb\xbf"
                             "a = 1",
                             "f")
                .integer("a", 1, 1),
            1);
  EXPECT_THAT(error_of([&] { return TomlTable::parse("a = 1\0"sv, "f"); }).second,
              HasSubstr("NUL"));
}

TEST_F(ConfigTest, AScriptOfAnotherSystemIsSaid) {
  const std::string script = "#!/bin/bash\r\nset -e\r\n";
  write("s.sh", script);
  std::string text = job("https://h/s.sh") + "file=\"s.sh\"\n";
  text.replace(text.find(std::string(64, 'a')), 64, to_hex(sha256(as_bytes(script))));
  EXPECT_NE(error_of([&] { return JobConfig::load(write("f.toml", text)); }).second.find("CR LF"),
            std::string::npos);
}

TEST_F(ConfigTest, ArgumentsAndOutputOfTheScript) {
  const std::string usual = job("https://h/s.py");
  EXPECT_FALSE(JobConfig::load(write("f.toml", usual)).failure_output_to_all);
  const JobConfig read = JobConfig::load(
      write("f.toml", usual + "arguments=[\"--rows\", \"it's\"]\nfailure_output=\"to all\"\n"));
  EXPECT_EQ(read.arguments, (std::vector<std::string>{"--rows", "it's"}));
  EXPECT_TRUE(read.failure_output_to_all);
  for (const char* bad : {"arguments=\"x\"", "arguments=[\"a\\nb\"]", "arguments=[1]",
                          "failure_output=\"to me\"", "failure_output=true"}) {
    EXPECT_THROW(JobConfig::load(write("f.toml", usual + bad + "\n")), InputError) << bad;
  }
}

TEST_F(ConfigTest, TheLoadersLinksComeInPairs) {
  const std::string two = "data_url = \"https://h/d\"\nresult_url = \"https://h/r\"\n";
  EXPECT_THROW(LinksConfig::load(write_private("f.toml", two + "loader_url=\"https://h/l\"\n")),
               InputError);
  EXPECT_EQ(LinksConfig::load(write_private("f.toml", two + "loader_url=\"https://h/l\"\n"
                                                            "loader_put_url=\"https://h/l\"\n"))
                .loader_url,
            "https://h/l");
}

TEST(PrivateUrlTest, ErrorsDoNotShowTheUrl) {
  try {
    split_private_url("https://h/top-secret-object'", "links.toml:1:1");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).find("top-secret"), std::string::npos);
    EXPECT_EQ(error.place(), "links.toml:1:1");
  }
}

// Copies of private parts do not stay behind in memory that is given back.
TEST(PrivateUrlTest, PrivatePartsAreWiped) {
  alignas(PrivateUrl) unsigned char storage[sizeof(PrivateUrl)];
  auto* url = new (storage) PrivateUrl();
  url->path = "shortpriv";  // lives inside the object
  url->tail = "tailpriv";
  url->~PrivateUrl();
  const std::string left(reinterpret_cast<const char*>(storage), sizeof storage);
  EXPECT_EQ(left.find("shortpriv"), std::string::npos);
  EXPECT_EQ(left.find("ortpriv"), std::string::npos);
  EXPECT_EQ(left.find("ailpriv"), std::string::npos);
}

TEST_F(ConfigTest, LinksAreCheckedWhenRead) {
  const std::string good =
      "data_url = \"https://h/d\"\nresult_url = \"https://h/r\"\nresult_get_url = "
      "\"https://h/g\"\n";
  EXPECT_EQ(LinksConfig::load(write_private("f.toml", good)).result_get_url, "https://h/g");
  const auto error = error_of([&] {
    return LinksConfig::load(write_private(
        "f.toml", "data_url = \"https://h/se'cret\"\nresult_url = \"https://h/r\"\n"));
  });
  EXPECT_EQ(error.first, position(1, 12));
  EXPECT_EQ(error.second.find("cret"), std::string::npos);
}

TEST_F(ConfigTest, LinksAreForThisMemberAlone) {
  const auto file = write("f.toml", "data_url = \"https://h/d\"\nresult_url = \"https://h/r\"\n");
  std::filesystem::permissions(file, std::filesystem::perms(0640));
  EXPECT_EQ(error_of([&] { return LinksConfig::load(file); }),
            std::make_pair(file.string(), std::string("is readable by other users")));
  std::filesystem::permissions(file, std::filesystem::perms(0600));
  EXPECT_EQ(LinksConfig::load(file).data_url, "https://h/d");
}

TEST_F(ConfigTest, NamesNeedNoQuoting) {
  for (const char* good : {"a", "hospital-A_1.x", "0"}) EXPECT_TRUE(is_name(good)) << good;
  EXPECT_TRUE(is_name(std::string(64, 'x')));
  for (const char* bad : {"", "a b", "a\"b", "a'b", "a/b", "a\nb", "\xc3\xa4", "a:b", "a$"}) {
    EXPECT_FALSE(is_name(bad)) << bad;
  }
  EXPECT_FALSE(is_name(std::string(65, 'x')));
}

}  // namespace
}  // namespace flexroom
