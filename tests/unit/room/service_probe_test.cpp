#include "room/service_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/openssl_service.h"

namespace flexroom::room {
namespace {

using support::OpensslService;
using ::testing::HasSubstr;

SeenService seen_of(const OpensslService::Options& options, const Provider& provider) {
  support::TestService::Seen seen;
  OpensslService service(options, seen);
  return look_at_service(service, provider, "api.example");
}

// Before minutes of preprocessing, not behind them (tls-complete.md §4.2).
TEST(ServiceProbe, SeesARequestForAClientCertificate) {
  Provider provider;
  provider.name = "p";
  const SeenService silent = seen_of({}, provider);
  EXPECT_EQ(silent.certificates.chain.size(), 2u);
  EXPECT_EQ(refused_request(silent, provider, "api.example"), "");

  const SeenService asks = seen_of({.answer = "", .verify = SSL_VERIFY_PEER}, provider);
  EXPECT_EQ(asks.certificates.chain.size(), 2u);
  EXPECT_THAT(refused_request(asks, provider, "api.example"), HasSubstr("a client certificate"));
  // The host's own entry decides.
  provider.host_client_auth["api.example"] = tls::ClientAuth::kNone;
  EXPECT_EQ(refused_request(asks, provider, "api.example"), "");
  EXPECT_NE(refused_request(asks, provider, "other.example"), "");
}

TEST(ServiceProbe, OffersWhatTheEntryOffers) {
  Provider provider;
  provider.name = "p";
  provider.groups = {NamedGroup::kX25519};
  EXPECT_THROW((void)seen_of({.answer = "", .groups = "P-256"}, provider), ProtocolAbort);
  provider.groups = {NamedGroup::kP256};
  EXPECT_FALSE(seen_of({.answer = "", .groups = "P-256"}, provider).certificates.chain.empty());
  EXPECT_THROW((void)seen_of({.answer = "", .suite = "TLS_AES_256_GCM_SHA384"}, provider),
               ProtocolAbort);
  provider.host_suite["api.example"] = &tls::aes256_gcm_sha384();
  EXPECT_FALSE(seen_of({.answer = "", .suite = "TLS_AES_256_GCM_SHA384"}, provider)
                   .certificates.chain.empty());
}

}  // namespace
}  // namespace flexroom::room
