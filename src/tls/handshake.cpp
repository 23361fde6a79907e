#include "tls/handshake.h"

#include <algorithm>
#include <utility>

#include "base/ct.h"
#include "base/error.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

constexpr int kMaxChangeCipherSpecs = 2;
constexpr size_t kMaxWaitingBytes = 128 * 1024;
/// A flight of one-byte fragments costs the server 22 bytes of record per byte of message.
constexpr size_t kMaxFlightBytes = 256 * 1024;

[[noreturn]] void unexpected(std::string_view what, Phase phase) {
  static constexpr std::string_view kExpected[] = {"ServerHello",         "nothing in the clear",
                                                   "EncryptedExtensions", "Certificate",
                                                   "CertificateVerify",   "Finished",
                                                   "protected records",   "nothing"};
  server_fault("handshake", "the server sent " + std::string(what) + " where " +
                                std::string(kExpected[static_cast<size_t>(phase)]) + " was due");
}

/// For middleboxes (RFC 8446 D.4).
Bytes change_cipher_spec() {
  static constexpr uint8_t kOne[] = {1};
  return plain_record(ContentType::kChangeCipherSpec, 0x0303, kOne);
}

HandshakeType due(Phase phase) {
  switch (phase) {
    case Phase::kServerHello:
      return HandshakeType::kServerHello;
    case Phase::kEncryptedExtensions:
      return HandshakeType::kEncryptedExtensions;
    case Phase::kCertificate:
      return HandshakeType::kCertificate;
    case Phase::kCertificateVerify:
      return HandshakeType::kCertificateVerify;
    default:
      return HandshakeType::kFinished;
  }
}

}  // namespace

HandshakeConfig handshake_config(ChainPolicy policy) {
  HandshakeConfig config;
  config.status_request = policy.revocation != Revocation::kOff;
  config.check_chain = [policy = std::move(policy)](const CertificateList& certificates) {
    check_chain(certificates, policy);
  };
  return config;
}

ClientHandshake::ClientHandshake(HandshakeConfig config, const ClientHelloInput& hello)
    : ClientHandshake(std::move(config), build_client_hello(hello)) {}

ClientHandshake::ClientHandshake(HandshakeConfig config, ClientHello hello)
    : config_(std::move(config)),
      hello_(std::move(hello)),
      transcript_(hash()),
      messages_(kMaxCertificateBytes) {
  FLEXROOM_ASSERT(config_.check_chain != nullptr);
  transcript_.add(hello_.message);
}

bool ClientHandshake::offers_kem() const {
  const ClientHelloInput& input = hello_.input;
  return std::any_of(input.key_shares.begin(), input.key_shares.end(), [&](const KeyShare& share) {
    return share.group == NamedGroup::kX25519MlKem768 &&
           std::find(input.held_back.begin(), input.held_back.end(), share.group) ==
               input.held_back.end();
  });
}

Bytes ClientHandshake::client_hello_record() const {
  if (!hello_.second) return plain_record(ContentType::kHandshake, 0x0301, hello_.message);
  Bytes out = change_cipher_spec();
  append(out, plain_record(ContentType::kHandshake, 0x0303, hello_.message));
  return out;
}

// Whatever a step throws ends the connection for good.
template <typename Step>
std::vector<Event> ClientHandshake::run(Step step) {
  if (phase_ == Phase::kDead) server_fault("handshake", "this connection has already been aborted");
  events_.clear();
  try {
    step();
  } catch (const ServerFault& fault) {
    alert_ = fault.alert();
    died_in_ = std::exchange(phase_, Phase::kDead);
    throw;
  } catch (...) {
    phase_ = Phase::kDead;
    throw;
  }
  return std::move(events_);
}

std::vector<Event> ClientHandshake::feed(ByteView bytes) {
  return run([&] {
    retried_now_ = false;
    for (const RawRecord& record : reader_.feed(bytes)) on_record(record);
    if (!reader_.fault()) return;
    if (phase_ != Phase::kApplication) throw ServerFault(*reader_.fault());
    if (!application_fault_) application_fault_ = reader_.fault()->detail();
  });
}

