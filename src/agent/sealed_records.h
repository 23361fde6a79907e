#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "agent/gcm.h"
#include "agent/sealed_bytes.h"
#include "tls/open_response.h"

namespace flexroom::agent {

/// The records of a frozen sealed answer (tls-in-mpc.md §4.5): tags first, then type bytes, then
/// which bytes are application data. Records are looked at from the first on, as many as are
/// needed.
///
/// Guarantee  no keystream-derived bit of a record is opened before the tags of it and of all
/// records
///            before it verified; at most one tag is opened for a record, after a durable mark
///            (§4.1)
/// Errors     SealedFault; of members, what openings throw
class SealedRecords {
 public:
  struct Keys {
    GhashKey& hash;
    prep::AuthBits tag_masks, first_blocks;  // of the plan's records
  };
  SealedRecords(SealedAnswer& answer, const tls::FrozenResponse& frozen, Keys keys,
                Journal& journal, const Digest& csid)
      : answer_(answer),
        frozen_(frozen),
        keys_(std::move(keys)),
        journal_(journal),
        csid_(csid),
        padding_(frozen.records.size()) {}

  static constexpr size_t kAll = std::numeric_limits<size_t>::max();
  /// Goes on until that many bytes of application data are there, or no record is left.
  void look_at(size_t bytes);
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
  void take(uint32_t record);
  void take_data(uint32_t record, size_t size);
  void take_alert(uint32_t record, size_t size);
  void take_handshake(uint32_t record, size_t size);

  size_t inner_bytes(size_t record) const {
    return frozen_.records[record].payload.size() - tls::kTagSize;
  }

  SealedAnswer& answer_;
  const tls::FrozenResponse& frozen_;
  Keys keys_;
  Journal& journal_;
  const Digest csid_;
  std::vector<uint8_t> types_;   // opened
  std::vector<size_t> padding_;  // zeros behind the type byte
  std::vector<RecordByte> stream_;
  RecordByte first_type_;
  size_t next_ = 0;          // the first record that was not looked at
  size_t bytes_ = 0;         // of the records that were looked at
  size_t message_left_ = 0;  // of a ticket that goes on in the next record
  size_t canceled_ = 0;      // user_canceled alerts
  bool ended_ = false;       // close_notify
};

}  // namespace flexroom::agent
