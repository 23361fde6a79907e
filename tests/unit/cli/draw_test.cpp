#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "prep/open.h"
#include "session/secret_draw.h"
#include "session/totp_step.h"
#include "support/canaries.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// Secrets that are drawn inside (tls-in-mpc.md §5.2a, operations.md (b)): the command, what it
// leaves after a crash, what it shows, and where their values are not.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kFile =
    "provider = \"sandbox\"\n"
    "[born.\"mail/address\"]\nalphabet = \"base32\"\nlength = 26\nsuffix = \"@example-mail.test\"\n"
    "identifies = true\n"
    "purposes = [\"POST https://mail.flexroom.example/accounts json /address={{}}\"]\n"
    "[born.\"account/password\"]\nalphabet = \"base64url\"\nlength = 22\nsuffix = \"Aa1!\"\n"
    "[born.pin]\nalphabet = \"digits\"\nlength = 6\n"
    "[born.\"name/given\"]\nlist = \"given.txt\"\n";

class DrawTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    rig_->write_room("[provider.sandbox]\nhosts = [\"*.flexroom.example\"]\n");
    all_ok(rig_->init());
    write_all("draw.toml", kFile);
    write_all("given.txt", "Abner\nBerta\nCelia\nDorea\n");
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  void write_all(const std::string& name, const std::string& text) {
    for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, name, text);
  }
  std::vector<Ended> draw(const std::string& file = "draw.toml") {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::secret_draw(out, common, rig_->dir(i) / file);
    });
  }
  json list(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::secret_list(out, common); })
        .last()["secrets"];
  }
  /// The newest value of each name, opened by all together; the same at all.
  std::map<std::string, std::string> open_all() {
    const auto ended = rig_->run([&](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      json values = json::object();
      joined.session().guard([&] {
        joined.session().start();
        store::SecretStore& secrets = joined.state().secrets();
        EXPECT_EQ(secrets.num_staged(), 0u);
        std::set<std::string> names;
        for (const store::RecordMeta& meta : secrets.list()) names.insert(meta.name);
        for (const std::string& name : names) {
          const prep::AuthBits shares = joined.session().shares(joined.state().secret(name));
          const auto bits = prep::open_bits(joined.session().party(),
                                            joined.session().source().delta(), shares, "test/open");
          std::string value(bits.size() / 8, '\0');
          for (size_t t = 0; t < bits.size(); ++t) {
            value[t / 8] = static_cast<char>(value[t / 8] | bits[t] << (t % 8));
          }
          values[name] = value;
        }
      });
      out.result({{"values", values}});
      return cli::kOk;
    });
    std::map<std::string, std::string> out;
    for (const Ended& e : ended) {
      EXPECT_EQ(e.code, cli::kOk) << e.out;
      out = e.last()["values"].get<std::map<std::string, std::string>>();
      EXPECT_EQ(e.last()["values"], ended[0].last()["values"]);
    }
    return out;
  }
  PartyId last() const { return static_cast<PartyId>(rig_->size() - 1); }

  std::unique_ptr<RoomRig> rig_;
};