std::vector<Event> ClientHandshake::set_server_secret(const HashValue& s_hs) {
  FLEXROOM_ASSERT(phase_ == Phase::kSecrets || phase_ == Phase::kDead);
  return run([&] {
    s_hs_ = s_hs;
    server_keys_ = traffic_keys(s_hs, *hello_.input.suite);
    phase_ = Phase::kEncryptedExtensions;
    const std::vector<RawRecord> waiting = std::move(waiting_);
    waiting_.clear();
    for (const RawRecord& record : waiting) on_record(record);
  });
}

void ClientHandshake::end_of_stream() {
  run([&] {
    if (phase_ != Phase::kApplication) {
      server_fault("handshake",
                   "the server closed the connection during the handshake, after " +
                       std::to_string(bytes_received()) + " bytes",
                   Alert::kNone);
    }
  });
}

void ClientHandshake::on_record(const RawRecord& record) {
  if (phase_ == Phase::kApplication) return on_application_record(record);
  if (phase_ == Phase::kSecrets &&
      record.type() == static_cast<uint8_t>(ContentType::kApplicationData)) {
    waiting_bytes_ += record.payload.size() + kHeaderSize;
    if (waiting_bytes_ > kMaxWaitingBytes)
      server_fault("handshake", "the server's flight is too long");
    waiting_.push_back(record);
    return;
  }
  flight_bytes_ += record.payload.size() + kHeaderSize;
  if (flight_bytes_ > kMaxFlightBytes) server_fault("handshake", "the server's flight is too long");
  if (record.type() == static_cast<uint8_t>(ContentType::kApplicationData)) {
    on_protected_record(record);
  } else {
    on_plain_record(record);
  }
}

void ClientHandshake::on_alert(ByteView content) {
  if (content.size() != 2) server_fault("alert", "the server sent a malformed alert");
  constexpr uint8_t kHandshakeFailure = 40;
  std::string detail = "the server refused the handshake with alert " + describe_alert(content[1]);
  if (content[1] == kHandshakeFailure) {
    Groups groups;
    for (const KeyShare& share : hello_.input.key_shares) groups.push_back(share.group);
    detail +=
        " (offered were " + std::string(hello_.input.suite->name) + " and " + to_string(groups);
    detail += groups.size() < all_groups().size()
                  ? "; without `groups` and `pq` the provider's entry offers every group)"
                  : ")";
  }
  server_fault("alert", detail, Alert::kNone);
}

void ClientHandshake::on_plain_record(const RawRecord& record) {
  if (record.type() == static_cast<uint8_t>(ContentType::kAlert)) on_alert(record.payload);
  // "Handshake messages MUST NOT be interleaved with other record types" (RFC 8446 §5.1).
  if (record.type() == static_cast<uint8_t>(ContentType::kChangeCipherSpec)) {
    return on_change_cipher_spec(record);
  }
  if (phase_ != Phase::kServerHello) unexpected("a handshake record in the clear", phase_);
  if (retried_now_) {
    server_fault(
        "handshake",
        "the server sent more behind its HelloRetryRequest, before the second ClientHello");
  }
  on_handshake_bytes(record.payload);
}

void ClientHandshake::on_change_cipher_spec(const RawRecord& record) {
  if (!messages_.empty()) unexpected("ChangeCipherSpec within a message", phase_);
  if (record.payload.size() != 1 || record.payload[0] != 1) {
    server_fault("handshake", "the server sent a malformed ChangeCipherSpec");
  }
  if (++change_cipher_specs_ > kMaxChangeCipherSpecs) {
    server_fault("handshake", "the server sent more than two ChangeCipherSpec records");
  }
}

