#include "circuits/json_outline.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "http/json_tree.h"
#include "outline_texts.h"
#include "support/circuit_run.h"
#include "support/sweeps.h"

namespace flexroom::circuits {
namespace {

using http::JsonNode;

std::optional<JsonNode> in_the_clear(std::string_view text) {
  try {
    return http::read_json(text);
  } catch (const http::OutlineError&) {
    return std::nullopt;
  }
}

std::optional<JsonNode> by_outline(std::string_view text, const std::vector<bool>& marks) {
  try {
    return http::read_json_outline(text.size(), opened(text, marks));
  } catch (const http::OutlineError&) {
    return std::nullopt;
  }
}

/// The places of all strings, keys too, and of all tokens.
void collect(const JsonNode& node, std::vector<http::Span>& strings,
             std::vector<http::Span>& tokens) {
  strings.insert(strings.end(), node.keys.begin(), node.keys.end());
  if (node.kind == JsonNode::Kind::kString) strings.push_back(node.text);
  if (node.kind == JsonNode::Kind::kToken) tokens.push_back(node.text);
  for (const JsonNode& child : node.children) collect(child, strings, tokens);
}

/// The same structure with strings and tokens that nobody can object to.
std::string harmless(std::string text, const JsonNode& tree) {
  std::vector<http::Span> strings, tokens;
  collect(tree, strings, tokens);
  for (const http::Span s : strings) text.replace(s.begin, s.size(), std::string(s.size(), 'a'));
  for (const http::Span t : tokens) text.replace(t.begin, t.size(), std::string(t.size(), '1'));
  return text;
}

std::string random_string(RandomText& random) {
  std::string out = "\"";
  for (size_t parts = random.below(4); parts > 0; --parts) {
    out += random.one_of({"a", "k", "from", "\\\"", "\\\\", "{", "}", "[", "]", ",", ":", "0", " ",
                          "\\u0061", "\\n", "\\/", "\xc3\xa9", "'", "\x7f"});
  }
  return out + "\"";
}

std::string white(RandomText& random) {
  return random.one_of({"", "", "", "", " ", "\n", "\t ", "\r\n"});
}

std::string random_json(RandomText& random, size_t depth = 0) {
  const size_t kind = depth > 3 ? 0 : random.below(3);
  if (kind == 0) {
    return random.once_in(2) ? random_string(random)
                             : random.one_of({"0", "-1", "17", "2.5e3", "true", "false", "null",
                                              "1E-2", "{}", "[ ]"});
  }
  std::string out = kind == 1 ? "{" : "[";
  for (size_t count = random.below(4), k = 0; k < count; ++k) {
    if (k != 0) out += white(random) + ",";
    out += white(random);
    if (kind == 1) out += random_string(random) + white(random) + ":" + white(random);
    out += random_json(random, depth + 1);
  }
  return out + white(random) + (kind == 1 ? "}" : "]");
}

std::string random_text(RandomText& random) {
  std::string out = white(random) + random_json(random) + white(random);
  if (random.once_in(3)) {
    random.edit(out, {"\"",
                      "\\",
                      "{",
                      "}",
                      "[",
                      "]",
                      ",",
                      ":",
                      " ",
                      std::string(1, '\0'),
                      "\n",
                      "0",
                      "x",
                      "\xff",
                      "'",
                      "/*",
                      "\xef\xbb\xbf",
                      "NaN",
                      "\\u",
                      "\"k\":",
                      ",\"k\":1",
                      "\\\"",
                      "{\"k\":\"ATT\"}",
                      "<p>",
                      "01",
                      "-",
                      "1.",
                      "tru",
                      "\x1f"});
  }
  return out;
}

TEST(JsonOutline, CostsWhatTheDesignCounts) {
  const uint32_t one = json_outline_circuit(1024).num_ands,
                 two = json_outline_circuit(2048).num_ands;
  EXPECT_EQ(two - one, 1024u * 27);
  EXPECT_EQ(one, 1024u * 27 - 4);  // the first byte has nothing before it
}

// Where the reader in the clear reads a tree, the outline is the same tree. A text that it refuses
// has an outline only if the fault lies in strings or tokens.
TEST(JsonOutline, IsTheTreeOfTheReaderInTheClearSweep) {
  constexpr size_t kSize = 192;
  const mpc::Circuit circuit = json_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(11);
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
        continue;
      }
      if (clear) {
        ASSERT_EQ(*outline, *clear) << text;
        ++both;
      } else {
        const auto again = in_the_clear(harmless(text, *outline));
        ASSERT_TRUE(again) << text;
        ASSERT_EQ(*outline, *again) << text;
        ++contents;
      }
      const auto escapes = instance.marks(lane, "escapes", text.size());
      std::vector<http::Span> strings, tokens;
      collect(*outline, strings, tokens);
      for (const http::Span s : strings) {
        ASSERT_EQ(escapes[s.end], at(text, s).find('\\') != std::string_view::npos) << text;
      }
    }
  }
  EXPECT_GT(both, 8000u);
  EXPECT_GT(neither, 1000u);
  EXPECT_GT(contents, 500u);
}

