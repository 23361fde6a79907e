#pragma once

#include <string>

#include "agent/connection.h"
#include "call/recipe_call.h"
#include "config/config.h"
#include "tls/certificate.h"

namespace flexroom {

/// Whom this member believes to be `host`, by the provider's entry: the one rule for the members'
/// own TLS client and for what a member fetches alone. Throws InputError when `ca_file` cannot be
/// used.
tls::ChainPolicy chain_policy(const Provider& provider, const std::string& host);

/// What circuits of a connection to `host` depend on of the provider's entry.
ConnectionShape connection_shape(const Provider& provider, std::string_view host,
                                 size_t num_members);

/// What a plan shows: the groups that a hello to the host offers, and how long it is.
std::string shown_groups(const Provider& provider, const std::string& host);

/// A connection to `host` with the settings of the provider's entry; courier and policy are the
/// caller's.
agent::ConnectionConfig provider_connection(const Provider& provider, const std::string& host);

}  // namespace flexroom
