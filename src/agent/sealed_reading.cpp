#include "agent/sealed_reading.h"

#include <algorithm>

#include "agent/wires.h"
#include "base/error.h"
#include "base/secret.h"
#include "prep/open.h"

namespace flexroom::agent {
namespace {

/// The marks that a circuit kept under a name: a bit for each of the last bytes of its text.
class KeptMarks {
 public:
  KeptMarks(const SealedCircuits::Prepared& circuit, const boolean::Outputs& outputs,
            std::string_view name)
      : bits_(outputs.kept[circuit.program->output_group(name)]),
        first_(circuit.program->inputs[circuit.program->input_group("text")].size / 8 -
               bits_.size()) {}

  /// Opens those of bytes 0 .. size - 1; what stands before the first mark cannot be marked.
  std::vector<bool> open(const SealedAnswer& answer, size_t size, std::string_view label) const {
    std::vector<bool> out(size);
    if (size <= first_) return out;
    const std::vector<uint8_t> opened = answer.open(bits_.slice(0, size - first_), label);
    for (size_t k = 0; k < opened.size(); ++k) out[first_ + k] = opened[k] != 0;
    return out;
  }
  bool open_at(const SealedAnswer& answer, size_t at, std::string_view label) const {
    if (at < first_) return false;
    return answer.open(bits_.slice(at - first_, 1), label).front() != 0;
  }

 private:
  const prep::AuthBits& bits_;
  size_t first_;
};

size_t count(const std::vector<bool>& marks) {
  return static_cast<size_t>(std::count(marks.begin(), marks.end(), true));
}

[[noreturn]] void no_answer(const std::string& why) {
  throw SealedFault(why, SealedFault::Outcome::kUnknown);
}

}  // namespace

SealedReply SealedReading::read() {
  SealedReply reply;
  reply.values.resize(plan_.items.size());
  const auto fail = [&](std::string_view name) { reply.failure = std::string(name); };
  try {
    read_by_plan(reply);
  } catch (const SealedFault& fault) {
    fail(fault.what());
    reply.unknown = fault.outcome() == SealedFault::Outcome::kUnknown;
  } catch (const http::OutlineError& error) {
    reply.none = error.fault() == http::OutlineFault::kNoItem;
    if (!reply.none) fail(http::to_string(error.fault()));
  } catch (const http::ResponseError& error) {
    reply.unknown = error.fault() == http::ResponseFault::kIncomplete;
    fail(reply.unknown ? kCutAnswer : http::to_string(error.fault()));
  }
  reply.leak = answer_.leak;
  return reply;
}

void SealedReading::read_by_plan(SealedReply& reply) {
  reply.status = status_ = read_status();
  const bool expected =
      std::find(plan_.statuses.begin(), plan_.statuses.end(), status_) != plan_.statuses.end();
  if (!expected) {
    if (plan_.codes && status_ != 429 && status_ < 500) reply.code = read_code();
    return;
  }
  if (plan_.items.empty()) {
    // The answer is its status: the rest of it can cost the connection alone.
    reply.goes_on = plan_.keep_alive && leaves_connection();
    return;
  }
  const http::HeaderLines header = read_header();
  if (plan_.reads_body()) outline_body(read_body(header));
  std::vector<std::optional<Place>> places;
  for (size_t k = 0; k < plan_.items.size(); ++k) {
    places.push_back(select(plan_.items[k], header, k));
  }
  require_classes(places);
  finish(reply, places);
  // Last: neither what it waits for nor the tests it takes are at the cost of the answer.
  reply.goes_on = plan_.keep_alive && leaves_connection(header);
}

// Phase 1: the digits are gated with the form of the line and the type of the record.
int SealedReading::read_status() {
  constexpr size_t kStart = 13;
  records_.look_at(kStart);
  const std::vector<RecordByte>& stream = records_.stream();
  if (stream.size() < kStart) no_answer(std::string(kNoAnswer));
  const std::vector<RecordByte> type = {records_.first_type()};
  const prep::AuthBits text = answer_.text.bits(std::span(stream).first(kStart));
  const prep::AuthBits type_bits = answer_.text.bits(type);
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::kStatus);
  SealedCircuits::Inputs inputs;
  inputs.dyn = {{"text", &text}, {"type", &type_bits}};
  const boolean::Outputs outputs = answer_.run(circuit, inputs);
  if (outputs.opened[circuit.program->output_group("ok")].front() == 0) no_answer("no HTTP/1.1");
  const std::vector<uint8_t>& digits = outputs.opened[circuit.program->output_group("digits")];
  int status = 0;
  for (size_t k = 0; k < 3; ++k) {
    int digit = 0;
    for (size_t b = 0; b < 4; ++b) digit |= int{digits[4 * k + b]} << b;
    status = 10 * status + digit;
  }
  if (status < 100 || status > 599) no_answer("no HTTP/1.1");
  if (status < 200) no_answer("interim response");
  // An idle service sends it unasked, and the courier may keep it back until A3.
  if (status == 408) no_answer("408 is no answer to a request");
  return status;
}

