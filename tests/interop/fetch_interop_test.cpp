#include "call/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "interop/servers.h"

// What a member fetches alone (its own result object) goes through libcurl; certificates are judged
// by the same rule as in the members' own TLS client (tls-in-mpc.md §3.5).

namespace flexroom {
namespace {

using interop::ServerProcess;
using interop::Workshop;
using ::testing::HasSubstr;

class FetchInterop : public ::testing::Test {
 protected:
  static Workshop& workshop() {
    static Workshop workshop;
    return workshop;
  }
  std::string fetched(const std::string& certificate, const std::string& ca = "root.pem",
                      const std::function<void(Provider&)>& change = nullptr) {
    EXPECT_EQ(workshop().problem(), "");
    const ServerProcess server(workshop(), [&](uint16_t port) {
      return std::vector<std::string>{
          "openssl",     "s_server",           "-accept", "127.0.0.1:" + std::to_string(port),
          "-cert",       certificate + ".pem", "-key",    certificate + ".key",
          "-cert_chain", certificate + ".pem", "-quiet",  "-WWW"};
    });
    EXPECT_TRUE(server.ready()) << server.log();
    Provider provider;
    provider.name = "test";
    provider.ca_file = workshop().file(ca);
    provider.connect_to = {{"*", 0, {"127.0.0.1", server.port()}}};
    if (change) change(provider);
    try {
      const FetchResult result =
          fetch(provider, "https://api.example/small.txt", 1 << 20, std::chrono::seconds(60));
      return to_text(result.body);
    } catch (const ProtocolAbort& abort) {
      return abort.what();
    }
  }
};

TEST_F(FetchInterop, TheRuleOnCertificatesIsThatOfTheMembers) {
  EXPECT_EQ(fetched("ec"), "small answer\n");
  EXPECT_EQ(fetched("rsa"), "small answer\n");
  EXPECT_THAT(fetched("no-eku"), HasSubstr("serverAuth"));
  EXPECT_THAT(fetched("no-signature"), HasSubstr("digitalSignature"));
  EXPECT_THAT(fetched("wrong-eku"), HasSubstr("not meant for TLS servers"));
  EXPECT_THAT(fetched("excluded"), HasSubstr("may not certify"));
  EXPECT_THAT(fetched("wrong-name"), HasSubstr("api.example"));
  EXPECT_THAT(fetched("expired"), HasSubstr("expired"));
  EXPECT_THAT(fetched("ec", "other-root.pem"), HasSubstr("trusted root"));
}

TEST_F(FetchInterop, TheSettingsOfTheProviderApply) {
  EXPECT_THAT(fetched("ec", "middle.pem"), HasSubstr("trusted root"));
  EXPECT_EQ(fetched("ec", "middle.pem", [](Provider& p) { p.tls.trust_exact = true; }),
            "small answer\n");
  EXPECT_THAT(fetched("ec", "root.pem", [](Provider& p) { p.tls.spki_pin = Digest{}; }),
              HasSubstr("spki_pin"));
  EXPECT_THAT(
      fetched("ec", "root.pem", [](Provider& p) { p.tls.revocation = tls::Revocation::kMust; }),
      HasSubstr("`revocation`"));
}

}  // namespace
}  // namespace flexroom
