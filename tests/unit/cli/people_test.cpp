#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/room_rig.h"

// What people at both ends are told when the members do not want the same, when somebody is not
// there, or when the service cannot be called: who, what, both values, what to do.

namespace flexroom {
namespace people_test {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kUrl = "https://sts.us-east-1.amazonaws.com/";

class PeopleTest : public ::testing::Test {
 protected:
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::vector<Ended> get() {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::get_url(out, common, kUrl, "");
    });
  }
  /// Each of them is told all of it.
  static void all_refuse(const std::vector<Ended>& ended, const std::vector<std::string>& words) {
    for (const Ended& e : ended) {
      EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
      for (const std::string& word : words) EXPECT_THAT(e.error(), HasSubstr(word));
    }
  }
  void rewrite(PartyId i, const std::string& from, const std::string& to) {
    std::string text = RoomRig::read(rig_.dir(i) / "room.toml");
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    rig_.write(i, "room.toml", text.replace(at, from.size(), to));
  }
  RoomRig rig_{2};
};

TEST_F(PeopleTest, WhoRunsAnotherCommandIsNamed) {
  all_ok(rig_.init());
  all_refuse(rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    return i == 0 ? cli::init_room(out, common, false) : cli::stock(out, common, 100);
  }),
             {"command", "init", "stock", "same command"});
}

TEST_F(PeopleTest, WhatDiffersInRoomTomlIsNamedWithBothValues) {
  rig_.write_room("[provider.p]\nopen_calls = [\"GET https://a.example/\"]\n");
  rewrite(1, "a.example", "b.example");
  all_refuse(rig_.init(), {"open_calls of provider p", "a.example", "b.example", "room.toml"});
  rewrite(1, "b.example", "a.example");
  rewrite(1, "name = \"rig\"", "name = \"gir\"");
  all_refuse(rig_.init(), {"name of the room", "rig", "gir"});
  rewrite(1, "name = \"gir\"", "name = \"rig\"");
  all_ok(rig_.init());
}

TEST_F(PeopleTest, WaitingSaysForWhomAndHowLong) {
  rewrite(0, "[room]\n", "[room]\ntimeout_seconds = 1\n");
  const Ended e = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::init_room(out, common, false);
  });
  EXPECT_EQ(e.code, cli::kNetworkFailed) << e.out;
  EXPECT_THAT(e.error(), AllOf(HasSubstr("m1"), HasSubstr("1 s"), HasSubstr("timeout_seconds"),
                               HasSubstr("room.toml"), HasSubstr("same command")));
}

/// A member whose decider answers like this.
class Answering final : public Decider {
 public:
  explicit Answering(Answer answer) : answer_(answer) {}
  Answer approve(const Summary& summary) override {
    seen = summary;
    return answer_;
  }
  std::optional<std::string> human_input(const Question&) override { return std::nullopt; }
  Summary seen;

 private:
  Answer answer_;
};

TEST_F(PeopleTest, WhoSaidNoIsNamed) {
  rig_.start_sandbox();
  all_ok(rig_.init());
  for (const auto& [answer, words] :
       {std::pair<Decider::Answer, std::string>(Decider::Answer::kNo, "m1 said no"),
        {Decider::Answer::kNotNow, "m1 has nobody there"}}) {
    const size_t requests = rig_.sandbox_requests();
    const auto ended =
        rig_.run([answer = answer](PartyId i, cli::Output& out, cli::Common& common) {
          if (i == 0) return cli::get_url(out, common, kUrl, "");
          RoomOptions options;
          options.member_file = common.member_file;
          Room room(options);
          Answering decider(answer);
          Session session(room, decider);
          try {
            (void)session.get({kUrl, ""});
            return int{cli::kOk};
          } catch (const Error& error) {
            EXPECT_EQ(decider.seen.command, "get");
            return cli::report(out, error, false);
          }
        });
    for (const Ended& e : ended) EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(ended[0].error(), AllOf(HasSubstr(words), HasSubstr("nothing was contacted")));
    EXPECT_EQ(rig_.sandbox_requests(), requests);
  }
}

// Whoever finds something wrong once all are connected says so: nobody is left with a lost line.
TEST_F(PeopleTest, WhatIsWrongAtOneMemberAfterTheMeetingIsToldToTheOthers) {
  all_ok(rig_.init());
  std::filesystem::remove_all(rig_.dir(1) / "state" / "open");
  rig_.write(1, "state/open", "no folder");
  const auto ended = rig_.init();
  EXPECT_EQ(ended[1].code, cli::kBadInput) << ended[1].out;
  EXPECT_THAT(ended[1].error(), HasSubstr("state/open"));
  EXPECT_EQ(ended[0].code, cli::kNetworkFailed) << ended[0].out;
  EXPECT_THAT(ended[0].error(), AllOf(HasSubstr("m1"), HasSubstr("something of its own is wrong"),
                                      HasSubstr("it says there what")));
  EXPECT_THAT(ended[0].error(), ::testing::Not(HasSubstr("open/0"))) << "nothing of its own files";
}