// Phase 2. Of a plan that keeps the connection the window is what has arrived; if the header does
// not end in it, what has arrived then goes through an outline of its own (§4.11): the last one
// that is prepared, so that all is waited for that would be on a connection without another
// request.
http::HeaderLines SealedReading::read_header(Waiting last_window) {
  std::optional<http::HeaderMarks> marks;
  for (size_t window = 1; !marks; ++window) {
    if (plan_.keep_alive) records_.look_at_arrived(plan_.header_max);
    if (!plan_.keep_alive) records_.look_at(plan_.header_max);
    const size_t size = std::min(plan_.header_max, records_.stream().size());
    marks = open_header_marks(size);
    if (marks) break;
    if (size == plan_.header_max) throw http::OutlineError(http::OutlineFault::kHeaderTooLong);
    if (window == header_windows(plan_)) no_answer(std::string(kCutAnswer));
    records_.look_at(size + 1, last_window, plan_.header_max);
    if (records_.stream().size() == size) no_answer(std::string(kCutAnswer));
  }
  const http::HeaderLines header = http::read_header_outline(*marks);
  std::vector<std::string> names;
  if (plan_.prepares_body()) {
    names = {"content-length", "transfer-encoding", "content-encoding", "content-type"};
  }
  for (const SealedItem& item : plan_.items) {
    if (std::holds_alternative<SealedCookie>(item.at)) names.emplace_back("set-cookie");
    if (const auto* line = std::get_if<SealedHeader>(&item.at)) names.push_back(line->name);
  }
  http::ask_names(header, names, *header_);  // all names in one test
  return header;
}

// `bad` is opened at the last byte that arrived, the end only if it is 0, marks only before the
// end; nothing where the header does not end in the window.
std::optional<http::HeaderMarks> SealedReading::open_header_marks(size_t window) {
  const auto bytes = std::span(records_.stream()).first(window);
  answer_.decrypt(bytes, SealedCircuits::kHeaderBlocks);
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::kHeader);
  const boolean::Outputs outputs = answer_.run_on_text(circuit, bytes, '\0');
  http::HeaderMarks marks;
  marks.bad =
      KeptMarks(circuit, outputs, "bad").open_at(answer_, window - 1, "sealed/open header fault");
  if (marks.bad) throw http::OutlineError(http::OutlineFault::kBadHeader);
  marks.ends = KeptMarks(circuit, outputs, "ends").open(answer_, window, "sealed/open header end");
  const auto end = std::find(marks.ends.begin(), marks.ends.end(), true);
  if (end == marks.ends.end()) return std::nullopt;
  const auto size = static_cast<size_t>(end - marks.ends.begin()) + 1;
  const auto open = [&](std::string_view name) {
    std::vector<bool> out =
        KeptMarks(circuit, outputs, name).open(answer_, size, "sealed/open header marks");
    answer_.leak.marks += count(out);
    out.resize(window);
    return out;
  };
  marks.line_ends = open("line_ends");
  marks.colons = open("colons");
  marks.details = open("details");
  answer_.leak.header_bytes = size;
  header_.emplace(answer_, std::vector<RecordByte>(bytes.begin(), bytes.end()));
  return marks;
}

