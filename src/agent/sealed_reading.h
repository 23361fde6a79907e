#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "agent/sealed_bytes.h"
#include "agent/sealed_records.h"
#include "http/response.h"

namespace flexroom::agent {

/// The failure of an answer of which nothing came.
inline constexpr std::string_view kNoAnswer = "there is no answer";
/// That of one whose header or body is cut.
inline constexpr std::string_view kCutAnswer = "incomplete";

/// Reads one frozen sealed answer by its plan, phase after phase of tls-in-mpc.md §5.6: status,
/// header, names, framing, body, classes, declared openings. A member sends shares of a phase only
/// when it has passed the one before.
///
/// Guarantee  nothing is kept or opened unless every item, assert and class held; what is shown is
///            in `leak`
/// Errors     none of the answer: they end in the reply by name. What members do throws
class SealedReading {
 public:
  SealedReading(SealedAnswer& answer, SealedRecords& records)
      : answer_(answer), records_(records), plan_(answer.plan) {}

  SealedReply read();

 private:
  /// A value of an item, or nothing where the old version stays.
  struct Place {
    std::vector<RecordByte> bytes;
    std::vector<RecordByte> blanks;  // of a pattern: tested and dropped
  };

  void read_by_plan(SealedReply& reply);
  int read_status();
  std::string read_code();
  /// `last_window`: how long is waited for a header that did not come at once.
  http::HeaderLines read_header(Waiting last_window = Waiting::kRest);
  std::optional<http::HeaderMarks> open_header_marks(size_t window);
  std::vector<RecordByte> read_body(const http::HeaderLines& header,
                                    http::NoType none = http::NoType::kRefused);
  http::FramingLines framing_lines(const http::HeaderLines& header);
  uint64_t content_length(const http::HeaderLine& line);
  bool leaves_connection();
  bool leaves_connection(const http::HeaderLines& header);
  bool says_keep_alive(const http::HeaderLines& header);
  bool ends_where_its_framing_says(const http::HeaderLines& header);
  std::vector<RecordByte> sized_body(size_t begin, uint64_t size);
  std::vector<RecordByte> chunked_body(size_t begin);
  /// Waits for the bytes up to that one of the stream, where any may come, and decrypts them.
  using Arrive = std::function<void(size_t end)>;
  std::string read_size_line(size_t& at, const Arrive& arrive);
  void require_line_end(size_t at);
  Bytes open_gated(std::string_view circuit, std::span<const RecordByte> bytes);

  void outline_body(std::vector<RecordByte> body);
  http::Marks open_body_marks(SealedCircuits::Prepared& circuit, const boolean::Outputs& outputs);
  http::Span select_in_body(const SealedPlace& at);
  /// Where the value of a place is that is no pattern; nothing where the old version stays.
  std::optional<http::Span> select_span(const SealedItem& item, const http::HeaderLines& header);

  std::optional<Place> select(const SealedItem& item, const http::HeaderLines& header,
                              size_t index);
  SealedBytes& bytes_of(const SealedItem& item);
  void require_equal(const SealedItem& item, http::Span span, size_t index);
  void require_absent(const SealedItem& item, const http::HeaderLines& header, size_t index);
  static void require_searchable(http::Span text);
  bool stands_in(size_t index, const std::vector<RecordByte>& text);
  /// `filler`: what the circuit is filled up with; `none`: the fault where nothing is found.
  std::vector<RecordByte> search(size_t index, const std::vector<RecordByte>& text, char filler,
                                 http::OutlineFault none);
  std::vector<RecordByte> search_behind(const SealedItem& item, size_t index);
  static Place drop_blanks(const std::vector<RecordByte>& run, const std::vector<size_t>& blanks);
  void require_classes(const std::vector<std::optional<Place>>& places);
  void finish(SealedReply& reply, const std::vector<std::optional<Place>>& places);
  void open_values(SealedReply& reply, const std::vector<std::optional<Place>>& places,
                   std::optional<PartyId> to);

  SealedAnswer& answer_;
  SealedRecords& records_;
  const SealedPlan& plan_;
  int status_ = 0;
  std::optional<SealedBytes> header_, body_;  // header_: of the whole stream, as far as it is read
  std::optional<http::JsonNode> json_;
  std::optional<http::XmlOutline> xml_;
};

}  // namespace flexroom::agent
