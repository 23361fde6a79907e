#include <gtest/gtest.h>
#include <http_parser.h>
#include <stdlib.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "http/response.h"
#include "support/sweeps.h"

// Our parser against two that others wrote: Node's http_parser and Python's http.client, on answers
// that are good, odd and broken. What ours takes for an answer, they take for the same one: status
// and body. The other direction is not asked: ours is stricter by design (tls-in-mpc.md §5.7).

namespace flexroom::http {
namespace {

struct Read {
  int status = 0;
  std::string body;
  bool operator==(const Read&) const = default;
};
void PrintTo(const Read& read, std::ostream* out) {
  *out << read.status << " '" << read.body << "'";
}

std::optional<Read> by_us(const std::string& text) {
  ResponseOptions options;
  options.no_secret = true;
  try {
    const Response response = parse_response(as_bytes(text), options);
    return Read{response.status, to_text(response.body)};
  } catch (const ResponseError&) {
    return std::nullopt;
  }
}

/// The one final answer that the bytes are; nothing if they are none, or more than one.
std::optional<Read> by_http_parser(const std::string& text) {
  struct State {
    Read now;
    std::vector<Read> whole;
  } state;
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_message_begin = [](http_parser* parser) {
    static_cast<State*>(parser->data)->now = {};
    return 0;
  };
  // Which statuses have no body, it leaves to its caller.
  settings.on_headers_complete = [](http_parser* parser) {
    return parser->status_code == 204 || parser->status_code == 304 ? 1 : 0;
  };
  settings.on_body = [](http_parser* parser, const char* at, size_t size) {
    static_cast<State*>(parser->data)->now.body.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](http_parser* parser) {
    auto* const seen = static_cast<State*>(parser->data);
    seen->now.status = static_cast<int>(parser->status_code);
    if (seen->now.status >= 200) seen->whole.push_back(seen->now);
    return 0;
  };
  http_parser parser;
  http_parser_init(&parser, HTTP_RESPONSE);
  parser.data = &state;
  const size_t used = http_parser_execute(&parser, &settings, text.data(), text.size());
  if (used != text.size() || HTTP_PARSER_ERRNO(&parser) != HPE_OK) return std::nullopt;
  http_parser_execute(&parser, &settings, nullptr, 0);  // end of stream
  if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || state.whole.size() != 1) return std::nullopt;
  return state.whole.front();
}

constexpr const char* kPython = R"py(
import http.client, io, sys
class Socket:
    def __init__(self, data): self.data = data
    def makefile(self, mode): return io.BytesIO(self.data)
for line in open(sys.argv[1]):
    stream = Socket(bytes.fromhex(line.strip()))
    try:
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        body = answer.read()
        print(answer.status, body.hex() or '-')
    except Exception:
        print('refused')
)py";

std::vector<std::optional<Read>> by_python(const std::vector<std::string>& texts) {
  std::string folder = (std::filesystem::temp_directory_path() / "flexroom-http-XXXXXX").string();
  EXPECT_NE(::mkdtemp(folder.data()), nullptr);
  {
    std::ofstream script(folder + "/read.py"), cases(folder + "/cases");
    script << kPython;
    for (const std::string& text : texts) cases << to_hex(as_bytes(text)) << "\n";
  }
  const std::string command =
      "python3 " + folder + "/read.py " + folder + "/cases > " + folder + "/out";
  EXPECT_EQ(std::system(command.c_str()), 0) << "python3 is missing: run tools/install.sh test";
  std::vector<std::optional<Read>> out;
  std::ifstream in(folder + "/out");
  for (std::string line; std::getline(in, line);) {
    std::stringstream words(line);
    Read read;
    std::string body;
    if (words >> read.status >> body) {
      read.body = body == "-" ? "" : to_text(from_hex(body));
      out.emplace_back(std::move(read));
    } else {
      out.emplace_back(std::nullopt);
    }
  }
  std::filesystem::remove_all(folder);
  return out;
}