TEST_P(DrawTest, AllOfAFileIsStoredAndNobodyIsSaidToKnowIt) {
  const std::vector<Ended> ended = draw();
  all_ok(ended);
  for (const Ended& e : ended) {
    ASSERT_EQ(e.last()["drawn"].size(), 4u);
    const json last = e.last();  // lives as long as what is looked at of it
    ASSERT_FALSE(last["drawn"].empty());
    for (const json& secret : last["drawn"]) {
      EXPECT_EQ(secret["known_to"], "nobody");
      EXPECT_EQ(secret["owner"], "");
    }
    // What was approved says how each is drawn.
    const json proposal = e.events("proposal").at(0);
    const std::string text = proposal["text"];
    EXPECT_THAT(text, AllOf(HasSubstr("26 characters of base32, then @example-mail.test"),
                            HasSubstr("one of the 4 entries of given.txt, 5 bytes each"),
                            HasSubstr("130 bits of entropy, known to nobody"),
                            HasSubstr("outsiders can name the identity by it"),
                            HasSubstr("(none: usable nowhere)")));
  }
  const json rows = list(0);
  EXPECT_EQ(rows, list(last()));
  ASSERT_EQ(rows.size(), 4u);
  std::set<std::string> sets;
  for (const json& row : rows) {
    EXPECT_EQ(row["known_to"], "nobody");
    sets.insert(row["set"]);
  }
  EXPECT_EQ(sets.size(), 1u) << "one transaction";
  const auto values = open_all();
  const auto drawn = [&](const std::string& name, size_t length, std::string_view symbols,
                         const std::string& suffix) {
    const std::string& value = values.at(name);
    EXPECT_EQ(value.size(), length + suffix.size());
    EXPECT_EQ(value.substr(0, length).find_first_not_of(symbols), std::string::npos) << value;
    EXPECT_TRUE(value.ends_with(suffix));
  };
  drawn("mail/address", 26, "abcdefghijklmnopqrstuvwxyz234567", "@example-mail.test");
  drawn("account/password", 22, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "Aa1!");
  drawn("pin", 6, "0123456789", "");
  EXPECT_TRUE(std::set<std::string>({"Abner", "Berta", "Celia", "Dorea"})
                  .contains(values.at("name/given")));
}

TEST_P(DrawTest, ANameIsNewOrSaysWhatItReplaces) {
  all_ok(draw());
  const auto before = open_all();
  for (const Ended& e : draw()) {
    EXPECT_NE(e.code, cli::kOk);
    EXPECT_THAT(e.error(), HasSubstr("exists already, as version 1"));
  }
  write_all("again.toml", "[born.pin]\nalphabet = \"digits\"\nlength = 6\nreplaces = 1\n");
  for (const Ended& e : draw("again.toml")) {  // the provider was another
    EXPECT_THAT(e.error(), HasSubstr("another provider"));
  }
  const std::string pin = "provider = \"sandbox\"\n[born.pin]\nreplaces = 1\nalphabet = ";
  write_all("again.toml", pin + "\"hex\"\nlength = 6\n");
  for (const Ended& e : draw("again.toml")) EXPECT_THAT(e.error(), HasSubstr("another class"));
  write_all("again.toml", pin + "\"digits\"\nlength = 6\n");
  all_ok(draw("again.toml"));
  EXPECT_EQ(open_all().at("mail/address"), before.at("mail/address"));
  // A value that somebody gave does not take the place of a born one.
  rig_->write_shares("k.json", "pin", "123456", "digits",
                     {{"replaces", 2}, {"provider", "sandbox"}});
  for (const Ended& e : rig_->import("k.json")) {
    EXPECT_THAT(e.error(), HasSubstr("another descent"));
  }
}

// A member with a list or a file of its own: nothing is drawn, nothing burned.
TEST_P(DrawTest, OtherFilesAreRefusedBeforeAnythingIsDrawn) {
  rig_->write(last(), "given.txt", "Abner\nBerta\nCelia\nDores\n");
  for (const Ended& e : draw()) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("draws by another file"));
  }
  for (PartyId i = 0; i < rig_->size(); ++i) {
    EXPECT_EQ(list(i).size(), 0u);
    const json status =
        rig_->run_one(i, [](PartyId, cli::Output& out,
                            cli::Common& common) { return cli::status(out, common); })
            .last();
    EXPECT_EQ(status["burned"], false);
  }
}

