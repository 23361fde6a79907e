#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session/room_terms.h"
#include "support/room_rig.h"

// What the log says of commands: who said no, what may have happened, what was approved.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;

constexpr const char* kUrl = "https://sts.us-east-1.amazonaws.com/";

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig_.start_sandbox();
    for (const Ended& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  nlohmann::json log_of(PartyId i) {
    return rig_
        .run_one(i, [](PartyId, cli::Output& out,
                       cli::Common& common) { return cli::show_log(out, common, true); })
        .last()["entries"];
  }
  nlohmann::json entry_of(PartyId i, size_t number) {
    return rig_
        .run_one(i, [&](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::show_log_entry(out, common, number); })
        .last()["entry"];
  }
  RoomRig rig_{2};
};

class SaysNo final : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kNo; }
  std::optional<std::string> human_input(const Question&) override { return std::nullopt; }
};

// E2: by name, in both logs, with the refuser's signature in the other's.
TEST_F(LogTest, ARefusalIsEnteredByName) {
  const auto ended = rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    if (i == 0) return cli::get_url(out, common, kUrl, "");
    RoomOptions options;
    options.member_file = common.member_file;
    Room room(options);
    SaysNo decider;
    Session session(room, decider);
    try {
      (void)session.get({kUrl, ""});
      return int{cli::kOk};
    } catch (const Error& error) {
      return cli::report(out, error, false);
    }
  });
  for (const Ended& e : ended) EXPECT_EQ(e.code, cli::kRefused) << e.out;
  const auto said = [&](PartyId i, const std::string& text) {
    const nlohmann::json log = log_of(i);
    return std::any_of(log.begin(), log.end(), [&](const nlohmann::json& e) {
      return e["outcome"] == "refused" && e["text"] == text;
    });
  };
  EXPECT_TRUE(said(0, "m1 said no")) << log_of(0).dump(1);
  EXPECT_TRUE(said(1, "this member said no")) << log_of(1).dump(1);
}

// docs/formats.md: what a call leaves behind for ever, with its text, approvals and signatures.
TEST_F(LogTest, ACallAddsAFewKilobytesToTheState) {
  const auto bytes = [&] {
    size_t out = 0;
    for (const auto& entry : std::filesystem::directory_iterator(rig_.dir(0) / "state")) {
      const bool is_state = entry.path().filename().string().starts_with("state.db");
      if (is_state) out += std::filesystem::file_size(entry.path());
    }
    return out;
  };
  const auto get = [&] {
    const std::vector<Ended> ended = rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::get_url(out, common, kUrl, "");
    });
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kServiceRefused) << e.out;
  };
  get();
  const size_t before = bytes();
  constexpr size_t kCalls = 4;
  for (size_t k = 0; k < kCalls; ++k) get();
  const size_t a_call = (bytes() - before) / kCalls;
  EXPECT_GT(a_call, 512u);
  EXPECT_LT(a_call, 10'000u);
}

// A member killed after the release says so at its next start, also without the others.
TEST_F(LogTest, WhoWasKilledAfterTheReleaseSaysWhatMayHaveHappened) {
  const auto ended = rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    common.connected = [i](net::Party& party) {
      if (i != 1) return;
      party.set_observer([](const net::MessageId& message, ByteView) {
        if (message.label.find("s_ap") != std::string::npos) kill(getpid(), SIGKILL);
      });
    };
    return cli::get_url(out, common, kUrl, "");
  });
  ASSERT_TRUE(ended[1].killed) << ended[1].out;
  const nlohmann::json last = log_of(1).back();
  EXPECT_THAT(last["outcome"].get<std::string>(), HasSubstr("may have happened"));
  EXPECT_THAT(last["text"].get<std::string>(), HasSubstr("the program ended after the request"));
  const size_t entries = log_of(1).size();
  EXPECT_EQ(log_of(1).size(), entries) << "it is said once";
}

// E1: the log prints what was approved, as it was shown; and what changed since.
TEST_F(LogTest, ShowPrintsTheTextThatWasApproved) {
  const auto get = [&] {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::get_url(out, common, kUrl, "");
    });
  };
  const auto ended = get();
  const std::string digest = ended[0].events("proposal").at(0)["digest"];
  const nlohmann::json log = log_of(0);
  size_t number = 0;
  for (size_t k = 0; k < log.size(); ++k) {
    if (log[k]["outcome"] == "approved") number = k + 1;
  }
  ASSERT_GT(number, 0u) << log.dump(1);
  const nlohmann::json entry = entry_of(0, number);
  const std::string approved = entry["approved"];
  EXPECT_THAT(approved, HasSubstr(kUrl));
  EXPECT_THAT(approved, HasSubstr(digest));
  EXPECT_EQ(entry_of(1, number)["approved"], approved);
  const Ended none = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::show_log_entry(out, common, 99);
  });
  EXPECT_EQ(none.code, cli::kBadInput);
  EXPECT_THAT(none.error(), HasSubstr("no such entry"));
}

