#include "agent/sealed_records.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "tls/messages.h"

namespace flexroom::agent {
namespace {

constexpr uint8_t kServerToClient = 1;
constexpr uint8_t kCloseNotify = 0, kUserCanceled = 90;
constexpr size_t kMaxUserCanceled = 4;  // §3.6
constexpr size_t kMessageHeader = 4;

[[noreturn]] void no_answer(const std::string& why) {
  throw SealedFault(why, SealedFault::Outcome::kUnknown);
}

}  // namespace

void SealedRecords::look_at(size_t bytes) {
  while (stream_.size() < bytes && !ended_ && next_ < frozen_.records.size()) {
    const size_t count = next_batch(bytes);
    if (next_ + count > answer_.plan.records) {
      no_answer("the service sent more records than the plan has room for (" +
                std::to_string(answer_.plan.records) + ")");
    }
    verify(count);
    find_types(count);
    const auto end = static_cast<uint32_t>(next_ + count);
    for (auto record = static_cast<uint32_t>(next_); record < end && !ended_; ++record) {
      take(record);
    }
    next_ = end;
  }
}

// As many records as hold the bytes, if all that came behind the request is application data.
size_t SealedRecords::next_batch(size_t bytes) const {
  size_t have = stream_.size(), count = 0;
  while (have < bytes && next_ + count < frozen_.records.size()) {
    const tls::RawRecord& record = frozen_.records[next_ + count];
    if (record.type() != static_cast<uint8_t>(tls::ContentType::kApplicationData) ||
        record.payload.size() <= tls::kTagSize ||
        record.payload.size() > tls::kMaxInner + tls::kTagSize) {
      no_answer("the service sent an unprotected record, or one without content");
    }
    if (record.offset >= frozen_.request_offset) have += inner_bytes(next_ + count) - 1;
    ++count;
  }
  return count;
}

// All tags of the batch in one opening, which is marked before a share of it leaves.
void SealedRecords::verify(size_t count) {
  Writer mark;
  mark.raw(csid_).u8(kServerToClient).u32(0).u64(next_);
  journal_.mark("answer tags", mark.bytes());
  prep::AuthField tags;
  for (size_t record = next_; record < next_ + count; ++record) {
    const tls::RawRecord& raw = frozen_.records[record];
    const std::vector<Block> input = ghash_input(raw.header, raw.ciphertext());
    bytes_ += raw.payload.size();
    if (bytes_ > answer_.plan.record_bytes)
      no_answer("the answer is longer than the plan has room");
    if (!keys_.hash.can_hash(input.size())) no_answer("a record for which no product is left");
    prep::AuthField tag = keys_.hash.hash(answer_.party, answer_.delta, input);
    prep::add(tag, prep::pack(ghash_order(keys_.tag_masks.slice(128 * record, 128))));
    tags.append(tag);
  }
  const std::vector<Block> opened =
      prep::open_field(answer_.party, answer_.delta, tags, "sealed/open tags");
  for (size_t k = 0; k < count; ++k) require_tag(next_ + k, opened[k]);
  for (size_t record = next_; record < next_ + count; ++record) {
    answer_.text.add_verified(frozen_.records[record].ciphertext());
  }
}

void SealedRecords::require_tag(size_t record, const Block& opened) const {
  const Bytes expected = prep::ghash_bytes(opened);
  const ByteView received = frozen_.records[record].tag();
  if (!std::equal(expected.begin(), expected.end(), received.begin(), received.end())) {
    no_answer("a record of the service does not verify under its key");
  }
}

// The last byte that is not zero is the type (RFC 8446 §5.4): looked for in the last block alone.
void SealedRecords::find_types(size_t count) {
  std::vector<std::pair<uint32_t, uint32_t>> first, last;
  prep::AuthBits first_keystream;
  std::vector<uint32_t> unknown;
  for (auto record = static_cast<uint32_t>(next_); record < next_ + count; ++record) {
    const std::vector<std::pair<uint32_t, uint32_t>> place = {{record, 0}};
    answer_.text.add_keystream(place, keys_.first_blocks.slice(size_t{128} * record, 128));
    const auto block = static_cast<uint32_t>((inner_bytes(record) - 1) / 16);
    if (block != 0) last.emplace_back(record, block);
    unknown.push_back(record);
  }
  if (!last.empty()) answer_.compute_blocks(std::move(last), SealedCircuits::kTypes);
  types_.resize(next_ + count);
  while (!unknown.empty()) {
    if (!open_type_bytes(unknown)) no_answer("a record with more padding than is looked through");
  }
  answer_.leak.records += count;
}

// Opens the last byte that is not known to be padding of each; false where its block is not there.
bool SealedRecords::open_type_bytes(std::vector<uint32_t>& unknown) {
  std::vector<RecordByte> places;
  for (const uint32_t record : unknown) {
    if (padding_[record] == inner_bytes(record)) no_answer("a record that is nothing but padding");
    const auto at = static_cast<uint32_t>(inner_bytes(record) - 1 - padding_[record]);
    if (!answer_.text.has_block(record, at / 16)) return false;
    places.push_back({record, at});
  }
  const Bytes bytes = answer_.open_bytes(places, "sealed/open types");
  std::vector<uint32_t> still;
  for (size_t k = 0; k < unknown.size(); ++k) {
    types_[unknown[k]] = bytes[k];
    if (bytes[k] != 0) continue;
    ++padding_[unknown[k]];
    ++answer_.leak.padding_bytes;
    still.push_back(unknown[k]);
  }
  unknown = std::move(still);
  return true;
}

void SealedRecords::take(uint32_t record) {
  const size_t size = inner_bytes(record) - 1 - padding_[record];
  const auto type = static_cast<tls::ContentType>(types_[record]);
  if (message_left_ != 0 && type != tls::ContentType::kHandshake) {
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
  if (frozen_.records[record].offset < frozen_.request_offset) {
    no_answer("the service sent application data before the request was released");
  }
  if (stream_.empty()) first_type_ = {record, static_cast<uint32_t>(size)};
  for (uint32_t at = 0; at < size; ++at) stream_.push_back({record, at});
}

void SealedRecords::take_alert(uint32_t record, size_t size) {
  if (size != 2) no_answer("the service sent a malformed alert");
  const std::vector<RecordByte> places = {{record, 0}, {record, 1}};
  const Bytes alert = answer_.open_bytes(places, "sealed/open alert");
  answer_.leak.alert_bytes += alert.size();
  // Without a close_notify the framing of the answer alone decides whether it is whole.
  if (alert[1] == kUserCanceled && ++canceled_ <= kMaxUserCanceled) return;
  if (alert[1] != kCloseNotify) {
    no_answer("the service ended the connection with alert " + tls::describe_alert(alert[1]));
  }
  ended_ = true;
}

// NewSessionTickets alone, of which the headers are opened and the rest is not looked at (§3.6).
void SealedRecords::take_handshake(uint32_t record, size_t size) {
  if (size == 0) no_answer("the service sent an empty handshake fragment");
  size_t at = std::min(message_left_, size);
  message_left_ -= at;
  while (at < size) {
    std::vector<RecordByte> header;
    for (size_t k = 0; k < kMessageHeader; ++k) {
      header.push_back({record, static_cast<uint32_t>(at + k)});
    }
    if (at + kMessageHeader > size || !answer_.text.has_block(record, header.back().at / 16) ||
        !answer_.text.has_block(record, header.front().at / 16)) {
      no_answer("the service sent handshake messages that are not tickets of a record each");
    }
    const Bytes opened = answer_.open_bytes(header, "sealed/open ticket header");
    ++answer_.leak.ticket_headers;
    if (opened[0] != static_cast<uint8_t>(tls::HandshakeType::kNewSessionTicket)) {
      no_answer("the service sent " + tls::describe_handshake(opened[0]) + " after the handshake");
    }
    const size_t length = size_t{opened[1]} << 16 | size_t{opened[2]} << 8 | opened[3];
    at += kMessageHeader;
    const size_t here = std::min(length, size - at);
    message_left_ = length - here;
    at += here;
  }
}

}  // namespace flexroom::agent