// --- selection ---

http::Span SealedReading::select_in_body(const SealedPlace& at) {
  if (const auto* json = std::get_if<SealedJson>(&at)) {
    return json->number ? http::select_json_number(*json_, json->path, *body_)
                        : http::select_json_string(*json_, json->path, *body_);
  }
  return http::select_xml(*xml_, std::get<SealedXml>(at).path, *body_);
}

std::optional<http::Span> SealedReading::select_span(const SealedItem& item,
                                                     const http::HeaderLines& header) {
  if (const auto* cookie = std::get_if<SealedCookie>(&item.at)) {
    const auto found = http::select_cookie(header, cookie->query, *header_);
    if (const auto* span = std::get_if<http::Span>(&found)) return *span;
    if (std::get<http::NoCookie>(found) == http::NoCookie::kDeleted) throw SealedFault("deleted");
    if (!cookie->missing_same) throw http::OutlineError(http::OutlineFault::kNotFound);
    return std::nullopt;
  }
  if (const auto* line = std::get_if<SealedHeader>(&item.at)) {
    return http::select_header(header, line->name, line->before, line->after, *header_);
  }
  return select_in_body(item.at);
}

std::optional<SealedReading::Place> SealedReading::select(const SealedItem& item,
                                                          const http::HeaderLines& header,
                                                          size_t index) {
  if (item.fate == SealedItem::Fate::kAbsent) {
    require_absent(item, header, index);
    return Place();
  }
  if (item.fate == SealedItem::Fate::kTest && item.equals.empty()) {
    // An element that has to be there: of an `item` of which nothing is taken.
    (void)http::select_json(*json_, std::get<SealedJson>(item.at).path, *body_);
    return Place();
  }
  Place place;
  if (const auto* pattern = std::get_if<SealedPattern>(&item.at)) {
    const std::vector<RecordByte> run =
        search(index, body_->at({0, body_->size()}), '\0', http::OutlineFault::kNotFound);
    place = drop_blanks(run, pattern->blanks);
  } else if (item.behind) {
    place.bytes = search_behind(item, index);
  } else {
    const std::optional<http::Span> span = select_span(item, header);
    if (!span) return std::nullopt;
    if (item.fate == SealedItem::Fate::kTest) {
      require_equal(item, *span, index);
      return Place{bytes_of(item).at(*span), {}};
    }
    place.bytes = bytes_of(item).at(*span);
  }
  if (place.bytes.size() > item.max_bytes) throw SealedFault("too long");
  if (place.bytes.size() < item.min_bytes) throw SealedFault("too short");
  return place;
}

SealedBytes& SealedReading::bytes_of(const SealedItem& item) {
  const bool in_header = std::holds_alternative<SealedCookie>(item.at) ||
                         std::holds_alternative<SealedHeader>(item.at);
  return in_header ? *header_ : *body_;
}

void SealedReading::require_equal(const SealedItem& item, http::Span span, size_t index) {
  if (span.size() != item.equals.size() || !bytes_of(item).equal(span, item.equals, false)) {
    throw SealedFault("assert " + std::to_string(index + 1));
  }
}

// `absent`: no such place, or the literal stands nowhere in it. What is there but cannot be read is
// a failure of its own.
void SealedReading::require_absent(const SealedItem& item, const http::HeaderLines& header,
                                   size_t index) {
  const auto there = [&] {
    if (std::holds_alternative<SealedPattern>(item.at)) {
      return stands_in(index, body_->at({0, body_->size()}));
    }
    if (const auto* json = std::get_if<SealedJson>(&item.at); json != nullptr && !item.behind) {
      (void)http::select_json(*json_, json->path, *body_);  // of whatever type
      return true;
    }
    if (const auto* line = std::get_if<SealedHeader>(&item.at)) {
      return http::has_header(header, line->name, line->before, line->after, *header_);
    }
    const http::Span span = select_span(item, header).value();
    if (!item.behind) return true;
    require_searchable(span);
    return stands_in(index, body_->at(span));
  };
  try {
    if (!there()) return;
  } catch (const http::OutlineError& error) {
    if (error.fault() != http::OutlineFault::kNotFound) throw;
    return;
  }
  throw SealedFault("assert " + std::to_string(index + 1));
}

