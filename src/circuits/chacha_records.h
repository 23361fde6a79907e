#pragma once

#include <memory>

#include "circuits/answer.h"
#include "circuits/chacha20.h"
#include "circuits/handshake.h"
#include "circuits/hmac_hkdf.h"
#include "circuits/poly1305.h"

namespace flexroom::circuits {

/// Circuits of TLS_CHACHA20_POLY1305_SHA256 (tls-in-mpc.md §4.7); bit order as in handshake.h.

/// Write keys of one direction.
struct ChaChaTrafficKeys {
  ChaChaKey key;
  Text iv;  // 12 bytes
};
/// A key as 32 bytes, of which chacha20_key() makes it again.
Text text_of_key(const ChaChaKey& key);

/// key and iv of RFC 8446 §7.3 from the HMAC key of a traffic secret: 2 constmsg + 2 secmsg. There
/// is no key expansion.
ChaChaTrafficKeys chacha_traffic_keys(const HmacKeyText& secret);

/// Block `counter` of record `seq`; nonce iv ^ seq, right-aligned (RFC 8446 §5.3, RFC 8439 §2.3).
ChaChaBlock chacha_keystream(const ChaChaTrafficKeys& keys, uint64_t seq, uint32_t counter);

/// Writes records into a circuit: opened ciphertext, and the one-time key of the tag as its two
/// halves need it. A (direction, seq) may be written once per connection over all circuits
/// (tls-in-mpc.md §4.1); this class refuses it within one circuit.
class ChaChaRecordWriter {
 public:
  ChaChaRecordWriter(mpc::Builder& builder, ChaChaTrafficKeys keys, size_t num_parties)
      : builder_(builder), keys_(std::move(keys)), num_parties_(num_parties) {}

  /// One application-data record: `content` (1 .. 16 384 bytes, public bytes as constants) and the
  /// content type 23.
  ///
  /// Out   open "c_<seq>" [8 (content + 1)]: ciphertext without tag
  ///       and what add_tag_key() writes
  /// Size  10 400 ANDs less 1 + ctz(counter) for every 64 bytes begun of content and type; of the
  ///       last block what its bytes need
  void add(uint64_t seq, const Text& content, size_t padding = 0);
  /// The same without a content type: an AEAD message.
  void add_message(uint64_t seq, Text plaintext);
  /// The key of the tag alone, for a record whose ciphertext comes about elsewhere: block 0.
  ///
  /// In    zero "rho_<seq>_0" .. [130 each]: masks of r
  /// Out   open "r_<seq>" [130]: r - sum rho_i mod p; keep "s_<seq>" [128]
  /// Size  10 136 ANDs for r and s, 259 a party
  void add_tag_key(uint64_t seq);

 private:
  mpc::Builder& builder_;
  ChaChaTrafficKeys keys_;
  size_t num_parties_;
  std::vector<uint64_t> used_;
};

/// GC-B, profile R2 or F+: from the master secret's outer state to the client's write keys, with
/// the first request.
///
/// In    dyn "kout_ms" [256]; pub "kw_c_ap", "kw_s_ap" [2 048 each], as circuits::GcB
/// Out   keep "s_ap" [256]: server application traffic secret (R2)
///       open "kin_s_ap", keep "kout_s_ap" [256 each]: its HMAC states (F+)
///       keep "iv_c" [96], "key_c" [256], if asked for: later requests' circuits take them
///       and what ChaChaRecordWriter adds
class ChaChaGcB {
 public:
  explicit ChaChaGcB(size_t num_parties, bool keep_write_keys = false,
                     ServerSecret server_secret = ServerSecret::kKept);

  mpc::Builder& builder() { return builder_; }
  ChaChaRecordWriter& records() { return *records_; }
  mpc::Circuit finish() { return builder_.finish(); }

 private:
  mpc::Builder builder_;
  std::unique_ptr<ChaChaRecordWriter> records_;
};

/// GC-C of a sealed answer under this suite: gc_c() of answer.h.
///
/// In    dyn "kout_s_ap" [256]; pub "kw_key", "kw_iv" [2 048 each]; of each record k of
///       0 .. records - 1 zero "rho_<k>_<i>" [130 a member]
/// Out   keep "iv_s" [96], "key_s" [256], "first_blocks" [512 records]: counter 1 of every record;
///       of each record open "r_<k>" [130], keep "s_<k>" [128]
/// Size  2 pubmsg less 186 for unused words; 20 535 a record and 259 more a member
mpc::Circuit chacha_gc_c(size_t records, size_t num_parties);

/// keystream_circuit() of answer.h, with blocks of 64 bytes.
///
/// In    dyn "iv_s" [96], "key_s" [256]; pub "place" [28 blocks]
/// Out   keep "keystream" [512 blocks]
/// Size  10 400 ANDs a block
mpc::Circuit chacha_keystream_circuit(size_t blocks);

/// A later request on the same connection, under write keys that ChaChaGcB kept (§4.9).
///
/// In    dyn "iv_c" [96], "key_c" [256]
/// Out   what ChaChaRecordWriter adds
class ChaChaLaterRequest {
 public:
  explicit ChaChaLaterRequest(size_t num_parties);

  mpc::Builder& builder() { return builder_; }
  ChaChaRecordWriter& records() { return *records_; }
  mpc::Circuit finish() { return builder_.finish(); }

 private:
  mpc::Builder builder_;
  std::unique_ptr<ChaChaRecordWriter> records_;
};

}  // namespace flexroom::circuits
