#include "agreement/proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agreement/render.h"
#include "base/codec.h"
#include "base/error.h"

namespace flexroom::agreement {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string error_of(const std::function<void()>& body) {
  try {
    body();
    return "no error";
  } catch (const InputError& error) {
    return error.what();
  }
}

Proposal example() {
  Proposal p;
  p.kind = "call";
  p.title = "who-am-i";
  p.room[0] = 0xaa;
  p.section("request").text("method", "POST").text("host", "sts.us-east-1.amazonaws.com");
  p.request("body", {{to_bytes("Action=GetCallerIdentity\r\nToken="), "", "", 0},
                     {{}, "token", "secret joint/key version 3, b64", 40},
                     {to_bytes("&x={{y}}"), "", "", 0}});
  p.section("script").block("text", "#!/bin/sh\necho one\necho two\n");
  p.marked("link", {{to_bytes("https://h/"), "", "", 0}, {{}, "path", "private", 9}});
  p.bytes("sha256", Bytes{1, 2, 255});
  p.commitment("input of bank-y", Digest{7});
  return p;
}

TEST(ProposalTest, CanonicalBytesComeBackAndNothingElseIsRead) {
  const Proposal p = example();
  const Bytes bytes = p.canonical();
  const Proposal again = Proposal::decode(bytes, "test");
  EXPECT_EQ(again.fields, p.fields);
  EXPECT_EQ(again.canonical(), bytes);
  EXPECT_EQ(again.digest(), p.digest());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW((void)Proposal::decode(ByteView(bytes).first(size), "cut"), InputError) << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(error_of([&] { (void)Proposal::decode(longer, "long"); }), HasSubstr("too many"));
  // What does not fail is another proposal, and its text says so.
  for (size_t k = 0; k < bytes.size(); ++k) {
    for (const unsigned bit : {0u, 3u, 7u}) {
      Bytes other = bytes;
      other[k] ^= static_cast<uint8_t>(1u << bit);
      try {
        const Proposal read = Proposal::decode(other, "flipped");
        EXPECT_EQ(read.canonical(), other) << k;
        EXPECT_NE(render(other, "flipped"), render(bytes, "test")) << k;
      } catch (const InputError&) {
        // refused
      }
    }
  }
}

TEST(ProposalTest, WriterAndReaderShareTheirLimits) {
  const auto refused = [](const std::function<void(Proposal&)>& change) {
    Proposal p = example();
    change(p);
    return error_of([&] { (void)p.canonical(); });
  };
  EXPECT_THAT(refused([](Proposal& p) { p.text(std::string(129, 'n'), "v"); }), HasSubstr("name"));
  EXPECT_THAT(refused([](Proposal& p) { p.text("", "v"); }), HasSubstr("name"));
  EXPECT_THAT(refused([](Proposal& p) { p.text("a\nb", "v"); }), HasSubstr("name"));
  EXPECT_THAT(refused([](Proposal& p) { p.text("a ", "v"); }), HasSubstr("name"));
  EXPECT_THAT(refused([](Proposal& p) { p.title = std::string(257, 't'); }), HasSubstr("title"));
  EXPECT_THAT(refused([](Proposal& p) { p.block("b", std::string(Proposal::kMaxBytes, 'x')); }),
              HasSubstr("bytes"));
  EXPECT_THAT(refused([](Proposal& p) {
                for (size_t k = 0; k < 5000; ++k) p.text("n", "v");
              }),
              HasSubstr("fields"));
  // A private field holds a commitment; never the value itself by mistake.
  EXPECT_THAT(refused([](Proposal& p) {
                p.fields.push_back({"pin", to_bytes("1234"), true});
              }),
              HasSubstr("no commitment"));
  EXPECT_THAT(refused([](Proposal& p) { p.text_form = 4; }), HasSubstr("newer program"));
  EXPECT_THAT(refused([](Proposal& p) {
                p.fields.push_back({"heading", to_bytes("x"), false, Proposal::Form::kSection});
              }),
              HasSubstr("heading"));
  // The same of bytes that somebody else wrote.
  Bytes bytes = example().canonical();
  bytes[0] = 3;
  EXPECT_THAT(error_of([&] { (void)Proposal::decode(bytes, "b"); }), HasSubstr("format 3"));
  bytes[0] = 2;
  bytes[1] = 9;
  EXPECT_THAT(error_of([&] { (void)Proposal::decode(bytes, "b"); }), HasSubstr("text form 9"));
}

// M36: what is shown is a function of the bytes, and nothing in them acts on the reader.
TEST(RenderTest, TheTextShowsEverythingAndEscapesWhatActs) {
  const std::string text = render(example());
  for (const char* part :
       {"call who-am-i\n", "request\n", "  method", "POST", "    | Action=GetCallerIdentity\n",
        "    | Token={{token: 40 bytes, secret joint/key version 3, b64}}&x=\\u{7b}\\u{7b}\n    : "
        "y}}\n",
        "    | #!/bin/sh\n    | echo one\n    | echo two\n", "0102ff", "(private)", "room id"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, HasSubstr(to_hex(example().digest())));
  EXPECT_THAT(text, Not(HasSubstr(to_hex(Digest{7}))));  // no commitment either
  Proposal odd;
  odd.text("name",
           "\xe2\x80\xae"
           "evil\x1b[2J");
  odd.block("script",
            "a\r\n\n\xff"
            "b");
  odd.request("r", {{to_bytes("{"), "", "", 0}, {{}, "s\\", "w\n", 1}});
  const std::string shown = render(odd);
  for (const char c : shown) EXPECT_TRUE((c >= 0x20 && c < 0x7f) || c == '\n');
  EXPECT_THAT(shown, HasSubstr("\\u{202e}evil\\u{1b}[2J\n"));
  EXPECT_THAT(shown, HasSubstr("    | a\\u{d}\n    | \n    | \\x{ff}b\n    \\ no line end here\n"));
  EXPECT_THAT(shown, HasSubstr("    | \\u{7b}{{s\\: 1 bytes, w\\u{a}}}\n"));
}

// Lines of a head end in CR LF, lines of a body in LF; whatever else stands there is written out.
TEST(RenderTest, TextFormTwoShowsABodyAndMarkedTextLineByLine) {
  const std::vector<RequestPart> parts = {
      {to_bytes("POST / HTTP/1.1\r\nA: b\nc\rd\r\n\r\n{\n \"x\": "), "", "", 0},
      {{}, "v", "private", 3},
      {to_bytes("\r\n\n}"), "", "", 0}};
  Proposal p;
  p.request("r", parts).marked("m", parts);
  const std::string text = render(p);
  EXPECT_THAT(text,
              HasSubstr("  r\n    | POST / HTTP/1.1\n    | A: b\\u{a}c\\u{d}d\n    | \n    | {\n"
                        "    |  \"x\": {{v: 3 bytes, private}}\\u{d}\n    | \n    | }\n"));
  EXPECT_THAT(text,
              HasSubstr("  m\n    | POST / HTTP/1.1\\u{d}\n    | A: b\n    | c\\u{d}d\\u{d}\n"
                        "    | \\u{d}\n    | {\n    |  \"x\": {{v: 3 bytes, private}}\\u{d}\n"));
  // A line that holds but a slot does not end a head.
  Proposal slots;
  slots.request(
      "r", {{to_bytes("a\r\n"), "", "", 0}, {{}, "v", "w", 1}, {to_bytes("\r\nb\nc"), "", "", 0}});
  EXPECT_THAT(render(slots), HasSubstr("    | a\n    | {{v: 1 bytes, w}}\n    | b\\u{a}c\n"));
  p.text_form = 1;
  EXPECT_THAT(error_of([&] { (void)p.canonical(); }), HasSubstr("text form 1"));
}

// A terminal of 80 columns breaks no line, so no text chooses where a line begins.
TEST(RenderTest, TextFormThreeBreaksLongLinesItself) {
  const std::string forged = std::string(76, ' ') + "  kept   nothing";
  Proposal p;
  p.kind = "k";
  p.title = std::string(200, 't');
  p.section(std::string(100, 's'));
  p.text(std::string(100, 'n'), forged).text("short", forged).block("b", forged + "\nline\n");
  p.marked("m", {{to_bytes(forged), "", "", 0}, {{}, "slot", std::string(200, 'w'), 1}});
  p.bytes("hex", Bytes(32, 0xab)).text("sha256", std::string(64, 'c'));
  p.text("no digest", std::string(65, 'c')).text("words", std::string(64, 'g'));
  const std::string text = render(p);
  for (size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    const std::string line = text.substr(begin, text.find('\n', begin) - begin);
    const bool digest = line.ends_with(std::string(64, '0')) || line.ends_with("abab") ||
                        line.ends_with(" " + std::string(64, 'c')) ||
                        line.starts_with("  proposal");
    if (!digest) {
      EXPECT_LE(line.size(), 79u) << line;
    }
  }
  EXPECT_THAT(text, Not(HasSubstr("\n  kept")));
  EXPECT_THAT(text, HasSubstr("  b\n    | " + std::string(73, ' ') +
                              "\n    :      kept   nothing\n"
                              "    | line\n"));
  // The column of names is no wider than 32, whatever the longest is.
  EXPECT_THAT(text, HasSubstr("\n  short" + std::string(27, ' ') + " "));
  EXPECT_THAT(text, HasSubstr("\n  hex" + std::string(29, ' ') + " abab"));
  // A line that looks like one that goes on does not.
  Proposal other;
  other.block("b", std::string(73, 'x') + "\n    : y\n");
  EXPECT_THAT(render(other), HasSubstr("x\n    |     : y\n"));
  // So in a diff.
  Proposal before;
  before.block("b", "line\n");
  other = Proposal();
  other.block("b", forged + "\n");
  EXPECT_THAT(diff(before, other),
              HasSubstr("    + " + std::string(73, ' ') + "\n    :      kept   nothing\n"));
}

TEST(RenderTest, TextFormsOneAndTwoBreakNoLine) {
  Proposal p;
  p.text("name of a field which is longer than 32", std::string(200, 'v'));
  p.block("b", std::string(200, 'x') + "\n");
  for (const uint8_t form : {uint8_t{1}, uint8_t{2}}) {
    p.text_form = form;
    const std::string text = render(p);
    EXPECT_THAT(text, HasSubstr("  name of a field which is longer than 32 " +
                                std::string(200, 'v') + "\n"));
    EXPECT_THAT(text, HasSubstr("    | " + std::string(200, 'x') + "\n"));
    EXPECT_THAT(text, HasSubstr("  room id" + std::string(33, ' ')));
  }
}

TEST(RenderTest, TextFormOneStaysAsItIs) {
  Proposal old;
  old.text_form = 1;
  old.request("r", {{to_bytes("a\r\n\r\nb\nc"), "", "", 0}});
  EXPECT_THAT(render(old), HasSubstr("    | a\n    | \n    | b\\u{a}c\n"));
  Proposal p;
  p.text_form = 1;
  p.kind = "k";
  p.title = "t";
  p.text("a", "1").section("s").block("b", "x\n").block("empty", "").block("blank", "\n");
  EXPECT_EQ(render(p),
            "k t\n"
            "  a        1\n"
            "s\n"
            "  b\n"
            "    | x\n"
            "  empty\n"
            "  blank\n"
            "    | \n"
            "  room id  " +
                std::string(64, '0') +
                "\n"
                "  terms    " +
                std::string(64, '0') +
                "\n"
                "  proposal " +
                to_hex(p.digest()) + "\n");
}

TEST(DifferencesTest, EveryFieldIsNamedWithBothValues) {
  const Proposal here = example();
  Proposal there = example();
  EXPECT_EQ(differences(here, there), "");
  there.title = "list-users";
  there.fields[1].value = to_bytes("GET");
  const std::string text = differences(here, there);
  EXPECT_THAT(text, HasSubstr("field title differs\n  here:  who-am-i\n  there: list-users\n"));
  EXPECT_THAT(text, HasSubstr("field request: method differs\n  here:  POST\n  there: GET\n"));
  // Private values are not shown, only named.
  there = example();
  there.fields.back().value[0] ^= 1;
  EXPECT_THAT(differences(here, there),
              HasSubstr("field script: input of bank-y differs\n  here:  (not shown)\n"));
  // One has a field that the other has not; the order counts.
  there = example();
  there.text("extra", "1");
  EXPECT_THAT(differences(here, there), HasSubstr("here:  (no such field)\n  there: 1"));
  there = example();
  std::swap(there.fields[1], there.fields[2]);
  EXPECT_THAT(differences(here, there), HasSubstr("another order"));
  // The same text, shown in another way.
  there = example();
  there.fields[1].form = Proposal::Form::kBlock;
  EXPECT_THAT(differences(here, there), HasSubstr("method differs in how it is shown"));
  // A great many: bounded.
  there = example();
  for (int k = 0; k < 20; ++k) there.text("extra", std::to_string(k));
  EXPECT_THAT(differences(here, there), HasSubstr("and 12 more fields"));
}

// Beyond 120 characters both values looked equal.
TEST(DifferencesTest, ALongValueShowsTheFirstDifferingPlace) {
  Proposal here, there;
  const std::string common(500, 'a');
  here.text("policy", common + "DENY" + common);
  there.text("policy", common + "ALLOW" + common);
  const std::string text = differences(here, there);
  EXPECT_THAT(text, HasSubstr("field policy differs from line 1, character 501"));
  EXPECT_THAT(text, HasSubstr("aDENYa"));
  EXPECT_THAT(text, HasSubstr("aALLOWa"));
  EXPECT_LT(text.size(), 400u);
  here = there = Proposal();
  std::string script;
  for (int k = 1; k <= 300; ++k) script += "line " + std::to_string(k) + "\n";
  here.block("script", script);
  there.block("script", script.substr(0, script.find("line 200")) + "rm -rf /\n" +
                            script.substr(script.find("line 201")));
  const std::string where = differences(here, there);
  EXPECT_THAT(where, HasSubstr("field script differs from line 200, character 1"));
  EXPECT_THAT(where, HasSubstr("here:  line 200\n  there: rm -rf /\n"));
  there = Proposal();
  there.block("script", script.substr(0, script.find("line 300")));
  EXPECT_THAT(differences(here, there), HasSubstr("(ends here)"));
}

TEST(DiffTest, ShowsWhatChangedSinceAnEarlierProposal) {
  const Proposal before = example();
  Proposal now = example();
  EXPECT_EQ(diff(before, now), "");
  now.fields[1].value = to_bytes("PUT");
  now.fields[5].value = to_bytes("#!/bin/sh\necho one\necho TWO\necho three\n");
  now.fields.back().value[1] ^= 1;
  now.text("new", "1");
  now.fields.erase(now.fields.begin() + 2);  // host
  const std::string text = diff(before, now);
  EXPECT_THAT(text, HasSubstr("  request: method\n    - POST\n    + PUT\n"));
  EXPECT_THAT(text, HasSubstr("    @ line 1\n      #!/bin/sh\n      echo one\n    - echo two\n"
                              "    + echo TWO\n    + echo three\n"));
  EXPECT_THAT(text, HasSubstr("input of bank-y\n    another private value\n"));
  EXPECT_THAT(text, HasSubstr("new (new)\n    + 1\n"));
  EXPECT_THAT(text, HasSubstr("host (gone)\n    - sts.us-east-1.amazonaws.com\n"));
}

TEST(DiffTest, LinesAreTheShortestDiffAndComeBackToBothTexts) {
  const auto lines = [](size_t count, size_t seed) {
    std::vector<std::string> out;
    for (size_t k = 0; k < count; ++k) out.push_back(std::to_string((k * 7 + seed * k * k) % 5));
    return out;
  };
  for (size_t seed = 0; seed < 20; ++seed) {
    const auto a = lines(seed % 7 * 3, seed), b = lines(seed % 5 * 4, seed + 1);
    std::vector<std::string> before, now;
    for (const DiffLine& line : diff_lines(a, b)) {
      if (line.mark != '+') before.push_back(line.text);
      if (line.mark != '-') now.push_back(line.text);
      if (line.before != 0) {
        EXPECT_EQ(a[line.before - 1], line.text);
      }
      if (line.now != 0) {
        EXPECT_EQ(b[line.now - 1], line.text);
      }
    }
    EXPECT_EQ(before, a);
    EXPECT_EQ(now, b);
  }
  size_t changed = 0;
  for (const DiffLine& line : diff_lines({"1", "2", "3", "4"}, {"1", "3", "4", "5"})) {
    changed += line.mark != ' ';
  }
  EXPECT_EQ(changed, 2u);
}

}  // namespace
}  // namespace flexroom::agreement
