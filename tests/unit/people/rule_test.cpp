#include "people/rule.h"

#include "unit/people/people_fixture.h"

// people.toml and the RULE document (members.md 7.1).

namespace flexroom::people {
namespace {

using ::testing::HasSubstr;

class RuleTest : public ::testing::Test {
 protected:
  static std::string hex(const VirtualAuthenticator& key) { return to_hex(key.public_key()); }
  std::string file_key(const VirtualAuthenticator& key) const {
    return "[[person.key]]\nkind = \"file\"\nkey = \"" + hex(key) + "\"\n";
  }
  std::string people(const std::string& first) const {
    return first +
           "[[person]]\nname = \"ann\"\nroles = [\"propose\", \"approve\", \"administer\"]\n" +
           file_key(a_) + "[[person.key]]\nkind = \"es256\"\nrp = \"localhost\"\ncredential = \"" +
           base64url_encode(pass_.key().credential) + "\"\nkey = \"" + hex(pass_) +
           "\"\nsynced = true\n" + "[[person]]\nname = \"bob\"\nroles = [\"approve\"]\n" +
           file_key(b_) + "[[person]]\nname = \"eve\"\nroles = [\"approve\", \"administer\"]\n" +
           file_key(c_);
  }
  std::string right() const {
    return people("approve = \"2 of (bob, ann, eve)\"\nadminister = \"1 of (ann, eve)\"\n");
  }
  static std::string error_of(const std::string& toml, bool one_key = false) {
    try {
      (void)Rule::parse(toml, "people.toml", one_key);
      return "ok";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  static std::string with(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
  VirtualAuthenticator a_{"a", KeyKind::kEdDsa}, b_{"b", KeyKind::kEdDsa}, c_{"c", KeyKind::kEdDsa},
      pass_{"pass"};
};

TEST_F(RuleTest, IsReadAndWrittenAlike) {
  const Rule rule = Rule::parse(right(), "people.toml", false);
  EXPECT_EQ(rule.approve.text(), "2 of (ann, bob, eve)");
  EXPECT_EQ(rule.person("ann")->keys[1].credential, pass_.key().credential);
  EXPECT_TRUE(rule.person("ann")->keys[1].synced);
  EXPECT_EQ(Rule::parse(rule.toml(), "people.toml", false), rule);
  EXPECT_EQ(Rule::decode(rule.encode(), "rule"), rule);
  EXPECT_EQ(rule.holder(a_.public_key()).person->name, "ann");
  EXPECT_EQ(rule.holder(pass_.key().credential).person->name, "ann");
  EXPECT_EQ(rule.holder(Bytes(16)).person, nullptr);
  EXPECT_THAT(rule.text(), HasSubstr("approve       2 of (ann, bob, eve)"));
}

TEST_F(RuleTest, EachErrorHasItsLine) {
  const std::string r = right();
  const auto at = [&](const std::string& from, const std::string& to) {
    return error_of(with(r, from, to));
  };
  EXPECT_EQ(error_of(r), "ok");
  EXPECT_THAT(at("2 of (bob", "4 of (bob"), HasSubstr("people.toml:1:11: needs 4 of 3"));
  EXPECT_THAT(at("2 of (bob", "0 of (bob"), HasSubstr("people.toml:1:11"));
  EXPECT_THAT(at("2 of (bob", "2 von (bob"), HasSubstr("people.toml:1:11"));
  EXPECT_THAT(at("bob, ann, eve)", "bob, ann, eve"), HasSubstr("people.toml:1:11"));
  EXPECT_THAT(at("bob, ann, eve)", "bob, ann, bob)"), HasSubstr("names a person twice"));
  EXPECT_THAT(at("bob, ann, eve)", "bob, ann, dave)"), HasSubstr("dave, who is no [[person]]"));
  EXPECT_THAT(at("1 of (ann, eve)", "1 of (bob)"), HasSubstr("has not the role administer"));
  EXPECT_THAT(at("administer = \"1", "adminster = \"1"), HasSubstr("did you mean"));
  EXPECT_THAT(at("[\"approve\"]", "[\"aprove\"]"), HasSubstr("has a role that there is not"));
  EXPECT_THAT(at("[\"approve\"]", "[]"), HasSubstr("has no role"));
  EXPECT_THAT(at("[\"approve\"]", "[\"approve\", \"approve\"]"), HasSubstr("or one twice"));
  EXPECT_THAT(at("\"bob\"\nroles", "\"ann\"\nroles"), HasSubstr("stands here twice"));
  EXPECT_THAT(at("kind = \"file\"", "kind = \"rsa\""), HasSubstr("people.toml:7:"));
  EXPECT_THAT(at(hex(b_), hex(a_)), HasSubstr("stands twice, here under bob"));
  EXPECT_THAT(at(hex(a_), std::string(64, '0')), HasSubstr("is no public key"));
  EXPECT_THAT(at(hex(a_), "ABCD"), HasSubstr("hexadecimal"));
  EXPECT_THAT(at("rp = \"localhost\"\n", ""), HasSubstr("has no rpId"));
  EXPECT_THAT(at("synced = true", "sync = true"), HasSubstr("unknown key `sync`"));
}

TEST_F(RuleTest, ACredentialIsOfOnePerson) {
  VirtualAuthenticator other("other");
  const std::string stolen = "[[person.key]]\nkind = \"es256\"\nrp = \"localhost\"\nkey = \"";
  const std::string id = "\"\ncredential = \"" + base64url_encode(pass_.key().credential) + "\"\n";
  EXPECT_THAT(error_of(right() + stolen + hex(other) + id), HasSubstr("here under eve"));
  const std::string fresh =
      "\"\ncredential = \"" + base64url_encode(other.key().credential) + "\"\n";
  EXPECT_THAT(error_of(right() + stolen + hex(pass_) + fresh), HasSubstr("here under eve"));
  EXPECT_EQ(error_of(right() + stolen + hex(other) + fresh), "ok");
}

TEST_F(RuleTest, OneLostKeyMustBeMeant) {
  const std::string all = with(right(), "2 of (bob", "3 of (bob");
  EXPECT_THAT(error_of(all), HasSubstr("--i-have-one-key"));
  EXPECT_EQ(error_of(all, true), "ok");
  EXPECT_THAT(Rule::parse(all, "p", true).text(), HasSubstr("one lost key stops this member"));
  const std::string administrators = with(right(), "1 of (ann, eve)", "1 of (eve)");
  EXPECT_THAT(error_of(administrators), HasSubstr("--i-have-one-key"));
  const std::string two_keys = with(right(), "1 of (ann, eve)", "1 of (ann)");
  EXPECT_EQ(error_of(two_keys), "ok") << "ann has two";
}

TEST_F(RuleTest, ARuleThatCannotBeReachedIsNone) {
  const std::string own = "not_own = true\n" + right();
  EXPECT_EQ(error_of(own), "ok");
  EXPECT_THAT(error_of(with(own, "2 of (bob", "3 of (bob"), true), HasSubstr("who proposed"));
}

TEST_F(RuleTest, BytesAreStrict) {
  Rule rule = Rule::parse(right(), "people.toml", false);
  const Bytes bytes = rule.encode();
  const auto refuses = [](const Bytes& b) {
    try {
      (void)Rule::decode(b, "rule");
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  EXPECT_FALSE(refuses(bytes));
  for (size_t n = 0; n < bytes.size(); n += 7) {
    EXPECT_TRUE(refuses(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n)))) << n;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_TRUE(refuses(longer));
  const auto alters = [&](const std::function<void(Rule&)>& alter) {
    Rule other = rule;
    alter(other);
    try {
      (void)other.encode();
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  EXPECT_TRUE(alters([](Rule& r) { std::swap(r.persons[0], r.persons[1]); }));
  EXPECT_TRUE(alters([](Rule& r) { r.version = 0; }));
  EXPECT_TRUE(alters([](Rule& r) { r.version = 2; })) << "without the one before";
  EXPECT_TRUE(alters([](Rule& r) { r.reset = true; })) << "the first one";
  EXPECT_TRUE(alters([](Rule& r) { r.persons[0].keys.clear(); }));
  EXPECT_TRUE(alters([](Rule& r) { r.persons.clear(); }));
  EXPECT_TRUE(alters([](Rule& r) { r.persons[0].name = "a b"; }));
  EXPECT_TRUE(alters([](Rule& r) { r.persons[0].keys[0].rp = "x"; }));
  EXPECT_TRUE(alters([](Rule& r) { r.standing = std::string(Rule::kMaxStanding + 1, 'x'); }));
}

TEST_F(RuleTest, EveryFieldIsInTheDigest) {
  const Rule rule = Rule::parse(right(), "people.toml", false);
  const std::vector<std::function<void(Rule&)>> others = {
      [](Rule& r) { r.room = {9}; },
      [](Rule& r) { r.member = {9}; },
      [](Rule& r) { r.not_own = true; },
      [](Rule& r) { r.one_key = true; },
      [](Rule& r) { r.standing = "x"; },
      [](Rule& r) { r.approve.needed = 1; },
      [](Rule& r) {
        r.persons[0].roles.pop_back();
        r.administer = {1, {"eve"}};
        r.one_key = true;
      },
      [](Rule& r) { r.persons[0].keys.pop_back(); },
      [](Rule& r) { r.persons[0].keys[1].synced = false; },
      [](Rule& r) { r.persons[0].keys[1].rp = "b.example"; },
      [](Rule& r) {
        r.version = 2;
        r.previous = {1};
      },
  };
  for (const auto& alter : others) {
    Rule other = rule;
    alter(other);
    EXPECT_NE(other.digest(), rule.digest());
  }
}

// members.md Appendix A: what a verifier relies on.
TEST_F(RuleTest, StatementsOfPersonsHaveTheBytesOfTheFormat) {
  PersonStatement st;
  st.room = {1};
  st.member = {2};
  st.person = "ann";
  st.rule_version = 3;
  st.what = {4};
  st.terms = {5};
  st.versions = {6};
  st.not_before = 7;
  st.not_after = 8;
  st.ticket = {9};
  const auto zeros = [](size_t n) { return std::string(2 * n, '0'); };
  EXPECT_EQ(to_hex(st.encode()), "01" + zeros(31) + "02" + zeros(15) + "00000003" +
                                     to_hex(as_bytes("ann")) + "02" + "00000003" + "03" + "04" +
                                     zeros(31) + "05" + zeros(31) + "06" + zeros(31) + zeros(7) +
                                     "07" + zeros(7) + "08" + "09" + zeros(15));
  EXPECT_EQ(PersonStatement::decode(st.encode(), "st"), st);
  const auto refuses = [&](const std::function<void(PersonStatement&)>& alter) {
    PersonStatement other = st;
    alter(other);
    try {
      (void)PersonStatement::decode(other.encode(), "st");
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  EXPECT_TRUE(refuses([](PersonStatement& s) { s.role = Role::kAdminister; }));
  EXPECT_TRUE(refuses([](PersonStatement& s) { s.role = Role::kSee; }));
  EXPECT_TRUE(refuses([](PersonStatement& s) { s.kind = StatementKind::kStart; }));
  EXPECT_TRUE(refuses([](PersonStatement& s) { s.not_after = 6; }));
  EXPECT_TRUE(refuses([](PersonStatement& s) { s.person = "a b"; }));
  EXPECT_TRUE(refuses([](PersonStatement& s) {
    s.kind = StatementKind::kRule;
    s.role = Role::kAdminister;
  })) << "a rule with a window";
}

}  // namespace
}  // namespace flexroom::people
