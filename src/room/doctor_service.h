#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "flexroom/doctor.h"
#include "tls/wire.h"

namespace flexroom::room {

/// The services that room.toml names exactly in this provider's entry: the names in `hosts` and
/// those of its connect_to rules that the entry serves; each at the ports of the rules for that
/// name, else at 443. Sorted, each once. Of a pattern ("*.example.com", "*") no name is guessed.
std::vector<Endpoint> named_services(const RoomConfig& room, const Provider& provider);

/// Looks at a service as the courier of a call does, from this machine: its name, a connection, a
/// TLS 1.3 handshake without a request, and its certificates by this member's roots. The first step
/// that fails is the Check, with the remedy for that step. What only the courier needs (all but the
/// certificates, which every member checks) is a warning at the others.
///
/// Units    waits 5 s at most for the connection and for each read
/// Errors   InputError when the provider's `ca_file` cannot be used
Check examine_service(const RoomConfig& room, PartyId self, const Provider& provider,
                      const Endpoint& service);

/// What to do about certificates that are refused with that alert.
std::string certificate_remedy(tls::Alert alert, const Provider& provider, const std::string& host);

}  // namespace flexroom::room
