#pragma once

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stream.h"
#include "math/ml_kem.h"
#include "unit/tls/fake_server.h"

namespace flexroom::support {

/// A TLS 1.3 service inside the test: the key schedule computed in the clear, records under the
/// right keys. One request, one answer, close_notify, unless its script says otherwise. It is
/// the socket of the courier.
class TestService : public ByteStream {
 public:
  struct Script {
    tls::testing::FakeServer server;
    std::optional<NamedGroup> group;  // that it takes; else the first whose key is there
    /// Asks for another hello first, with these messages in one record.
    std::vector<tls::testing::ServerHelloFields> retry;
    /// What it does when the first hello came, and the second.
    std::function<void(int)> on_hello;
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    std::vector<std::string> more;  // records behind the answer, a piece each
    Bytes raw;                      // behind those, as it is
    /// Records in front of the answer and behind `more`, of any type. Behind one that ends with a
    /// KeyUpdate the service uses its next keys.
    std::vector<std::pair<tls::ContentType, Bytes>> before, behind;
    /// Records that answer the second request, the third ..
    std::vector<std::vector<std::pair<tls::ContentType, Bytes>>> next_answers;
    bool one_piece = false;  // the whole answer comes at once
    bool withholds = false;  // the answers wait for the second request
    /// A record that nobody asked for, there for whoever looks behind an answer without waiting.
    std::string unasked;
    bool ends_unasked = false;                // the same of the end of the connection
    std::chrono::milliseconds pause{0};       // a piece is there when it is waited for that long
    bool answers_before_the_request = false;  // a 408 right behind the Finished
    std::string idle;  // said unasked behind the Finished; the network keeps it until the request
    bool ticket_with_flight = false;  // a session ticket right behind the Finished
    bool close_notify = true;
    bool swaps_records =
        false;                // the network gives the first two records of the answer the other way
    size_t padding = 0;       // zeros in each record of the answer
    bool keeps_keys = false;  // also behind a KeyUpdate of its own
    size_t next_keys_behind = 0;  // records of handshake messages, beside those that end with one
    bool stays = false;           // does not close the connection
    bool breaks = false;          // the network fails in place of the end
    bool closes_after_hello = false;
    std::optional<size_t> resets_at;       // the network fails while that request is written
    size_t request_bytes = 0;              // of each request, where records hold parts of one
    std::optional<size_t> flip_in_answer;  // byte of the first record of the answer
    std::optional<size_t> flip_in_more;    // byte of the first record of `more`
    std::optional<uint64_t> flip_byte;     // of the stream; the network flips bit 0
  };
  struct Seen {
    bool hello = false;
    bool retried = false;         // a second hello came
    uint64_t stream = 0;          // bytes sent to the client
    bool finished = false;        // the client's Finished was right
    tls::HashValue c_hs;          // in the running copy alone
    bool no_certificate = false;  // in front of it was a Certificate without any
    std::string request;          // the decrypted record, with content type; of several the last
    std::vector<std::string> requests;
    std::vector<size_t> record_bytes;  // of each record of a request, with its type and padding
    Bytes flight;                      // as sent
    Bytes other_flight;                // an equally valid one, with another signature
    Bytes flight_of_other_kind;  // with a CertificateRequest, if the first had none; or without
    Bytes other_hello;  // a record with a ServerHello in the other group, if its key was there
    Bytes alert;        // the client's: level, description
    bool alert_in_clear = false;
    bool looked_within = false;  // the client gave up waiting and looked at what it had
  };
  TestService(Script script, Seen& seen) : script_(std::move(script)), seen_(seen) {}

  static Bytes ticket_message() {
    Writer body;
    body.u32(3600).u32(1).u8(1).u8(0).u16(150).raw(Bytes(150, 7)).u16(0);
    return tls::handshake_message(tls::HandshakeType::kNewSessionTicket, body.bytes());
  }

  static Bytes key_update_message(uint8_t requested = 0) {
    return tls::handshake_message(tls::HandshakeType::kKeyUpdate, Bytes{requested});
  }

