#include "store/log_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agreement/render.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

// What `log export` prints is held against a verifier that shares nothing with this program.

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;

class LogExportTest : public StoreTest {
 protected:
  void SetUp() override {
    for (int i = 0; i < 2; ++i) ids_.push_back(net::Identity::make("m" + std::to_string(i)));
    agreement::Configuration c;
    c.room = {7};
    c.name = "rig";
    for (PartyId i = 0; i < 2; ++i) {
      c.members.push_back(
          {mid(i), "m" + std::to_string(i), ids_[i].signing_key(), ids_[i].fingerprint(), ""});
    }
    lines_.resize(2);
    stored_.resize(2);
    const auto run = support::run_parties(2, [&](net::Party& party) {
      const auto db = open("m" + std::to_string(party.id()));
      const auto once = open_once("m" + std::to_string(party.id()));
      AuditLog log(*db, *once, ids_[party.id()], c.room, mid(party.id()));
      log.exchange_heads(party, c);
      agreement::Proposal p;
      p.kind = "call";
      p.title = "who-am-i";
      p.section("request").text("method", "GET").block("script", "#!/bin/sh\necho \xff\n");
      LogEntry entry;
      entry.unix_seconds = 1'700'000'000;
      entry.outcome = LogOutcome::kApproved;
      entry.approval = agreement::approve(party, ids_[party.id()], c.keys(), p);
      entry.proposal = p.digest();
      text_ = agreement::render(p);
      log.append_alone(entry);
      entry.approval.reset();
      entry.outcome = LogOutcome::kFailed;
      entry.status = 403;
      entry.text = "call who-am-i: status 403";
      log.append(party, entry);
      if (party.id() == 1) party.send(0, "no", log.refuse({9}, "budget"));
      if (party.id() == 0) {
        log.heard_refusal(1, {9}, party.receive_up_to(1, "no", 4096));
        entry.outcome = LogOutcome::kEffectMayHaveHappened;
        log.append_alone(entry);
      }
      stored_[party.id()] = log.verify();
      for (const auto& s : stored_[party.id()]) lines_[party.id()].push_back(export_line(s));
      return true;
    });
    for (const auto& o : run.outcomes) ASSERT_TRUE(o.value.value_or(false));
  }
  static agreement::MemberId mid(PartyId id) { return {static_cast<uint8_t>(id + 1)}; }

  fs::path write(const std::string& name, const std::vector<std::string>& lines) const {
    std::ofstream out(root_ / name, std::ios::binary);
    for (const std::string& line : lines) out << line << "\n";
    return root_ / name;
  }
  struct Ended {
    int code = -1;
    std::string out;
  };
  static Ended verify(const std::vector<fs::path>& files) {
    std::string command =
        std::string("/usr/bin/python3 ") + FLEXROOM_SOURCE_DIR + "/examples/verify_log.py";
    for (const fs::path& file : files) command += " " + file.string();
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    Ended ended;
    std::array<char, 4096> buffer{};
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      ended.out.append(buffer.data(), n);
    }
    ended.code = WEXITSTATUS(pclose(pipe));
    return ended;
  }
  /// The line with this statement instead of its own; what stands beside it stays.
  static std::string with(const std::string& line, const agreement::Statement& s) {
    AuditLog::Stored bytes;
    bytes.statement = s;
    bytes.entry.approval.emplace().proposal = agreement::Proposal().canonical();
    nlohmann::json out = nlohmann::json::parse(line);
    out["statement"] = nlohmann::json::parse(export_line(bytes))["statement"];
    return out.dump();
  }

  std::vector<net::Identity> ids_;
  std::vector<std::vector<std::string>> lines_;
  std::vector<std::vector<AuditLog::Stored>> stored_;
  std::string text_;
};

TEST_F(LogExportTest, AStrangersProgramFindsItRight) {
  const Ended ended = verify({write("a", lines_[0]), write("b", lines_[1])});
  EXPECT_EQ(ended.code, 0) << ended.out;
  for (const std::string& part :
       {std::string("all chains and signatures are right"), std::string("approved call who-am-i"),
        std::string("failed: call who-am-i: status 403 (status 403)"),
        std::string("note: m1 said no: budget"), std::string("may have happened"),
        to_hex(ids_[0].fingerprint())}) {
    EXPECT_THAT(ended.out, HasSubstr(part));
  }
  // Readable beside the bytes; the approved text is the one that was shown.
  const auto line = nlohmann::json::parse(lines_[0][1]);
  EXPECT_EQ(line["kind"], "START");
  EXPECT_EQ(line["approved"], text_);
  EXPECT_THAT(entry_text(stored_[0][1]), HasSubstr(text_));
  EXPECT_THAT(entry_text(stored_[0][0]), HasSubstr(to_hex(ids_[1].fingerprint())));
}

