#include "room/doctor_service.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <tuple>

#include "base/display.h"
#include "base/named_group.h"
#include "call/provider_connection.h"
#include "net/address.h"
#include "net/tcp_stream.h"
#include "room/service_probe.h"
#include "tls/certificate.h"

namespace flexroom::room {
namespace {

using State = Check::State;

constexpr std::chrono::seconds kServicePatience{5};
constexpr uint16_t kHttps = 443;

std::string text_of(const Endpoint& endpoint) {
  return fmt::format("{}:{}", display(endpoint.host), endpoint.port);
}

/// One look, step after step; each knows what to do when it fails.
class ServiceLook {
 public:
  ServiceLook(const RoomConfig& room, PartyId self, const Provider& provider,
              const Endpoint& service)
      : room_(room),
        self_(self),
        provider_(provider),
        service_(service),
        target_(provider.resolve(service.host, service.port)),
        redirected_(target_.host != service.host || target_.port != service.port) {}

  Check run() {
    const net::Resolved resolved = net::resolve(target_.host, target_.port);
    if (!resolved.problem.empty()) {
      return of_courier(
          fmt::format("the name {} does not resolve: {}", display(target_.host), resolved.problem),
          name_remedy());
    }
    std::unique_ptr<ByteStream> stream;
    try {
      stream = net::connect_tcp(target_.host, target_.port, kServicePatience);
    } catch (const ProtocolAbort& abort) {
      return of_courier(abort.detail(), reach_remedy());
    }
    if (!can_look_at_service(groups())) {
      return {"", State::kOk,
              "takes connections; whether its TLS is right is not looked at: OpenSSL here has no "
              "X25519MLKEM768, and no other group is offered",
              ""};
    }
    SeenService look;
    try {
      look = look_at_service(*stream, provider_, service_.host);
      stream->close();
    } catch (const ProtocolAbort& abort) {
      return of_courier(abort.detail(), tls_remedy());
    }
    const std::string refused = refused_request(look, provider_, service_.host);
    if (!refused.empty()) return {"", State::kProblem, refused, kClientAuthRemedy};
    try {
      tls::check_chain(look.certificates, chain_policy(provider_, service_.host));
    } catch (const tls::ServerFault& fault) {
      return {"", State::kProblem, fault.detail(),
              certificate_remedy(fault.alert(), provider_, service_.host)};
    }
    return {"", State::kOk, "answers TLS 1.3; its certificate is right", ""};
  }

 private:
  Check of_courier(const std::string& detail, const std::string& remedy) const {
    const PartyId courier = room_.courier_id();
    if (courier == self_) return {"", State::kProblem, detail, remedy};
    return {"", State::kWarning, detail,
            fmt::format("only the courier, {}, connects to it: nothing is needed here if its "
                        "`flexroom doctor` finds it; else there: {}",
                        room_.members[courier].name, remedy)};
  }

  const Groups& groups() const { return provider_.groups_for(service_.host); }
  const tls::CipherSuite& suite() const { return provider_.suite_for(service_.host); }

  std::string name_remedy() const {
    if (redirected_) {
      return fmt::format("correct the address in the connect_to rule of provider {} in room.toml",
                         provider_.name);
    }
    return fmt::format(
        "correct the name in `hosts` of provider {} in room.toml, or mend the resolver of this "
        "machine; where the service has another address, write connect_to = "
        "[\"{}:{}=ADDRESS:PORT\"]",
        provider_.name, display(service_.host), service_.port);
  }

  std::string reach_remedy() const {
    if (redirected_) {
      return fmt::format(
          "start what should answer at {}, or correct the connect_to rule of provider {} in "
          "room.toml",
          text_of(target_), provider_.name);
    }
    return fmt::format(
        "let this machine out to {} (firewall, route); where the service has another address, "
        "write connect_to = [\"{}=ADDRESS:PORT\"] into provider {} of room.toml",
        text_of(target_), text_of(service_), provider_.name);
  }

  std::string tls_remedy() const {
    return fmt::format(
        "see that what answers at {} is the service, with TLS 1.3; if it is, set `suite` (now {}) "
        "or `groups` (now {}) of [provider.{}.host.\"{}\"] in room.toml to what it takes",
        text_of(target_), suite().setting, to_string(groups()), provider_.name,
        display(service_.host));
  }

  const RoomConfig& room_;
  const PartyId self_;
  const Provider& provider_;
  const Endpoint& service_;
  const Endpoint target_;
  const bool redirected_;
};

}  // namespace

std::vector<Endpoint> named_services(const RoomConfig& room, const Provider& provider) {
  std::vector<Endpoint> out;
  for (const Provider::ConnectTo& rule : provider.connect_to) {
    if (rule.host == "*" || !room.serves(provider, rule.host)) continue;
    out.push_back({rule.host, rule.port == 0 ? kHttps : rule.port});
  }
  const size_t by_rule = out.size();
  for (const std::string& host : provider.hosts) {
    if (host.starts_with("*")) continue;
    const bool known = std::any_of(out.begin(), out.begin() + static_cast<ptrdiff_t>(by_rule),
                                   [&](const Endpoint& one) { return one.host == host; });
    if (!known) out.push_back({host, kHttps});
  }
  const auto key = [](const Endpoint& one) { return std::tie(one.host, one.port); };
  std::sort(out.begin(), out.end(),
            [&](const Endpoint& a, const Endpoint& b) { return key(a) < key(b); });
  out.erase(std::unique(out.begin(), out.end(),
                        [&](const Endpoint& a, const Endpoint& b) { return key(a) == key(b); }),
            out.end());
  return out;
}

Check examine_service(const RoomConfig& room, PartyId self, const Provider& provider,
                      const Endpoint& service) {
  return ServiceLook(room, self, provider, service).run();
}

std::string certificate_remedy(tls::Alert alert, const Provider& provider,
                               const std::string& host) {
  switch (alert) {
    case tls::Alert::kCertificateExpired:
      return "set this machine's clock (NTP); if it is right, the service must renew its "
             "certificate";
    case tls::Alert::kUnknownCa:
      return fmt::format(
          "set `ca_file` of provider {} in room.toml to the authority of the service (without one "
          "the system's roots count: install ca-certificates); if it is right, another service "
          "answers there",
          provider.name);
    case tls::Alert::kBadCertificateStatusResponse:
      return fmt::format(
          "let the service staple a fresh certificate status, or agree on another `revocation` of "
          "provider {} in room.toml",
          provider.name);
    case tls::Alert::kCertificateRevoked:
      return "do not use it: ask who runs the service, which needs a new certificate";
    default:
      return fmt::format(
          "see that the service of {} answers there, not another (address, connect_to of provider "
          "{} in room.toml, `spki_pin`); if it is, it needs a certificate as the line says",
          display(host), provider.name);
  }
}

}  // namespace flexroom::room