  void write(ByteView bytes) override {
    const bool hello_due = !seen_.hello || (!script_.retry.empty() && !seen_.retried);
    const bool alert = bytes[0] == static_cast<uint8_t>(tls::ContentType::kAlert);
    if (hello_due && !alert) return on_hello(bytes);
    for (const tls::RawRecord& record : reader_.feed(bytes)) on_record(record);
  }
  // Time is not waited for: what is not there yet does not come.
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) override {
    if (quiet.count() == 0 && pieces_.empty() && !script_.unasked.empty()) {
      pieces_.push_back(
          seal(tls::ContentType::kApplicationData, as_bytes(std::exchange(script_.unasked, {}))));
    }
    if (quiet.count() == 0 && pieces_.empty() && script_.ends_unasked) return Bytes();
    if (!pieces_.empty() && script_.pause > quiet) return std::nullopt;
    if (!pieces_.empty()) return read_some(max);
    seen_.looked_within = true;
    if (script_.stays) return std::nullopt;
    return read_some(max);
  }
  Bytes read_some(size_t max) override {
    if (pieces_.empty() && script_.breaks) {
      throw ProtocolAbort(AbortCode::kServer, "test service", "receiving failed: no route");
    }
    if (pieces_.empty() && script_.stays) {
      throw ProtocolAbort(AbortCode::kTimeout, "test service", "the service did not answer");
    }
    if (pieces_.empty()) return {};
    Bytes piece = pieces_.front();
    pieces_.pop_front();
    FLEXROOM_ASSERT(piece.size() <= max);
    if (script_.flip_byte && *script_.flip_byte >= sent_ &&
        *script_.flip_byte < sent_ + piece.size()) {
      piece[*script_.flip_byte - sent_] ^= 1;
    }
    sent_ += piece.size();
    seen_.stream = sent_;
    return piece;
  }
  void close() override {}

 private:
  static Digest filled_digest(const Bytes& bytes) {
    Digest out;
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }

  void on_hello(ByteView bytes) {
    seen_.retried = seen_.hello;
    seen_.hello = true;
    if (script_.on_hello) script_.on_hello(seen_.retried ? 2 : 1);
    const std::vector<tls::RawRecord> records = hello_reader_.feed(bytes);
    FLEXROOM_ASSERT(records.size() == (seen_.retried ? 2u : 1u));
    const Bytes& message = records.back().payload;
    const ByteView session_id = ByteView(message).subspan(4 + 2 + 32 + 1, 32);
    script_.server.hello.session_id.assign(session_id.begin(), session_id.end());
    if (script_.retry.empty() || seen_.retried) return on_client_hello(message);
    Bytes all;
    for (tls::testing::ServerHelloFields& retry : script_.retry) {
      retry.session_id = script_.server.hello.session_id;
      retry.suite = script_.server.hello.suite;
      append(all, retry.message());
    }
    hashed_ = tls::testing::join({tls::testing::message_hash(message, hash()), all});
    pieces_.push_back(tls::plain_record(tls::ContentType::kHandshake, 0x0303, all));
  }

  const tls::HashKind& hash() const { return script_.server.suite->hash(); }

  static constexpr uint16_t kGrease = 0x2a2a;  // RFC 8701: a group that nobody has

  static EVP_PKEY* new_key(uint16_t group) {
    return group == 0x0017 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                           : EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
  }
  static Bytes public_key(EVP_PKEY* key) {
    uint8_t* data = nullptr;
    const size_t size = EVP_PKEY_get1_encoded_public_key(key, &data);
    Bytes out(data, data + size);
    OPENSSL_free(data);
    return out;
  }
  static Bytes share_extension(uint16_t group, const Bytes& key) {
    return tls::testing::extension(
        51, Writer().u16(group).u16(static_cast<uint16_t>(key.size())).raw(key).take());
  }
  static std::pair<Bytes, Bytes> exchange_kem(const Bytes& theirs) {
    const auto end = theirs.begin() + math::MlKem768::kPublicKey;
    Bytes m(math::MlKem768::kMessage);
    FLEXROOM_ASSERT(RAND_bytes(m.data(), static_cast<int>(m.size())) == 1);
    const auto capsule =
        math::ml_kem_encapsulate(Bytes(theirs.begin(), end), SecretBytes(std::move(m)));
    FLEXROOM_ASSERT(capsule.has_value());
    const auto [share, x] = exchange(0x001d, Bytes(end, theirs.end()));
    const ByteView secret = capsule->shared.reveal();
    return {tls::testing::join({capsule->ciphertext, share}),
            tls::testing::join({Bytes(secret.begin(), secret.end()), x})};
  }
  /// Its own key's share, and the secret with the client's.
  static std::pair<Bytes, Bytes> exchange(uint16_t group, const Bytes& theirs) {
    if (group == 0x11ec) return exchange_kem(theirs);
    EVP_PKEY* own = new_key(group);
    EVP_PKEY* peer = EVP_PKEY_new();
    EVP_PKEY_copy_parameters(peer, own);
    if (group == 0x001d) EVP_PKEY_set_type(peer, EVP_PKEY_X25519);
    FLEXROOM_ASSERT(EVP_PKEY_set1_encoded_public_key(peer, theirs.data(), theirs.size()) == 1);
    Bytes x(32);
    size_t size = x.size();
    EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new(own, nullptr);
    FLEXROOM_ASSERT(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
                    EVP_PKEY_derive(ctx, x.data(), &size) == 1);
    EVP_PKEY_CTX_free(ctx);
    const Bytes share = public_key(own);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return {share, x};
  }

