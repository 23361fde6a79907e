#include "circuits/code_search.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "http/select.h"
#include "outline_texts.h"
#include "support/circuit_run.h"
#include "support/code_search.h"
#include "support/sweeps.h"

namespace flexroom::circuits {
namespace {

const ByteSet& digits() {
  static const ByteSet set = byte_set("0123456789");
  return set;
}

/// What is opened: the run, if `found` says so.
std::optional<http::Span> by_circuit(const Instance& instance, size_t lane, size_t size) {
  const auto run = instance.marks(lane, "run", size);
  const auto first = std::find(run.begin(), run.end(), true);
  const auto last = std::find(first, run.end(), false);
  EXPECT_EQ(std::count(run.begin(), run.end(), true), last - first);
  EXPECT_EQ(instance.bit(lane, "found"), first != last);
  if (first == last) return std::nullopt;
  return http::Span{static_cast<size_t>(first - run.begin()),
                    static_cast<size_t>(last - run.begin())};
}

TEST(CodeSearch, CostsWhatTheDesignCounts) {
  const auto ands = [](size_t bytes, std::string_view literal, const ByteSet& set,
                       const std::optional<ByteSet>& end = std::nullopt) {
    return code_search_circuit(bytes, literal, set, end).num_ands;
  };
  const uint32_t after = ands(512, "verification code is ", digits());
  const uint32_t pattern = ands(512, "Card number: ", byte_set("0123456789 "), byte_set(")"));
  EXPECT_EQ(after - ands(256, "verification code is ", digits()), 256u * 64);
  EXPECT_EQ(pattern - ands(256, "Card number: ", byte_set("0123456789 "), byte_set(")")),
            256u * 57);
  // `absent`: the literal alone.
  const uint32_t absent = literal_circuit(512, "/FlateDecode").num_ands;
  EXPECT_EQ(absent - literal_circuit(256, "/FlateDecode").num_ands, 256u * 37);
  EXPECT_LE(after, 512u * 64);
  EXPECT_LE(pattern, 512u * 57);
}

struct Query {
  std::string literal;
  std::optional<std::string> terminator;
};

TEST(CodeSearch, FindsWhatTheSearchInTheClearFindsSweep) {
  constexpr size_t kSize = 24;
  const std::vector<Query> queries = {{"ab", {}},        {"aab", {}},        {"a", {}},
                                      {"aba", {}},       {"a\\\"", {}},      {"abab", {}},
                                      {"aab", {{"\""}}}, {"aba", {{"\"a"}}}, {"a", {{"b"}}}};
  for (const Query& query : queries) {
    std::optional<ByteSet> ends;
    std::optional<http::CharSet> clear_ends;
    if (query.terminator) {
      ends = byte_set(*query.terminator);
      clear_ends = http::CharSet::of(*query.terminator);
    }
    const mpc::Circuit circuit = code_search_circuit(kSize, query.literal, digits(), ends);
    Instance instance(circuit, kSize);
    RandomText random(31);
    size_t found = 0;
    for (size_t done = 0; done < support::tries(4000); done += support::CircuitBatch::kLanes) {
      std::vector<std::string> texts(support::CircuitBatch::kLanes);
      for (std::string& text : texts) {
        text = random.of("aaab01\\u\"", random.once_in(2) ? 5 : kSize) +
               random.one_of({"", "\"", query.literal, query.literal + "01\""});
        text += random.of("b1\\u\"", 6);
        text.resize(kSize, '"');
      }
      instance.run(texts, random);
      for (size_t lane = 0; lane < texts.size(); ++lane) {
        const auto want = support::find_code(texts[lane], query.literal,
                                             http::char_set(http::CharClass::kDigits), clear_ends);
        ASSERT_EQ(by_circuit(instance, lane, kSize), want)
            << texts[lane] << " after " << query.literal;
        ASSERT_EQ(instance.bit(lane, "seen"), texts[lane].find(query.literal) != std::string::npos);
        found += want.has_value();
      }
    }
    EXPECT_GT(found, 20u) << query.literal;
  }
}

// A text shorter than its circuit ends in zeros: what is found in it, and whether the literal
// stands in it, is what is found in the text alone.
TEST(CodeSearch, ZerosBehindAShorterTextAreNoTextSweep) {
  constexpr size_t kSize = 32;
  const ByteSet run = byte_set("0123456789 "), ends = byte_set(")");
  const http::CharSet clear_run = http::CharSet::of("0123456789 "),
                      clear_ends = http::CharSet::of(")");
  for (const std::string literal : {"ab", "aab", "a", "aba", "n: "}) {
    const mpc::Circuit search = code_search_circuit(kSize, literal, run, ends);
    const mpc::Circuit absent = literal_circuit(kSize, literal);
    Instance pattern(search, kSize), alone(absent, kSize);
    RandomText random(33);
    size_t found = 0, seen = 0;
    for (size_t done = 0; done < support::tries(2000); done += support::CircuitBatch::kLanes) {
      std::vector<std::string> texts(support::CircuitBatch::kLanes);
      for (std::string& text : texts) {
        text = random.of("aaab01) n:", random.once_in(2) ? 3 : 14) +
               random.one_of({"", ")", literal, literal + "01 2)", literal + "01", literal + "0)"});
        text += random.of("b1)", 4);
      }
      std::vector<std::string> filled = texts;
      for (std::string& text : filled) text.resize(kSize, '\0');
      std::vector<std::string> same = filled;
      pattern.run(filled, random);
      alone.run(same, random);
      for (size_t lane = 0; lane < texts.size(); ++lane) {
        const auto want = support::find_code(texts[lane], literal, clear_run, clear_ends);
        ASSERT_EQ(by_circuit(pattern, lane, kSize), want) << texts[lane] << " after " << literal;
        const bool stands = texts[lane].find(literal) != std::string::npos;
        ASSERT_EQ(alone.bit(lane, "seen"), stands) << texts[lane] << " holds " << literal;
        found += want.has_value();
        seen += stands;
      }
    }
    EXPECT_GT(found, 20u) << literal;
    EXPECT_GT(seen, 20u) << literal;
  }
}

// Decoys: two places, a tag in between, a code that the end or an escape cuts off.
TEST(CodeSearch, DecoysAreRefused) {
  constexpr std::string_view kLiteral = "code is ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Your code is 123456\"", "123456"},
      {"Your code is 123456. Bye\"", "123456"},
      {"code is <b>123456</b>. Not: code is 999999.\"", ""},
      {"code is 999999. code is 123456\"", ""},
      {"code is 123456code is \"", ""},
      {"code is 123456 code is", "123456"},  // the second is not whole
      {"code is 123456", ""},                // may go on behind the end
      {"code is 123456\\u0037\"", ""},
      {"code is 123456\\n\"", "123456"},
      {"code is \"", ""},
      {"code is x123456\"", ""},
      {"Code is 123456\"", ""},
  };
  for (const auto& [text, want] : cases) {
    const mpc::Circuit circuit = code_search_circuit(text.size(), kLiteral, digits());
    Instance instance(circuit, text.size());
    RandomText random(32);
    std::vector<std::string> one = {text};
    instance.run(one, random);
    const auto run = by_circuit(instance, 0, text.size());
    EXPECT_EQ(run ? std::string(at(text, *run)) : "", want) << text;
    EXPECT_EQ(support::find_code(text, kLiteral, http::char_set(http::CharClass::kDigits)), run)
        << text;
  }
}

