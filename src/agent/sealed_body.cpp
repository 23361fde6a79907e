#include <algorithm>

#include "agent/sealed_reading.h"
#include "agent/wires.h"
#include "base/error.h"

// Framing and bodies of sealed answers (tls-in-mpc.md §5.6 phase 4, §5.7).

namespace flexroom::agent {
namespace {

using http::ResponseError;
using http::ResponseFault;

[[noreturn]] void fail(ResponseFault fault) {
  throw ResponseError(fault, "the answer is not framed as it must be");
}

/// The chunk size of a line with its CRLF: 1 to 5 hex digits.
size_t chunk_size(const std::string& line) {
  const std::string digits = line.substr(0, line.size() - 2);
  const http::CharSet& hex = http::char_set(http::CharClass::kHex);
  if (digits.empty() || digits.size() > 5 ||
      !std::all_of(digits.begin(), digits.end(), [&](char c) { return hex.contains(c); })) {
    fail(ResponseFault::kChunk);
  }
  return std::stoul(digits, nullptr, 16);
}

}  // namespace

// Bytes that are opened only if all of them are of the circuit's class.
Bytes SealedReading::open_gated(std::string_view circuit, std::span<const RecordByte> bytes) {
  SealedCircuits::Prepared* const gate = answer_.circuits.find(circuit);
  if (gate == nullptr) throw SealedFault("too long");  // more chunks than the plan has room for
  const boolean::Outputs outputs = answer_.run_on_text(*gate, bytes, '0');
  ++answer_.leak.class_bits;
  if (outputs.opened[gate->program->output_group("ok")].front() == 0) return {};
  answer_.leak.gated_bytes += bytes.size();
  Bytes out = bytes_of_bits(outputs.opened[gate->program->output_group("bytes")]);
  out.resize(bytes.size());
  return out;
}

uint64_t SealedReading::content_length(const http::HeaderLine& line) {
  const http::Span digits = http::value_of(line, *header_);
  if (digits.size() < 1 || digits.size() > SealedCircuits::kLengthDigits) {
    fail(ResponseFault::kFraming);
  }
  const Bytes opened = open_gated(SealedCircuits::kDigits, header_->at(digits));
  if (opened.empty() || (opened.size() > 1 && opened.front() == '0')) {
    fail(ResponseFault::kFraming);
  }
  return std::stoull(to_text(opened));
}

// Which lines matter is known by zero tests; values are tested, but for the digits of a length.
http::FramingLines SealedReading::framing_lines(const http::HeaderLines& header) {
  const auto lengths = http::lines_named(header, "content-length", *header_);
  const auto codings = http::lines_named(header, "transfer-encoding", *header_);
  http::FramingLines lines;
  lines.lengths = lengths.size();
  lines.codings = codings.size();
  if (!http::lines_named(header, "content-encoding", *header_).empty()) lines.encoding = "";
  http::require_single_framing(lines);
  if (!lengths.empty()) lines.length = content_length(*lengths.front());
  if (!codings.empty()) {
    lines.chunked =
        http::is_word(http::value_of(*codings.front(), *header_), "chunked", *header_, true);
  }
  return lines;
}

// The whole body or none of it (§5.6, phase 4).
std::vector<RecordByte> SealedReading::read_body(const http::HeaderLines& header,
                                                 http::NoType none) {
  const http::FramingLines lines = framing_lines(header);
  http::require_content_type(header, plan_.content_type, *header_, none);
  if (!plan_.keep_alive) records_.look_at(SealedRecords::kAll);
  switch (http::body_framing(status_, 1, lines, {})) {
    case http::BodyFraming::kNone:
      return sized_body(header.size, 0);
    case http::BodyFraming::kSized:
      return sized_body(header.size, *lines.length);
    default:
      return chunked_body(header.size);
  }
}

// §4.9(1). What is wrong here ends the connection; the answer stands as it would without one.
bool SealedReading::leaves_connection(const http::HeaderLines& header) {
  try {
    http::ask_names(header,
                    {"connection", "content-length", "transfer-encoding", "content-encoding"},
                    *header_);
    return says_keep_alive(header) && (plan_.reads_body() || ends_where_its_framing_says(header)) &&
           records_.at_rest();
  } catch (const SealedFault&) {
  } catch (const http::OutlineError&) {
  } catch (const ResponseError&) {
  }
  return false;
}

// Of a status alone, whose header is read for this.
bool SealedReading::leaves_connection() {
  try {
    return leaves_connection(read_header(Waiting::kConnection));
  } catch (const SealedFault&) {
  } catch (const http::OutlineError&) {
  } catch (const ResponseError&) {
  }
  return false;
}

bool SealedReading::says_keep_alive(const http::HeaderLines& header) {
  const auto lines = http::lines_named(header, "connection", *header_);
  if (lines.empty()) return true;
  return lines.size() == 1 &&
         http::is_word(http::value_of(*lines.front(), *header_), "keep-alive", *header_, true);
}

// Of an answer whose body is not read: its bytes are verified and counted, not decrypted.
bool SealedReading::ends_where_its_framing_says(const http::HeaderLines& header) {
  const http::FramingLines lines = framing_lines(header);
  uint64_t size = 0;
  switch (http::body_framing(status_, 1, lines, {})) {
    case http::BodyFraming::kNone:
      break;
    case http::BodyFraming::kSized:
      size = *lines.length;
      break;
    default:
      return false;  // where the chunks end is known by reading them
  }
  if (size > plan_.record_bytes) return false;
  records_.look_at(header.size + size, Waiting::kConnection);
  records_.look_at_arrived(SealedRecords::kAll);
  return records_.stream().size() == header.size + size;
}

std::vector<RecordByte> SealedReading::sized_body(size_t begin, uint64_t size) {
  const std::vector<RecordByte>& stream = records_.stream();
  if (size > plan_.body_max) throw SealedFault("too long");
  if (plan_.keep_alive) {
    records_.look_at(begin + size);
    records_.look_at_arrived(SealedRecords::kAll);
  }
  if (stream.size() - begin < size) fail(ResponseFault::kIncomplete);
  if (stream.size() - begin > size) fail(ResponseFault::kTrailingBytes);
  const std::vector<RecordByte> body(stream.begin() + static_cast<ptrdiff_t>(begin), stream.end());
  answer_.decrypt(body, SealedCircuits::kBodyBlocks);
  return body;
}

std::vector<RecordByte> SealedReading::chunked_body(size_t begin) {
  const std::vector<RecordByte>& stream = records_.stream();
  constexpr size_t kFrame = 9;  // a size line of 7 bytes, CRLF behind the chunk
  const size_t most = plan_.body_max + kFrame * (plan_.max_chunks + 1);
  // From here on bytes behind the header are asked about too.
  const auto arrive = [&](size_t end) {
    if (plan_.keep_alive) {
      records_.look_at(end);
      records_.look_at_arrived(SealedRecords::kAll);
    }
    if (stream.size() - begin > most) throw SealedFault("too long");
    answer_.decrypt(std::span(stream).subspan(begin), SealedCircuits::kBodyBlocks);
    header_->extend(stream);
  };
  arrive(begin);
  std::vector<RecordByte> body;
  size_t at = begin, chunks = 0;
  while (true) {
    const size_t size = chunk_size(read_size_line(at, arrive));
    if (size == 0) break;
    if (++chunks > plan_.max_chunks || size > plan_.body_max - body.size()) {
      throw SealedFault("too long");
    }
    if (stream.size() < at + size + 2) arrive(at + size + 2);
    if (stream.size() - at < size) fail(ResponseFault::kIncomplete);
    const auto first = stream.begin() + static_cast<ptrdiff_t>(at);
    body.insert(body.end(), first, first + static_cast<ptrdiff_t>(size));
    at += size;
    require_line_end(at);  // before the next size line is opened
    at += 2;
  }
  if (stream.size() < at + 2) arrive(at + 2);
  require_line_end(at);  // a trailer is refused
  if (at + 2 != stream.size()) fail(ResponseFault::kTrailingBytes);
  return body;
}

// Three bytes, then two or one, until CRLF: no byte behind the line is ever opened.
std::string SealedReading::read_size_line(size_t& at, const Arrive& arrive) {
  constexpr size_t kLongest = 7;
  const std::vector<RecordByte>& stream = records_.stream();
  std::string line;
  while (!line.ends_with("\r\n")) {
    const size_t more = line.empty() ? 3 : line.ends_with('\r') ? 1 : 2;
    if (line.size() + more > kLongest) fail(ResponseFault::kChunk);
    if (stream.size() < at + more) arrive(at + more);
    if (stream.size() - at < more) fail(ResponseFault::kIncomplete);
    const Bytes bytes = open_gated(SealedCircuits::kSizeLine, std::span(stream).subspan(at, more));
    if (bytes.empty()) fail(ResponseFault::kChunk);
    line += to_text(bytes);
    at += more;
  }
  return line;
}

void SealedReading::require_line_end(size_t at) {
  if (records_.stream().size() - at < 2) fail(ResponseFault::kIncomplete);
  if (!header_->equal({at, at + 2}, "\r\n", false)) fail(ResponseFault::kChunk);
}

// --- outline of the body ---

// The marks, then which byte each of them is: structure alone.
http::Marks SealedReading::open_body_marks(SealedCircuits::Prepared& circuit,
                                           const boolean::Outputs& outputs) {
  const prep::AuthBits& kept = outputs.kept[circuit.program->output_group("marks")];
  FLEXROOM_ASSERT(kept.size() == plan_.body_max);
  const std::vector<uint8_t> marked =
      answer_.open(kept.slice(0, body_->size()), "sealed/open body marks");
  std::vector<size_t> places;
  for (size_t k = 0; k < marked.size(); ++k) {
    if (marked[k] != 0) places.push_back(k);
  }
  answer_.leak.marks += places.size();
  http::Marks marks;
  const std::string bytes = body_->open_marks(places);
  for (size_t k = 0; k < places.size(); ++k) marks.push_back({places[k], bytes[k]});
  return marks;
}

void SealedReading::outline_body(std::vector<RecordByte> body) {
  if (plan_.body_kind() == SealedBodyKind::kText) {
    body_.emplace(answer_, std::move(body));
    answer_.leak.body_bytes = body_->size();
    return;
  }
  if (body.empty()) throw http::OutlineError(http::OutlineFault::kNotWellFormed);
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::kBody);
  boolean::Outputs outputs = answer_.run_on_text(circuit, body, '\0');
  body_.emplace(answer_, std::move(body));
  answer_.leak.body_bytes = body_->size();
  const http::Marks marks = open_body_marks(circuit, outputs);
  if (plan_.body_kind() == SealedBodyKind::kXml) {
    xml_ = http::read_xml_outline(body_->size(), marks);
    return;
  }
  prep::AuthBits& escapes = outputs.kept[circuit.program->output_group("escapes")];
  FLEXROOM_ASSERT(escapes.size() == plan_.body_max);  // bit k is that of byte k
  body_->set_escapes(std::move(escapes));
  json_ = http::read_json_outline(body_->size(), marks);
}