/// Answers put together from good, odd and bad parts, some with a byte changed.
class Generator {
 public:
  std::string next() {
    std::string text;
    for (int interim = pick(8) == 0 ? 2 : 0; interim > 0; --interim) {
      text += "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n";
    }
    text += one_of({"HTTP/1.1 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 500 \r\n",
                    "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n"});
    for (int k = pick(3); k > 0; --k) {
      text +=
          one_of({"Server: x\r\n", "Set-Cookie: a=b; Path=/\r\n", "X-Empty:\r\n", "Date: now \r\n",
                  "Content-Encoding: identity\r\n", "Trailer: X\r\n", "Connection: close\r\n",
                  "Content-Type: text/plain\r\n", "Content-Length: 5\r\n", "x:\ty\t\r\n"});
    }
    text += pick(2) == 0 ? sized() : chunked();
    for (int edits = pick(3) == 0 ? 1 + pick(2) : 0; edits > 0; --edits) change(text);
    return text;
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string one_of(const std::vector<std::string>& choices) {
    return choices[static_cast<size_t>(pick(static_cast<int>(choices.size())))];
  }
  std::string word() { return std::string(static_cast<size_t>(pick(20)), "abcdef\r\n"[pick(8)]); }

  std::string sized() {
    const std::string body = word();
    const std::string length =
        one_of({std::to_string(body.size()), std::to_string(body.size()),
                "0" + std::to_string(body.size()), std::to_string(body.size() + 1), "+1", "1, 1"});
    return "Content-Length: " + length + "\r\n\r\n" + body;
  }
  std::string chunked() {
    std::string out = one_of({"Transfer-Encoding: chunked\r\n", "transfer-encoding: Chunked\r\n",
                              "Transfer-Encoding: gzip, chunked\r\n"}) +
                      "\r\n";
    for (int k = pick(4); k > 0; --k) {
      const std::string data = word() + "x";
      std::stringstream size;
      size << std::hex << data.size();
      out += one_of({"", "0", "000000"}) + size.str() +
             one_of({"", "", ";a=b", ";q=\"x;y\"", " ;c"}) + "\r\n" + data + "\r\n";
    }
    return out + one_of({"0\r\n", "000\r\n", "0;last\r\n"}) +
           one_of({"", "", "A: b\r\n", "Set-Cookie: late=1\r\nC: d\r\n"}) + "\r\n";
  }
  void change(std::string& text) {
    static constexpr std::string_view kAlphabet("\r\n :;,0123456789abcdefHTP/.-\t\0\x80", 31);
    const size_t at = random_() % text.size();
    const char c = kAlphabet[random_() % kAlphabet.size()];
    const int how = pick(3);
    if (how == 0) text[at] = c;
    if (how == 1) text.insert(at, 1, c);
    if (how == 2) text.erase(at, 1);
  }

  std::mt19937 random_{20261129};
};

std::string shown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '\r' ? "\\r" : c == '\n' ? "\\n\n" : std::string(1, c);
  }
  return out;
}

/// Not so http.client: it takes blanks behind a value for a part of it (RFC 9110 §5.5 says not),
/// and then does not know `chunked `.
bool python_trims(const std::string& text) {
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.find("chunked ") == std::string::npos &&
         lower.find("chunked\t") == std::string::npos;
}

TEST(DifferentialSweep, HttpParserReadsTheSame) {
  Generator generator;
  size_t accepted = 0, refused = 0, different = 0;
  for (size_t k = 0; k < support::tries(100'000); ++k) {
    const std::string text = generator.next();
    const auto ours = by_us(text);
    (ours ? accepted : refused) += 1;
    if (!ours) continue;
    // It does not know the tab among the blanks before a chunk extension (RFC 9110 §5.6.3 does).
    if (text.find("\t;") != std::string::npos) continue;
    const auto theirs = by_http_parser(text);
    if (theirs == ours) continue;
    ADD_FAILURE() << ::testing::PrintToString(theirs) << " instead of "
                  << ::testing::PrintToString(ours) << "\n"
                  << shown(text);
    if (++different == 10) break;
  }
  EXPECT_GT(accepted, 20000u);
  EXPECT_GT(refused, 20000u);
}

TEST(Differential, PythonReadsTheSame) {
  Generator generator;
  std::vector<std::string> texts;
  for (int k = 0; k < 20000; ++k) texts.push_back(generator.next());
  const auto theirs = by_python(texts);
  ASSERT_EQ(theirs.size(), texts.size());
  size_t compared = 0, different = 0;
  for (size_t k = 0; k < texts.size(); ++k) {
    const auto ours = by_us(texts[k]);
    if (!ours || !python_trims(texts[k])) continue;
    // Of interim answers it passes over 100 alone.
    if (theirs[k] && theirs[k]->status / 100 == 1) continue;
    ++compared;
    if (theirs[k] == ours) continue;
    ADD_FAILURE() << ::testing::PrintToString(theirs[k]) << " instead of "
                  << ::testing::PrintToString(ours) << "\n"
                  << shown(texts[k]);
    if (++different == 10) break;
  }
  EXPECT_GT(compared, 4000u);
}

// The comparison can fail: a reading that ends elsewhere shows.
TEST(Differential, SeesADifference) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  EXPECT_EQ(by_us(text), by_http_parser(text));
  EXPECT_EQ(by_us(text), by_python({text}).front());
  const std::string two = text + text;
  EXPECT_EQ(by_us(two), std::nullopt);
  EXPECT_EQ(by_http_parser(two), std::nullopt);
  EXPECT_EQ(by_python({two}).front(), (Read{200, "hi"}));  // reads on no further: not our measure
}

}  // namespace
}  // namespace flexroom::http
