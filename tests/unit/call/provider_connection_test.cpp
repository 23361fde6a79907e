#include "call/provider_connection.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

// What room.toml says of a service reaches the connection.
TEST(ProviderConnection, TakesTheSettingsOfTheEntry) {
  Provider provider;
  provider.name = "p";
  agent::ConnectionConfig config = provider_connection(provider, "a.example");
  EXPECT_FALSE(config.await_close);
  EXPECT_EQ(config.receive, agent::ReceiveMode::kOpen);
  EXPECT_EQ(config.groups, all_groups());
  EXPECT_EQ(config.host, "a.example");
  provider.groups = {NamedGroup::kP256};
  provider.tls.await_close = true;
  provider.tls.max_answer = 2048;
  provider.tls.receive = tls::ReceiveMode::kSealed;
  config = provider_connection(provider, "a.example");
  EXPECT_TRUE(config.await_close);
  EXPECT_EQ(config.max_answer, 2048u);
  EXPECT_EQ(config.receive, agent::ReceiveMode::kSealed);
  EXPECT_EQ(config.groups, Groups{NamedGroup::kP256});
  EXPECT_TRUE(chain_policy(provider, "a.example").revocation_lists.empty());
  provider.crl_file = "/dev/null";  // read for each connection, so that a fresh one counts
  EXPECT_THROW((void)provider_connection(provider, "a.example"), InputError);
}

// 103: of a host that must have ML-KEM, whatever its provider's other hosts are offered.
TEST(ProviderConnection, OffersTheGroupsOfTheHost) {
  Provider provider;
  provider.name = "p";
  provider.groups = all_curves();
  provider.host_groups["b.example"] = {NamedGroup::kX25519MlKem768};
  for (const auto& [host, groups] :
       {std::pair<std::string, std::string>{"a.example", "x25519, p256"},
        {"b.example", "x25519mlkem768"},
        {"x.b.example", "x25519mlkem768"}}) {
    EXPECT_EQ(to_string(provider_connection(provider, host).groups), groups);
    EXPECT_EQ(to_string(connection_shape(provider, host, 2).groups), groups);
    EXPECT_EQ(shown_groups(provider, host).rfind(groups + " in a hello", 0), 0u);
  }
}

// What is counted and what is offered is one suite, of the host.
TEST(ProviderConnection, OffersTheSuiteOfTheHost) {
  Provider provider;
  provider.name = "p";
  provider.host_suite["b.example"] = &tls::chacha20_poly1305_sha256();
  for (const auto& [host, suite] : {std::pair<std::string, std::string>{"a.example", "aes128"},
                                    {"b.example", "chacha20"},
                                    {"x.b.example", "chacha20"}}) {
    EXPECT_EQ(provider_connection(provider, host).suite->setting, suite);
    EXPECT_EQ(connection_shape(provider, host, 2).suite->setting, suite);
  }
}

}  // namespace
}  // namespace flexroom