// Of another status: which listed code, or `other`, also where a whole body is malformed, too long
// or of another type (§5.6). A body that is cut or does not verify says nothing of the codes:
// `other` would then be the choice of whoever cut it (§4.5(2), §5.8).
std::string SealedReading::read_code() {
  const std::string other = "other";
  http::Span span;
  try {
    const http::HeaderLines header = read_header();
    outline_body(read_body(header, http::NoType::kTaken));
    const auto* json = std::get_if<SealedJson>(&plan_.codes->at);
    span = json != nullptr ? select_in_body(*json)
                           : select_in_body(std::get<SealedXml>(plan_.codes->at));
    std::vector<http::AnswerBytes::Question> questions;
    for (const std::string& code : plan_.codes->one_of) {
      if (code.size() == span.size()) questions.push_back({span, code});
    }
    body_->ask_together(questions);
    for (const auto& [place, code, any_case] : questions) {
      if (body_->equal(place, code, any_case)) return std::string(code);
    }
  } catch (const SealedFault& fault) {
    if (fault.outcome() == SealedFault::Outcome::kUnknown) throw;
  } catch (const http::OutlineError&) {
  } catch (const http::ResponseError& error) {
    if (error.fault() == ResponseFault::kIncomplete) throw;
  }
  return other;
}

}  // namespace flexroom::agent