  void on_client_hello(const Bytes& message) {
    tls::testing::FakeServer& server = script_.server;
    const auto shares = tls::testing::key_shares_of(message);
    auto taken = shares.front();
    for (const auto& share : shares) {
      if (script_.group && share.first == tls::code_point(*script_.group)) taken = share;
    }
    for (const auto& [group, theirs] : shares) {
      if (group == taken.first || group == kGrease) continue;
      const tls::testing::ServerHelloFields own = server.hello;
      server.hello.key_share = share_extension(group, exchange(group, theirs).first);
      seen_.other_hello = server.server_hello_record();
      server.hello = own;
    }
    const auto [share, x] = exchange(taken.first, taken.second);
    server.hello.key_share = share_extension(taken.first, share);

    append(hashed_, message);
    append(hashed_, server.hello.message());
    const tls::HashKind& kind = hash();
    const tls::HashValue h1 = tls::hash_of(kind, hashed_);
    const tls::HashValue hs = tls::hmac(kind, tls::derived_early_secret(kind), x);
    server.c_hs = tls::derive_secret(kind, hs, tls::kClientHandshake, h1);
    server.s_hs = tls::derive_secret(kind, hs, tls::kServerHandshake, h1);
    const tls::HashValue derived = tls::derive_secret(kind, hs, "derived", tls::hash_of(kind, {}));
    const tls::HashValue ms = tls::hmac(kind, derived, Bytes(kind.digest_bytes));

    seen_.c_hs = server.c_hs;
    seen_.other_flight = sealed(server.flight(hashed_));
    tls::testing::FakeServer other = server;
    other.asks_for_certificate = !server.asks_for_certificate;
    seen_.flight_of_other_kind = sealed(other.flight(hashed_));
    const std::vector<Bytes> flight = server.flight(hashed_);
    seen_.flight = sealed(flight);
    append(hashed_, tls::testing::join(flight));
    const tls::HashValue h2 = tls::hash_of(kind, hashed_);
    c_ap_ = tls::derive_secret(kind, ms, tls::kClientApplication, h2);
    s_ap_ = tls::derive_secret(kind, ms, tls::kServerApplication, h2);
    pieces_.push_back(server.server_hello_record());
    if (script_.closes_after_hello) return;
    pieces_.push_back(seen_.flight);
    if (script_.ticket_with_flight) append(pieces_.back(), ticket());
    if (!script_.idle.empty()) {
      kept_back_ = {seal(tls::ContentType::kApplicationData, as_bytes(script_.idle))};
    }
    if (script_.answers_before_the_request) {
      append(pieces_.back(),
             answer("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").front());
    }
  }

  Bytes sealed(const std::vector<Bytes>& flight) const {
    Bytes out;
    uint64_t seq = 0;
    for (const Bytes& message : flight) append(out, script_.server.seal_handshake(message, seq++));
    return out;
  }

  Bytes seal(tls::ContentType type, ByteView content) {
    Bytes out = seal_under(tls::traffic_keys(s_ap_, *script_.server.suite), type, content);
    if (type == tls::ContentType::kHandshake && !script_.keeps_keys &&
        (ends_with_key_update(content) ||
         (script_.next_keys_behind != 0 && --script_.next_keys_behind == 0))) {
      s_ap_ = tls::next_traffic_secret(hash(), s_ap_);
      seq_ = 0;
    }
    return out;
  }
  static bool ends_with_key_update(ByteView content) {
    const Bytes update = key_update_message();
    return content.size() >= update.size() &&
           std::equal(update.begin(), update.end() - 1, content.end() - std::ptrdiff_t{5});
  }
  Bytes seal_under(const tls::TrafficKeys& keys, tls::ContentType type, ByteView content) {
    if (script_.padding == 0) return tls::aead_seal(keys, seq_++, type, content);
    // Type byte and zeros; the last zero stands where a type byte would.
    Bytes padded(content.begin(), content.end());
    padded.push_back(static_cast<uint8_t>(type));
    padded.resize(padded.size() + script_.padding - 1);
    return tls::aead_seal(keys, seq_++, tls::ContentType{0}, padded);
  }
  Bytes close_notify() { return seal(tls::ContentType::kAlert, Bytes{1, 0}); }
  Bytes ticket() { return seal(tls::ContentType::kHandshake, ticket_message()); }
  std::vector<Bytes> answer(std::string_view text) {
    Bytes front;
    for (const auto& [type, content] : script_.before) append(front, seal(type, content));
    std::vector<Bytes> out = {seal(tls::ContentType::kApplicationData, as_bytes(text))};
    for (const std::string& record : script_.more) {
      out.push_back(seal(tls::ContentType::kApplicationData, as_bytes(record)));
    }
    for (const auto& [type, content] : script_.behind) out.push_back(seal(type, content));
    if (script_.flip_in_answer) out[0].at(*script_.flip_in_answer) ^= 1;
    if (script_.flip_in_more) out.at(1).at(*script_.flip_in_more) ^= 1;
    if (script_.swaps_records) std::swap(out[0], out[1]);
    append(out.back(), script_.raw);
    if (script_.close_notify) append(out.back(), close_notify());
    if (!front.empty()) out.insert(out.begin(), front);
    return out;
  }

