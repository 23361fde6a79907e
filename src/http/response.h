#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom::http {

enum class ResponseFault : uint8_t {
  kStatusLine,        // not `HTTP/1.1 ddd reason` with 200 <= ddd <= 599
  kInterim,           // 101: the service speaks another protocol from here on
  kHeader,            // not `name: value` CRLF: bare LF or CR, obs-fold, space before ':', NUL ...
  kTooLarge,          // header or body over its bound
  kDuplicateFraming,  // two Content-Length or Transfer-Encoding
  kFraming,           // both, or a value that is not allowed
  kContentEncoding,
  kTrailer,         // longer than a header may be, or not ended by an empty line
  kChunk,           // bad size line, missing CRLF
  kTrailingBytes,   // bytes after the response
  kIncomplete,      // the stream ended first: outcome unknown
  kCloseDelimited,  // body without length where that is not accepted
};
std::string_view to_string(ResponseFault fault);

/// ProtocolAbort(kServer) with the reason as a value.
class ResponseError : public ProtocolAbort {
 public:
  ResponseError(ResponseFault fault, std::string_view detail);
  ResponseFault fault() const { return fault_; }

 private:
  ResponseFault fault_;
};

/// Default of the longest body that is taken (`max_answer` of a provider).
inline constexpr size_t kMaxAnswer = size_t{16} << 20;

struct ResponseOptions {
  /// The request was HEAD: no body follows.
  bool head = false;
  /// R2-6: the connection carries no secret, so HTTP/1.0 and close-delimited bodies are accepted.
  bool no_secret = false;
  size_t max_header = 64 * 1024;
  size_t max_body = kMaxAnswer;
};

/// What the header lines that matter to framing say, of an open or a sealed answer.
struct FramingLines {
  size_t lengths = 0, codings = 0;  // lines of Content-Length, Transfer-Encoding
  /// A Content-Encoding that is not accepted, and what may be told of it.
  std::optional<std::string> encoding;
  // Read only where the counts pass:
  std::optional<uint64_t> length;  // of the one Content-Length
  bool chunked = false;            // the one Transfer-Encoding is exactly `chunked`
};
enum class BodyFraming : uint8_t { kNone, kSized, kChunked, kToClose };
/// The one table of tls-in-mpc.md §5.7 (RFC 9112 §6.3) for both modes. The first refuses what may
/// not stand beside each other, before a value is looked at; the second says where the body ends.
/// Throw ResponseError.
void require_single_framing(const FramingLines& lines);
BodyFraming body_framing(int status, int minor_version, const FramingLines& lines,
                         const ResponseOptions& options);
/// No answer at all: an interim one where it is refused, 101, or a number that is no status.
void require_status(int status);

struct Response {
  int status = 0;
  int minor_version = 1;
  std::string reason;
  std::vector<std::pair<std::string, std::string>>
      headers;  // in order, values without outer blanks
  Bytes body;   // chunks joined

  /// The only value of that name, in any case; nothing if there is none or more than one.
  std::optional<std::string> header(std::string_view name) const;
};

/// The strict HTTP/1.1 response parser of tls-in-mpc.md §5.7 (R2): same code at all parties, on
/// decrypted bytes in any fragmentation.
///
/// Accepts  CRLF only; a header name is a token directly before ':'; no obs-fold, no NUL, no
///          control characters; at most one Content-Length or Transfer-Encoding: chunked, not both;
///          no Content-Encoding but identity; nothing after the response. Interim answers (1xx but
///          101), chunk extensions and trailers are read by the same rules and thrown away
/// Errors   ResponseError
class ResponseParser {
 public:
  explicit ResponseParser(const ResponseOptions& options = {}) : options_(options) {}

  void feed(ByteView bytes);
  /// The beginning of a stream of answers; returns how many of its bytes this one has, of those
  /// that are there. What stands behind a whole one is not looked at.
  size_t feed_one(ByteView bytes);
  /// The response is whole; a further byte is an error. Never true for a close-delimited body.
  bool complete() const { return state_ == State::kDone; }
  /// What was read so far, also after an error: status 0 before the status line was accepted, the
  /// beginning of the body.
  const Response& so_far() const { return response_; }
  /// The stream has ended, with an authenticated close_notify or without. Returns the response or
  /// throws kIncomplete or kCloseDelimited.
  Response finish(bool close_notify);

 private:
  enum class State : uint8_t {
    kHeader,
    kSized,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kToClose,
    kDone
  };
  /// One step; false when more bytes are needed.
  bool step();
  bool read_header();
  void parse_header(std::string_view head);
  void parse_status_line(std::string_view line);
  std::pair<std::string, std::string> parse_field(std::string_view line) const;
  bool read_trailers();
  void read_chunk_line(std::string_view line);
  [[noreturn]] void fail_too_large() const;
  void choose_framing();
  bool read_body_bytes(State next);
  bool read_chunk_size();
  bool expect_crlf(State next);
  std::string_view rest() const { return as_text(ByteView(pending_).subspan(used_)); }
  void add_to_body(std::string_view bytes);

  ResponseOptions options_;
  State state_ = State::kHeader;
  Bytes pending_;
  size_t used_ = 0;
  size_t scanned_ = 0;  // header bytes already searched for the empty line
  uint64_t left_ = 0;   // bytes of the sized body or chunk
  Response response_;
};

/// The whole of `bytes` is one response.
Response parse_response(ByteView bytes, const ResponseOptions& options = {},
                        bool close_notify = true);

/// What came of an answer that cannot be taken for one, because it is not whole or breaks a rule:
/// the request is out, so nothing of it is thrown away. For people; nothing in it may be acted upon
/// but by them.
struct PartialAnswer {
  Bytes received;           // all that was decrypted, as sent
  std::string status_line;  // the first line, if there is a whole one
  Response read;            // as far as the parser went

  /// The body as far as it was read, or what stands behind the header where the parser stopped
  /// before it.
  Bytes body() const;
  /// For a message: the status line and at most `chars` characters of the body, what is not
  /// printable ASCII as '?'.
  std::string summary(size_t chars = 600) const;
};
PartialAnswer read_partial(ByteView received, const ResponseOptions& options);

}  // namespace flexroom::http
