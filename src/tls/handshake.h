#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tls/certificate.h"
#include "tls/client_auth.h"
#include "tls/key_schedule.h"
#include "tls/messages.h"
#include "tls/record_layer.h"
#include "tls/transcript.h"

namespace flexroom::tls {

/// Replaces check_chain(); throws to refuse. For replaying published traces.
using ChainCheck = std::function<void(const CertificateList& certificates)>;

/// What is taken of protected records behind the server's Finished: content is counted, so that it
/// does not depend on how a server cuts it; what the cuts cost is bounded by their number (§3.6).
struct ApplicationLimit {
  size_t content = size_t{33} << 20;  // bytes: payloads without tag and type byte
  size_t records = size_t{2} << 20;
  /// Ends the sentence of the fault: whose limit it is.
  std::string of = "the most that is taken of an answer";

  /// Bytes of the stream that content and records within the limit may take.
  uint64_t stream_bytes() const {
    return uint64_t{content} + uint64_t{records} * (kHeaderSize + 1 + kTagSize);
  }
};

struct HandshakeConfig {
  ChainCheck check_chain;       // by default tls::check_chain with the policy below
  bool status_request = false;  // the policy looks at stapled OCSP responses
  ClientAuth client_auth = ClientAuth::kRefuse;
  ApplicationLimit application;
};
HandshakeConfig handshake_config(ChainPolicy policy);

enum class EventKind : uint8_t {
  /// A HelloRetryRequest passed its checks (tls-complete.md §1.2): client_hello_record() is to be
  /// sent again.
  kHelloRetry,
  /// The ServerHello passed its checks. `digest` is H1 = H(CH, SH), behind a HelloRetryRequest that
  /// of message_hash(CH1), HRR, CH2, SH; `key_share` the server's, raw.
  kServerHello,
  /// C1-C5 of §3.5 passed. `digest` is H2 = H(CH .. server Finished).
  kServerFinished,
};
struct Event {
  EventKind kind;
  HashValue digest;
  KeyShare key_share;
};

enum class Phase : uint8_t {
  kServerHello,  // waiting for it
  kSecrets,      // waiting for set_handshake_secrets(); bytes are kept
  kEncryptedExtensions,
  kCertificate,
  kCertificateVerify,
  kFinished,
  kApplication,  // records are collected raw
  kDead,
};

/// The public half of the TLS 1.3 client, which every party runs on its own copy of the server's
/// bytes (tls-in-mpc.md §3).
///
/// Setting    pure: bytes and events in, bytes and events out; no I/O, no clock but the policy's.
///            All state is public or opened (s_hs); c_hs is lent to it where a record under it is
///            due
/// Guarantee  kServerFinished comes only if the server's flight is exactly EncryptedExtensions,
///            Certificate, CertificateVerify, Finished with C1-C5 of §3.5, at any fragmentation;
///            with ClientAuth::kNone there may be one CertificateRequest behind the first. Equal
///            bytes give equal H1 and H2
/// Not given  that other parties saw the same bytes: compare H1 and H2 (A1, A2)
/// Aborts     kServer (network class), with a sentence; afterwards every call aborts. In
///            kApplication nothing aborts: a request may be out, and what came is kept; see
///            application_fault()
class ClientHandshake {
 public:
  ClientHandshake(HandshakeConfig config, const ClientHelloInput& hello);
  /// With a ready ClientHello message.
  ClientHandshake(HandshakeConfig config, ClientHello hello);

  /// The first bytes for the server; behind kHelloRetry, ChangeCipherSpec and the second hello.
  Bytes client_hello_record() const;
  /// Whether that hello holds an ML-KEM key.
  bool offers_kem() const;

  /// Server bytes in stream order, cut anywhere. At most 128 KB are kept while the secrets are
  /// awaited.
  std::vector<Event> feed(ByteView bytes);
  /// After kServerHello, once: the opened s_hs. Processes what has arrived meanwhile.
  std::vector<Event> set_server_secret(const HashValue& s_hs);
  /// The server closed its direction (or the relay says so). Aborts unless in kApplication.
  void end_of_stream();

