#include "http/response.h"

#include <algorithm>

#include "base/display.h"
#include "http/text.h"

namespace flexroom::http {
namespace {

constexpr std::string_view kCrLf = "\r\n";
constexpr size_t kMaxChunkLine = 4096;

[[noreturn]] void fail(ResponseFault fault, std::string_view detail) {
  throw ResponseError(fault, detail);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 9110 §5.5: VCHAR, obs-text, SP and HT.
bool is_value_char(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

uint64_t parse_content_length(std::string_view text) {
  // A leading zero is octal to some parsers, a sign or a list something else again.
  if (text.empty() || text.size() > 10 || !std::all_of(text.begin(), text.end(), is_digit) ||
      (text.size() > 1 && text.front() == '0')) {
    fail(ResponseFault::kFraming, "the service sent a Content-Length that is not a plain number");
  }
  uint64_t value = 0;
  for (const char c : text) value = 10 * value + static_cast<uint64_t>(c - '0');
  return value;
}

}  // namespace

std::string_view to_string(ResponseFault fault) {
  switch (fault) {
    case ResponseFault::kStatusLine:
      return "bad status line";
    case ResponseFault::kInterim:
      return "interim response";
    case ResponseFault::kHeader:
      return "bad header";
    case ResponseFault::kTooLarge:
      return "too large";
    case ResponseFault::kDuplicateFraming:
      return "duplicate framing header";
    case ResponseFault::kFraming:
      return "bad framing";
    case ResponseFault::kContentEncoding:
      return "content encoding";
    case ResponseFault::kTrailer:
      return "trailer";
    case ResponseFault::kChunk:
      return "bad chunk";
    case ResponseFault::kTrailingBytes:
      return "trailing bytes";
    case ResponseFault::kIncomplete:
      return "incomplete";
    case ResponseFault::kCloseDelimited:
      return "close-delimited";
  }
  return "unknown";
}

ResponseError::ResponseError(ResponseFault fault, std::string_view detail)
    : ProtocolAbort(AbortCode::kServer, "http/response, " + std::string(to_string(fault)), detail),
      fault_(fault) {}

std::optional<std::string> Response::header(std::string_view name) const {
  std::optional<std::string> found;
  for (const auto& [key, value] : headers) {
    if (!same_name(key, name)) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

void ResponseParser::feed(ByteView bytes) {
  append(pending_, bytes);
  while (step()) {
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ = 0;
  if (state_ == State::kDone && !pending_.empty()) {
    fail(ResponseFault::kTrailingBytes, "the service sent bytes after its response");
  }
}

size_t ResponseParser::feed_one(ByteView bytes) {
  FLEXROOM_ASSERT(state_ == State::kHeader && pending_.empty());
  append(pending_, bytes);
  while (step()) {
  }
  return used_;
}

bool ResponseParser::step() {
  switch (state_) {
    case State::kHeader:
      return read_header();
    case State::kSized:
      return read_body_bytes(State::kDone);
    case State::kChunkSize:
      return read_chunk_size();
    case State::kChunkData:
      return read_body_bytes(State::kChunkEnd);
    case State::kChunkEnd:
      return expect_crlf(State::kChunkSize);
    case State::kTrailers:
      return read_trailers();
    case State::kToClose:
      add_to_body(rest());
      used_ = pending_.size();
      return false;
    case State::kDone:
      return false;
  }
  return false;
}

// The header ends at the first CRLFCRLF, the rule that the circuits use too.
bool ResponseParser::read_header() {
  const std::string_view text = rest();
  const size_t from = scanned_ > 3 ? scanned_ - 3 : 0;
  const size_t end = text.find("\r\n\r\n", from);
  scanned_ = text.size();
  // Of a header that has not ended, the last three bytes may be the start of its CRLFCRLF: a
  // member to whom the bytes come in pieces must not refuse what another takes at once.
  const size_t least =
      end == std::string_view::npos ? text.size() - std::min<size_t>(text.size(), 3) : end;
  if (least > options_.max_header) {
    fail(ResponseFault::kTooLarge,
         "the service's header is longer than " + std::to_string(options_.max_header) + " bytes");
  }
  if (end == std::string_view::npos) return false;
  response_ = Response();
  parse_header(text.substr(0, end + 2));
  used_ += end + 4;
  scanned_ = 0;
  // An interim answer: the one that counts is still to come (RFC 9110 §15.2).
  if (response_.status / 100 != 1) choose_framing();
  return true;
}

namespace {

void refuse_bare_line_ends(std::string_view head) {
  for (size_t i = 0; i < head.size(); ++i) {
    const bool cr = head[i] == '\r';
    if ((cr && (i + 1 == head.size() || head[i + 1] != '\n')) ||
        (head[i] == '\n' && (i == 0 || head[i - 1] != '\r'))) {
      fail(ResponseFault::kHeader, "the service sent a bare CR or LF in its header");
    }
  }
}

/// Takes the first line off a text whose lines all end with CRLF.
std::string_view take_line(std::string_view& text) {
  const size_t end = text.find(kCrLf);
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + kCrLf.size());
  return line;
}

}  // namespace

void ResponseParser::parse_header(std::string_view head) {
  refuse_bare_line_ends(head);
  parse_status_line(take_line(head));
  while (!head.empty()) response_.headers.push_back(parse_field(take_line(head)));
}

void ResponseParser::parse_status_line(std::string_view line) {
  const bool version1 = line.starts_with("HTTP/1.1 ");
  const bool version0 = options_.no_secret && line.starts_with("HTTP/1.0 ");
  // "HTTP/1.1 ddd " and a reason that may be empty (RFC 9112 §4).
  if ((!version1 && !version0) || line.size() < 13 || !is_digit(line[9]) || !is_digit(line[10]) ||
      !is_digit(line[11]) || line[12] != ' ') {
    fail(ResponseFault::kStatusLine,
         "the service's answer does not begin with `HTTP/1.1 ddd reason`");
  }
  response_.minor_version = version1 ? 1 : 0;
  response_.status = 100 * (line[9] - '0') + 10 * (line[10] - '0') + (line[11] - '0');
  response_.reason = line.substr(13);
  if (!std::all_of(response_.reason.begin(), response_.reason.end(), is_value_char)) {
    fail(ResponseFault::kStatusLine, "the service's status line holds a control character");
  }
  require_status(response_.status);
}

std::pair<std::string, std::string> ResponseParser::parse_field(std::string_view line) const {
  if (line.starts_with(' ') || line.starts_with('\t')) {
    fail(ResponseFault::kHeader, "the service folded a header line");
  }
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      !std::all_of(name.begin(), name.end(), [](char c) { return token_chars().contains(c); })) {
    fail(ResponseFault::kHeader, "the service sent a header line without a proper name");
  }
  const std::string_view value = trim_blanks(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char)) {
    fail(ResponseFault::kHeader, "the service sent a header value with a control character");
  }
  return {std::string(name), std::string(value)};
}

void require_single_framing(const FramingLines& lines) {
  if (lines.lengths > 1) {
    fail(ResponseFault::kDuplicateFraming, "the service sent content-length twice");
  }
  if (lines.codings > 1) {
    fail(ResponseFault::kDuplicateFraming, "the service sent transfer-encoding twice");
  }
  if (lines.encoding) {
    fail(ResponseFault::kContentEncoding,
         "the service encoded its answer (Content-Encoding: " + lines.encoding->substr(0, 40) +
             "), which Flexroom does not read");
  }
  if (lines.lengths != 0 && lines.codings != 0) {
    fail(ResponseFault::kFraming, "the service sent Content-Length and Transfer-Encoding");
  }
}

BodyFraming body_framing(int status, int minor_version, const FramingLines& lines,
                         const ResponseOptions& options) {
  require_single_framing(lines);
  const bool coding = lines.codings != 0;
  if (coding && (!lines.chunked || minor_version == 0)) {
    fail(ResponseFault::kFraming, "the service sent a transfer coding other than chunked");
  }
  // RFC 9112 §6.3: these have no body whatever the header says.
  if (options.head || status == 304) return BodyFraming::kNone;
  if (status == 204 || status == 205) {
    if (coding || lines.length.value_or(0) != 0) {
      fail(ResponseFault::kFraming, "the service sent a body with a status that has none");
    }
    return BodyFraming::kNone;
  }
  if (coding) return BodyFraming::kChunked;
  if (lines.length) return BodyFraming::kSized;
  if (options.no_secret) return BodyFraming::kToClose;
  fail(ResponseFault::kCloseDelimited,
       "the service sent neither Content-Length nor Transfer-Encoding");
}

void require_status(int status) {
  if (status == 101) {
    fail(ResponseFault::kInterim, "the service switched to another protocol (101)");
  }
  if (status < 100 || status > 599) {
    fail(ResponseFault::kStatusLine, "the service sent status " + std::to_string(status));
  }
}

void ResponseParser::choose_framing() {
  FramingLines lines;
  std::optional<std::string> length, coding;
  for (const auto& [name, value] : response_.headers) {
    if (same_name(name, "content-length")) {
      ++lines.lengths;
      length = value;
    } else if (same_name(name, "transfer-encoding")) {
      ++lines.codings;
      coding = value;
    } else if (same_name(name, "content-encoding")) {
      if (!value.empty() && !same_name(value, "identity")) lines.encoding = value;
    }
  }
  require_single_framing(lines);
  if (length) lines.length = parse_content_length(*length);
  lines.chunked = coding && same_name(*coding, "chunked");
  switch (body_framing(response_.status, response_.minor_version, lines, options_)) {
    case BodyFraming::kNone:
      state_ = State::kDone;
      break;
    case BodyFraming::kSized:
      if (*lines.length > options_.max_body) fail_too_large();
      left_ = *lines.length;
      state_ = left_ == 0 ? State::kDone : State::kSized;
      break;
    case BodyFraming::kChunked:
      state_ = State::kChunkSize;
      break;
    case BodyFraming::kToClose:
      state_ = State::kToClose;
      break;
  }
}

void ResponseParser::fail_too_large() const {
  fail(ResponseFault::kTooLarge, "the answer is over the limit of " +
                                     std::to_string(options_.max_body) +
                                     " bytes (`max_answer` of the provider)");
}

void ResponseParser::add_to_body(std::string_view bytes) {
  const size_t room = options_.max_body - response_.body.size();
  append(response_.body, bytes.substr(0, room));
  if (bytes.size() > room) fail_too_large();
}

bool ResponseParser::read_body_bytes(State next) {
  const std::string_view take =
      rest().substr(0, static_cast<size_t>(std::min<uint64_t>(left_, rest().size())));
  add_to_body(take);
  used_ += take.size();
  left_ -= take.size();
  if (left_ != 0) return false;
  state_ = next;
  return true;
}

bool ResponseParser::read_chunk_size() {
  const std::string_view text = rest();
  const size_t end = text.find_first_of(kCrLf);
  if (std::min(end, text.size()) > kMaxChunkLine) {
    fail(ResponseFault::kChunk,
         "the service sent a chunk size line over " + std::to_string(kMaxChunkLine) + " bytes");
  }
  if (end == std::string_view::npos) return false;
  const std::string_view line_end = text.substr(end, 2);
  if (!kCrLf.starts_with(line_end)) {
    fail(ResponseFault::kChunk, "the service sent a chunk size line that does not end with CRLF");
  }
  if (line_end.size() < 2) return false;
  read_chunk_line(text.substr(0, end));
  used_ += end + 2;
  return true;
}

namespace {

std::string_view skip_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

/// Takes a token or, where it may be one, a quoted string off the text; false if there is none.
bool take_word(std::string_view& text, bool may_be_quoted) {
  if (may_be_quoted && text.starts_with('"')) {
    for (size_t k = 1; k < text.size(); ++k) {
      if (!is_value_char(text[k])) return false;
      if (text[k] == '"') {
        text.remove_prefix(k + 1);
        return true;
      }
      if (text[k] == '\\' && (++k == text.size() || !is_value_char(text[k]))) return false;
    }
    return false;
  }
  size_t size = 0;
  while (size < text.size() && token_chars().contains(text[size])) ++size;
  text.remove_prefix(size);
  return size > 0;
}

/// *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 §7.1.1.
bool are_chunk_extensions(std::string_view text) {
  while (!text.empty()) {
    text = skip_blanks(text);
    if (!text.starts_with(';')) return false;
    text = skip_blanks(text.substr(1));
    if (!take_word(text, false)) return false;
    const std::string_view value = skip_blanks(text);
    if (!value.starts_with('=')) continue;
    text = skip_blanks(value.substr(1));
    if (!take_word(text, true)) return false;
  }
  return true;
}

}  // namespace

// 1*HEXDIG, then extensions, which are thrown away.
void ResponseParser::read_chunk_line(std::string_view line) {
  const CharSet& hex = char_set(CharClass::kHex);
  size_t digits = 0;
  uint64_t size = 0;
  for (; digits < line.size() && hex.contains(line[digits]); ++digits) {
    const char c = line[digits];
    size = 16 * size + static_cast<uint64_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    // The body read so far and this chunk: over the limit, long before the number overflows.
    if (size > options_.max_body - response_.body.size()) fail_too_large();
  }
  if (digits == 0 || !are_chunk_extensions(line.substr(digits))) {
    fail(ResponseFault::kChunk, "the service sent a chunk size line that is no hexadecimal number");
  }
  left_ = size;
  state_ = size == 0 ? State::kTrailers : State::kChunkData;
}

// Header lines up to an empty one (RFC 9112 §7.1.2), thrown away.
bool ResponseParser::read_trailers() {
  const std::string_view text = rest();
  if (text.starts_with(kCrLf)) {
    used_ += 2;
    state_ = State::kDone;
    return true;
  }
  const size_t end = text.find("\r\n\r\n");
  const size_t least =
      end == std::string_view::npos ? text.size() - std::min<size_t>(text.size(), 3) : end;
  if (least > options_.max_header) {
    fail(ResponseFault::kTrailer, "the service's trailers are longer than " +
                                      std::to_string(options_.max_header) + " bytes");
  }
  if (end == std::string_view::npos) return false;
  std::string_view lines = text.substr(0, end + 2);
  refuse_bare_line_ends(lines);
  while (!lines.empty()) (void)parse_field(take_line(lines));
  used_ += end + 4;
  state_ = State::kDone;
  return true;
}

bool ResponseParser::expect_crlf(State next) {
  const std::string_view got = rest().substr(0, 2);
  if (!kCrLf.starts_with(got)) {
    fail(ResponseFault::kChunk, "the service sent a chunk that does not end where its size says");
  }
  if (got.size() < 2) return false;
  used_ += 2;
  state_ = next;
  return true;
}

Response ResponseParser::finish(bool close_notify) {
  if (state_ == State::kToClose) {
    if (!close_notify) {
      fail(ResponseFault::kCloseDelimited,
           "the body ends with the connection, and no close_notify says that it is whole");
    }
    state_ = State::kDone;
  }
  if (state_ != State::kDone) {
    fail(ResponseFault::kIncomplete, "the service's answer is not whole");
  }
  return std::move(response_);
}

Response parse_response(ByteView bytes, const ResponseOptions& options, bool close_notify) {
  ResponseParser parser(options);
  parser.feed(bytes);
  return parser.finish(close_notify);
}

Bytes PartialAnswer::body() const {
  if (!read.body.empty()) return read.body;
  const std::string_view text = as_text(received);
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return {};
  return to_bytes(text.substr(end + 4));
}

std::string PartialAnswer::summary(size_t chars) const {
  const auto plain = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c != '\r') out.push_back(c == '\n' || c == '\t' ? ' ' : c);
    }
    return display(out);
  };
  if (received.empty()) return "nothing of an answer came";
  const std::string line = plain(std::string_view(status_line).substr(0, chars));
  const Bytes text = status_line.empty() ? received : body();
  const std::string start = plain(as_text(text).substr(0, chars));
  return (line.empty() ? "what came" : "`" + line + "`") +
         (start.empty() ? std::string(" without a body")
                        : (text.size() > chars ? ", beginning with: " : ": ") + start);
}

PartialAnswer read_partial(ByteView received, const ResponseOptions& options) {
  PartialAnswer out;
  out.received.assign(received.begin(), received.end());
  const std::string_view text = as_text(received);
  const size_t line = text.find(kCrLf);
  if (line != std::string_view::npos) out.status_line = text.substr(0, line);
  ResponseParser parser(options);
  try {
    parser.feed(received);
  } catch (const ResponseError&) {  // why it is no answer is told elsewhere
  }
  out.read = parser.so_far();
  return out;
}

}  // namespace flexroom::http
