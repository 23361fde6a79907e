#include "tls/messages.h"

namespace flexroom::tls {

std::string describe_handshake(uint8_t type) {
  const auto name = [type]() -> std::string_view {
    switch (static_cast<HandshakeType>(type)) {
      case HandshakeType::kClientHello:
        return "ClientHello";
      case HandshakeType::kServerHello:
        return "ServerHello";
      case HandshakeType::kNewSessionTicket:
        return "NewSessionTicket";
      case HandshakeType::kEndOfEarlyData:
        return "EndOfEarlyData";
      case HandshakeType::kEncryptedExtensions:
        return "EncryptedExtensions";
      case HandshakeType::kCertificate:
        return "Certificate";
      case HandshakeType::kCertificateRequest:
        return "CertificateRequest";
      case HandshakeType::kCertificateVerify:
        return "CertificateVerify";
      case HandshakeType::kFinished:
        return "Finished";
      case HandshakeType::kKeyUpdate:
        return "KeyUpdate";
    }
    return "unknown handshake message";
  };
  return std::string(name()) + " (" + std::to_string(type) + ")";
}

std::string describe_alert(uint8_t description) {
  const auto name = [description]() -> std::string_view {
    switch (description) {  // RFC 8446 §6
      case 0:
        return "close_notify";
      case 10:
        return "unexpected_message";
      case 20:
        return "bad_record_mac";
      case 22:
        return "record_overflow";
      case 40:
        return "handshake_failure";
      case 42:
        return "bad_certificate";
      case 43:
        return "unsupported_certificate";
      case 44:
        return "certificate_revoked";
      case 45:
        return "certificate_expired";
      case 46:
        return "certificate_unknown";
      case 47:
        return "illegal_parameter";
      case 48:
        return "unknown_ca";
      case 49:
        return "access_denied";
      case 50:
        return "decode_error";
      case 51:
        return "decrypt_error";
      case 70:
        return "protocol_version";
      case 71:
        return "insufficient_security";
      case 80:
        return "internal_error";
      case 86:
        return "inappropriate_fallback";
      case 90:
        return "user_canceled";
      case 109:
        return "missing_extension";
      case 110:
        return "unsupported_extension";
      case 112:
        return "unrecognized_name";
      case 113:
        return "bad_certificate_status_response";
      case 115:
        return "unknown_psk_identity";
      case 116:
        return "certificate_required";
      case 120:
        return "no_application_protocol";
      default:
        return "unknown alert";
    }
  };
  std::string out = std::string(name()) + " (" + std::to_string(description) + ")";
  if (description == 40) out += ": no common cipher suite, group or signature algorithm";
  if (description == 70) out += ": it does not speak TLS 1.3";
  if (description == 112) out += ": it does not know the host name";
  if (description == 71) out += ": it wants stronger parameters than were offered";
  if (description == 116) out += ": it wants a client certificate, which Flexroom does not send";
  return out;
}

}  // namespace flexroom::tls
