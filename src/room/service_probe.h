#pragma once

#include "agent/connection.h"
#include "config/config.h"
#include "room/joined.h"
#include "tls/messages.h"

namespace flexroom::room {

/// Whether this program's TLS library knows one of the groups; look_at_service() needs it.
bool can_look_at_service(const Groups& groups);
struct SeenService {
  tls::CertificateList certificates;  // and the staple, as they came
  bool asks_for_certificate = false;  // for one of ours
};
/// A TLS 1.3 handshake by this machine alone, without a request, for a look at who answers. Nothing
/// of it is checked. The provider's entry says what the host is offered. Throws kServer.
SeenService look_at_service(ByteStream& stream, const Provider& provider, const std::string& host);

inline constexpr const char* kClientAuthRemedy =
    "where the service goes on without one, set `client_auth = \"none\"` of the provider or host "
    "in "
    "room.toml, alike at all members";
/// What is wrong with a request for a client certificate where the entry refuses it; empty where it
/// does not, or none came.
std::string refused_request(const SeenService& seen, const Provider& provider,
                            const std::string& host);

/// After all members approved and before anything is prepared for it: the courier looks at the
/// service and shows the others the certificates and the staple; each checks them against its own
/// roots and its own `revocation`. What is wrong (name, port, authority, staple) is known to all,
/// in the words of the member that found it, before minutes of preprocessing went into a call that
/// cannot be made. Beside that they compare what they remember of the host (ServiceConnections),
/// and forget it where they do not remember the same.
///
/// Not given  anything else: the connection of the call checks all of it again, itself
/// Errors     kServer, kTimeout; nothing was sent to the service
void probe_service(Joined& joined, const Provider& provider, const std::string& host,
                   uint16_t port);

}  // namespace flexroom::room
