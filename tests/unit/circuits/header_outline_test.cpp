#include "circuits/header_outline.h"

#include <gtest/gtest.h>

#include "http/header_lines.h"
#include "http/response.h"
#include "http/text.h"
#include "outline_texts.h"
#include "support/circuit_run.h"
#include "support/sweeps.h"

namespace flexroom::circuits {
namespace {

using http::HeaderLines;
using http::OutlineFault;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kStatus = "HTTP/1.1 200 OK\r\n";

/// What the public code makes of the opened marks of a header; nothing where it refuses.
struct Reading {
  HeaderLines header;
  std::vector<bool> details;
};
std::optional<Reading> by_outline(const Instance& instance, size_t lane, size_t size,
                                  OutlineFault* fault = nullptr) {
  if (size == 0) return std::nullopt;
  http::HeaderMarks marks;
  marks.line_ends = instance.marks(lane, "line_ends", size);
  marks.colons = instance.marks(lane, "colons", size);
  marks.details = instance.marks(lane, "details", size);
  marks.ends = instance.marks(lane, "ends", size);
  marks.bad = instance.marks(lane, "bad", size).back();
  try {
    return Reading{http::read_header_outline(marks), marks.details};
  } catch (const http::OutlineError& error) {
    if (fault != nullptr) *fault = error.fault();
    return std::nullopt;
  }
}

/// What the parser of open answers reads.
std::optional<Fields> by_open_parser(std::string_view text) {
  http::ResponseParser parser;
  try {
    parser.feed(as_bytes(text));
  } catch (const http::ResponseError& error) {
    using enum http::ResponseFault;
    if (error.fault() == kStatusLine || error.fault() == kInterim || error.fault() == kHeader) {
      return std::nullopt;
    }
    return parser.so_far().headers;  // the lines were read; what follows from them is refused
  }
  if (parser.so_far().status == 0) return std::nullopt;
  return parser.so_far().headers;
}

Fields fields_of(std::string_view text, const HeaderLines& header) {
  Fields out;
  for (const http::HeaderLine& line : header.lines) {
    out.emplace_back(at(text, line.name), http::trim_blanks(at(text, line.value)));
  }
  return out;
}

/// The same lines in letters that the open parser takes: a proper status line, names of token
/// characters, values without control characters. What is between stays.
std::string in_plain_letters(std::string text, const HeaderLines& header) {
  for (const http::HeaderLine& line : header.lines) {
    for (size_t i = line.name.begin; i < line.name.end; ++i) {
      if (!http::token_chars().contains(text[i])) text[i] = 'x';
    }
    for (size_t i = line.value.begin; i < line.value.end; ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      if ((byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f)
        text[i] = 'x';
    }
  }
  return text;
}

/// RFC 6265 §5.2 without what it does behind a value: parts between ';', the first '=', and no
/// blanks before either side.
std::vector<std::pair<std::string, std::optional<std::string>>> pieces_in_the_clear(
    std::string_view value) {
  const auto skip = [](std::string_view part) {
    return part.substr(std::min(part.find_first_not_of(" \t"), part.size()));
  };
  std::vector<std::pair<std::string, std::optional<std::string>>> out;
  while (true) {
    const size_t end = value.find(';');
    const std::string_view part = skip(value.substr(0, end));
    const size_t equals = part.find('=');
    out.emplace_back(part.substr(0, equals), std::nullopt);
    if (equals != std::string_view::npos) out.back().second = skip(part.substr(equals + 1));
    if (end == std::string_view::npos) return out;
    value.remove_prefix(end + 1);
  }
}

void expect_pieces(std::string_view text, const Reading& reading) {
  for (const http::HeaderLine& line : reading.header.lines) {
    http::Marks details;
    for (const size_t place : line.details) details.push_back({place, text[place]});
    std::vector<std::pair<std::string, std::optional<std::string>>> pieces;
    for (const http::Piece& piece : http::read_pieces(line, details)) {
      pieces.emplace_back(at(text, piece.name), std::nullopt);
      if (piece.value) pieces.back().second = at(text, *piece.value);
    }
    ASSERT_EQ(pieces, pieces_in_the_clear(at(text, line.value))) << text;
    for (const http::Mark& mark : details) {
      ASSERT_TRUE(std::string_view(";= \t").find(mark.byte) != std::string_view::npos);
    }
  }
}

std::string cookie_line(RandomText& random) {
  std::string out = random.one_of({"Set-Cookie:", "set-cookie:", "SET-COOKIE:", "X-Set-Cookie:",
                                   "Set-Cookie :", "Set_Cookie:", "Set-Cookie\t:"});
  out += random.one_of({" ", " ", "", "\t", "  ", " \t "}) +
         random.one_of({"s", "sid", "xs", "s ", "\"s\"", ""}) +
         random.one_of({"=", "=", "=", "", " = ", "=="}) +
         random.of("abcXYZ09=/+-.\";, :\xc3\x01", 8);
  for (size_t count = random.below(4); count > 0; --count) {
    out += random.one_of({"; ", ";", ";\t ", " ;"}) +
           random.one_of({"Path=/", "path = /x", "Domain=.h.test", "Max-Age=0", "Max-Age=-",
                          "Secure", "", "=", "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                          "SameSite=\"q;q\"", "HttpOnly "});
  }
  return out;
}

std::string random_answer(RandomText& random) {
  std::string out = random.once_in(20)
                        ? random.one_of({"HTTP/1.1 200\r\n", "HTTP/1.1 20\tOK: a\r\n", "\r\n"})
                        : std::string(kStatus);
  for (size_t count = random.below(5); count > 0; --count) {
    out += random.once_in(2)
               ? cookie_line(random)
               : random.one_of({"Content-Length: 0", "Vary:", "Location: https://x/?s=zz",
                                "X=1: a;b=c", "Date: Tue, 02 Sep 2025 12:34:56 GMT"});
    out += "\r\n";
  }
  out += "\r\n";
  if (random.once_in(3)) {
    random.edit(out, {"\r", "\n", "\r\n", "\r\n ", "\r\n\t", std::string(1, '\0'), ":", " ",
                      "\r\n\r\n", "\x0b", "\r\r\n", "\n\r", "\r\n:", ";", "=", "\x7f", "x"});
  }
  return out + random.one_of({"", "", "{\"a\":1}", "\r\n\r\n", "x: y\r\n\r\n"});
}

TEST(HeaderOutline, CostsWhatTheDesignCounts) {
  const uint32_t one = header_outline_circuit(1024).num_ands,
                 two = header_outline_circuit(2048).num_ands;
  EXPECT_EQ(two - one, 1024u * 41);
  EXPECT_EQ(one, 1024u * 41 - 89);  // the first bytes have nothing before them
}

// The measure is the parser of open answers: where it reads lines, the outline reads the same; what
// it refuses, the outline refuses too, but for letters inside of names and values.
TEST(HeaderOutline, ReadsWhatTheOpenParserReadsSweep) {
  constexpr size_t kSize = 256;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(1);
  size_t both = 0, neither = 0, letters = 0;
  for (size_t done = 0; done < support::tries(20000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    for (std::string& text : texts) text = random_answer(random);
    instance.run(texts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const std::string& text = texts[lane];
      const auto ours = by_outline(instance, lane, text.size());
      const auto open = by_open_parser(text);
      if (!ours) {
        ASSERT_FALSE(open) << text;
        ++neither;
        continue;
      }
      if (open) {
        ASSERT_EQ(fields_of(text, ours->header), *open) << text;
        ++both;
      } else {
        const std::string plain = in_plain_letters(text, ours->header);
        const size_t first = plain.find("\r\n");
        const auto again = by_open_parser(std::string(kStatus) + plain.substr(first + 2));
        ASSERT_TRUE(again) << text;
        ASSERT_EQ(fields_of(plain, ours->header), *again) << text;
        ++letters;
      }
      ASSERT_EQ(text.substr(ours->header.size - 4, 4), "\r\n\r\n");
      expect_pieces(text, *ours);
    }
  }
  EXPECT_GT(both, 5000u);
  EXPECT_GT(neither, 1000u);
  EXPECT_GT(letters, 100u);
}

struct Case {
  const char* what;
  std::string lines;  // behind the status line, before the empty line
  bool read;          // by outline and open parser alike
};
const std::vector<Case>& header_cases() {
  static const std::vector<Case> cases = {
      {"plain", "A: b\r\n", true},
      {"no lines", "", true},
      {"empty value", "A:\r\n", true},
      {"value with colons", "A: b: c\r\n", true},
      {"bare LF", "A: b\nSet-Cookie: s=x\r\n", false},
      {"bare CR", "A: b\rSet-Cookie: s=x\r\n", false},
      {"two CR", "A: b\r\r\n", false},
      {"LF CR", "A: b\n\r\r\n", false},
      {"folded with a blank", "A: b\r\n c\r\n", false},
      {"folded with a tab", "A: b\r\n\tc\r\n", false},
      {"blank before the colon", "Transfer-Encoding : chunked\r\n", false},
      {"tab before the colon", "Transfer-Encoding\t: chunked\r\n", false},
      {"vertical tab in a name", "Transfer-Encoding\x0b: chunked\r\n", false},
      {"NUL in a name", std::string("Set-Cookie\0: s=x\r\n", 18), false},
      {"blank in a name", "a b: c\r\n", false},
      {"no colon", "nocolon\r\n", false},
      {"no name", ": x\r\n", false},
      {"colon alone", ":\r\n", false},
  };
  return cases;
}

// One table for both modes (§5.7).
TEST(HeaderOutline, OneTableDrivesBothParsers) {
  constexpr size_t kSize = 128;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(2);
  std::vector<std::string> texts;
  for (const Case& c : header_cases()) texts.push_back(std::string(kStatus) + c.lines + "\r\n");
  instance.run(texts, random);
  for (size_t i = 0; i < texts.size(); ++i) {
    OutlineFault fault{};
    EXPECT_EQ(by_outline(instance, i, texts[i].size(), &fault).has_value(), header_cases()[i].read)
        << header_cases()[i].what;
    if (!header_cases()[i].read) {
      EXPECT_EQ(fault, OutlineFault::kBadHeader) << header_cases()[i].what;
    }
    EXPECT_EQ(by_open_parser(texts[i]).has_value(), header_cases()[i].read)
        << header_cases()[i].what;
  }
}

// `bad` can be 0 where the end is outside the window.
TEST(HeaderOutline, AHeaderThatDoesNotEndInTheWindowIsRefused) {
  constexpr size_t kSize = 64;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(3);
  const std::string whole = std::string(kStatus) + "X: " + std::string(60, 'y') + "\r\n\r\n";
  std::vector<std::string> texts = {whole, std::string(kStatus) + "A: b\r\n",
                                    std::string(kStatus) + "A: b\r\n\r"};
  instance.run(texts, random);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_FALSE(instance.marks(i, "bad", texts[i].size()).back());
    OutlineFault fault{};
    EXPECT_FALSE(by_outline(instance, i, texts[i].size(), &fault));
    EXPECT_EQ(fault, OutlineFault::kHeaderTooLong);
  }
}

// What stands behind the end, or has not arrived, changes and shows nothing.
TEST(HeaderOutline, MarksOfAPartAreThePartOfTheMarks) {
  constexpr size_t kSize = 256;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance full(circuit, kSize), part(circuit, kSize);
  RandomText random(4);
  for (size_t round = 0; round < 40; ++round) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes), parts;
    for (std::string& text : texts) {
      text = random_answer(random);
      parts.push_back(text.substr(0, random.below(std::min(text.size(), kSize) + 1)));
    }
    full.run(texts, random);
    part.run(parts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      for (const char* group : {"line_ends", "colons", "details", "ends", "bad"}) {
        ASSERT_EQ(part.marks(lane, group, parts[lane].size()),
                  full.marks(lane, group, parts[lane].size()));
      }
      const auto ends = full.marks(lane, "ends", kSize);
      const auto end = std::find(ends.begin(), ends.end(), true);
      for (const char* group : {"line_ends", "colons", "details", "ends"}) {
        const auto marks = full.marks(lane, group, kSize);
        for (auto k = end - ends.begin() + 1; k < static_cast<std::ptrdiff_t>(kSize); ++k)
          ASSERT_FALSE(marks[k]);
      }
    }
  }
}

std::vector<std::vector<bool>> header_marks(const mpc::Circuit& circuit, const std::string& text) {
  support::CircuitRun run(circuit);
  run.set("text", as_bytes(text)).run();
  return run.outputs();
}

// Attack 56: two answers of one shape show the same.
TEST(HeaderOutline, MarksDependOnTheShapeAlone) {
  RandomText random(5);
  for (int round = 0; round < 300; ++round) {
    std::string first(kStatus), second(kStatus);
    for (int line = 0; line < 3; ++line) {
      const std::string value = random.of("abcdef:%/0", 20);
      const std::string name = random.one_of({"Set-Cookie", "Location"});
      std::string other;
      while (other.size() < value.size()) other += random.of("uvw,/$:%\"\x80", 1);
      first += name + ": n=" + value + "; Path=/\r\n";
      second += std::string(name.size(), 'q') + ": n=" + other + "; Wxyz=.\r\n";
    }
    first += "\r\n";
    second += "\r\n";
    ASSERT_EQ(first.size(), second.size());
    const mpc::Circuit circuit = header_outline_circuit(first.size());
    ASSERT_EQ(header_marks(circuit, first), header_marks(circuit, second)) << first << second;
  }
  const std::string text = std::string(kStatus) + "X: a=b=c; d;=e  f\r\n\r\n";
  const mpc::Circuit circuit = header_outline_circuit(text.size());
  support::CircuitBatch batch(circuit);
  batch.set(0, "text", as_bytes(text));
  batch.run();
  std::vector<size_t> places;
  for (const http::Mark& mark : opened(text, batch.marks(0, "details", text.size(), text.size()))) {
    places.push_back(mark.at - kStatus.size());
  }
  EXPECT_EQ(places, (std::vector<size_t>{2, 4, 8, 9, 11, 12}));
}

// Attack 56: the same of any answer, also of one that is refused.
TEST(HeaderOutline, OtherLettersHaveTheSameMarksSweep) {
  constexpr size_t kSize = 256;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  Instance first(circuit, kSize), second(circuit, kSize);
  RandomText random(7);
  size_t good = 0, bad = 0;
  for (size_t done = 0; done < support::tries(10000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    for (std::string& text : texts) text = random_answer(random);
    first.run(texts, random);
    std::vector<std::string> others;
    for (const std::string& text : texts) {
      others.push_back(same_shape(text, random, std::min(text.size(), kStatus.size())));
    }
    second.run(others, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const size_t size = texts[lane].size();
      if (!texts[lane].starts_with(kStatus)) continue;
      ASSERT_EQ(first.marks(lane, "bad", size).back(), second.marks(lane, "bad", size).back())
          << texts[lane];
      (first.marks(lane, "bad", size).back() ? bad : good) += 1;
      for (const char* group : {"line_ends", "colons", "details", "ends"}) {
        ASSERT_EQ(first.marks(lane, group, size), second.marks(lane, group, size))
            << group << " of " << texts[lane] << others[lane];
      }
    }
  }
  EXPECT_GT(good, 4000u);
  EXPECT_GT(bad, 500u);
}

TEST(CircuitBatch, IsEvaluatePlain) {
  constexpr size_t kSize = 96;
  const mpc::Circuit circuit = header_outline_circuit(kSize);
  support::CircuitBatch batch(circuit);
  RandomText random(6);
  std::vector<std::string> texts(support::CircuitBatch::kLanes);
  for (size_t lane = 0; lane < texts.size(); ++lane) {
    texts[lane] = random.of("ab:=; \t\r\n", kSize);
    texts[lane].resize(kSize, ':');
    batch.set(lane, "text", as_bytes(texts[lane]));
  }
  batch.run();
  for (size_t lane = 0; lane < texts.size(); ++lane) {
    const auto plain = header_marks(circuit, texts[lane]);
    for (size_t g = 0; g < circuit.outputs.size(); ++g) {
      for (size_t i = 0; i < plain[g].size(); ++i) {
        ASSERT_EQ(batch.bit(lane, circuit.outputs[g].name, i), plain[g][i]);
      }
    }
  }
}

}  // namespace
}  // namespace flexroom::circuits
