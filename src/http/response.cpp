#include "http/response.h"

#include <algorithm>

#include "http/text.h"

namespace flexroom::http {
namespace {

constexpr std::string_view kCrLf = "\r\n";
constexpr size_t kMaxChunkDigits = 5;

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
    case State::kLastCrLf:
      return expect_crlf(State::kDone);
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
  const std::string_view text = as_text(pending_);
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
  parse_header(text.substr(0, end + 2));
  used_ = end + 4;
  choose_framing();
  return true;
}

void ResponseParser::parse_header(std::string_view head) {
  for (size_t i = 0; i < head.size(); ++i) {
    const bool cr = head[i] == '\r';
    if ((cr && (i + 1 == head.size() || head[i + 1] != '\n')) ||
        (head[i] == '\n' && (i == 0 || head[i - 1] != '\r'))) {
      fail(ResponseFault::kHeader, "the service sent a bare CR or LF in its header");
    }
  }
  bool first = true;
  while (!head.empty()) {
    const size_t end = head.find(kCrLf);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + kCrLf.size());
    if (first) {
      parse_status_line(line);
    } else {
      parse_header_line(line);
    }
    first = false;
  }
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
  if (response_.status / 100 == 1) {
    fail(ResponseFault::kInterim, "the service sent an interim (1xx) response");
  }
  if (response_.status < 200 || response_.status > 599) {
    fail(ResponseFault::kStatusLine, "the service sent status " + std::to_string(response_.status));
  }
}

void ResponseParser::parse_header_line(std::string_view line) {
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
  response_.headers.emplace_back(name, value);
}

void ResponseParser::choose_framing() {
  std::optional<std::string> length, coding;
  for (const auto& [name, value] : response_.headers) {
    auto* const slot = same_name(name, "content-length")      ? &length
                       : same_name(name, "transfer-encoding") ? &coding
                                                              : nullptr;
    if (slot != nullptr && slot->has_value()) {
      fail(ResponseFault::kDuplicateFraming, "the service sent " + to_lower(name) + " twice");
    }
    if (slot != nullptr) *slot = value;
    if (same_name(name, "content-encoding")) {
      fail(ResponseFault::kContentEncoding, "the service compressed its answer (Content-Encoding)");
    }
    if (same_name(name, "trailer")) {
      fail(ResponseFault::kTrailer, "the service announced trailers");
    }
  }
  if (length && coding) {
    fail(ResponseFault::kFraming, "the service sent Content-Length and Transfer-Encoding");
  }
  if (coding && (!same_name(*coding, "chunked") || response_.minor_version == 0)) {
    fail(ResponseFault::kFraming, "the service sent a transfer coding other than chunked");
  }
  const uint64_t size = length ? parse_content_length(*length) : 0;
  // RFC 9112 §6.3: these have no body whatever the header says.
  if (options_.head || response_.status == 304) {
    state_ = State::kDone;
  } else if (response_.status == 204 || response_.status == 205) {
    if (coding || size != 0) {
      fail(ResponseFault::kFraming, "the service sent a body with a status that has none");
    }
    state_ = State::kDone;
  } else if (coding) {
    state_ = State::kChunkSize;
  } else if (length) {
    if (size > options_.max_body) {
      fail(ResponseFault::kTooLarge, "the service's body has " + *length + " bytes, at most " +
                                         std::to_string(options_.max_body));
    }
    left_ = size;
    state_ = size == 0 ? State::kDone : State::kSized;
  } else if (options_.no_secret) {
    state_ = State::kToClose;
  } else {
    fail(ResponseFault::kCloseDelimited,
         "the service sent neither Content-Length nor Transfer-Encoding");
  }
}

void ResponseParser::add_to_body(std::string_view bytes) {
  if (bytes.size() > options_.max_body - response_.body.size()) {
    fail(ResponseFault::kTooLarge,
         "the service's body is longer than " + std::to_string(options_.max_body) + " bytes");
  }
  append(response_.body, bytes);
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
  size_t digits = 0;
  uint64_t size = 0;
  while (digits < text.size() && digits < kMaxChunkDigits &&
         char_set(CharClass::kHex).contains(text[digits])) {
    const char c = text[digits++];
    size = 16 * size + static_cast<uint64_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  const std::string_view end = text.substr(digits);
  if (end.empty() && digits < kMaxChunkDigits) return false;
  if (digits == 0 || !kCrLf.starts_with(end.substr(0, 2))) {
    fail(ResponseFault::kChunk, "the service sent a chunk size line other than 1-5 hex digits");
  }
  if (end.size() < 2) return false;
  used_ += digits + 2;
  left_ = size;
  state_ = size == 0 ? State::kLastCrLf : State::kChunkData;
  return true;
}

bool ResponseParser::expect_crlf(State next) {
  const std::string_view got = rest().substr(0, 2);
  if (!kCrLf.starts_with(got)) {
    if (next == State::kDone) fail(ResponseFault::kTrailer, "the service sent trailers");
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

}  // namespace flexroom::http
