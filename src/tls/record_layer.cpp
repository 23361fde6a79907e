#include "tls/record_layer.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"
#include "base/openssl_ptr.h"
#include "tls/messages.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

using CipherContext = OpensslPtr<EVP_CIPHER_CTX>;

CipherContext new_context() {
  CipherContext ctx(EVP_CIPHER_CTX_new());
  FLEXROOM_ASSERT(ctx != nullptr);
  return ctx;
}

// A header can be judged before its payload is there.
size_t checked_length(ByteView header) {
  const uint8_t type = header[0];
  const size_t length = static_cast<size_t>(header[3]) << 8 | header[4];
  if (type < 20 || type > 23) {
    server_fault("record", "the server sent a record of unknown type " + std::to_string(type) +
                               "; perhaps it does not speak TLS at this port");
  }
  const size_t limit =
      type == static_cast<uint8_t>(ContentType::kApplicationData) ? kMaxCiphertext : kMaxPlaintext;
  if (length > limit) {
    server_fault("record",
                 "the server sent a record of " + std::to_string(length) + " bytes, at most " +
                     std::to_string(limit),
                 Alert::kRecordOverflow);
  }
  if (type == static_cast<uint8_t>(ContentType::kApplicationData) && length < kTagSize + 1) {
    server_fault("record", "the server sent a protected record too short to hold a tag",
                 Alert::kBadRecordMac);
  }
  return length;
}

}  // namespace

std::vector<RawRecord> RecordReader::feed(ByteView bytes) {
  if (fault_) {
    received_ += bytes.size();
    return {};
  }
  append(pending_, bytes);
  std::vector<RawRecord> out;
  size_t used = 0;
  uint64_t offset = received_ + bytes.size() - pending_.size();
  received_ += bytes.size();
  while (pending_.size() - used >= kHeaderSize) {
    const ByteView rest = ByteView(pending_).subspan(used);
    size_t length = 0;
    try {
      length = checked_length(rest.first(kHeaderSize));
    } catch (const ServerFault& fault) {
      fault_ = fault;
      used = pending_.size();  // what follows is no record, and no beginning of one
      break;
    }
    if (rest.size() < kHeaderSize + length) break;
    RawRecord record;
    std::copy_n(rest.begin(), kHeaderSize, record.header.begin());
    const ByteView payload = rest.subspan(kHeaderSize, length);
    record.payload.assign(payload.begin(), payload.end());
    record.offset = offset;
    used += kHeaderSize + length;
    offset += kHeaderSize + length;
    out.push_back(std::move(record));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(used));
  return out;
}

std::array<uint8_t, kHeaderSize> record_header(ContentType type, size_t length) {
  FLEXROOM_ASSERT(length <= kMaxCiphertext);
  return {static_cast<uint8_t>(type), 3, 3, static_cast<uint8_t>(length >> 8),
          static_cast<uint8_t>(length)};
}

std::array<uint8_t, kHeaderSize> record_aad(size_t length) {
  return record_header(ContentType::kApplicationData, length);
}

std::array<uint8_t, 12> record_nonce(const std::array<uint8_t, 12>& iv, uint64_t seq) {
  std::array<uint8_t, 12> out = iv;
  for (size_t i = 0; i < 8; ++i) out[4 + i] ^= static_cast<uint8_t>(seq >> (56 - 8 * i));
  return out;
}

std::optional<Bytes> aead_open(const TrafficKeys& keys, uint64_t seq, const RawRecord& record) {
  const auto nonce = record_nonce(keys.iv, seq);
  const ByteView ciphertext = record.ciphertext();
  const ByteView tag = record.tag();
  Bytes out(ciphertext.size());
  const CipherContext ctx = new_context();
  int size = 0;
  FLEXROOM_ASSERT(
      keys.key.size() == keys.suite->key_bytes &&
      EVP_DecryptInit_ex(ctx.get(), keys.suite->aead(), nullptr, keys.key.data(), nonce.data()) ==
          1 &&
      EVP_DecryptUpdate(ctx.get(), nullptr, &size, record.header.data(), kHeaderSize) == 1 &&
      EVP_DecryptUpdate(ctx.get(), out.data(), &size, ciphertext.data(),
                        static_cast<int>(ciphertext.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize,
                          const_cast<uint8_t*>(tag.data())) == 1);
  uint8_t unused[16];
  if (EVP_DecryptFinal_ex(ctx.get(), unused, &size) != 1) return std::nullopt;
  return out;
}

Bytes aead_seal(const TrafficKeys& keys, uint64_t seq, ContentType type, ByteView content) {
  FLEXROOM_ASSERT(content.size() <= kMaxPlaintext);
  Bytes inner(content.begin(), content.end());
  inner.push_back(static_cast<uint8_t>(type));
  const auto header = record_aad(inner.size() + kTagSize);
  const auto nonce = record_nonce(keys.iv, seq);
  Bytes out(header.begin(), header.end());
  out.resize(kHeaderSize + inner.size() + kTagSize);
  uint8_t* const ciphertext = out.data() + kHeaderSize;
  const CipherContext ctx = new_context();
  int size = 0;
  FLEXROOM_ASSERT(keys.key.size() == keys.suite->key_bytes &&
                  EVP_EncryptInit_ex(ctx.get(), keys.suite->aead(), nullptr, keys.key.data(),
                                     nonce.data()) == 1 &&
                  EVP_EncryptUpdate(ctx.get(), nullptr, &size, header.data(), kHeaderSize) == 1 &&
                  EVP_EncryptUpdate(ctx.get(), ciphertext, &size, inner.data(),
                                    static_cast<int>(inner.size())) == 1 &&
                  EVP_EncryptFinal_ex(ctx.get(), ciphertext + inner.size(), &size) == 1 &&
                  EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize,
                                      ciphertext + inner.size()) == 1);
  return out;
}

InnerPlaintext split_inner(Bytes inner, std::string_view step) {
  if (inner.size() > kMaxInner)
    server_fault(step, "the server's record is longer than 16,385 bytes", Alert::kRecordOverflow);
  while (!inner.empty() && inner.back() == 0) inner.pop_back();
  if (inner.empty()) server_fault(step, "the server sent a record of padding only");
  InnerPlaintext out;
  out.type = inner.back();
  inner.pop_back();
  out.content = std::move(inner);
  return out;
}

Bytes plain_record(ContentType type, uint16_t version, ByteView content) {
  FLEXROOM_ASSERT(content.size() <= kMaxPlaintext);
  Bytes out = {static_cast<uint8_t>(type), static_cast<uint8_t>(version >> 8),
               static_cast<uint8_t>(version), static_cast<uint8_t>(content.size() >> 8),
               static_cast<uint8_t>(content.size())};
  append(out, content);
  return out;
}

std::optional<Bytes> HandshakeReassembler::next() {
  if (pending_.size() < 4) return std::nullopt;
  const size_t size =
      static_cast<size_t>(pending_[1]) << 16 | static_cast<size_t>(pending_[2]) << 8 | pending_[3];
  if (size > max_message_) {
    server_fault("handshake",
                 "the server announced a " + describe_handshake(pending_[0]) + " of " +
                     std::to_string(size) + " bytes, at most " + std::to_string(max_message_),
                 Alert::kIllegalParameter);
  }
  if (pending_.size() < 4 + size) return std::nullopt;
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(4 + size);
  Bytes message(pending_.begin(), end);
  pending_.erase(pending_.begin(), end);
  return message;
}

}  // namespace flexroom::tls
