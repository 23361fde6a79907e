#include "circuits/xml_outline.h"

#include <gtest/gtest.h>

#include "http/xml_tree.h"
#include "outline_texts.h"
#include "support/circuit_run.h"
#include "support/sweeps.h"

namespace flexroom::circuits {
namespace xml_outline_test {

using http::OutlineFault;
using http::XmlElement;
using Elements = std::vector<XmlElement>;

std::optional<Elements> in_the_clear(std::string_view text) {
  try {
    return http::read_xml(text);
  } catch (const http::OutlineError&) {
    return std::nullopt;
  }
}

/// What the public code reads, the literals tested.
std::optional<Elements> by_outline(std::string_view text, const std::vector<bool>& marks,
                                   OutlineFault* fault = nullptr) {
  try {
    const http::XmlOutline outline = http::read_xml_outline(text.size(), opened(text, marks));
    for (const auto& [span, literal] : outline.literals) {
      if (at(text, span) != literal) return std::nullopt;
    }
    return outline.elements;
  } catch (const http::OutlineError& error) {
    if (fault != nullptr) *fault = error.fault();
    return std::nullopt;
  }
}

/// The same tags with names, texts and attributes that nobody can object to, from the root on.
std::string harmless(const std::string& text, const Elements& elements) {
  std::string out = text;
  const XmlElement& root = elements.front();
  const size_t end = root.end_name ? root.end_name->end : root.text.begin - 1;
  std::fill(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(end), 'a');
  for (const XmlElement& element : elements) {
    const size_t close = element.text.begin - 1;
    out[element.name.begin - 1] = '<';
    for (size_t i = element.name.end; i < close; ++i) out[i] = ' ';
    out[close] = '>';
    if (!element.end_name) {
      out[close - 1] = '/';
      continue;
    }
    out[element.text.end] = '<';
    out[element.text.end + 1] = '/';
    out[element.end_name->end] = '>';
  }
  return out.substr(root.name.begin - 1);
}

Elements moved(Elements elements, size_t by) {
  const auto move = [by](http::Span& span) { span = {span.begin - by, span.end - by}; };
  for (XmlElement& element : elements) {
    move(element.name);
    move(element.text);
    if (element.end_name) move(*element.end_name);
  }
  return elements;
}

std::string random_characters(RandomText& random) {
  std::string out;
  for (size_t parts = random.below(5); parts > 0; --parts) {
    out += random.one_of({"a",  "1",        "/",     "=",    "!",      "?",      ">",
                          "'",  "\"",       "&amp;", "&lt;", "&#x41;", "&#65;",  " ",
                          "\n", "\xc3\xa9", ":",     ";",    "]]",     "&nope;", "&"});
  }
  return out;
}

std::string random_attributes(RandomText& random) {
  std::string out;
  for (size_t count = random.once_in(2) ? 0 : random.below(3); count > 0; --count) {
    const char quote = random.once_in(2) ? '"' : '\'';
    std::string value = random_characters(random);
    std::erase(value, quote);
    out += random.one_of({" ", " ", "\n", "  ", ""}) + random.one_of({"a", "xmlns", "x:b", "c"}) +
           random.one_of({"=", "=", " = ", ""}) + quote + value + quote;
  }
  return out + random.one_of({"", "", "", " "});
}

std::string random_element(RandomText& random, size_t depth = 0) {
  const std::string name = random.one_of({"Code", "Code", "Arn", "Id", "Codes", "x:Code", "E"});
  const std::string open = "<" + name + random_attributes(random);
  if (random.once_in(6)) return open + "/>";
  std::string out = open + ">" + random_characters(random);
  for (size_t count = depth > 2 ? 0 : random.below(4); count > 0; --count) {
    out += random_element(random, depth + 1) + random_characters(random);
  }
  const std::string end = random.once_in(20) ? random.one_of({"Kode", "Cod", name + " "}) : name;
  return out + "</" + end + ">";
}

std::string random_text(RandomText& random) {
  std::string out;
  if (random.once_in(3)) {
    out = random.one_of({"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "<?xml version='1.0'?>",
                         "\n", "\r\n", " ", "<?xml version=\"1.0\"?>\n\n", "<!DOCTYPE E>",
                         "<?p <E/>?>", "<!-- c -->", "\xef\xbb\xbf", "x", "<?xml?>",
                         "<?xmlx v=\"1\"?>", "<?xml version=\"?>\"?>",
                         "<?xml ?"
                         "?>"});
  }
  out += random_element(random) +
         random.one_of({"", "", "", "", "\n", "\r\n", " ", "\n\n", "<E/>", "x"});
  if (random.once_in(3)) {
    random.edit(out, {"<",   ">",    "/",      "\"",      "'",
                      "<E>", "</E>", "<Code>", "</Code>", "<Code/>",
                      "?",   "!",    "<!--",   "-->",     "<![CDATA[",
                      "]]>", " ",    "&",      "x",       std::string(1, '\0'),
                      "<?",  "?>",   "=",      "<?xml?>"});
  }
  return out;
}

TEST(XmlOutline, CostsWhatTheDesignCounts) {
  const uint32_t one = xml_outline_circuit(1024).num_ands, two = xml_outline_circuit(2048).num_ands;
  EXPECT_EQ(two - one, 1024u * 35);
  EXPECT_EQ(one, 1024u * 35 - 47);  // the first bytes have nothing before them
}

// Where the reader in the clear reads elements, the outline has the same. A text that it refuses
// has an outline only if the fault lies in texts, attributes or names.
TEST(XmlOutline, HasTheElementsOfTheReaderInTheClearSweep) {
  constexpr size_t kSize = 256;
  const mpc::Circuit circuit = xml_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(21);
  size_t both = 0, neither = 0, contents = 0;
  for (size_t done = 0; done < support::tries(20000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    for (std::string& text : texts) text = random_text(random);
    instance.run(texts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const std::string& text = texts[lane];
      const auto outline = by_outline(text, instance.marks(lane, "marks", text.size()));
      const auto clear = in_the_clear(text);
      if (!outline) {
        ASSERT_FALSE(clear) << text;
        ++neither;
      } else if (clear) {
        ASSERT_EQ(*outline, *clear) << text;
        ++both;
      } else {
        const std::string plain = harmless(text, *outline);
        const auto again = in_the_clear(plain);
        ASSERT_TRUE(again) << text << "\n" << plain;
        ASSERT_EQ(moved(*outline, outline->front().name.begin - 1), *again) << text;
        ++contents;
      }
    }
  }
  EXPECT_GT(both, 1500u);
  EXPECT_GT(neither, 1500u);
  EXPECT_GT(contents, 1500u);
}

struct Case {
  std::string text;
  bool outline, clear;
};

TEST(XmlOutline, NamedTexts) {
  using enum OutlineFault;
  const std::string inner = "<R><S><K>x</K></S></R>";
  std::string deep;
  for (int k = 0; k < 2000; ++k) deep = "<a>" + deep;
  const std::vector<Case> cases = {
      {inner, true, true},
      {"<?xml version=\"1.0\"?>\n" + inner, true, true},
      {"\r\n" + inner + "\n", true, true},
      {"<R a=\"x>y\"><K/></R>", true, true},
      {"<R a='\"'>\"'</R>", true, true},
      {"<?n >" + inner + " ?><E/>", false, false},
      {"<?xml version=\"1.0\"?><?xml version=\"1.0\"?>" + inner, false, false},
      {" <?xml version=\"1.0\"?>" + inner, false, false},
      {"<ok/>" + inner, false, false},
      {"WARN " + inner, false, false},
      {"\n\n" + inner, false, false},
      {"ab" + inner, false, false},
      {inner + "Fatal", false, false},
      {inner + "x", false, false},
      {"<R><S><K>x</K></T></R>", true, false},  // off a path; on it the selection tests the name
      {"<R><S><K>x</K></SS></R>", false, false},
      {"<R><K>x</K></R", false, false},
      {"<R><K>x</R></K>", true, false},  // one length: likewise
      {"<R></R ></R>", false, false},
      {"<R a=\"<\"><S><K <x>y</K></S></R>", false, false},
      {"<R/ >", false, false},
      {"</R>", false, false},
      {"<>x</>", false, false},
      {"<R", false, false},
      {deep, false, false},
      {"x", false, false},
  };
  for (const Case& c : cases) {
    const mpc::Circuit circuit = xml_outline_circuit(c.text.size());
    Instance instance(circuit, c.text.size());
    RandomText random(22);
    std::vector<std::string> one = {c.text};
    instance.run(one, random);
    EXPECT_EQ(by_outline(c.text, instance.marks(0, "marks", c.text.size())).has_value(), c.outline)
        << c.text;
    EXPECT_EQ(in_the_clear(c.text).has_value(), c.clear) << c.text;
  }
}

// A comment or CDATA section may hold what is kept: nothing behind its beginning is marked.
TEST(XmlOutline, NothingIsMarkedBehindMarkup) {
  const std::string key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  for (const std::string& markup : {"<![CDATA[<" + key + "/>]]>", "<!-- <K>" + key + " / </K> -->",
                                    "<!DOCTYPE " + key + " ! / >"}) {
    const std::string text = "<R><K>" + markup + "</K></R>";
    const mpc::Circuit circuit = xml_outline_circuit(text.size());
    Instance instance(circuit, text.size());
    RandomText random(23);
    std::vector<std::string> one = {text};
    instance.run(one, random);
    const auto marks = instance.marks(0, "marks", text.size());
    const size_t mark = text.find("<!");
    EXPECT_TRUE(marks[mark] && marks[mark + 1]);
    for (size_t i = mark + 2; i < text.size(); ++i) EXPECT_FALSE(marks[i]) << text[i];
    OutlineFault fault{};
    EXPECT_FALSE(by_outline(text, marks, &fault));
    EXPECT_EQ(fault, OutlineFault::kMarkup);
    EXPECT_FALSE(in_the_clear(text));
  }
}

// Attack 56.
TEST(XmlOutline, MarksDependOnTheShapeAlone) {
  RandomText random(24);
  for (int round = 0; round < 300; ++round) {
    const auto changed = [&](std::string value, std::string_view alphabet) {
      for (char& c : value) c = alphabet[random.below(alphabet.size())];
      return value;
    };
    const std::string attribute = random.of("abc&;/!? >'=", 12),
                      t = random.of("abc&;/!? >\"'=", 12);
    const auto text = [](const std::string& a, const std::string& b, const std::string& name) {
      return "<A x=\"" + a + "\"><" + name + ">" + b + "</" + name + "><C y='1'/></A>";
    };
    const std::string first = text(attribute, t, "Key");
    const std::string second =
        text(changed(attribute, "xyz>/?!='"), changed(t, "xyz>/?!=\"'"), "Arn");
    const mpc::Circuit circuit = xml_outline_circuit(first.size());
    support::CircuitRun one(circuit), two(circuit);
    one.set("text", as_bytes(first)).run();
    two.set("text", as_bytes(second)).run();
    ASSERT_EQ(one.bits("marks"), two.bits("marks")) << first << "\n" << second;
  }
}

}  // namespace xml_outline_test
}  // namespace flexroom::circuits
