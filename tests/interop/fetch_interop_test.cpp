#include "call/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "call/script_text.h"
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
                      const std::function<void(Provider&)>& change = nullptr,
                      const std::function<void(RoomConfig&)>& more = nullptr) {
    return served(certificate, ca, [&](RoomConfig room) {
      if (change) change(room.providers[0]);
      if (more) more(room);
      return to_text(
          fetch(room, "https://api.example/small.txt", 1 << 20, std::chrono::seconds(60)).body);
    });
  }
  /// What `action` says of a server with that certificate; the room's provider leads to it.
  static std::string served(const std::string& certificate, const std::string& ca,
                            const std::function<std::string(const RoomConfig&)>& action) {
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
    provider.hosts = {"*.example"};
    provider.ca_file = workshop().file(ca);
    provider.connect_to = {{"*", 0, {"127.0.0.1", server.port()}}};
    RoomConfig room;
    room.providers = {provider};
    try {
      return action(room);
    } catch (const ProtocolAbort& abort) {
      return abort.what();
    } catch (const InputError& error) {
      return error.what();
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

// What is shown for approval is the script of the agreed SHA-256, whole, or nothing.
TEST_F(FetchInterop, AScriptIsShownOnlyIfItIsTheAgreedOne) {
  std::ofstream(workshop().file("dos.txt"), std::ios::binary) << "#!/bin/sh\r\necho\r\n";
  std::ofstream(workshop().file("long.txt")) << std::string(kMaxScriptBytes + 1, '#');
  const auto shown = [&](const std::string& name, const std::string& text,
                         const std::string& certificate = "ec") {
    return served(certificate, "root.pem", [&](const RoomConfig& room) {
      JobConfig job;
      job.file = "job.toml";
      job.script_url = "https://api.example/" + name;
      job.script_sha256 = to_hex(sha256(as_bytes(text)));
      return agreed_script(job, room, nullptr);
    });
  };
  EXPECT_EQ(shown("small.txt", "small answer\n"), "small answer\n");
  EXPECT_THAT(shown("small.txt", "another\n"),
              HasSubstr("job.toml: script.url: is not the script of the agreed SHA-256"));
  EXPECT_THAT(shown("dos.txt", "#!/bin/sh\r\necho\r\n"),
              ::testing::AllOf(HasSubstr("job.toml: script.url: is a script whose lines end in CR"),
                               HasSubstr("convert it")));
  EXPECT_THAT(shown("long.txt", std::string(kMaxScriptBytes + 1, '#')),
              HasSubstr("more than 1048576 bytes"));
  EXPECT_THAT(shown("small.txt", "small answer\n", "expired"),
              ::testing::AllOf(HasSubstr("script.url: cannot be fetched"), HasSubstr("expired"),
                               HasSubstr("`file` in [script]")));
}

// A link of a member's own may lead anywhere: what a provider's CA may vouch for is its own hosts.
TEST_F(FetchInterop, ACaOfAProviderIsTrustedForItsOwnHostsOnly) {
  // The only entry is for other hosts: then its connect_to is not asked either, so no server is
  // met; what its own rules on certificates are worth elsewhere is seen with a second entry that
  // leads there.
  const auto elsewhere = [](Provider& p) { p.hosts = {"other.example"}; };
  const auto second = [](const std::filesystem::path* ca) {
    return [ca](RoomConfig& room) {
      Provider rest;
      rest.name = "rest";
      rest.hosts = {ca != nullptr ? "*.example" : "*"};
      if (ca != nullptr) rest.ca_file = *ca;
      rest.connect_to = room.providers[0].connect_to;
      room.providers.push_back(rest);
    };
  };
  const std::filesystem::path root = workshop().file("root.pem");
  EXPECT_THAT(fetched("ec", "root.pem", elsewhere, second(nullptr)), HasSubstr("trusted root"));
  EXPECT_EQ(fetched("ec", "other-root.pem", elsewhere, second(&root)), "small answer\n");
  EXPECT_THAT(fetched("ec", "root.pem", elsewhere), HasSubstr("api.example"));
}

}  // namespace
}  // namespace flexroom