// --- `after` in JSON strings (tls-in-mpc.md §5.5) ---

/// What the run behind the only literal is for a reader who decodes the string; nothing where it is
/// none, or is no JSON.
std::optional<std::string> by_reader(const std::string& string, const std::string& literal,
                                     const http::CharSet& run_class) {
  const auto decoded = [](const std::string& text) {
    return nlohmann::json::parse('"' + text + '"', nullptr, false);
  };
  const nlohmann::json text_json = decoded(string);
  if (text_json.is_discarded()) return std::nullopt;
  const std::string text = text_json, wanted = decoded(literal);
  const size_t place = text.find(wanted);
  if (place == std::string::npos || text.find(wanted, place + 1) != std::string::npos) {
    return std::nullopt;
  }
  std::string run;
  for (size_t k = place + wanted.size(); k < text.size() && run_class.contains(text[k]); ++k) {
    run += text[k];
  }
  return run.empty() ? std::nullopt : std::optional(run);
}

/// Up to the first quote that no backslash escapes: where a string ends that has the text in it.
std::string string_of(std::string text) {
  text += "\"\"";
  size_t end = 0;
  while (text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return text.substr(0, end);
}

struct JsonSearch {
  static constexpr size_t kSize = 40;

  JsonSearch(const std::string& the_literal, const std::string& members)
      : literal(the_literal),
        run_class(http::CharSet::of(members)),
        circuit(json_code_search_circuit(kSize, literal, byte_set(members))),
        instance(circuit, kSize) {
    EXPECT_TRUE(http::is_json_literal(literal)) << literal;
  }
  /// The runs that are found in the strings, filled up as SealedCircuits::kBehindJson says.
  std::vector<std::optional<std::string>> run(const std::vector<std::string>& strings) {
    RandomText random(33);
    std::vector<std::string> texts;
    for (const std::string& string : strings) {
      texts.push_back(string + '"');
      texts.back().resize(kSize, '\xff');
    }
    instance.run(texts, random);
    std::vector<std::optional<std::string>> out;
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const auto span = by_circuit(instance, lane, kSize);
      out.push_back(span ? std::optional(std::string(at(texts[lane], *span))) : std::nullopt);
    }
    return out;
  }

  std::string literal;
  http::CharSet run_class;
  mpc::Circuit circuit;
  Instance instance;
};

