#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <vector>

#include "agent/answer_keys.h"
#include "agent/sealed_bytes.h"
#include "tls/open_response.h"

namespace flexroom::agent {

/// The server's records of a sealed connection, as far as they are frozen (tls-in-mpc.md §4.5):
/// tags first, then type bytes, then which bytes are application data. Records are looked at from
/// the first on, as many as are needed.
///
/// Order      begin() of an answer; add() what A4 fixed; look_at()
/// Guarantee  no keystream-derived bit of a record is opened before the tags of it and of all
///            records before it verified; at most one tag is opened for a record, after a durable
///            mark (§4.1)
/// Errors     SealedFault; of members, what openings throw
class SealedRecords {
 public:
  SealedRecords(AnswerKeys& keys, SealedText& text, Journal& journal, const Digest& csid)
      : keys_(keys), text_(text), journal_(journal), csid_(csid) {}

  /// Waits for more records, agrees on them (A4) and add()s them; false when none will come.
  using More = std::function<bool()>;
  /// What was looked at before was another answer. Application data that began before
  /// `request_offset` is none of this one (§3.6). Without `more` all records are there.
  void begin(SealedAnswer& answer, uint64_t request_offset, More more = nullptr);
  /// More records, which A4 fixed at all members.
  void add(std::vector<tls::RawRecord> records);

  static constexpr size_t kAll = std::numeric_limits<size_t>::max();
  /// Goes on until that many bytes of application data are there, or no record is left and none
  /// will come.
  void look_at(size_t bytes);
  /// The same with what is there: nothing is waited for.
  void look_at_arrived(size_t bytes);
  /// Nothing of the service that was looked at ends the connection or leaves it in the middle of
  /// something (§4.9(1)): no close_notify, no ticket that goes on, no KeyUpdate to be answered.
  bool at_rest() const {
    return next_ == records_.size() && message_left_ == 0 && !ended_ && canceled_ == 0 &&
           !update_requested_;
  }
  /// Where byte k of the application data is.
  const std::vector<RecordByte>& stream() const { return stream_; }
  /// The type byte of the record that the application data begins with.
  RecordByte first_type() const { return first_type_; }

 private:
  size_t next_batch(size_t bytes) const;
  void verify(size_t count);
  void require_tag(size_t record, const Block& opened) const;
  void find_types(size_t count);
  bool open_type_bytes(std::vector<uint32_t>& unknown);
  void compute_spare(std::vector<std::pair<uint32_t, uint32_t>> blocks, const std::string& what);
  void take(uint32_t record);
  void take_data(uint32_t record, size_t size);
  void take_alert(uint32_t record, size_t size);
  void take_handshake(uint32_t record, size_t size);
  void take_message(uint32_t record, size_t size, size_t& at);
  void take_ticket(size_t length);
  void take_key_update(uint32_t record, size_t at, size_t length, size_t size);

  size_t inner_bytes(size_t record) const {
    return records_[record].payload.size() - tls::kTagSize;
  }

  AnswerKeys& keys_;
  SealedText& text_;
  Journal& journal_;
  const Digest csid_;
  std::deque<tls::RawRecord> records_;  // of the connection; what refers to one stays good
  std::vector<uint8_t> types_;          // opened
  std::vector<size_t> padding_;         // zeros behind the type byte
  size_t next_ = 0;                     // the first record that was not looked at
  size_t message_left_ = 0;             // of a ticket that goes on in the next record
  size_t tickets_ = 0;
  size_t canceled_ = 0;  // user_canceled alerts
  bool ended_ = false;   // close_notify
  bool update_requested_ = false;

  // of this answer
  SealedAnswer* answer_ = nullptr;
  More more_;
  uint64_t request_offset_ = 0;
  std::vector<RecordByte> stream_;
  RecordByte first_type_;
  size_t looked_at_ = 0;  // records
  size_t bytes_ = 0;      // of them
  size_t spare_used_ = 0;
};

}  // namespace flexroom::agent
