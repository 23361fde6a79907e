#include "agent/sealed_records.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/messages.h"

namespace flexroom::agent {
namespace {

constexpr uint8_t kServerToClient = 1;
constexpr uint8_t kCloseNotify = 0, kUserCanceled = 90;
// §3.6, attack 25; tickets come although nothing is resumed (tls-complete.md §7).
constexpr size_t kMaxUserCanceled = 4, kMaxTickets = 64;
constexpr size_t kMaxPadding = 64;  // zeros of a record (tls-in-mpc.md §4.5)
constexpr size_t kMessageHeader = 4;
// Lifetime, age_add, an empty nonce, a ticket of one byte, no extensions (RFC 8446 §4.6.1).
constexpr size_t kShortestTicket = 4 + 4 + 1 + 3 + 2;
constexpr const char* kBadKeyUpdate =
    "the service sent a KeyUpdate that is malformed or not the end of its record";

[[noreturn]] void no_answer(const std::string& why) {
  throw SealedFault(why, SealedFault::Outcome::kUnknown);
}

}  // namespace

void SealedRecords::begin(SealedAnswer& answer, uint64_t request_offset, More more) {
  answer_ = &answer;
  more_ = std::move(more);
  text_.erase();
  request_offset_ = request_offset;
  stream_.clear();
  first_type_ = {};
  looked_at_ = bytes_ = spare_used_ = 0;
}

void SealedRecords::add(std::vector<tls::RawRecord> records) {
  for (tls::RawRecord& record : records) records_.push_back(std::move(record));
  padding_.resize(records_.size());
}

void SealedRecords::look_at(size_t bytes, Waiting waiting, size_t most) {
  look_at_arrived(bytes);
  while (stream_.size() < bytes && !ended_ && more_ &&
         more_(waiting, std::max(bytes, most) - stream_.size())) {
    look_at_arrived(bytes);
  }
}

void SealedRecords::look_at_arrived(size_t bytes) {
  while (stream_.size() < bytes && !ended_ && next_ < records_.size()) {
    const size_t count = next_batch(bytes);
    if (looked_at_ + count > answer_->plan.records) {
      no_answer("the service sent more records than the plan has room for (" +
                std::to_string(answer_->plan.records) + ")");
    }
    verify(count);
    find_types(count);
    looked_at_ += count;
    const auto end = static_cast<uint32_t>(next_ + count);
    for (auto record = static_cast<uint32_t>(next_); record < end && !ended_; ++record) {
      take(record);
    }
    next_ = end;
  }
}

// As many records as hold the bytes, if all that came behind the request is application data. Where
// any of them may be followed by new keys, its tag says nothing of the next one.
size_t SealedRecords::next_batch(size_t bytes) const {
  size_t have = stream_.size(), count = 0;
  while (have < bytes && next_ + count < records_.size()) {
    const tls::RawRecord& record = records_[next_ + count];
    if (record.type() != static_cast<uint8_t>(tls::ContentType::kApplicationData) ||
        record.payload.size() <= tls::kTagSize ||
        record.payload.size() > tls::kMaxInner + tls::kTagSize) {
      no_answer("the service sent an unprotected record, or one without content");
    }
    if (record.offset >= request_offset_) have += inner_bytes(next_ + count) - 1;
    ++count;
    if (keys_.can_update()) break;
  }
  return count;
}

// All tags of the batch in one opening, which is marked before a share of it leaves.
void SealedRecords::verify(size_t count) {
  const RecordPosition first = keys_.position(next_);
  Writer mark;
  mark.raw(csid_).u8(kServerToClient).u32(first.generation).u64(first.sequence);
  journal_.mark("answer tags", mark.bytes());
  AnswerTags& of = *keys_.of(next_).tags;
  std::vector<RecordText> batch;
  for (size_t record = next_; record < next_ + count; ++record) {
    const tls::RawRecord& raw = records_[record];
    bytes_ += raw.payload.size();
    if (bytes_ > answer_->plan.record_bytes)
      no_answer("the answer is longer than the plan has room");
    const ByteView text = raw.ciphertext();
    batch.push_back({{raw.header.begin(), raw.header.end()}, {text.begin(), text.end()}});
  }
  if (!of.has_room_for(batch)) no_answer("a record that is longer than what is prepared");
  const prep::AuthField tags = of.tags(first.sequence, batch);
  const std::vector<Block> opened =
      prep::open_field(answer_->party, answer_->delta, tags, "sealed/open tags");
  for (size_t k = 0; k < count; ++k) require_tag(next_ + k, opened[k]);
  for (size_t record = next_; record < next_ + count; ++record) {
    text_.add_verified(records_[record].ciphertext());
  }
}

void SealedRecords::require_tag(size_t record, const Block& opened) const {
  const Bytes expected = prep::ghash_bytes(opened);
  const ByteView received = records_[record].tag();
  if (!std::equal(expected.begin(), expected.end(), received.begin(), received.end())) {
    no_answer("a record of the service does not verify under its key");
  }
}

// The last byte that is not zero is the type (RFC 8446 §5.4).
void SealedRecords::find_types(size_t count) {
  std::vector<std::pair<uint32_t, uint32_t>> last;
  std::vector<uint32_t> unknown;
  for (auto record = static_cast<uint32_t>(next_); record < next_ + count; ++record) {
    const std::vector<std::pair<uint32_t, uint32_t>> place = {{record, 0}};
    text_.add_keystream(place, keys_.first_block(record));
    const auto block = text_.block_of({record, static_cast<uint32_t>(inner_bytes(record) - 1)});
    if (block.second != 0) last.push_back(block);
    unknown.push_back(record);
  }
  if (!last.empty()) answer_->compute_blocks(std::move(last), SealedCircuits::kTypes);
  types_.resize(next_ + count);
  while (open_type_bytes(unknown)) {
  }
  answer_->leak.records += count;
}

// Opens the last byte that is not known to be padding of each; false when none is left.
bool SealedRecords::open_type_bytes(std::vector<uint32_t>& unknown) {
  std::vector<RecordByte> places;
  std::vector<std::pair<uint32_t, uint32_t>> missing;
  for (const uint32_t record : unknown) {
    if (padding_[record] == inner_bytes(record)) no_answer("a record that is nothing but padding");
    if (padding_[record] > kMaxPadding) no_answer("a record with more than 64 bytes of padding");
    const auto at = static_cast<uint32_t>(inner_bytes(record) - 1 - padding_[record]);
    places.push_back({record, at});
    const auto block = text_.block_of(places.back());
    if (!text_.has_block(block)) missing.push_back(block);
  }
  compute_spare(std::move(missing), "padding");
  const Bytes bytes = answer_->open_bytes(places, "sealed/open types");
  std::vector<uint32_t> still;
  for (size_t k = 0; k < unknown.size(); ++k) {
    types_[unknown[k]] = bytes[k];
    if (bytes[k] != 0) continue;
    ++padding_[unknown[k]];
    ++answer_->leak.padding_bytes;
    still.push_back(unknown[k]);
  }
  unknown = std::move(still);
  return !unknown.empty();
}

// Blocks beyond the one a record that the plan has in any case.
void SealedRecords::compute_spare(std::vector<std::pair<uint32_t, uint32_t>> blocks,
                                  const std::string& what) {
  if (blocks.empty()) return;
  spare_used_ += blocks.size();
  if (spare_used_ > answer_->plan.spare_blocks) {
    no_answer("the service sent more " + what + " than the plan has room for");
  }
  answer_->compute_blocks(std::move(blocks), SealedCircuits::kTypes);
}

void SealedRecords::take(uint32_t record) {
  const size_t size = inner_bytes(record) - 1 - padding_[record];
  const auto type = static_cast<tls::ContentType>(types_[record]);
  if (in_message() && type != tls::ContentType::kHandshake) {
    no_answer("a handshake message of the service is interleaved with another record");
  }
  switch (type) {
    case tls::ContentType::kApplicationData:
      return take_data(record, size);
    case tls::ContentType::kAlert:
      return take_alert(record, size);
    case tls::ContentType::kHandshake:
      return take_handshake(record, size);
    default:
      no_answer("the service sent an unknown content type");
  }
}

void SealedRecords::take_data(uint32_t record, size_t size) {
  // §3.6: what was sent before the request cannot be its answer.
  if (records_[record].offset < request_offset_) {
    no_answer("the service sent application data before the request was released");
  }
  if (stream_.empty()) first_type_ = {record, static_cast<uint32_t>(size)};
  for (uint32_t at = 0; at < size; ++at) stream_.push_back({record, at});
}

void SealedRecords::take_alert(uint32_t record, size_t size) {
  if (size != 2) no_answer("the service sent a malformed alert");
  const std::vector<RecordByte> places = {{record, 0}, {record, 1}};
  const Bytes alert = answer_->open_bytes(places, "sealed/open alert");
  answer_->leak.alert_bytes += alert.size();
  // Without a close_notify the framing of the answer alone decides whether it is whole.
  if (alert[1] == kUserCanceled && ++canceled_ <= kMaxUserCanceled) return;
  if (alert[1] != kCloseNotify) {
    no_answer("the service ended the connection with alert " + tls::describe_alert(alert[1]));
  }
  ended_ = true;
}

// NewSessionTickets, of which the headers are opened and the rest is not looked at, and a KeyUpdate
// behind them (§3.6).
void SealedRecords::take_handshake(uint32_t record, size_t size) {
  if (size == 0) no_answer("the service sent an empty handshake fragment");
  size_t at = 0;
  while (at < size) {
    if (in_key_update_) return take_key_update(record, at, size);
    const size_t more = std::min(message_left_, size - at);
    at += more;
    message_left_ -= more;
    if (at < size) take_message(record, size, at);
  }
}

// Opens these bytes of a handshake record.
Bytes SealedRecords::open_of_message(uint32_t record, size_t at, size_t count,
                                     std::string_view label) {
  std::vector<RecordByte> places;
  std::vector<std::pair<uint32_t, uint32_t>> missing;
  for (size_t k = 0; k < count; ++k) {
    places.push_back({record, static_cast<uint32_t>(at + k)});
    const std::pair<uint32_t, uint32_t> block = text_.block_of(places.back());
    if (text_.has_block(block)) continue;
    if (missing.empty() || missing.back() != block) missing.push_back(block);
  }
  compute_spare(std::move(missing), "handshake messages in a record");
  return answer_->open_bytes(places, label);
}

// The header of a message may stand in two records, or in as many as it has bytes.
void SealedRecords::take_message(uint32_t record, size_t size, size_t& at) {
  const size_t here = std::min(kMessageHeader - message_header_.size(), size - at);
  append(message_header_, open_of_message(record, at, here, "sealed/open ticket header"));
  at += here;
  if (message_header_.size() < kMessageHeader) return;
  const Bytes header = std::exchange(message_header_, {});
  ++answer_->leak.ticket_headers;
  message_left_ = size_t{header[1]} << 16 | size_t{header[2]} << 8 | header[3];
  switch (static_cast<tls::HandshakeType>(header[0])) {
    case tls::HandshakeType::kNewSessionTicket:
      return take_ticket(message_left_);
    case tls::HandshakeType::kKeyUpdate:
      if (message_left_ != 1) no_answer(kBadKeyUpdate);
      if (!keys_.can_update()) {
        no_answer("the service sent a KeyUpdate that the plan has no room for");
      }
      in_key_update_ = true;
      return;
    default:
      no_answer("the service sent " + tls::describe_handshake(header[0]) + " after the handshake");
  }
}

void SealedRecords::take_ticket(size_t length) {
  if (length < kShortestTicket) no_answer("the service sent a malformed ticket");
  if (++tickets_ > kMaxTickets) no_answer("the service sent more than 64 tickets");
}

// The last message of its record; the next record is under new keys (RFC 8446 §4.6.3).
void SealedRecords::take_key_update(uint32_t record, size_t at, size_t size) {
  if (at + 1 != size) no_answer(kBadKeyUpdate);
  const Bytes requested = open_of_message(record, at, 1, "sealed/open key update");
  ++answer_->leak.key_updates;
  if (requested[0] > 1) no_answer("the service sent a bad KeyUpdate");
  in_key_update_ = false;
  message_left_ = 0;
  // update_requested stays unanswered: nothing more is sent on this connection (at_rest).
  update_requested_ |= requested[0] == 1;
  keys_.update(record + size_t{1}, answer_->views, answer_->a4);
}

}  // namespace flexroom::agent
