#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "store/log_export.h"
#include "support/parties.h"
#include "unit/people/people_fixture.h"

// APPROVE and RULE in the log, with their evidence opened, before a verifier that shares nothing
// with this program (members.md 5.4, 7.5; examples/verify_log.py).

namespace flexroom::people {
namespace {

using ::testing::HasSubstr;
using Lines = std::vector<nlohmann::json>;

class PeopleExportTest : public PeopleTest {
 protected:
  void SetUp() override {
    const net::Identity other = net::Identity::make("m1");
    agreement::Configuration c;
    c.room = room_;
    c.name = "rig";
    c.members = {{member_, "m0", identity_.signing_key(), identity_.fingerprint(), ""},
                 {{9}, "m1", other.signing_key(), other.fingerprint(), ""}};
    const auto run = support::run_parties(2, [&](net::Party& party) {
      if (party.id() == 0) {
        log_->exchange_heads(party, c);
        return true;
      }
      const auto db = open("m1");
      const auto once = open_once("m1");
      store::AuditLog log(*db, *once, other, room_, {9});
      log.exchange_heads(party, c);
      return true;
    });
    for (const auto& o : run.outcomes) ASSERT_TRUE(o.value.value_or(false));
    const Key file = KeyFile::create(root_ / "bob.key", {});
    Rule first = rule();
    first.persons[1].keys[0] = file;
    rules_->begin(*log_, first);
    first = rules_->current()->rule;
    const KeyFile bob = KeyFile::load(root_ / "bob.key", [] { return SecretBytes(); });
    approve(first, bob);
    Rule next = first;
    next.version = 2;
    next.previous = first.digest();
    next.not_own = true;
    PersonStatement st = of(first, "bob", StatementKind::kRule);
    st.what = next.digest();
    rules_->apply(*log_, next, Evidence::of({bob.sign(st.encode())}), local_relying_parties({}));
    approve(next, bob);
    for (const auto& stored : log_->verify()) {
      lines_.push_back(nlohmann::json::parse(store::export_line(stored, opened(stored))));
    }
  }
  /// The log as SetUp() left it.
  void SetUpAgain() {
    close_files();
    const store::fs::path kept = root_ / "kept";
    if (!store::fs::exists(kept)) {
      store::fs::copy(root_ / "m0", kept, store::fs::copy_options::recursive);
    }
    store::fs::remove_all(root_ / "m0");
    store::fs::copy(kept, root_ / "m0", store::fs::copy_options::recursive);
    store::fs::permissions(root_ / "m0", store::fs::perms::owner_all);
    open_files(true);
  }
  PersonStatement of(const Rule& r, const std::string& name,
                     StatementKind kind = StatementKind::kApprove) const {
    PersonStatement st = matter(kind);
    st.room = r.room;
    st.member = r.member;
    st.person = name;
    st.rule_version = r.version;
    return st;
  }
  /// By ann's security key and bob's key file.
  void approve(const Rule& r, const KeyFile& bob) {
    const Evidence evidence =
        Evidence::of({voice(of(r, "ann").encode(), ann_), bob.sign(of(r, "bob").encode())});
    const PersonStatement m = matter();
    log_->append_approve({m.what, m.terms, m.versions, m.not_before, m.not_after, r.version, "",
                          evidence.commitment()},
                         [&] { rules_->put_evidence(evidence); });
  }
  std::vector<std::pair<std::string, std::string>> opened(
      const store::AuditLog::Stored& stored) const {
    const auto& s = stored.statement;
    if (s.kind == StatementKind::kApprove) {
      const auto body = agreement::ApproveBody::decode(s.body, "entry");
      return {{"evidence", base64_encode(rules_->evidence(body.evidence)->encode())}};
    }
    if (s.kind != StatementKind::kRule) return {};
    const StoredRule is = *rules_->version(agreement::RuleBody::decode(s.body, "entry").version);
    return {{"rule", base64_encode(is.rule.encode())},
            {"evidence", base64_encode(is.evidence.encode())}};
  }
  std::pair<int, std::string> verify(const Lines& lines) const {
    const store::fs::path file = root_ / "log.jsonl";
    std::ofstream out(file);
    for (const auto& line : lines) out << line.dump() << "\n";
    out.close();
    FILE* pipe = popen((std::string("/usr/bin/python3 ") + FLEXROOM_SOURCE_DIR +
                        "/examples/verify_log.py " + file.string() + " 2>&1")
                           .c_str(),
                       "r");
    std::string text;
    std::array<char, 4096> buffer{};
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      text.append(buffer.data(), n);
    }
    return {WEXITSTATUS(pclose(pipe)), text};
  }
  /// What it says of lines where the evidence of `line` is another one.
  std::string with_evidence(size_t line, const std::function<void(Evidence&)>& alter) const {
    Lines lines = lines_;
    Evidence e = Evidence::decode(*base64_decode(lines[line]["evidence"].get<std::string>()), "e");
    alter(e);
    lines[line]["evidence"] = base64_encode(e.encode());
    const auto [code, text] = verify(lines);
    EXPECT_EQ(code, 1);
    return text;
  }
  Lines lines_;  // CHANGE, RULE, APPROVE, RULE, APPROVE
};

TEST_F(PeopleExportTest, AStrangersProgramFindsItRight) {
  ASSERT_EQ(lines_.size(), 5u);
  const auto [code, text] = verify(lines_);
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, HasSubstr("signed by ann, bob"));
  EXPECT_THAT(text, HasSubstr("rule version 2 of this member's people, signed by bob"));
  EXPECT_THAT(text, HasSubstr("rule version 1 of this member's people, by its machine's"));
  // Closed it is right too, and says no name.
  Lines closed = lines_;
  for (auto& line : closed) {
    line.erase("evidence");
    line.erase("rule");
  }
  const auto [closed_code, closed_text] = verify(closed);
  EXPECT_EQ(closed_code, 0) << closed_text;
  for (const auto& line : closed) EXPECT_EQ(line.dump().find("ann"), std::string::npos);
}

