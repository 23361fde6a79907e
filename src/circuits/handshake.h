#pragma once

#include <memory>
#include <string>

#include "circuits/aes128.h"
#include "circuits/hmac_hkdf.h"
#include "circuits/subtract_mod.h"

namespace flexroom::circuits {

/// The circuits of one TLS 1.3 connection with TLS_AES_128_GCM_SHA256 or TLS_AES_256_GCM_SHA384
/// whose server secret is opened at the end (profile R2 of tls-in-mpc.md §3.4, §3.7, §4.6;
/// tls-complete.md §3). Sizes of groups are those of SHA-256 and AES-128.
///
/// Bit order of all groups: strings of bytes in order, bit 0 of each byte first; a state of a
/// hash is its eight words as big-endian bytes; field elements least significant bit first; round
/// words word by word, least significant bit first.

/// GC-A: from the masked ECDHE x-coordinate to the handshake traffic secrets.
///
/// In    for each curve of the groups, X = x25519 or p256 (tls-complete.md §1.3):
///       zero "rho_X_0" .. "rho_X_<n-1>" [field bits each]: the masks of c
///       pub  "c_X" [field bits]: x + sum rho_i mod p on the curve that the server took; 0 on the
///            other
///       pub  "is_p256" [1], where both are: whether the server took P-256
///       with X25519MLKEM768 among the groups, whether or not the server takes it:
///       pub  "is_kem" [1]: whether it did; never with is_p256
///       pub  "kem_secret" [256]: what ML-KEM gave, or 0; it stands before x (RFC 10024)
///       pub  "x_padding" [256]: 0, or the first 32 bytes that the hash pads 32 bytes with behind
///            the HMAC key's block
///       pub  "kw_c_hs", "kw_s_hs" [2 048 each]: round words of the inner hash's block of
///            hkdf_label_message("c hs traffic" / "s hs traffic", H1, 32)
/// Out   keep "c_hs", open "s_hs" [256 each]: client and server handshake traffic secrets; c_hs is
///       opened at A3 or never (tls-complete.md §4.2)
///       open "kin_ms" [256]: inner HMAC state of the master secret
///       keep "kout_ms" [256]: its outer state
/// Size  n = 2: 324 646 ANDs (X25519), 324 650 (P-256), 325 924 (both), 17 556 more with ML-KEM;
///       509 / 511 / 1 020 for each further party. SHA-384: see tls-complete.md §3
mpc::Circuit gc_a(const Groups& groups, size_t num_parties,
                  const HashCircuit& hash = sha256_hash());
/// Names of its inputs.
std::string mask_input(NamedGroup group, size_t party);
std::string masked_input(NamedGroup group);
inline constexpr std::string_view kGroupInput = "is_p256", kKemInput = "is_kem",
                                  kKemSecretInput = "kem_secret", kPaddingInput = "x_padding";
/// kPaddingInput where the server did not take ML-KEM.
Bytes x_padding(const HashCircuit& hash = sha256_hash());

/// What circuits of a suite with AES-GCM are made for.
struct GcmSuite {
  std::string_view name;
  const HashCircuit& hash;
  size_t key_bytes;
  /// 11 or 15 round keys.
  uint32_t round_key_bits() const { return static_cast<uint32_t>(128 * (key_bytes / 4 + 7)); }
};
const GcmSuite& aes128_gcm();  // with SHA-256
const GcmSuite& aes256_gcm();  // with SHA-384

/// Write keys of one direction.
struct TrafficKeys {
  AesRoundKeys round_keys;
  Text iv;  // 12 bytes
};

/// key and iv of RFC 8446 §7.3 from the HMAC key of a traffic secret: 2 constmsg + 2 secmsg and
/// 1 280 ANDs of key expansion (AES-256 1 664). Output words that key and iv leave unused cost
/// nothing in the end.
TrafficKeys traffic_keys(const HmacKeyText& secret, const GcmSuite& suite = aes128_gcm());

/// E_K(iv ^ seq || counter), seq right-aligned (RFC 8446 §5.3, NIST SP 800-38D): 5 120 ANDs, with
/// AES-256 7 168.
/// Counter block `counter` of record `seq` (tls-in-mpc.md §4.2).
AesBlock keystream_block(const TrafficKeys& keys, uint64_t seq, uint32_t counter);

/// Most bytes of content in one record (RFC 8446 §5.1).
inline constexpr size_t kMaxRecordContent = 16384;

/// Writes the records of requests into a circuit: opened ciphertext, kept tag masks.
///
/// A (direction, seq) may be written once per connection over all circuits (tls-in-mpc.md §4.1);
/// this class refuses it within one circuit.
class RecordWriter {
 public:
  RecordWriter(mpc::Builder& builder, TrafficKeys keys)
      : builder_(builder), keys_(std::move(keys)) {}

