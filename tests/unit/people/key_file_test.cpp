#include "people/key_file.h"

#include <sys/stat.h>

#include "people/exchange.h"
#include "unit/people/people_fixture.h"

// Key files of persons, and the files that go to and fro (members.md 7.2, 7.4, 9.3).

namespace flexroom::people {
namespace {

using ::testing::HasSubstr;

class KeyFileTest : public PeopleTest {
 protected:
  static SecretBytes passphrase() { return SecretBytes::copy_of(as_bytes("six random words")); }
  store::fs::path file(const std::string& name = "ann.key") const { return root_ / name; }
  static std::string read(const store::fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const store::fs::path& path, const std::string& text) {
    std::ofstream(path) << text;
    chmod(path.c_str(), 0600);
  }
  KeyFile load() const {
    return KeyFile::load(file(), [] { return SecretBytes(); });
  }
  /// Bob's first key is the file.
  Rule with_file(const Key& key) {
    Rule r = rule();
    r.persons[1].keys[0] = key;
    rules_->begin(*log_, r);
    return rules_->current()->rule;
  }
};

TEST_F(KeyFileTest, SignsAsTheMemberTakesIt) {
  const Key key = KeyFile::create(file(), {});
  EXPECT_EQ(KeyFile::public_key(file()), key);
  with_file(key);
  Desk d = desk();
  const Bytes st = d.statement(matter(), "bob").encode();
  Voice v = load().sign(st);
  Voice altered = v;
  altered.signature[3] ^= 1;
  EXPECT_EQ(refused([&] { (void)d.accept(altered); }), "signature");
  altered = v;
  altered.signature.pop_back();
  EXPECT_EQ(refused([&] { (void)d.accept(altered); }), "form");
  altered = v;
  altered.client_data = {1};
  EXPECT_EQ(refused([&] { (void)d.accept(altered); }), "form");
  altered = v;
  altered.st = d.statement(matter(), "bob").encode();
  EXPECT_EQ(refused([&] { (void)d.accept(altered); }), "signature") << "over other words";
  EXPECT_EQ(refused([&] { (void)d.accept(v); }), "ok");
}

// A signature that a key file gave for something else.
TEST_F(KeyFileTest, SignsUnderItsOwnDomain) {
  const Key key = KeyFile::create(file(), {});
  const Voice v = load().sign(Bytes{1, 2, 3});
  net::SigningKey signer{};
  std::copy(key.bytes.begin(), key.bytes.end(), signer.begin());
  net::Signature signature{};
  std::copy(v.signature.begin(), v.signature.end(), signature.begin());
  EXPECT_TRUE(net::verify(signer, "flexroom/person/1", challenge_of(v.st), signature));
  EXPECT_FALSE(net::verify(signer, "flexroom/statement/1", challenge_of(v.st), signature));
}

TEST_F(KeyFileTest, IsSealedUnderAPassphrase) {
  const Key key = KeyFile::create(file(), passphrase());
  EXPECT_EQ(KeyFile::public_key(file()), key);
  EXPECT_EQ(KeyFile::load(file(), [] { return passphrase(); }).key(), key);
  EXPECT_THAT(error_of([&] {
                (void)KeyFile::load(file(), [] { return SecretBytes::copy_of(as_bytes("other")); });
              }),
              HasSubstr("does not open with this passphrase"));
  EXPECT_THAT(error_of([&] {
                (void)KeyFile::create(file("short"), SecretBytes::copy_of(as_bytes("short")));
              }),
              HasSubstr("shorter"));
}

TEST_F(KeyFileTest, IsPrivateAndNeverOverwritten) {
  (void)KeyFile::create(file(), {});
  struct stat info {};
  ASSERT_EQ(stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_THAT(error_of([&] { (void)KeyFile::create(file(), {}); }), HasSubstr("keep this key"));
  chmod(file().c_str(), 0640);
  EXPECT_THAT(error_of([&] { (void)load(); }), HasSubstr("chmod"));
}

TEST_F(KeyFileTest, AnAlteredFileIsNoKey) {
  (void)KeyFile::create(file(), {});
  (void)KeyFile::create(file("other"), {});
  const std::string text = read(file()), other = read(file("other"));
  const auto line = [](const std::string& of, const std::string& begins) {
    const size_t at = of.find(begins);
    return of.substr(at, of.find('\n', at) - at);
  };
  std::string mixed = text;
  mixed.replace(mixed.find("public "), line(text, "public ").size(), line(other, "public "));
  write(file(), mixed);
  EXPECT_THAT(error_of([&] { (void)load(); }), HasSubstr("do not belong together"));
  for (const std::string& wrong :
       {text + "x", text.substr(1), std::string(), text.substr(0, text.size() - 2) + "\n"}) {
    write(file(), wrong);
    EXPECT_THAT(error_of([&] { (void)load(); }), HasSubstr("is no key file"));
  }
}

// M49: neither page nor node is believed; what the person's own program shows is what it hashes.
TEST_F(KeyFileTest, ThePersonsOwnProgramShowsWhatItSigns) {
  const Rule r = with_file(KeyFile::create(file(), {}));
  agreement::Proposal p, q;
  p.kind = q.kind = "call";
  p.title = "show-p";
  q.title = "take-q";
  Desk d = desk();
  PersonStatement m = matter();
  m.what = q.digest();
  const Bytes st = d.statement(m, "bob").encode();
  const Request honest{st, q.canonical()}, lie{st, p.canonical()};
  EXPECT_THAT(honest.shown("request"), HasSubstr("take-q"));
  EXPECT_THAT(honest.shown("request"), HasSubstr("as            bob, who may approve"));
  EXPECT_THAT(error_of([&] { (void)lie.shown("request"); }), HasSubstr("sign nothing"));
  // Of a proposal that waited for inputs, D is over them: they are shown, and no others.
  const Digest proposal = agreement::proposal_digest(q.canonical());
  agreement::GivenInput given{{7}, {proposal, "links", to_bytes("to all"), {9}}};
  PersonStatement waited_st = PersonStatement::decode(st, "st");
  waited_st.what = agreement::complete_digest(proposal, {given});
  const Request waited{waited_st.encode(), q.canonical(), {given}};
  EXPECT_THAT(waited.shown("request"), HasSubstr("input `links` of 07"));
  EXPECT_THAT(waited.shown("request"), HasSubstr("to all"));
  EXPECT_EQ(Request::parse(waited.text(), "request").shown("r"), waited.shown("r"));
  Request other = waited;
  other.inputs.front().body.public_part = to_bytes("to nobody");
  for (const Request& wrong :
       {other, Request{st, q.canonical(), {given}}, Request{waited.st, q.canonical()}}) {
    EXPECT_THAT(error_of([&] { (void)wrong.shown("request"); }), HasSubstr("sign nothing"));
  }
  const Request read_back = Request::parse(honest.text(), "request");
  EXPECT_EQ(read_back.st, honest.st);
  EXPECT_EQ(read_back.document, honest.document);

  Rule next = r;
  next.version = 2;
  next.previous = r.digest();
  PersonStatement change = matter(StatementKind::kRule);
  change.what = next.digest();
  const Bytes change_st = d.statement(change, "bob").encode();
  EXPECT_THAT((Request{change_st, next.encode()}.shown("request")), HasSubstr("rule version 2"));
  EXPECT_THAT(error_of([&] {
                (void)Request{change_st, r.encode()}.shown("request");
              }),
              HasSubstr("sign nothing"));
}

TEST_F(KeyFileTest, FilesToAndFroAreStrict) {
  const Voice v{{1}, {2}, {3}, {4}, {5}};
  EXPECT_EQ(parse_voice(voice_text(v), "v"), v);
  const std::string request = Request{{1}, {2}}.text(), signature = voice_text(v);
  for (const std::string& wrong :
       {std::string(), std::string("{}"), request, signature + "x",
        "{\"flexroom signature\":2" + signature.substr(signature.find(',')),
        "{\"a\":1," + signature.substr(1)}) {
    EXPECT_NE(error_of([&] { (void)parse_voice(wrong, "v"); }), "no error") << wrong;
  }
  EXPECT_NE(error_of([&] { (void)Request::parse(signature, "r"); }), "no error");
  Bytes longer = v.encode();
  longer.push_back(0);
  EXPECT_NE(error_of([&] { (void)Voice::decode(longer, "v"); }), "no error");
}

}  // namespace
}  // namespace flexroom::people