TEST_F(LogExportTest, EachForgeryIsNamedByIt) {
  using Lines = std::vector<std::string>;
  const auto refused = [&](const std::string& why, const std::function<void(Lines&)>& forge) {
    Lines lines = lines_[0];
    forge(lines);
    const Ended ended = verify({write("forged", lines)});
    EXPECT_EQ(ended.code, 1) << why << "\n" << ended.out;
    EXPECT_THAT(ended.out, HasSubstr(why));
  };
  for (size_t k = 1; k + 1 < lines_[0].size(); ++k) {
    refused("does not follow", [&](Lines& l) { l.erase(l.begin() + static_cast<ptrdiff_t>(k)); });
  }
  refused("not the first of its chain", [](Lines& l) { l.erase(l.begin()); });
  refused("does not follow", [](Lines& l) { std::swap(l[1], l[2]); });
  refused("is empty", [](Lines& l) { l.clear(); });
  // Edited by the author itself, which signs what it wrote.
  const auto edited = [&](size_t k, const std::function<void(agreement::Statement&)>& edit) {
    return [=, this](Lines& l) {
      agreement::Statement s = stored_[0][k].statement;
      edit(s);
      s.sign(ids_[0]);
      l[k] = with(l[k], s);
    };
  };
  refused("is not signed by its author", [&](Lines& l) {
    agreement::Statement s = stored_[0][1].statement;
    s.signature[3] ^= 1;
    l[1] = with(l[1], s);
  });
  refused("another proposal than was signed", edited(1, [](agreement::Statement& s) {
            auto body = agreement::StartBody::decode(s.body, "s");
            body.approval.proposal.back() ^= 1;
            s.body = body.encode();
          }));
  refused("is not approved by all", edited(1, [](agreement::Statement& s) {
            auto body = agreement::StartBody::decode(s.body, "s");
            body.approval.signatures.pop_back();
            s.body = body.encode();
          }));
  refused("is not approved by m1", edited(1, [](agreement::Statement& s) {
            auto body = agreement::StartBody::decode(s.body, "s");
            body.approval.signatures[1][5] ^= 1;
            s.body = body.encode();
          }));
  refused("another configuration", edited(1, [](agreement::Statement& s) { s.body[1] ^= 1; }));
  refused("is not signed by m0", edited(2, [](agreement::Statement& s) {
            auto body = agreement::ResultBody::decode(s.body, "s");
            body.outcome = agreement::Outcome::kDone;
            s.body = body.encode();
          }));
  refused("is not signed by m0", edited(2, [](agreement::Statement& s) { ++s.time; }));
  refused("proves nothing", edited(3, [](agreement::Statement& s) {
            auto body = agreement::NoteBody::decode(s.body, "s");
            body.statement[70] ^= 1;
            s.body = body.encode();
          }));
  refused("not signed by m1", edited(0, [](agreement::Statement& s) {
            auto body = agreement::ChangeBody::decode(s.body, "s");
            body.signatures[1][0] ^= 1;
            s.body = body.encode();
          }));
  refused("not signed by m0", edited(0, [&](agreement::Statement& s) {
            auto body = agreement::ChangeBody::decode(s.body, "s");
            body.configuration.members[1].key = net::Identity::make("evil").signing_key();
            s.body = body.encode();
          }));
  refused("base64", [](Lines& l) { l[0] = R"({"statement": "base64?"})"; });
}

// Zeros are a key of small order: for some of the texts a signature of it is made without a secret.
// Who is in no configuration has no key, not that one.
TEST_F(LogExportTest, AStrangerHasNoKeyToSignWith) {
  agreement::Statement s = stored_[0][0].statement;
  s.author.fill(9);
  s.signature.fill(0);
  s.signature[0] = 1;  // R is the neutral element, S is 0
  for (int tries = 0; tries < 24; ++tries, ++s.time) {
    const Ended ended = verify({write("forged", {with(lines_[0][0], s)})});
    EXPECT_EQ(ended.code, 1) << ended.out;
    EXPECT_THAT(ended.out, HasSubstr("is not signed by its author"));
  }
}

TEST_F(LogExportTest, WhatIsBesideTheBytesIsNotTrusted) {
  auto line = nlohmann::json::parse(lines_[0][2]);
  line["text"] = "nothing to see here";
  line["status"] = 200;
  std::vector<std::string> lines = lines_[0];
  lines[2] = line.dump();
  const Ended ended = verify({write("a", lines)});
  EXPECT_EQ(ended.code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("(status 403)"));
  EXPECT_THAT(ended.out, Not(HasSubstr("nothing to see")));
}

// What it cannot show alone, two logs show together.
TEST_F(LogExportTest, ARunThatOneLogLacksIsNamed) {
  std::vector<std::string> shorter(lines_[1].begin(), lines_[1].begin() + 1);
  const Ended ended = verify({write("a", lines_[0]), write("b", shorter)});
  EXPECT_EQ(ended.code, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("/a and not in "));
}

}  // namespace
}  // namespace flexroom::store