void SealedReading::require_searchable(http::Span text) {
  if (text.size() > SealedPlan::kCodeCapacity - 1) throw SealedFault("too long");
}

// One bit, and nothing of where.
bool SealedReading::stands_in(size_t index, const std::vector<RecordByte>& text) {
  if (text.empty()) return false;
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::search_name(index));
  const boolean::Outputs outputs = answer_.run_on_text(circuit, text, '\0');
  ++answer_.leak.class_bits;
  const prep::AuthBits& seen = outputs.kept[circuit.program->output_group("seen")];
  return answer_.open(seen, "sealed/open seen").front() != 0;
}

// Of a JSON string what it is decoded to counts: the circuit follows its characters (§5.5). What is
// not found in one with an escape may hang on it.
std::vector<RecordByte> SealedReading::search_behind(const SealedItem& item, size_t index) {
  const auto* const json = std::get_if<SealedJson>(&item.at);
  const http::Span text = json != nullptr ? http::select_json_text(*json_, json->path, *body_)
                                          : select_in_body(item.at);
  if (text.size() == 0) throw http::OutlineError(http::OutlineFault::kNotFound);
  require_searchable(text);
  // With the byte behind it: a run at the end of the text ends there.
  const std::vector<RecordByte> bytes = body_->at({text.begin, text.end + 1});
  if (json == nullptr) return search(index, bytes, '\0', http::OutlineFault::kNotFound);
  return search(index, bytes, SealedCircuits::kBehindJson,
                body_->have_escape({text}) ? http::OutlineFault::kEscapedText
                                           : http::OutlineFault::kNotFound);
}

// Whether there is one run is opened before where it is.
std::vector<RecordByte> SealedReading::search(size_t index, const std::vector<RecordByte>& text,
                                              char filler, http::OutlineFault none) {
  if (text.empty()) throw http::OutlineError(none);
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::search_name(index));
  const boolean::Outputs outputs = answer_.run_on_text(circuit, text, filler);
  ++answer_.leak.class_bits;
  const prep::AuthBits& found = outputs.kept[circuit.program->output_group("found")];
  if (answer_.open(found, "sealed/open found").front() == 0) {
    throw http::OutlineError(none);
  }
  const std::vector<bool> run =
      KeptMarks(circuit, outputs, "run").open(answer_, text.size(), "sealed/open run");
  answer_.leak.marks += count(run);
  std::vector<RecordByte> out;
  for (size_t k = 0; k < run.size(); ++k) {
    if (run[k]) out.push_back(text[k]);
  }
  return out;
}

// The blanks of a run stand at places that the plan says, as far as the run goes: the class bit
// tests that they do. A run that ends with one has none between digits.
SealedReading::Place SealedReading::drop_blanks(const std::vector<RecordByte>& run,
                                                const std::vector<size_t>& blanks) {
  if (!run.empty() && std::binary_search(blanks.begin(), blanks.end(), run.size() - 1)) {
    throw http::OutlineError(http::OutlineFault::kOutsideClass);
  }
  Place out;
  for (size_t k = 0; k < run.size(); ++k) {
    const bool dropped = std::binary_search(blanks.begin(), blanks.end(), k);
    (dropped ? out.blanks : out.bytes).push_back(run[k]);
  }
  return out;
}