void ClientHandshake::on_protected_record(const RawRecord& record) {
  if (phase_ == Phase::kServerHello) unexpected("a protected record", phase_);
  auto inner = aead_open(server_keys_, server_seq_++, record);
  if (!inner) {
    server_fault("handshake", "a handshake record of the server does not verify under its key",
                 Alert::kBadRecordMac);
  }
  const InnerPlaintext plain = split_inner(std::move(*inner), "handshake");
  if (plain.type == static_cast<uint8_t>(ContentType::kAlert)) on_alert(plain.content);
  if (plain.type != static_cast<uint8_t>(ContentType::kHandshake)) {
    unexpected("content type " + std::to_string(plain.type), phase_);
  }
  on_handshake_bytes(plain.content);
}

void ClientHandshake::on_handshake_bytes(ByteView fragment) {
  if (fragment.empty()) server_fault("handshake", "the server sent an empty handshake fragment");
  messages_.add(fragment);
  while (auto message = messages_.next()) {
    on_message(*message);
    // The keys change after ServerHello and after Finished: a message must end with its record
    // there.
    if (retried_now_ && !messages_.empty()) {
      server_fault("handshake", "the server sent more data in the record of its HelloRetryRequest");
    }
    if ((phase_ == Phase::kSecrets || phase_ == Phase::kApplication) && !messages_.empty()) {
      server_fault("handshake", "the server sent more data in the record of its " +
                                    describe_handshake((*message)[0]) +
                                    ", across a change of keys");
    }
  }
}

void ClientHandshake::on_message(const Bytes& message) {
  const uint8_t type = message[0];
  const ByteView body = ByteView(message).subspan(4);
  if (type == static_cast<uint8_t>(HandshakeType::kCertificateRequest)) {
    on_certificate_request(body);
    transcript_.add(message);
    return;
  }
  if (type != static_cast<uint8_t>(due(phase_))) unexpected(describe_handshake(type), phase_);
  if (phase_ == Phase::kServerHello) return on_server_hello(message);
  const HashValue before = transcript_.digest();
  transcript_.add(message);
  switch (phase_) {
    case Phase::kEncryptedExtensions:  // C1
      check_encrypted_extensions(body, hello_);
      phase_ = Phase::kCertificate;
      break;
    case Phase::kCertificate:  // C2
      certificates_ = parse_certificate(body, hello_);
      config_.check_chain(certificates_);
      phase_ = Phase::kCertificateVerify;
      break;
    case Phase::kCertificateVerify:  // C3
      check_certificate_verify(certificates_.chain.front(), parse_certificate_verify(body), before);
      phase_ = Phase::kFinished;
      break;
    default:
      on_finished(body, before);
  }
}

// Whatever is wrong with it: from here on c_hs is opened for nothing.
void ClientHandshake::on_certificate_request(ByteView body) {
  const bool is_first = !std::exchange(certificate_requested_, true);
  if (phase_ != Phase::kCertificate || !is_first) {
    unexpected(describe_handshake(static_cast<uint8_t>(HandshakeType::kCertificateRequest)),
               phase_);
  }
  if (config_.client_auth == ClientAuth::kRefuse) {
    server_fault("handshake",
                 "the server asks for a client certificate (CertificateRequest), which Flexroom "
                 "does not have; where it goes on without one, `client_auth = \"none\"` of the "
                 "provider or host in room.toml answers that there is none");
  }
  check_certificate_request(body);
}

void ClientHandshake::on_server_hello(ByteView message) {
  auto parsed = parse_server_hello(message.subspan(4), hello_);
  if (const auto* retry = std::get_if<HelloRetryRequest>(&parsed)) {
    transcript_.retry();
    transcript_.add(message);
    hello_ = second_client_hello(hello_, *retry);
    transcript_.add(hello_.message);
    retried_now_ = true;
    events_.push_back({EventKind::kHelloRetry, {}, {}});
    return;
  }
  transcript_.add(message);
  phase_ = Phase::kSecrets;
  events_.push_back({EventKind::kServerHello, transcript_.digest(),
                     std::move(std::get<ServerHello>(parsed).key_share)});
}