  /// One application-data record: `content` (1 .. 16 384 bytes, public bytes as constants), the
  /// content type 23 and `padding` zeros, with the content at most 16 384.
  ///
  /// Out   open "c_<seq>" [8 (content + 1 + padding)]: ciphertext without tag
  ///       keep "j0_<seq>" [128]: E_K(J0), the mask of the GHASH tag
  /// Size  5 120 ANDs (AES-256 7 168) for J0 and for every 16 bytes begun of content, type and
  ///       padding
  void add(uint64_t seq, const Text& content, size_t padding = 0);
  /// The same without a content type: an AEAD message.
  void add_message(uint64_t seq, Text plaintext);
  /// A tag mask alone, for a record whose ciphertext comes about elsewhere.
  void add_tag_mask(uint64_t seq);

 private:
  mpc::Builder& builder_;
  TrafficKeys keys_;
  std::vector<uint64_t> used_;
};

/// What a request circuit leaves of the server application traffic secret.
enum class ServerSecret : uint8_t {
  kKept,    // profile R2: the secret itself, opened when the answer is frozen
  kStates,  // profile F+: Kin opened, Kout kept; the secret never leaves
};

/// The outputs "s_ap", or "kin_s_ap" and "kout_s_ap", of a request circuit.
void add_server_secret(mpc::Builder& builder, const HashCircuit& hash, const Text& s_ap,
                       ServerSecret server_secret);

/// What GC-B of every suite begins with: the inputs "kout_ms", "kw_c_ap", "kw_s_ap", and the
/// application traffic secrets that they give. 2 pubmsg.
struct ApplicationSecrets {
  Text c_ap, s_ap;
};
ApplicationSecrets application_secrets(mpc::Builder& builder, const HashCircuit& hash);

/// GC-B, profile R2 or F+: from the master secret's outer state to the client's write keys, with
/// the first request.
///
/// In    dyn  "kout_ms" [256]
///       pub  "kw_c_ap", "kw_s_ap" [2 048 each]: round words of the outer hash of the inner digest
///            of c_ap / s_ap, which everybody computes from kin_ms
///       zero "r_c" [128]: the random R of the client's GHASH powers
/// Out   open "d_c" [128]: H xor R
///       keep "s_ap" [256]: server application traffic secret (R2)
///       open "kin_s_ap", keep "kout_s_ap" [256 each]: its HMAC states (F+)
///       keep "iv_c" [96], "round_keys_c" [1 408], if asked for: later requests' circuits take them
///       and what RecordWriter adds
/// Size  157 682 ANDs as written (2 pubmsg + 2 kpad + 2 constmsg + 2 secmsg + 6 400); finish()
///       drops 341 of them that only compute unused words of key and iv. F+ has 2 kpad more.
///       Records and slots come on top.
///
/// Use   construct, declare slots' inputs on builder(), hand their text to records().add(), and
///       finish()
class GcB {
 public:
  explicit GcB(bool keep_write_keys = false, ServerSecret server_secret = ServerSecret::kKept,
               const GcmSuite& suite = aes128_gcm());

  mpc::Builder& builder() { return builder_; }
  RecordWriter& records() { return *records_; }
  mpc::Circuit finish() { return builder_.finish(); }

 private:
  mpc::Builder builder_;
  std::unique_ptr<RecordWriter> records_;
};

/// A later request on the same connection, under write keys that GcB kept (tls-in-mpc.md §4.9).
///
/// In    dyn "iv_c" [96], "round_keys_c" [1 408]
/// Out   what RecordWriter adds
class LaterRequest {
 public:
  explicit LaterRequest(const GcmSuite& suite = aes128_gcm());

  mpc::Builder& builder() { return builder_; }
  RecordWriter& records() { return *records_; }
  mpc::Circuit finish() { return builder_.finish(); }

 private:
  mpc::Builder builder_;
  std::unique_ptr<RecordWriter> records_;
};

}  // namespace flexroom::circuits