// kill -9 while a draw is stored: afterwards all members have all values, or none has any, and what
// one of them confirmed is there.
TEST_P(DrawTest, KilledAnywhereAllHaveAllOrNone) {
  rig_->save("before");
  for (const PartyId victim : {PartyId{0}, last()}) {
    for (const std::string step : {"begin", "staged", "exchanged", "committed"}) {
      SCOPED_TRACE(step + " at member " + std::to_string(victim));
      rig_->restore("before");
      const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
        if (i == victim) {
          common.fault = [&](std::string_view reached) {
            if (reached == step) kill(getpid(), SIGKILL);
          };
        }
        return cli::secret_draw(out, common, rig_->dir(i) / "draw.toml");
      });
      bool confirmed = step == "exchanged" || step == "committed";
      for (PartyId i = 0; i < rig_->size(); ++i) {
        EXPECT_EQ(ended[i].killed, i == victim) << ended[i].out;
        confirmed = confirmed || ended[i].code == cli::kOk;
      }
      const auto values = open_all();  // every MAC holds: rows of one set
      EXPECT_TRUE(values.empty() || values.size() == 4u);
      if (confirmed) {
        EXPECT_EQ(values.size(), 4u);
      }
      if (step == "begin") {
        EXPECT_TRUE(values.empty());
      }
      if (values.empty()) all_ok(draw());  // the next run works
    }
  }
}

/// What this process can write to, into a file.
void dump_memory(const std::filesystem::path& file) {
  std::ofstream out(file, std::ios::binary);
  std::ifstream maps("/proc/self/maps");
  std::ifstream memory("/proc/self/mem", std::ios::binary);
  std::string line, chunk(1 << 16, '\0');
  while (std::getline(maps, line)) {
    unsigned long begin = 0, end = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access) != 3) continue;
    if (access[1] != 'w' || line.find("[v") != std::string::npos) continue;
    for (unsigned long at = begin; at < end; at += chunk.size()) {
      const size_t want = std::min<size_t>(chunk.size(), end - at);
      memory.clear();
      memory.seekg(static_cast<std::streamoff>(at));
      memory.read(chunk.data(), static_cast<std::streamsize>(want));
      const auto got = static_cast<size_t>(memory.gcount());
      if (chunk.find_first_not_of('\0') >= got) continue;  // never written
      out.write(chunk.data(), memory.gcount());
    }
  }
}

// The values are in no message, no file and no writable memory of any member, behind the command
// that drew them; what is public of them is, so the search finds what is there.
TEST_P(DrawTest, TheValuesAreNowhere) {
  all_ok(rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    std::ofstream traffic(rig_->root() / ("traffic-" + std::to_string(i)), std::ios::binary);
    common.connected = [&](net::Party& party) {
      party.set_observer([&](const net::MessageId&, ByteView payload) {
        traffic.write(reinterpret_cast<const char*>(payload.data()),
                      static_cast<std::streamsize>(payload.size()));
      });
    };
    const int code = cli::secret_draw(out, common, rig_->dir(i) / "draw.toml");
    dump_memory(rig_->root() / ("memory-" + std::to_string(i)));
    return code;
  }));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(rig_->root())) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::map<std::filesystem::path, std::string> contents;
  size_t memories = 0;
  support::Canaries control;
  control.add("the name", as_bytes(std::string("mail/address")));
  control.add("the suffix", as_bytes(std::string("@example-mail.test")));
  for (const auto& file : files) {
    contents[file] = RoomRig::read(file);
    if (file.filename().string().starts_with("memory-")) {
      ++memories;
      EXPECT_GT(contents[file].size(), size_t{1} << 20);
      EXPECT_TRUE(control.find(as_bytes(contents[file])).has_value());
    }
    if (file.filename().string().starts_with("traffic-")) {
      EXPECT_GT(contents[file].size(), 100'000u);
    }
  }
  EXPECT_EQ(memories, GetParam());
  const auto values = open_all();
  support::Canaries canaries;
  canaries.add("address", as_bytes(values.at("mail/address").substr(0, 26)));
  canaries.add("password", as_bytes(values.at("account/password").substr(0, 22)));
  for (const auto& [file, text] : contents) {
    EXPECT_EQ(canaries.find(as_bytes(text)).value_or(""), "") << file;
  }
}

session::TotpKey code_key(session::MemberState& state) {
  return session::totp_key(state.secret("seed"));
}