// Phase 5: one bit for all values together; unused capacity is filled with bytes of its class.
void SealedReading::require_classes(const std::vector<std::optional<Place>>& places) {
  const std::vector<http::CharSet> sets = class_sets(plan_);
  if (sets.empty()) return;
  prep::AuthBits text(answer_.party.id(), answer_.party.num_parties(), 0);
  size_t at = 0;  // in `sets`
  for (size_t k = 0; k < plan_.items.size(); ++k) {
    if (!has_class_check(plan_.items[k])) continue;
    const size_t size = places[k] ? places[k]->bytes.size() : 0;
    if (size != 0) text.append(answer_.text.bits(places[k]->bytes));
    Bytes filler;
    for (size_t t = size; t < plan_.items[k].max_bytes; ++t) {
      uint8_t c = 0;
      while (!sets[at + t].contains(c)) ++c;
      filler.push_back(c);
    }
    append_public(text, filler, answer_.delta);
    const auto* const pattern = std::get_if<SealedPattern>(&plan_.items[k].at);
    const size_t blanks = pattern != nullptr ? pattern->blanks.size() : 0;
    const size_t there = places[k] ? places[k]->blanks.size() : 0;
    if (there != 0) text.append(answer_.text.bits(places[k]->blanks));
    append_public(text, Bytes(blanks - there, ' '), answer_.delta);
    at += plan_.items[k].max_bytes + blanks;
  }
  SealedCircuits::Prepared& circuit = answer_.prepared(SealedCircuits::kClasses);
  SealedCircuits::Inputs inputs;
  inputs.dyn = {{"text", &text}};
  const boolean::Outputs outputs = answer_.run(circuit, inputs);
  ++answer_.leak.class_bits;
  if (outputs.opened[circuit.program->output_group("ok")].front() == 0) {
    throw http::OutlineError(http::OutlineFault::kOutsideClass);
  }
}

// Phase 6: every keep, assert and class held.
void SealedReading::finish(SealedReply& reply, const std::vector<std::optional<Place>>& places) {
  open_values(reply, places, std::nullopt);
  for (PartyId member = 0; member < answer_.party.num_parties(); ++member) {
    open_values(reply, places, member);
  }
  for (size_t k = 0; k < places.size(); ++k) {
    SealedValue& value = reply.values[k];
    if (!places[k]) {
      value.state = SealedValue::State::kSame;
      continue;
    }
    const SealedItem::Fate fate = plan_.items[k].fate;
    value.bytes = places[k]->bytes.size();
    if (fate == SealedItem::Fate::kTest || fate == SealedItem::Fate::kAbsent) {
      value.state = SealedValue::State::kTested;
    }
    if (fate == SealedItem::Fate::kKeep) {
      value.state = SealedValue::State::kKept;
      value.bits = answer_.text.bits(places[k]->bytes);
    }
  }
}

// All values that are opened to all, or to that member alone.
void SealedReading::open_values(SealedReply& reply, const std::vector<std::optional<Place>>& places,
                                std::optional<PartyId> to) {
  std::vector<size_t> items;
  std::vector<RecordByte> all;
  for (size_t k = 0; k < places.size(); ++k) {
    if (plan_.items[k].fate != SealedItem::Fate::kOpen || plan_.items[k].to != to) continue;
    items.push_back(k);
    all.insert(all.end(), places[k]->bytes.begin(), places[k]->bytes.end());
  }
  if (items.empty()) return;
  const prep::AuthBits bits = answer_.text.bits(all);
  const PartyId self = answer_.party.id();
  prep::BitOpening opening(answer_.party, answer_.delta, bits, "sealed/open values");
  if (!to) opening.send_to_all();
  if (to && *to != self) opening.send_to(*to);
  const bool ours = !to || *to == self;
  if (ours) opening.receive_from_all();
  SecretBytes text;
  if (ours) {
    Bytes opened = opening.result();
    text = SecretBytes(bytes_of_bits(opened));
    wipe(opened);
  }
  size_t at = 0;
  for (const size_t k : items) {
    SealedValue& value = reply.values[k];
    value.state = ours ? SealedValue::State::kOpened : SealedValue::State::kElsewhere;
    const size_t size = places[k]->bytes.size();
    if (ours) {
      const ByteView part = text.reveal().subspan(at, size);
      if (to) value.secret = SecretBytes::copy_of(part);
      if (!to) value.text = to_text(part);
    }
    at += size;
  }
  answer_.leak.opened_bytes += all.size();
}

}  // namespace flexroom::agent