// Whatever stands before, in and behind: what is found is what a reader of the decoded string
// finds, and of a string without `\u` and `\/` all of it.
TEST(JsonCodeSearch, FindsWhatAReaderOfTheDecodedStringFindsSweep) {
  const std::vector<std::pair<std::string, std::string>> queries = {
      {"n: ", "01"},  {"ab", "01/"}, {"a\\\"", "01"},   {"\\n", "01"},
      {"u00", "ae"},  {"/a", "01/"}, {"\\/a", "01"},    {"\\\\", "01n"},
      {"\\\\n", "1"}, {"a", "0u"},   {"\xc3\xa9", "01"}};
  for (const auto& [literal, members] : queries) {
    JsonSearch search(literal, members);
    std::vector<std::string> parts = {
        "\\",      "\\n",     "\\\\",    "\\\"",    "\\u0061", "\\u0041", "\\u006e", "\\u00",
        "\\u2014", "\\u00e9", "\\u005C", "\\u002F", "\\/",     "/",       "n: ",     "a",
        "b",       "u",       "0",       "1",       "00",      "\\b",     "\t",      "\\u003a"};
    parts.insert(parts.end(), 6, literal);
    parts.insert(parts.end(), 3, literal + members.substr(0, 1));
    RandomText random(34);
    size_t found = 0, with_escape = 0;
    for (size_t done = 0; done < support::tries(6000); done += support::CircuitBatch::kLanes) {
      std::vector<std::string> strings(support::CircuitBatch::kLanes);
      for (std::string& string : strings) {
        std::string text;
        for (size_t more = random.below(8); more > 0; --more) text += random.one_of(parts);
        string = string_of(text);
        if (string.size() >= JsonSearch::kSize) string.clear();
      }
      const auto got = search.run(strings);
      for (size_t lane = 0; lane < strings.size(); ++lane) {
        const std::string& string = strings[lane];
        const auto want = by_reader(string, literal, search.run_class);
        const bool all =
            string.find("\\u") == std::string::npos && string.find("\\/") == std::string::npos;
        if (got[lane] || all) {
          ASSERT_EQ(got[lane], want) << string << " after " << literal;
        }
        found += got[lane].has_value();
        with_escape += got[lane] && string.find('\\') != std::string::npos;
      }
    }
    EXPECT_GT(found, 20u) << literal;
    EXPECT_GT(with_escape, 20u) << literal;
  }
}

