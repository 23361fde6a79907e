#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tls/key_schedule.h"
#include "tls/wire.h"

/// TLS 1.3 records (RFC 8446 §5) under keys that are known in the clear. Every suite of TLS 1.3 has
/// a tag of 16 bytes and a nonce of 12.
namespace flexroom::tls {

enum class ContentType : uint8_t {
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23,
};

inline constexpr size_t kHeaderSize = 5;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kMaxPlaintext = 16384;
inline constexpr size_t kMaxCiphertext = kMaxPlaintext + 256;
/// Inner plaintext: content, type byte, padding.
inline constexpr size_t kMaxInner = kMaxPlaintext + 1;
/// A close_notify record: two alert bytes, the type byte, the tag.
inline constexpr size_t kCloseNotifyLength = 2 + 1 + kTagSize;

/// A record as it came from the wire.
struct RawRecord {
  std::array<uint8_t, kHeaderSize> header{};
  Bytes payload;        // protected records: ciphertext || tag
  uint64_t offset = 0;  // of the header in the server's byte stream

  uint8_t type() const { return header[0]; }
  uint64_t end() const { return offset + kHeaderSize + payload.size(); }
  ByteView ciphertext() const { return ByteView(payload).first(payload.size() - kTagSize); }
  ByteView tag() const { return ByteView(payload).last(kTagSize); }
};

/// Cuts a byte stream into records, at whatever fragmentation it arrives. A header with an unknown
/// type or a length over the limit is a fault as soon as its five bytes are there, so that at most
/// one record is ever buffered. The version is not looked at (§3.6); it is in the AAD as received.
class RecordReader {
 public:
  /// Appends the bytes and returns the records that are complete now, up to a fault.
  std::vector<RawRecord> feed(ByteView bytes);
  /// What is wrong with the stream, once a bad header came. Nothing behind it is read: the records
  /// before it are good, at every fragmentation the same.
  const std::optional<ServerFault>& fault() const { return fault_; }
  /// Bytes of a record that has not arrived whole.
  size_t partial() const { return pending_.size(); }
  uint64_t bytes_received() const { return received_; }

 private:
  Bytes pending_;
  uint64_t received_ = 0;
  std::optional<ServerFault> fault_;
};

std::array<uint8_t, kHeaderSize> record_header(ContentType type, size_t length);
/// AAD of a protected record: 17 03 03 and the length of ciphertext || tag.
std::array<uint8_t, kHeaderSize> record_aad(size_t length);
/// iv xor seq, right-aligned (RFC 8446 §5.3).
std::array<uint8_t, 12> record_nonce(const std::array<uint8_t, 12>& iv, uint64_t seq);

/// The AEAD of the keys' suite. Nothing when the tag is wrong.
std::optional<Bytes> aead_open(const TrafficKeys& keys, uint64_t seq, const RawRecord& record);
/// Header, ciphertext and tag of one protected record; `content` at most 16,384 bytes.
Bytes aead_seal(const TrafficKeys& keys, uint64_t seq, ContentType type, ByteView content);

/// Content and type of an inner plaintext, padding removed. An inner plaintext over the limit or
/// without a type byte is a server fault in `step`.
struct InnerPlaintext {
  uint8_t type = 0;
  Bytes content;
};
InnerPlaintext split_inner(Bytes inner, std::string_view step);

/// A record in the clear, for the ClientHello (`version` 0301) and ChangeCipherSpec.
Bytes plain_record(ContentType type, uint16_t version, ByteView content);

/// Stitches handshake messages together across records (RFC 8446 §5.1). Bounded by `max_message`.
class HandshakeReassembler {
 public:
  explicit HandshakeReassembler(size_t max_message) : max_message_(max_message) {}
  void add(ByteView fragment) { append(pending_, fragment); }
  /// The next complete message, header included. A longer one than the bound is a server fault.
  std::optional<Bytes> next();
  bool empty() const { return pending_.empty(); }

 private:
  size_t max_message_;
  Bytes pending_;
};

}  // namespace flexroom::tls
