#include <algorithm>
#include <utility>

#include "tls/messages.h"

namespace flexroom::tls {
namespace {

using NameOf = std::pair<uint8_t, std::string_view>;

template <typename Type>
constexpr NameOf named(Type type, std::string_view name) {
  return {static_cast<uint8_t>(type), name};
}
constexpr NameOf kHandshakeNames[] = {
    named(HandshakeType::kClientHello, "ClientHello"),
    named(HandshakeType::kServerHello, "ServerHello"),
    named(HandshakeType::kNewSessionTicket, "NewSessionTicket"),
    named(HandshakeType::kEndOfEarlyData, "EndOfEarlyData"),
    named(HandshakeType::kEncryptedExtensions, "EncryptedExtensions"),
    named(HandshakeType::kCertificate, "Certificate"),
    named(HandshakeType::kCertificateRequest, "CertificateRequest"),
    named(HandshakeType::kCertificateVerify, "CertificateVerify"),
    named(HandshakeType::kFinished, "Finished"),
    named(HandshakeType::kKeyUpdate, "KeyUpdate"),
};
constexpr NameOf kAlertNames[] = {
    // RFC 8446 §6
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {22, "record_overflow"},
    {40, "handshake_failure"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

template <size_t kSize>
std::string describe(const NameOf (&names)[kSize], uint8_t number, std::string_view unknown) {
  const auto* const known = std::find_if(std::begin(names), std::end(names),
                                         [&](const NameOf& one) { return one.first == number; });
  return std::string(known == std::end(names) ? unknown : known->second) + " (" +
         std::to_string(number) + ")";
}

}  // namespace

std::string describe_handshake(uint8_t type) {
  return describe(kHandshakeNames, type, "unknown handshake message");
}

std::string describe_alert(uint8_t description) {
  std::string out = describe(kAlertNames, description, "unknown alert");
  if (description == 40) out += ": no common cipher suite, group or signature algorithm";
  if (description == 70) out += ": it does not speak TLS 1.3";
  if (description == 112) out += ": it does not know the host name";
  if (description == 71) out += ": it wants stronger parameters than were offered";
  if (description == 116) out += ": it requires a client certificate, which Flexroom does not have";
  return out;
}

}  // namespace flexroom::tls