// A rolled-back state.db is refused before anybody is asked (old: everything verified).
TEST_F(LogTest, ARestoredStateIsNamedBeforeAnythingIsSigned) {
  std::filesystem::copy(rig_.dir(0) / "state", rig_.root() / "old",
                        std::filesystem::copy_options::recursive);
  (void)rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::get_url(out, common, kUrl, "");
  });
  for (const auto& file : std::filesystem::directory_iterator(rig_.dir(0) / "state")) {
    if (file.path().filename().string().rfind("state.db", 0) == 0) {
      std::filesystem::remove(file.path());
    }
  }
  for (const auto& file : std::filesystem::directory_iterator(rig_.root() / "old")) {
    if (file.path().filename().string().rfind("state.db", 0) != 0) continue;
    std::filesystem::copy(file.path(), rig_.dir(0) / "state" / file.path().filename());
  }
  const auto ended = rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::get_url(out, common, kUrl, "");
  });
  EXPECT_EQ(ended[0].code, cli::kBadInput) << ended[0].out;
  EXPECT_THAT(ended[0].error(), HasSubstr("state.db is older than once.db"));
  EXPECT_TRUE(ended[0].events("proposal").empty());
}

// What a run is held against later is what the room's terms were: hosts, calls, suites.
TEST_F(LogTest, TheConfigurationHoldsTheProvidersTerms) {
  const Ended shown = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    const auto state = room::open_state(common.member_file, nullptr);
    const auto configuration = state->log().configuration();
    if (!configuration || configuration->providers.size() != 1) return int{cli::kBadInput};
    out.result({{"hosts", configuration->providers[0].hosts},
                {"settings", configuration->providers[0].settings}});
    return int{cli::kOk};
  });
  ASSERT_EQ(shown.code, cli::kOk) << shown.out;
  EXPECT_THAT(shown.last()["hosts"],
              ::testing::ElementsAre("*.amazonaws.com", "*.flexroom.example"));
  EXPECT_THAT(shown.last()["settings"],
              ::testing::ElementsAre("await_close=false", "groups=x25519mlkem768, x25519, p256",
                                     "max_answer=16777216", "receive=open", "suite=aes128"));
}

// Names of hosts sort otherwise with '=' behind them than without.
TEST(LogOfMailboxes, IsWrittenWhateverTheHostsAreCalled) {
  RoomRig rig(2);
  std::string room = "[provider.p]\nmailbox = true\nhosts = [";
  std::string hosts;
  for (const std::string host : {"shop.example", "mail.co", "mail.co.uk", "mail.co-op.example"}) {
    room += (hosts.empty() ? "\"" : ", \"") + host + "\"";
    hosts += "[provider.p.host.\"" + host + "\"]\nmailbox = false\n";
  }
  rig.write_room(room + "]\n" + hosts);
  for (const Ended& e : rig.init()) EXPECT_EQ(e.code, cli::kOk) << e.out;
}

// Nothing of a provider is compared that the configuration does not hold.
TEST(ProviderTermsTest, AreThoseThatMembersCompare) {
  RoomConfig room;
  room.providers.emplace_back();
  room.providers[0].name = "p";
  room.providers[0].host_mailbox["m.example"] = true;
  room.providers[0].host_suite["m.example"] = &tls::chacha20_poly1305_sha256();
  room.providers[0].host_groups["m.example"] = {NamedGroup::kP256};
  room.providers[0].traffic.pad = tls::Padding::k1024;
  room.providers[0].host_traffic["m.example"].period = std::chrono::minutes(10);
  std::vector<std::string> names = {"hosts", "open_calls"}, compared;
  for (const auto& term : session::provider_terms(room.providers[0])) names.push_back(term.name);
  for (const auto& term : session::room_terms(room)) {
    const size_t at = term.name.find(" of provider p");
    if (at != std::string::npos) compared.push_back(term.name.substr(0, at));
  }
  EXPECT_THAT(compared, ::testing::UnorderedElementsAreArray(names));
  EXPECT_THAT(names, ::testing::Contains("mailbox m.example"));
  EXPECT_THAT(names, ::testing::Contains("suite m.example"));
  EXPECT_THAT(names, ::testing::Contains("groups m.example"));
  EXPECT_THAT(names, ::testing::Contains("pad"));
  EXPECT_THAT(names, ::testing::Contains("slots m.example"));
}

// A secret that is staged when its import fails may yet become one: the log does not deny it.
TEST_F(LogTest, AnImportThatFailedAfterStagingMayHaveHappened) {
  rig_.write_shares("k.json", "k", "value");
  for (const std::string step : {"begin", "staged"}) {
    const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (i == 1) {
        common.fault = [&](std::string_view reached) {
          if (reached == step) throw std::runtime_error("disk full");
        };
      }
      return cli::secret_import(out, common, rig_.dir(i) / "k.json");
    });
    EXPECT_NE(ended[1].code, cli::kOk) << ended[1].out;
    const nlohmann::json last = log_of(1).back();
    EXPECT_THAT(last["outcome"].get<std::string>(),
                HasSubstr(step == "begin" ? "nothing happened" : "may have happened"));
    EXPECT_EQ(last["text"].get<std::string>().find("it may have been stored") != std::string::npos,
              step == "staged")
        << last.dump();
  }
}

TEST_F(LogTest, WhoWasKilledWhileStoringDoesNotDenyIt) {
  rig_.write_shares("k.json", "k", "value");
  const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    if (i == 1) {
      common.fault = [](std::string_view reached) {
        if (reached == "staged") kill(getpid(), SIGKILL);
      };
    }
    return cli::secret_import(out, common, rig_.dir(i) / "k.json");
  });
  ASSERT_TRUE(ended[1].killed) << ended[1].out;
  EXPECT_THAT(log_of(1).back()["outcome"].get<std::string>(), HasSubstr("may have happened"));
}

}  // namespace
}  // namespace flexroom
