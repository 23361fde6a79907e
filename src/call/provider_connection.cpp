#include "call/provider_connection.h"

#include <fmt/format.h>

namespace flexroom {

tls::ChainPolicy chain_policy(const Provider& provider, const std::string& host) {
  tls::TrustStore trust =
      provider.ca_file ? tls::TrustStore::from_files({provider.ca_file->string()}, provider.name)
                       : tls::TrustStore::system();
  tls::ChainPolicy policy{host, std::move(trust), [] { return std::chrono::system_clock::now(); },
                          provider.tls.spki_pin};
  policy.partial_chains = provider.tls.trust_exact;
  policy.revocation = provider.tls.revocation;
  if (provider.crl_file) {
    policy.revocation_lists =
        tls::RevocationLists::from_file(provider.crl_file->string(), provider.name);
  }
  return policy;
}

ConnectionShape connection_shape(const Provider& provider, std::string_view host,
                                 size_t num_members) {
  ConnectionShape out{&provider.suite_for(host), provider.groups_for(host), num_members};
  out.pad = provider.traffic_for(host).pad;
  out.client_auth = provider.client_auth_for(host);
  return out;
}

std::string shown_groups(const Provider& provider, const std::string& host) {
  const bool asks_for_staple = provider.tls.revocation != tls::Revocation::kOff;
  return fmt::format("{} in a hello of {} bytes", to_string(provider.groups_for(host)),
                     tls::client_hello_bytes(provider.groups_for(host), host, asks_for_staple));
}

agent::ConnectionConfig provider_connection(const Provider& provider, const std::string& host) {
  agent::ConnectionConfig config;
  config.host = host;
  config.groups = provider.groups_for(host);
  config.suite = &provider.suite_for(host);
  config.receive = provider.tls.receive;
  config.client_auth = provider.client_auth_for(host);
  config.max_answer = provider.tls.max_answer;
  config.await_close = provider.tls.await_close;
  config.pad = provider.traffic_for(host).pad;
  config.handshake = tls::handshake_config(chain_policy(provider, host));
  return config;
}

}  // namespace flexroom