  /// After kServerFinished: ChangeCipherSpec (RFC 8446 D.4), unless it went out with a second
  /// hello, and our Finished under c_hs. Not where the server asked for a certificate.
  Bytes client_finished_record(const HashValue& c_hs) const;
  /// Where it did, which ClientAuth::kNone lets pass: the ChangeCipherSpec alone, and what our
  /// Finished covers beside Certificate, H(CH .. server Finished || empty_certificate()). The
  /// record is made without c_hs (tls-complete.md §4.2).
  Bytes client_flight_start() const;
  HashValue client_flight_transcript() const;
  /// Whether a CertificateRequest was seen, well-formed or not.
  bool certificate_requested() const { return certificate_requested_; }
  /// Behind ServerHello, by whoever made the keys of the hello: the server's share is no point of
  /// its group. Ends the connection; there are no keys, so its alert is in the clear. Throws
  /// ServerFault.
  [[noreturn]] void refuse_key_share();
  /// After an abort: the record with the fatal alert that says so, for the courier to send while no
  /// member has agreed to the flight (§3.6), in the clear. Empty behind ServerHello (but for
  /// refuse_key_share()) and when the server itself ended the connection.
  Bytes alert_record() const;
  /// The same behind ServerHello, where the alert is sealed: whether c_hs is opened for it. Not
  /// where the server was seen to ask for a client certificate: whoever knows c_hs could answer
  /// with its own. A courier can keep that from the others; what protects is that no request
  /// follows where c_hs was opened for an alert (tls-complete.md §4.2). The record stands behind
  /// ChangeCipherSpec as the flight would (RFC 8446 D.4).
  bool owes_sealed_alert() const;
  Bytes sealed_alert_record(const HashValue& c_hs) const;
  /// The records after the server's Finished that have not been taken yet, still protected.
  std::vector<RawRecord> take_application_records();
  /// What is wrong behind the server's Finished: a bad record header, an unprotected record, more
  /// content or records than the limit. Records from there on are not given out; those before it
  /// are good.
  const std::optional<std::string>& application_fault() const { return application_fault_; }

  Phase phase() const { return phase_; }
  /// Server bytes fed so far: the offset that A3 messages carry (§3.6).
  uint64_t bytes_received() const { return reader_.bytes_received(); }
  /// Whether a record has begun that is not whole.
  bool has_partial_record() const { return reader_.partial() != 0; }

 private:
  template <typename Step>
  std::vector<Event> run(Step step);
  void on_record(const RawRecord& record);
  void on_plain_record(const RawRecord& record);
  void on_protected_record(const RawRecord& record);
  void on_application_record(const RawRecord& record);
  void on_change_cipher_spec(const RawRecord& record);
  void on_handshake_bytes(ByteView fragment);
  void on_alert(ByteView content);
  void on_message(const Bytes& message);
  void on_certificate_request(ByteView body);
  void on_server_hello(ByteView message);
  const HashKind& hash() const { return hello_.input.suite->hash(); }
  Bytes alert_content() const;
  void on_finished(ByteView body, const HashValue& transcript_before);

  HandshakeConfig config_;
  ClientHello hello_;
  Transcript transcript_;
  RecordReader reader_;
  HandshakeReassembler messages_;
  std::vector<RawRecord> waiting_;
  size_t waiting_bytes_ = 0;
  std::vector<RawRecord> application_;
  size_t application_content_ = 0;
  size_t application_records_ = 0;
  std::optional<std::string> application_fault_;
  std::vector<Event> events_;
  Phase phase_ = Phase::kServerHello;
  Phase died_in_ = Phase::kDead;  // while alive
  Alert alert_ = Alert::kNone;
  bool share_refused_ = false;
  bool retried_now_ = false;  // by this piece: the second hello is not out
  int change_cipher_specs_ = 0;
  size_t flight_bytes_ = 0;
  uint64_t server_seq_ = 0;
  bool certificate_requested_ = false;
  HashValue s_hs_;
  TrafficKeys server_keys_;
  CertificateList certificates_;
  HashValue h2_, flight_transcript_;
};

}  // namespace flexroom::tls