  void note_alert(const tls::RawRecord& record) {
    const bool clear = record.type() == static_cast<uint8_t>(tls::ContentType::kAlert);
    Bytes content = record.payload;
    if (!clear) {
      if (record.type() != static_cast<uint8_t>(tls::ContentType::kApplicationData)) return;
      const auto inner =
          tls::aead_open(tls::traffic_keys(script_.server.c_hs, *script_.server.suite), 0, record);
      if (!inner || inner->back() != static_cast<uint8_t>(tls::ContentType::kAlert)) return;
      content.assign(inner->begin(), inner->end() - 1);
    }
    seen_.alert = content;
    seen_.alert_in_clear = clear;
  }

  void on_record(const tls::RawRecord& record) {
    if (!seen_.finished) note_alert(record);
    if (record.type() != static_cast<uint8_t>(tls::ContentType::kApplicationData)) return;
    if (!seen_.finished) {
      const auto inner =
          tls::aead_open(tls::traffic_keys(script_.server.c_hs, *script_.server.suite), 0, record);
      if (!inner) return;
      const bool asked = script_.server.asks_for_certificate;
      const Bytes certificate = asked ? from_hex("0b00000400000000") : Bytes();
      const tls::HashValue covered =
          tls::hash_of(hash(), tls::testing::join({hashed_, certificate}));
      Bytes expected = certificate;
      append(expected,
             tls::handshake_message(tls::HandshakeType::kFinished,
                                    tls::finished_mac(hash(), script_.server.c_hs, covered)));
      expected.push_back(static_cast<uint8_t>(tls::ContentType::kHandshake));
      seen_.finished = *inner == expected;
      seen_.no_certificate = seen_.finished && asked;
      return;
    }
    if (script_.resets_at == seen_.requests.size()) {
      throw ProtocolAbort(AbortCode::kServer, "test service", "sending failed: reset");
    }
    const auto inner = tls::aead_open(tls::traffic_keys(c_ap_, *script_.server.suite),
                                      seen_.record_bytes.size(), record);
    if (!inner) return;
    seen_.record_bytes.push_back(inner->size());
    request_ += to_text(*inner);
    while (request_.ends_with('\0')) request_.pop_back();  // padding
    if (request_.size() < script_.request_bytes) return request_.pop_back();
    seen_.request = std::exchange(request_, "");
    seen_.requests.push_back(seen_.request);
    if (script_.answers_before_the_request) return;
    std::vector<Bytes> pieces;
    if (seen_.requests.size() == 1) {
      pieces = answer(script_.answer);
    } else if (seen_.requests.size() - 2 < script_.next_answers.size()) {
      for (const auto& [type, content] : script_.next_answers[seen_.requests.size() - 2]) {
        pieces.push_back(seal(type, content));
      }
    }
    if (script_.one_piece) {
      Bytes all;
      for (const Bytes& piece : pieces) append(all, piece);
      pieces = {all};
    }
    for (Bytes& piece : kept_back_) pieces_.push_back(std::move(piece));
    kept_back_.clear();
    std::deque<Bytes>& to = script_.withholds ? withheld_ : pieces_;
    for (Bytes& piece : pieces) to.push_back(std::move(piece));
    if (script_.withholds && seen_.requests.size() > 1) pieces_ = std::move(withheld_);
  }

  Script script_;
  Seen& seen_;
  Bytes hashed_;  // the transcript so far
  tls::RecordReader hello_reader_, reader_;
  std::deque<Bytes> pieces_, withheld_, kept_back_;
  std::string request_;  // as far as its records came
  uint64_t sent_ = 0;
  uint64_t seq_ = 0;
  tls::HashValue c_ap_, s_ap_;
};

}  // namespace flexroom::support