TEST_F(PeopleTest, WhoDoesNotWantANewEpochIsNamed) {
  all_ok(rig_.init());
  const auto ended = rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    if (i == 0) return cli::init_room(out, common, true);
    RoomOptions options;
    options.member_file = common.member_file;
    Room room(options);
    Answering decider(Decider::Answer::kNo);  // and no human input
    try {
      (void)Session(room, decider).init(true);
      return int{cli::kOk};
    } catch (const Error& error) {
      return cli::report(out, error, false);
    }
  });
  EXPECT_EQ(ended[1].code, cli::kRefused) << ended[1].out;
  EXPECT_THAT(ended[0].error(),
              AllOf(HasSubstr("m1"), HasSubstr("its operator, or a rule of its own, said no")));
}

TEST_F(PeopleTest, NobodyToAskIsNoticedBeforeAnybodyIsJoined) {
  rig_.write_room("[provider.p]\n");
  all_ok(rig_.init());
  const Ended e = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    if (dup2(open("/dev/null", O_RDONLY), STDIN_FILENO) < 0) return 99;
    common.yes = false;
    return cli::get_url(out, common, kUrl, "");  // alone: it does not wait for the other
  });
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_THAT(e.error(), AllOf(HasSubstr("no terminal"), HasSubstr("--yes")));
  EXPECT_EQ(e.out.find("waiting for"), std::string::npos) << e.out;
}

// A service that cannot be called costs no preprocessing, and the words of who noticed reach all.
class ServiceTest : public PeopleTest {
 protected:
  void SetUp() override {
    rig_.start_sandbox();
    all_ok(rig_.init());
  }
  void fails(const std::vector<std::string>& words) {
    const auto ended = get();
    for (const Ended& e : ended) {
      EXPECT_EQ(e.code, cli::kNetworkFailed) << e.out;
      for (const std::string& word : words) EXPECT_THAT(e.error(), HasSubstr(word));
      EXPECT_THAT(e.error(), HasSubstr("not sent"));
      EXPECT_THAT(e.error(), Not(HasSubstr("its own message")));
      EXPECT_EQ(e.out.find("make AND triples"), std::string::npos) << "prepared for nothing";
    }
  }
  std::string connect_to(const std::string& target) {
    return "[provider.sandbox]\nhosts = [\"*.amazonaws.com\", \"*.flexroom.example\"]\n"
           "ca_file = \"" +
           (rig_.root() / "cloud" / "ca.pem").string() + "\"\nconnect_to = [\"*:443=" + target +
           "\"]\n";
  }
};

TEST_F(ServiceTest, NobodyListensThere) {
  const auto [fd, port] = support::listen_on_loopback();
  close(fd);
  rig_.write_room(connect_to("127.0.0.1:" + std::to_string(port)));
  fails({"127.0.0.1:" + std::to_string(port)});
}

TEST_F(ServiceTest, ANameThatIsNone) {
  rig_.write_room(connect_to("no-such-host.invalid:443"));
  fails({"no-such-host.invalid"});
}

TEST_F(ServiceTest, AnotherAuthorityAtOneMember) {
  const std::string right = RoomRig::read(rig_.dir(0) / "room.toml");
  ASSERT_EQ(std::system(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                         "-subj /CN=other -keyout /dev/null -out " +
                         (rig_.root() / "other.pem").string() + " 2>/dev/null")
                            .c_str()),
            0);
  for (const PartyId wrong : {0, 1}) {
    rig_.write(0, "room.toml", right);
    rig_.write(1, "room.toml", right);
    rewrite(wrong, (rig_.root() / "cloud" / "ca.pem").string(),
            (rig_.root() / "other.pem").string());
    fails({"ca_file"});
  }
  rig_.write(0, "room.toml", right);
  rig_.write(1, "room.toml", right);
  for (const Ended& e : get()) EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;  // it answered
}

// The courier (m1) shows other certificates than it saw, none, or no such thing.
TEST_F(ServiceTest, ACourierThatLiesAboutTheServiceEndsTheCallBeforeItCosts) {
  const std::vector<std::function<void(Bytes&)>> lies = {
      [](Bytes& payload) { payload.clear(); },
      [](Bytes& payload) { payload.resize(payload.size() - 1); },
      [](Bytes& payload) { payload.at(0) = 0xff; },     // 4 billion certificates
      [](Bytes& payload) { payload.assign(4, 0); },     // none
      [](Bytes& payload) { payload.at(20) ^= 0x40; }};  // no DER
  for (const auto& lie : lies) {
    const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      common.connected = [&, i](net::Party& party) {
        if (i == 0) return;
        party.set_tamper([&](const net::MessageId& message, Bytes& payload) {
          if (message.label == "service/certificates") lie(payload);
        });
      };
      return cli::get_url(out, common, kUrl, "");
    });
    EXPECT_EQ(ended[0].code, cli::kNetworkFailed) << ended[0].out;
    EXPECT_THAT(ended[0].error(), HasSubstr("not sent"));
    EXPECT_EQ(ended[0].out.find("make AND triples"), std::string::npos);
  }
}

