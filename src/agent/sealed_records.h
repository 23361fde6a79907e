#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <vector>

#include "agent/answer_keys.h"
#include "agent/sealed_bytes.h"
#include "tls/open_response.h"

namespace flexroom::agent {

/// How long is waited for more records of an answer.
enum class Waiting : uint8_t {
  kAnswer,  // as long as a connection may be silent: the answer needs them
  /// Until silence ends the answer, as it does on a connection of its own (§4.6 R2-5), or enough
  /// came: what the answer needs may be there already.
  kRest,
  kConnection,  // briefly: whether the connection goes on is all that needs them
};

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

  /// Waits for more records, which may be enough with so many bytes, agrees on them (A4) and add()s
  /// them; false when none will come.
  using More = std::function<bool(Waiting waiting, size_t enough)>;
  /// What was looked at before was another answer. Application data that began before
  /// `request_offset` is none of this one (§3.6). Without `more` all records are there.
  void begin(SealedAnswer& answer, uint64_t request_offset, More more = nullptr);
  /// More records, which A4 fixed at all members.
  void add(std::vector<tls::RawRecord> records);

  static constexpr size_t kAll = std::numeric_limits<size_t>::max();
  /// Goes on until that many bytes of application data are there, or no record is left and none
  /// will come. Of kRest up to `most` of them are waited for.
  void look_at(size_t bytes, Waiting waiting = Waiting::kAnswer, size_t most = 0);
  /// The same with what is there: nothing is waited for.
  void look_at_arrived(size_t bytes);
  /// Nothing of the service that was looked at ends the connection or leaves it in the middle of
  /// something (§4.9(1)): no close_notify, no ticket that goes on, no KeyUpdate to be answered.
  bool at_rest() const {
    return next_ == records_.size() && !in_message() && !ended_ && canceled_ == 0 &&
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
  void take_key_update(uint32_t record, size_t at, size_t size);
  Bytes open_of_message(uint32_t record, size_t at, size_t count, std::string_view label);
  /// A handshake message goes on in the next record.
  bool in_message() const { return message_left_ != 0 || !message_header_.empty(); }

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
  Bytes message_header_;                // opened, of one that goes on in the next record
  size_t message_left_ = 0;             // of a ticket that goes on in the next record
  bool in_key_update_ = false;          // its header was opened, its body was not
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
