#include "http/response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/sweeps.h"

namespace flexroom::http {
namespace {

using Fault = ResponseFault;

std::optional<Fault> fault_of(std::string_view text, const ResponseOptions& options = {},
                              bool close_notify = true) {
  try {
    parse_response(as_bytes(text), options, close_notify);
  } catch (const ResponseError& error) {
    EXPECT_EQ(error.code(), AbortCode::kServer);
    return error.fault();
  }
  return std::nullopt;
}

std::string with_header(std::string_view line) {
  return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + std::string(line) + "\r\n\r\nhi";
}

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(ParseResponse, ReadsSizedAndChunkedBodies) {
  Response r = parse_response(
      as_bytes("HTTP/1.1 404 Not Found\r\nX-A:  b c \r\nx-a: d\r\nContent-Length: 5\r\n\r\nhello"));
  EXPECT_EQ(r.status, 404);
  EXPECT_EQ(r.reason, "Not Found");
  EXPECT_EQ(as_text(r.body), "hello");
  EXPECT_EQ(r.headers[0].second, "b c");
  EXPECT_EQ(r.header("content-LENGTH"), "5");
  EXPECT_EQ(r.header("x-a"), std::nullopt);
  r = parse_response(as_bytes(kChunked + "5\r\nhello\r\n0000A\r\n0123456789\r\n0\r\n\r\n"));
  EXPECT_EQ(as_text(r.body), "hello0123456789");
  EXPECT_EQ(parse_response(as_bytes("HTTP/1.1 204 \r\n\r\n")).status, 204);
  EXPECT_EQ(parse_response(as_bytes("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n")).status, 304);
  ResponseOptions head;
  head.head = true;
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", head), std::nullopt);
}

TEST(ParseResponse, RefusesSmuggling) {
  EXPECT_EQ(fault_of(with_header("X: y")), std::nullopt);
  EXPECT_EQ(fault_of(with_header("Content-Length: 2")), Fault::kDuplicateFraming);
  EXPECT_EQ(fault_of(with_header("Transfer-Encoding: chunked")), Fault::kFraming);
  EXPECT_EQ(fault_of(with_header("Content-Encoding: gzip")), Fault::kContentEncoding);
  EXPECT_EQ(fault_of(with_header(" folded: x")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("\tfolded")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("Name : x")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header(": x")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("no colon")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("A: b\nC: d")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("A: b\rC: d")), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header(std::string("A: b\0c", 6))), Fault::kHeader);
  EXPECT_EQ(fault_of(with_header("A: \x7f")), Fault::kHeader);
  for (const char* length : {"+2", "-1", "2, 2", "02", "0x2", "2 ", "", "99999999999", "2;"}) {
    const auto fault =
        fault_of("HTTP/1.1 200 OK\r\nContent-Length: " + std::string(length) + "\r\n\r\nhi");
    EXPECT_EQ(fault, length == std::string("2 ") ? std::nullopt : std::optional(Fault::kFraming))
        << length;
  }
  for (const char* coding : {"gzip, chunked", "identity", "chunked, chunked", "xchunked", ""}) {
    EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + std::string(coding) +
                       "\r\n\r\n0\r\n\r\n"),
              Fault::kFraming);
  }
  EXPECT_EQ(fault_of(kChunked + "1 \r\nx\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "0x1\r\nx\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "1;a\nb\r\nx\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "1;a\rb\r\nx\r\n0\r\n\r\n"), Fault::kChunk);
  for (const char* extension :
       {";", ";;", "; ", ";=", ";a=", ";a=\"", ";a=\"b", ";a=\"\\\"", ";a b", ";\x01",
        ";a=\"\x01\"", ";a;", ";a=\"b\"c", "a=b", "\"q\""}) {
    EXPECT_EQ(fault_of(kChunked + "1" + extension + "\r\nx\r\n0\r\n\r\n"), Fault::kChunk)
        << extension;
  }
  EXPECT_EQ(fault_of(kChunked + "1;" + std::string(5000, 'a') + "\r\nx\r\n0\r\n\r\n"),
            Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "1" + std::string(16, '0') + "\r\nx\r\n0\r\n\r\n"),
            Fault::kTooLarge);
  EXPECT_EQ(fault_of(kChunked + "-1\r\nx\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "1\nx\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "1\r\nxy\r\n0\r\n\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "\r\n"), Fault::kChunk);
  EXPECT_EQ(fault_of(kChunked + "0\r\nA b\r\n\r\n"), Fault::kHeader);
  EXPECT_EQ(fault_of(kChunked + "0\r\nA: b\n\r\n\r\n"), Fault::kHeader);
  EXPECT_EQ(fault_of(kChunked + "0\r\n A: b\r\n\r\n"), Fault::kHeader);
  EXPECT_EQ(fault_of(kChunked + "0\r\nA: " + std::string(70000, 'b') + "\r\n\r\n"),
            Fault::kTrailer);
  EXPECT_EQ(fault_of(kChunked + "0\r\nA: b\r\n\r\nX"), Fault::kTrailingBytes);
  EXPECT_EQ(fault_of(kChunked + "0\r\n\r\nX"), Fault::kTrailingBytes);
  EXPECT_EQ(fault_of(with_header("X: y") + "HTTP/1.1 200 OK\r\n"), Fault::kTrailingBytes);
}

// What servers send and the RFCs allow: it costs nothing in open mode (tls-in-mpc.md §5.7, R2).
TEST(ParseResponse, PassesOverInterimAnswersExtensionsAndTrailers) {
  const auto body = [](const std::string& text) {
    return to_text(parse_response(as_bytes(text)).body);
  };
  EXPECT_EQ(body("HTTP/1.1 100 Continue\r\n\r\n" + with_header("X: y")), "hi");
  EXPECT_EQ(body("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nContent-Length: 99\r\n\r\n"
                 "HTTP/1.1 100 \r\n\r\n" +
                 with_header("X: y")),
            "hi");
  const Response final =
      parse_response(as_bytes("HTTP/1.1 103 X\r\nLink: <a>\r\n\r\n" + with_header("X: y")));
  EXPECT_EQ(final.status, 200);
  EXPECT_EQ(final.headers.size(), 2u);
  EXPECT_EQ(body(kChunked + "00000064\r\n" + std::string(100, 'x') + "\r\n0000\r\n\r\n"),
            std::string(100, 'x'));
  EXPECT_EQ(body(kChunked + std::string(40, '0') + "1\r\nx\r\n0\r\n\r\n"), "x");
  EXPECT_EQ(body(kChunked + "1;ext=1;q=\"a;\\\"b\"\r\nx\r\n1 ; y = z\r\nz\r\n0;last\r\n\r\n"),
            "xz");
  EXPECT_EQ(body(kChunked + "1\r\nx\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 7\r\n\r\n"), "x");
  EXPECT_EQ(parse_response(as_bytes(kChunked + "0\r\nA: b\r\n\r\n")).headers.size(), 1u);
  EXPECT_EQ(fault_of(with_header("Trailer: x")), std::nullopt);
  for (const char* coding : {"", "identity", "Identity"}) {
    EXPECT_EQ(body(with_header(std::string("Content-Encoding: ") + coding)), "hi");
  }
  const std::string big(3 << 20, 'b');
  EXPECT_EQ(body(kChunked + "300000\r\n" + big + "\r\n0\r\n\r\n").size(), big.size());
}

TEST(ParseResponse, NamesTheCodingAndTheLimit) {
  const auto detail = [](const std::string& text, const ResponseOptions& options = {}) {
    try {
      parse_response(as_bytes(text), options);
    } catch (const ResponseError& error) {
      return error.detail();
    }
    return std::string();
  };
  EXPECT_THAT(detail(with_header("Content-Encoding: aws-chunked")),
              ::testing::HasSubstr("aws-chunked"));
  ResponseOptions small;
  small.max_body = 100;
  for (const std::string& text :
       {std::string("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"), kChunked + "65\r\n"}) {
    EXPECT_THAT(detail(text, small), ::testing::HasSubstr("limit of 100 bytes (`max_answer`"));
  }
}

TEST(ReadPartial, KeepsWhatCameOfAnAnswerThatIsNone) {
  const std::string start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
  PartialAnswer partial = read_partial(as_bytes(start + "zz\r\nmore"), {});
  EXPECT_EQ(partial.status_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(partial.read.status, 200);
  EXPECT_EQ(to_text(partial.body()), "abc");
  EXPECT_EQ(to_text(partial.received), start + "zz\r\nmore");
  // Refused in the header: the body is what stands behind it.
  partial = read_partial(as_bytes(with_header("Content-Encoding: gzip")), {});
  EXPECT_EQ(partial.read.status, 200);
  EXPECT_EQ(to_text(partial.body()), "hi");
  // Cut off.
  partial = read_partial(as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234"), {});
  EXPECT_EQ(to_text(partial.body()), "1234");
  // Over the limit: as much as the limit allows.
  ResponseOptions small;
  small.max_body = 4;
  partial = read_partial(as_bytes(kChunked + "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"), small);
  EXPECT_EQ(to_text(partial.body()), "abc");
  partial = read_partial(as_bytes("no HTTP at all"), {});
  EXPECT_EQ(partial.status_line, "");
  EXPECT_EQ(partial.read.status, 0);
  EXPECT_EQ(to_text(partial.body()), "");
  EXPECT_EQ(to_text(read_partial({}, {}).received), "");
  EXPECT_EQ(read_partial({}, {}).summary(), "nothing of an answer came");
  EXPECT_EQ(partial.summary(), "what came: no HTTP at all");
  partial =
      read_partial(as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<a>\n\x1b[2J</a>"), {});
  EXPECT_EQ(partial.summary(), "`HTTP/1.1 200 OK`: <a> ?[2J</a>");
  EXPECT_EQ(partial.summary(3), "`HTT`, beginning with: <a>");
  // Text of any language stays; only what acts on a screen goes.
  partial = read_partial(
      as_bytes("HTTP/1.1 500 Fehl\xc3\xa9r\r\nContent-Length: 99\r\n\r\nr\xc3\xa9gion\xe2\x80\xae"),
      {});
  EXPECT_EQ(partial.summary(), "`HTTP/1.1 500 Fehl\xc3\xa9r`: r\xc3\xa9gion?");
}

TEST(ParseResponse, RefusesOtherStatusLines) {
  const auto line = [](std::string_view text) {
    return fault_of(std::string(text) + "\r\nContent-Length: 0\r\n\r\n");
  };
  EXPECT_EQ(line("HTTP/1.1 200 OK"), std::nullopt);
  EXPECT_EQ(line("HTTP/1.1 200 "), std::nullopt);
  EXPECT_EQ(line("HTTP/1.1 100 Continue"), Fault::kIncomplete);
  EXPECT_EQ(line("HTTP/1.1 101 Switching"), Fault::kInterim);
  for (const char* bad :
       {"HTTP/1.0 200 OK", "HTTP/1.1 200", "HTTP/2 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 600 X", "HTTP/1.1 099 X", "ICY 200 OK",
        "HTTP/1.1 200\tOK", "HTTP/1.1 200 \x01"}) {
    EXPECT_EQ(line(bad), Fault::kStatusLine) << bad;
  }
}

TEST(ParseResponse, CloseDelimitedBodiesNeedNoSecretAndCloseNotify) {
  const std::string text = "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nbody";
  ResponseOptions open;
  open.no_secret = true;
  EXPECT_EQ(fault_of(text), Fault::kStatusLine);
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\n\r\nbody"), Fault::kCloseDelimited);
  EXPECT_EQ(fault_of(text, open, false), Fault::kCloseDelimited);
  EXPECT_EQ(as_text(parse_response(as_bytes(text), open).body), "body");
  EXPECT_EQ(fault_of("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", open),
            Fault::kFraming);
}

TEST(ParseResponse, EveryTruncationIsIncompleteAndEveryFragmentationEqual) {
  for (const std::string& whole :
       {with_header("X: y"), kChunked + "5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 100 C\r\n\r\n" + kChunked + "1;e=1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n"}) {
    for (size_t cut = 0; cut < whole.size(); ++cut) {
      EXPECT_EQ(fault_of(whole.substr(0, cut)), Fault::kIncomplete) << cut;
    }
    ResponseParser parser;
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_FALSE(parser.complete());
      parser.feed(as_bytes(whole).subspan(i, 1));
    }
    EXPECT_TRUE(parser.complete());
    EXPECT_EQ(parser.finish(false).body, parse_response(as_bytes(whole)).body);
  }
}

TEST(ParseResponse, HoldsItsBounds) {
  ResponseOptions small;
  small.max_header = 64;
  small.max_body = 8;
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nX: " + std::string(80, 'a'), small), Fault::kTooLarge);
  EXPECT_EQ(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", small), Fault::kTooLarge);
  EXPECT_EQ(fault_of(kChunked + "5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n", small), Fault::kTooLarge);
}

TEST(ParseResponse, TheLongestHeaderIsTheSameWholeAndInPieces) {
  const auto in_pieces = [](const std::string& text, const ResponseOptions& options, size_t piece) {
    std::optional<Fault> fault;
    try {
      ResponseParser parser(options);
      for (size_t at = 0; at < text.size(); at += piece) {
        parser.feed(as_bytes(text).subspan(at, std::min(piece, text.size() - at)));
      }
      parser.finish(false);
    } catch (const ResponseError& error) {
      fault = error.fault();
    }
    return fault;
  };
  const std::string header = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: " + std::string(40, 'a');
  for (const int beyond : {-1, 0, 1}) {
    ResponseOptions options;
    options.max_header = header.size() - beyond;
    const auto expected = beyond > 0 ? std::optional(Fault::kTooLarge) : std::nullopt;
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{1000}}) {
      EXPECT_EQ(in_pieces(header + "\r\n\r\nhi", options, piece), expected)
          << beyond << " beyond, pieces of " << piece;
    }
  }
}

TEST(ParseResponseSweep, RandomMutationsNeitherCrashNorDependOnFragmentation) {
  std::mt19937 random(1);
  const std::vector<std::string> seeds = {
      with_header("Set-Cookie: a=b; Path=/"), kChunked + "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n",
      "HTTP/1.1 100 C\r\n\r\n" + kChunked + "1;e\r\nx\r\n0\r\nA: b\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nbody"};
  const std::string_view alphabet = std::string_view("\r\n :;,0123456789abcdefHTP/.-\t\0\x80", 31);
  ResponseOptions options;
  options.no_secret = true;
  size_t accepted = 0;
  for (size_t i = 0; i < support::tries(100'000); ++i) {
    std::string text = seeds[random() % seeds.size()];
    for (size_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % text.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const auto whole = fault_of(text, options);
    std::optional<Fault> cut;
    try {
      ResponseParser parser(options);
      const size_t middle = random() % (text.size() + 1);
      parser.feed(as_bytes(text).first(middle));
      parser.feed(as_bytes(text).subspan(middle));
      parser.finish(true);
    } catch (const ResponseError& error) {
      cut = error.fault();
    }
    ASSERT_EQ(whole.has_value(), cut.has_value()) << text;
    accepted += !whole.has_value();
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_LT(accepted, 70000u);
}

}  // namespace
}  // namespace flexroom::http