TEST_F(ServiceTest, WhatAnotherFoundIsShownWithoutItsTricks) {
  const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    common.connected = [i](net::Party& party) {
      if (i == 0) return;
      party.set_tamper([](const net::MessageId& message, Bytes& payload) {
        if (message.label == "service/verdict") payload = to_bytes("a\x1b[2J\u202ez");
      });
    };
    return cli::get_url(out, common, kUrl, "");
  });
  EXPECT_EQ(ended[0].code, cli::kNetworkFailed) << ended[0].out;
  EXPECT_THAT(ended[0].error(), HasSubstr("m1 says: a?[2J?z"));
}

TEST_F(ServiceTest, TheBodyOfAnAnswerIsTextForMachinesToo) {
  for (const Ended& e : get()) {
    ASSERT_TRUE(e.last().contains("body")) << e.out;
    EXPECT_EQ(to_hex(to_bytes(e.last()["body"].get<std::string>())), e.last()["body_hex"]);
  }
}

// A member that demands a staple learns that there is none before anything is prepared.
TEST_F(ServiceTest, AStapleThatIsDemandedIsLookedForBeforePreprocessing) {
  rewrite(0, "[provider.sandbox]\n", "[provider.sandbox]\nrevocation = \"must\"\n");
  const size_t before = rig_.sandbox_requests();
  for (const Ended& e : get()) {
    EXPECT_EQ(e.code, cli::kNetworkFailed) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("revocation"));
    EXPECT_THAT(e.out, Not(HasSubstr("AND triples")));
  }
  EXPECT_EQ(rig_.sandbox_requests(), before);
}

TEST_F(ServiceTest, TheDoctorFindsWhatIsWrongAndNothingElse) {
  const auto doctor = [&](PartyId i) {
    return rig_.run_one(i, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::doctor(out, common, "", "");
    });
  };
  const auto state_of = [](const Ended& e, const std::string& name) {
    const nlohmann::json last = e.last();
    for (const auto& check : last["checks"]) {
      if (check["name"] == name) return check["state"].get<std::string>();
    }
    return std::string("(no such check)");
  };
  const std::string right = RoomRig::read(rig_.dir(0) / "room.toml");
  Ended e = doctor(0);
  EXPECT_EQ(e.code, cli::kOk) << e.out;
  for (const char* name : {"configuration", "identity", "disk", "port", "authority of sandbox"}) {
    EXPECT_EQ(state_of(e, name), "ok") << name << e.out;
  }
  EXPECT_EQ(state_of(doctor(1), "member m0"), "warning");  // it does not listen now
  // Its port is taken.
  const std::string address = right.substr(right.find("127.0.0.1:") + 10, 5);
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ASSERT_EQ(setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(std::stoi(address)));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  EXPECT_EQ(state_of(doctor(0), "port"), "warning");
  close(taken);
  // A rule for a host that is not the provider's own: its CA vouches for nothing there.
  rig_.write(0, "room.toml",
             right.substr(0, right.find("connect_to = [") + 14) +
                 "\"other.test:443=127.0.0.1:1\", " +
                 right.substr(right.find("connect_to = [") + 14));
  EXPECT_EQ(state_of(doctor(0), "service other.test:443"), "warning");
  rig_.write(0, "room.toml", right);
  // Another identity than room.toml says.
  std::string other = right;
  const size_t digit = other.find("certificate = \"") + 15;
  other[digit] = other[digit] == '0' ? '1' : '0';
  rig_.write(0, "room.toml", other);
  e = doctor(0);
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_EQ(state_of(e, "identity"), "problem");
  // No authority, no configuration.
  rig_.write(0, "room.toml", right);
  rewrite(0, "/cloud/ca.pem", "/cloud/none.pem");
  EXPECT_EQ(state_of(doctor(0), "configuration"), "problem");
  rig_.write(0, "room.toml", "[room]\nnmae = \"x\"\n");
  e = doctor(0);
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_EQ(state_of(e, "configuration"), "problem");
  EXPECT_THAT(e.out, HasSubstr("did you mean `name`?"));
}

TEST_F(ServiceTest, TheDoctorLooksAtTheServiceOfARecipe) {
  rig_.write(0, "r.toml", R"([recipe]
name = "r"
provider = "sandbox"
host = "sts.us-east-1.amazonaws.com"
open = "everything to all"
request = """
GET / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Connection: close

"""
)");
  const auto service = [&] {
    const Ended e = rig_.run_one(0, [&](PartyId, cli::Output& out, cli::Common& common) {
      return cli::doctor(out, common, rig_.dir(0) / "r.toml", "");
    });
    const nlohmann::json last = e.last();
    for (const auto& check : last["checks"]) {
      if (check["name"] == "service sts.us-east-1.amazonaws.com:443") {
        return check["state"].get<std::string>() + ": " + check["detail"].get<std::string>();
      }
    }
    return "no such check: " + e.out;
  };
  EXPECT_THAT(service(), HasSubstr("ok: answers TLS 1.3"));
  rig_.write_room(connect_to("no-such-host.invalid:443"));
  EXPECT_THAT(service(), Not(HasSubstr("ok:")));
}

}  // namespace people_test
}  // namespace flexroom
