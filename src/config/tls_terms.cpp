#include "config/tls_terms.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/hex_digest.h"
#include "base/near_name.h"

namespace flexroom {
namespace {

Digest spki_digest(const TomlTable& table) {
  const std::string text = table.text("spki_pin");
  const auto digest = digest_of_hex(text);
  const bool has_upper =
      std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  if (!digest || has_upper) {
    table.fail("spki_pin", "is not 64 lower-case hex digits",
               "write the SHA-256 of the server's SubjectPublicKeyInfo; a refused connection names "
               "the one it saw");
  }
  return *digest;
}

tls::Revocation revocation_of(const TomlTable& table) {
  const std::string text = table.text_or("revocation", "off");
  if (text == "off") return tls::Revocation::kOff;
  if (text == "staple") return tls::Revocation::kStaple;
  if (text == "must") return tls::Revocation::kMust;
  table.fail("revocation", fmt::format("is '{}'", text), "write \"off\", \"staple\" or \"must\"");
}

tls::ReceiveMode receive_of(const TomlTable& table) {
  const std::string text = table.text_or("receive", "open");
  if (text == to_string(tls::ReceiveMode::kOpen)) return tls::ReceiveMode::kOpen;
  table.fail("receive",
             text == to_string(tls::ReceiveMode::kSealed)
                 ? "is \"sealed\", which is not built: answers are open to all"
                 : fmt::format("is '{}'", text),
             "write \"open\", or leave the line out");
}

}  // namespace

const tls::CipherSuite& load_suite(const TomlTable& table, const tls::CipherSuite& fallback) {
  const std::string setting = table.text_or("suite", fallback.setting);
  if (const tls::CipherSuite* const suite = tls::find_suite(setting)) return *suite;
  std::vector<std::string> known;
  for (const tls::CipherSuite& suite : tls::cipher_suites()) known.emplace_back(suite.setting);
  table.fail("suite",
             fmt::format("is '{}', which is not built{}", setting, did_you_mean(setting, known)),
             "use one of " + tls::known_suites());
}

tls::ClientAuth load_client_auth(const TomlTable& table, tls::ClientAuth fallback) {
  const std::string text = table.text_or("client_auth", to_string(fallback));
  for (const tls::ClientAuth auth : {tls::ClientAuth::kRefuse, tls::ClientAuth::kNone}) {
    if (text == to_string(auth)) return auth;
  }
  table.fail("client_auth", fmt::format("is '{}'", text),
             "write \"refuse\", or \"none\" for a service that asks for a client certificate and "
             "goes on without one");
}

TlsTerms TlsTerms::load(const TomlTable& table) {
  TlsTerms out;
  out.suite = &load_suite(table, *out.suite);
  out.client_auth = load_client_auth(table, out.client_auth);
  out.receive = receive_of(table);
  out.max_answer = static_cast<size_t>(table.integer_or(
      "max_answer", static_cast<int64_t>(out.max_answer), kMinAnswerLimit, kMaxAnswerLimit));
  out.await_close = table.flag_or("await_close", out.await_close);
  const std::string trust = table.text_or("trust", "roots");
  if (trust != "roots" && trust != "exact") {
    table.fail("trust", fmt::format("is '{}'", trust), "write \"roots\" or \"exact\"");
  }
  out.trust_exact = trust == "exact";
  out.revocation = revocation_of(table);
  if (table.has("spki_pin")) out.spki_pin = spki_digest(table);
  return out;
}

}  // namespace flexroom