TEST_F(PeopleExportTest, EachForgeryIsNamedByIt) {
  EXPECT_THAT(with_evidence(2, [](Evidence& e) { e.voices.pop_back(); }),
              HasSubstr("other evidence"));
  EXPECT_THAT(with_evidence(2, [](Evidence& e) { e.salt[0] ^= 1; }), HasSubstr("other evidence"));
  EXPECT_THAT(with_evidence(3, [](Evidence& e) { e.voices.clear(); }), HasSubstr("other evidence"));
  Lines swapped = lines_;
  swapped[3]["rule"] = lines_[1]["rule"];
  EXPECT_THAT(verify(swapped).second, HasSubstr("another rule than it is about"));
}

// What this member's own verifier refuses whatever stands behind it.
TEST_F(PeopleExportTest, TheLogRefusesWhatDoesNotFollow) {
  const auto after = [&](const std::function<void(const PersonStatement&)>& write) {
    SetUpAgain();
    write(matter());
    return error_of([&] { (void)log_->verify(); });
  };
  const Digest some{1};
  EXPECT_EQ(after([&](const auto& m) {
              log_->append_approve({m.what, m.terms, m.versions, 1, 2, 2, "", some});
            }),
            "no error");
  EXPECT_THAT(after([&](const auto& m) {
                log_->append_approve({m.what, m.terms, m.versions, 1, 2, 1, "", some});
              }),
              HasSubstr("was not the newest"));
  EXPECT_THAT(after([&](const auto& m) {
                log_->append_approve({m.what, m.terms, m.versions, 1, 2, 2, "", {}});
              }),
              HasSubstr("approves without its people"));
  EXPECT_THAT(after([&](const auto&) {
                log_->append_rule({4, {1}, {2}, false, some});
              }),
              HasSubstr("does not follow from the one before"));
  EXPECT_THAT(after([&](const auto&) {
                log_->append_rule({3, {1}, {2}, false, some});
              }),
              HasSubstr("does not follow from the one before"));
}

// What a member's own node may have committed to: the signatures themselves are looked at.
TEST_F(PeopleExportTest, SignaturesThatProveNothingAreNamed) {
  const Rule r = *[&] { return std::optional<Rule>(rules_->current()->rule); }();
  const auto judged = [&](const std::vector<Voice>& voices) {
    const Evidence evidence = Evidence::of(voices);
    const PersonStatement m = matter();
    log_->append_approve({m.what, m.terms, m.versions, m.not_before, m.not_after, r.version, "",
                          evidence.commitment()},
                         [&] { rules_->put_evidence(evidence); });
    const auto stored = log_->verify().back();
    Lines lines = lines_;
    lines.push_back(nlohmann::json::parse(store::export_line(stored, opened(stored))));
    lines_.push_back(lines.back());  // the chain goes on from it
    lines_.back().erase("evidence");
    const auto [code, text] = verify(lines);
    return std::to_string(code) + text;
  };
  const auto anns = [&](const VirtualAuthenticator::Ask& ask = {}) {
    return voice(of(r, "ann").encode(), ann_, ask);
  };
  const auto bobs = [&](VirtualAuthenticator& with) { return voice(of(r, "bob").encode(), with); };
  EXPECT_THAT(judged({anns(), bobs(bob2_)}), HasSubstr("signed by ann, bob"));
  EXPECT_THAT(judged({anns()}), HasSubstr("too few"));
  EXPECT_THAT(judged({anns(), anns()}), HasSubstr("too few"));
  EXPECT_THAT(judged({anns({.verified = false}), bobs(bob2_)}), HasSubstr("without touch and PIN"));
  EXPECT_THAT(judged({anns({.type = "webauthn.create"}), bobs(bob2_)}),
              HasSubstr("for other words"));
  Voice altered = bobs(bob2_);
  altered.signature[5] ^= 1;
  EXPECT_THAT(judged({anns(), altered}), HasSubstr("wrong signature of a person"));
  EXPECT_THAT(judged({anns(), bobs(evil_)}), HasSubstr("who may not"));
  EXPECT_THAT(judged({anns(), bobs(ann2_)}), HasSubstr("who may not"));
}

// M44, M45: what was signed before a reset proves nothing behind it.
TEST_F(PeopleExportTest, NoVoiceReachesOverAReset) {
  const Rule before = rules_->current()->rule;
  rules_->reset(*log_, before);
  const Rule now = rules_->current()->rule;
  const auto judged = [&](const Rule& under) {
    const Evidence evidence = Evidence::of(
        {voice(of(under, "ann").encode(), ann_), voice(of(under, "bob").encode(), bob2_)});
    const PersonStatement m = matter();
    log_->append_approve({m.what, m.terms, m.versions, m.not_before, m.not_after, now.version, "",
                          evidence.commitment()},
                         [&] { rules_->put_evidence(evidence); });
    Lines lines;
    for (const auto& stored : log_->verify()) {
      lines.push_back(nlohmann::json::parse(store::export_line(stored, opened(stored))));
    }
    const auto [code, text] = verify(lines);
    return std::to_string(code) + text;
  };
  EXPECT_THAT(judged(now), HasSubstr("signed by ann, bob"));
  EXPECT_THAT(judged(before), HasSubstr("who may not"));
}

}  // namespace
}  // namespace flexroom::people