// The measure itself, against a parser of others.
TEST(JsonOutline, TheReaderInTheClearIsStrictSweep) {
  RandomText random(12);
  size_t accepted = 0, refused = 0;
  for (size_t k = 0; k < support::tries(20000); ++k) {
    std::string text = random_text(random);
    for (char& c : text) c = static_cast<uint8_t>(c) >= 0x80 ? 'e' : c;  // UTF-8 is not looked at
    if (text.find('\0') != std::string::npos) continue;  // the end of the text, to that parser
    const bool ours = in_the_clear(text).has_value();
    ASSERT_EQ(ours, nlohmann::json::accept(text)) << text;
    (ours ? accepted : refused) += 1;
  }
  EXPECT_GT(accepted, 8000u);
  EXPECT_GT(refused, 1000u);
}

TEST(JsonOutline, NamedTexts) {
  const std::string deepest = std::string(63, '[') + "1" + std::string(63, ']');
  const std::vector<std::pair<std::string, bool>> cases = {
      {"{\"a\":\"b\"}", true},
      {"\"a\\\\\"", true},
      {"\"a\\\"\"", true},
      {"[]", true},
      {deepest, true},
      {"[" + deepest + "]", false},
      {std::string(200, '[') + std::string(200, ']'), false},
      {"", false},
      {"  ", false},
      {"{\"S\":\"abc\",\"x\":\"", false},
      {"{\"S\":\"abc\"", false},
      {"{\"S\":\"abc\"}{}", false},
      {"{\"S\":\"abc\"}x", false},
      {"<p>{\"S\":\"ATT\"}</p>", false},
      {"{\"a\":}", false},
      {"{\"a\":1,}", false},
      {"[1,]", false},
      {"[,1]", false},
      {"{1:2}", false},
      {"{\"a\" \"b\"}", false},
      {"[1}", false},
      {"\"a\\\"", false},
      {"{\"a\"\x0b:1}", false},
  };
  for (const auto& [text, read] : cases) {
    EXPECT_EQ(in_the_clear(text).has_value(), read) << text;
    if (text.empty()) continue;
    const mpc::Circuit circuit = json_outline_circuit(text.size());
    Instance instance(circuit, text.size());
    RandomText random(13);
    std::vector<std::string> one = {text};
    instance.run(one, random);
    EXPECT_EQ(by_outline(text, instance.marks(0, "marks", text.size())).has_value(), read) << text;
  }
}

// Attack 56.
TEST(JsonOutline, MarksDependOnTheShapeAlone) {
  RandomText random(14);
  for (int round = 0; round < 300; ++round) {
    const std::string text = random_json(random);
    const auto tree = in_the_clear(text);
    ASSERT_TRUE(tree) << text;
    std::vector<http::Span> strings, tokens;
    collect(*tree, strings, tokens);
    std::string other = text;
    for (const http::Span s : strings) {
      for (size_t i = s.begin; i < s.end; ++i) other[i] = "abXY{}[],: 'z"[random.below(13)];
    }
    for (const http::Span t : tokens) {
      for (size_t i = t.begin; i < t.end; ++i) other[i] = "019aeE+-."[random.below(9)];
    }
    const mpc::Circuit circuit = json_outline_circuit(text.size());
    support::CircuitRun first(circuit), second(circuit);
    first.set("text", as_bytes(text)).run();
    second.set("text", as_bytes(other)).run();
    ASSERT_EQ(first.bits("marks"), second.bits("marks")) << text << "\n" << other;
  }
}

}  // namespace
}  // namespace flexroom::circuits
