#pragma once

#include "agent/connection.h"
#include "config/config.h"
#include "room/joined.h"
#include "tls/messages.h"

namespace flexroom::room {

/// A TLS 1.3 handshake by this machine alone, without a request, for a look at who answers: the
/// certificates and the staple as they came. Nothing is checked. Throws kServer.
/// Whether this program's TLS library knows one of the groups; look_at_service() needs it.
bool can_look_at_service(const Groups& groups);
tls::CertificateList look_at_service(ByteStream& stream, const std::string& host,
                                     const Groups& groups, const tls::CipherSuite& suite);

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