TEST(JsonCodeSearch, EscapesAreReadAndDecoysAreRefused) {
  struct Case {
    std::string literal, string, want;
  };
  const std::vector<Case> cases = {
      {"code: \\\"", R"(Hi,\r\n\r\ncode: \"042917\"\r\n20)", "042917"},
      {"code: ", R"(\u2014 code: 042917\r\n)", "042917"},
      {"code: ", R"(\u003cb\u003E code: 042917.)", "042917"},  // no character of the literal
      {"code: ", R"(\u0063ode: 111111, code: 222222)", ""},
      {"code: ", R"(code\u003A 111111, code: 222222)", ""},
      {"code: ", R"(code: 111111\u0032)", ""},
      {"code: ", R"(code: 1\\u0032)", "1"},  // a backslash
      {"name: ", R"(\name: 111111)", ""},    // a line end and `ame: `
      {"name: ", R"(\\name: 111111)", "111111"},
      {"\\nfoo ", R"(\\nfoo 111111)", ""},
      {"41x", R"(\u0041x1)", ""},
      {"code: ", R"(\x code: 1)", ""},      // no escape
      {"code: ", R"(\u00zz code: 1)", ""},  // no digits
      {"code: ", "\x01 code: 1", ""},       // no character of JSON
      {"t/", R"(x\/y t/111)", ""},          // another spelling of the slash
      {"t\\/", R"(x\/y t\/111)", "111"},
      {"t\\/", R"(x/y t\/111)", ""},
      {"\xc3\xa9 ", "\\u00e9 1, \xc3\xa9 2", ""},
      {"\xc3\xa9 ", "\xc3\xa9 1\\n", "1"},
  };
  for (const Case& one : cases) {
    JsonSearch search(one.literal, "0123456789");
    EXPECT_EQ(search.run({one.string}).front().value_or(""), one.want)
        << one.string << " after " << one.literal;
    if (one.want.empty()) continue;
    EXPECT_EQ(by_reader(one.string, one.literal, search.run_class), one.want) << one.string;
  }
  // A class that holds the slash: `\/` goes on with it.
  JsonSearch path("p ", "ab/");
  EXPECT_EQ(path.run({R"(p a\/b)", R"(p a/b\n)"}),
            (std::vector<std::optional<std::string>>{std::nullopt, "a/b"}));
}

TEST(JsonCodeSearch, LiteralsAreWholeCharactersOfOneSpelling) {
  for (const std::string good :
       {"code: ", "code: \\\"", "\\r\\n", "a/b", "a\\/b", "\\\\", "\xc3\xa9"}) {
    EXPECT_TRUE(http::is_json_literal(good)) << good;
  }
  for (const std::string bad :
       {"", "\"", "a\\", "\\u0041", "\\x", "\n", "a\\/b/", "\\\\\\", "\xff"}) {
    EXPECT_FALSE(http::is_json_literal(bad)) << bad;
  }
}

TEST(JsonCodeSearch, CostsWhatItsDocumentationSays) {
  const auto ands = [](size_t bytes) {
    return json_code_search_circuit(bytes, "verification code is ", digits()).num_ands;
  };
  EXPECT_EQ(ands(512) - ands(256), 256u * 95);
  EXPECT_LE(ands(512), 512u * 95);
}

TEST(StatusGate, OpensThreeDigitsOfAProperStatusLineAlone) {
  const mpc::Circuit circuit = status_circuit();
  EXPECT_EQ(circuit.num_ands, 126u);  // the design: 141
  const std::vector<std::pair<std::string, bool>> cases = {
      {"HTTP/1.1 200 ", true},  {"HTTP/1.1 304\r", true}, {"HTTP/1.1 2000", false},
      {"HTTP/1.0 200 ", false}, {"HTTP/1.1 20x ", false}, {"HTTP/1.1 200\t", false},
      {"http/1.1 200 ", false}, {"secret-secret", false}};
  for (const auto& [text, ok] : cases) {
    for (const int type : {23, 21, 22, 24}) {
      support::CircuitRun run(circuit);
      run.set("text", as_bytes(text)).set("type", Bytes{static_cast<uint8_t>(type)}).run();
      const bool opens = ok && type == 23;
      EXPECT_EQ(run.bits("ok")[0], opens) << text;
      for (size_t digit = 0; digit < 3; ++digit) {
        unsigned value = 0;
        for (size_t bit = 0; bit < 4; ++bit)
          value |= unsigned{run.bits("digits")[4 * digit + bit]} << bit;
        EXPECT_EQ(value, opens ? static_cast<unsigned>(text[9 + digit] - '0') : 0u) << text;
      }
    }
  }
  // Each of the first thirteen bytes counts.
  const std::string good = "HTTP/1.1 200 ";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = '~';
    support::CircuitRun run(circuit);
    run.set("text", as_bytes(bad)).set("type", Bytes{23}).run();
    EXPECT_FALSE(run.bits("ok")[0]) << i;
  }
}

}  // namespace
}  // namespace flexroom::circuits