// A code's number counts once for a key, at all members; then all wait for the next.
TEST_P(DrawTest, ANumberOfCodesIsUsedOnce) {
  write_all("draw.toml", "[born.seed]\nalphabet = \"base32\"\nlength = 32\n");
  all_ok(draw());
  for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
         support::Inside joined(out, common);
         json steps = json::array();
         joined.session().guard([&] {
           joined.session().start();
           const std::vector<session::TotpKey> keys = {code_key(joined.state())};
           for (int k = 0; k < 2; ++k) {
             steps.push_back(session::agree_on_totp_step(joined.session(), keys, [] {}));
           }
         });
         out.result({{"steps", steps}});
         return cli::kOk;
       })) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_GT(e.last()["steps"][1].get<uint64_t>(), e.last()["steps"][0].get<uint64_t>());
    EXPECT_LE(e.last()["steps"][1].get<uint64_t>(), static_cast<uint64_t>(time(nullptr)) / 30);
  }
}

// A request with two codes uses two numbers: none of them gives a code again.
TEST_P(DrawTest, TheNextNumberIsUsedToo) {
  write_all("draw.toml", "[born.seed]\nalphabet = \"base32\"\nlength = 32\n");
  all_ok(draw());
  for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
         support::Inside joined(out, common);
         joined.session().guard([&] {
           joined.session().start();
           const session::TotpKey one = code_key(joined.state());
           session::TotpKey two = one;
           two.next = true;
           const std::vector<session::TotpKey> both = {one, two}, single = {one};
           (void)session::agree_on_totp_step(joined.session(), both, [] {});
           (void)session::agree_on_totp_step(joined.session(), single, [] {});
         });
         return cli::kOk;
       })) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("in each of these 30 seconds before"));
  }
}

// A key that a run kept gets another record when it is proved, and stays the same key.
TEST_P(DrawTest, ANumberThatARunUsedIsUsedWhenItsKeyIsProved) {
  write_all("draw.toml", "[born.seed]\nalphabet = \"base32\"\nlength = 32\n");
  all_ok(draw());
  for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
         support::Inside joined(out, common);
         joined.session().guard([&] {
           joined.session().start();
           store::RecordMeta kept = joined.state().secret("seed");
           kept.kind = "flow enrol";
           store::RecordMeta proved = kept;
           proved.id[0] ^= 1;
           const std::vector<session::TotpKey> both = {session::totp_key(kept),
                                                       session::totp_key(kept, true)};
           const std::vector<session::TotpKey> later = {session::totp_key(proved)};
           (void)session::agree_on_totp_step(joined.session(), both, [] {});
           (void)session::agree_on_totp_step(joined.session(), later, [] {});
         });
         return cli::kOk;
       })) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("in each of these 30 seconds before"));
  }
}

// A member whose clock is another: no code is made.
TEST_P(DrawTest, AStepFarFromAMembersClockIsRefused) {
  write_all("draw.toml", "[born.seed]\nalphabet = \"base32\"\nlength = 32\n");
  all_ok(draw());
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    if (i == last()) {
      joined.session().party().set_tamper([](const net::MessageId& id, Bytes& payload) {
        if (id.label == "totp/step") payload[3] ^= 1;
      });
    }
    joined.session().guard([&] {
      joined.session().start();
      const std::vector<session::TotpKey> keys = {code_key(joined.state())};
      (void)session::agree_on_totp_step(joined.session(), keys, [] {});
    });
    return cli::kOk;
  });
  EXPECT_EQ(ended[0].code, cli::kRefused) << ended[0].out;
  // With three the echo notices first: what is altered on the way is not what its sender hashed.
  EXPECT_THAT(ended[0].error(), HasSubstr(GetParam() == 2 ? "more than one step of 30 seconds away"
                                                          : "that one differently"));
}

INSTANTIATE_TEST_SUITE_P(Rooms, DrawTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, DrawTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