void ClientHandshake::on_finished(ByteView body, const HashValue& transcript_before) {
  const HashValue expected = finished_mac(hash(), s_hs_, transcript_before);
  if (body.size() != expected.size() || !ct_equal(body, expected)) {  // C4
    server_fault("finished", "the server's Finished does not match the handshake",
                 Alert::kDecryptError);
  }
  h2_ = transcript_.digest();
  if (certificate_requested_) {
    transcript_.add(empty_certificate());
    flight_transcript_ = transcript_.digest();
  }
  phase_ = Phase::kApplication;
  events_.push_back({EventKind::kServerFinished, h2_, {}});
}

void ClientHandshake::on_application_record(const RawRecord& record) {
  if (application_fault_) return;
  const ApplicationLimit& limit = config_.application;
  application_content_ += record.payload.size() - std::min(record.payload.size(), kTagSize + 1);
  if (record.type() != static_cast<uint8_t>(ContentType::kApplicationData)) {
    application_fault_ = "the server sent an unprotected record of type " +
                         std::to_string(record.type()) + " behind its Finished";
  } else if (application_content_ > limit.content) {
    application_fault_ = "the server sent more than " + std::to_string(limit.content) +
                         " bytes in its records, " + limit.of;
  } else if (++application_records_ > limit.records) {
    application_fault_ =
        "the server sent more than " + std::to_string(limit.records) + " records, " + limit.of;
  } else {
    application_.push_back(record);
  }
}

Bytes ClientHandshake::client_finished_record(const HashValue& c_hs) const {
  FLEXROOM_ASSERT(phase_ == Phase::kApplication && !certificate_requested_);
  Bytes out = client_flight_start();
  const Bytes finished =
      handshake_message(HandshakeType::kFinished, finished_mac(hash(), c_hs, h2_));
  append(out,
         aead_seal(traffic_keys(c_hs, *hello_.input.suite), 0, ContentType::kHandshake, finished));
  return out;
}

Bytes ClientHandshake::client_flight_start() const {
  return hello_.second ? Bytes() : change_cipher_spec();
}

HashValue ClientHandshake::client_flight_transcript() const {
  FLEXROOM_ASSERT(phase_ == Phase::kApplication && certificate_requested_);
  return flight_transcript_;
}

void ClientHandshake::refuse_key_share() {
  FLEXROOM_ASSERT(phase_ == Phase::kSecrets);
  share_refused_ = true;
  alert_ = Alert::kIllegalParameter;
  died_in_ = std::exchange(phase_, Phase::kDead);
  server_fault("key share", "the server's key share is no point of its group", alert_);
}

Bytes ClientHandshake::alert_content() const {
  constexpr uint8_t kFatal = 2;
  return {kFatal, static_cast<uint8_t>(alert_)};
}

Bytes ClientHandshake::alert_record() const {
  if (alert_ == Alert::kNone) return {};
  if (died_in_ != Phase::kServerHello && !share_refused_) return {};
  return plain_record(ContentType::kAlert, 0x0303, alert_content());
}

bool ClientHandshake::owes_sealed_alert() const {
  return alert_ != Alert::kNone && died_in_ > Phase::kSecrets && died_in_ < Phase::kApplication &&
         !certificate_requested_;
}

Bytes ClientHandshake::sealed_alert_record(const HashValue& c_hs) const {
  FLEXROOM_ASSERT(owes_sealed_alert());
  Bytes out = client_flight_start();  // as the flight would stand
  append(out, aead_seal(traffic_keys(c_hs, *hello_.input.suite), 0, ContentType::kAlert,
                        alert_content()));
  return out;
}

std::vector<RawRecord> ClientHandshake::take_application_records() {
  return std::exchange(application_, {});
}

}  // namespace flexroom::tls
