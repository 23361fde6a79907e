#include "agent/client_flight.h"

#include <gtest/gtest.h>

#include "agent/memory_journal.h"
#include "agent/suite.h"
#include "agent/wires.h"
#include "prep/ghash.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/parties.h"
#include "tls/record_layer.h"

// The client's flight without a certificate (tls-complete.md §4.2) at the object that makes it,
// against a server that knows c_hs.

namespace flexroom::agent {
namespace {

struct Room {
  size_t members;
  const tls::CipherSuite* suite;
};
void PrintTo(const Room& room, std::ostream* out) {
  *out << room.members << " members, " << room.suite->setting;
}

class ClientFlightTest : public ::testing::TestWithParam<Room> {};
INSTANTIATE_TEST_SUITE_P(Rooms, ClientFlightTest,
                         ::testing::Values(Room{2, &tls::aes128_gcm_sha256()},
                                           Room{3, &tls::aes128_gcm_sha256()},
                                           Room{2, &tls::aes256_gcm_sha384()},
                                           Room{2, &tls::chacha20_poly1305_sha256()},
                                           Room{3, &tls::chacha20_poly1305_sha256()}));

TEST_P(ClientFlightTest, IsWhatAServerExpectsAndHasOneTag) {
  const size_t n = GetParam().members;
  const tls::CipherSuite* const suite = GetParam().suite;
  Bytes secret(suite->hash().digest_bytes);
  for (size_t k = 0; k < secret.size(); ++k) secret[k] = static_cast<uint8_t>(37 * k + 5);
  const tls::HashValue c_hs(secret);
  const tls::HashValue transcript =
      tls::hash_of(suite->hash(), as_bytes("all up to the empty certificate"));
  support::Dealer dealer(n);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    prep::Source& source = dealer.source(party.id());
    arith::ArithEngine arith(party, source);
    boolean::Engine engine(party, source);
    MemoryJournal journal;
    const Views views(party, Digest{});
    const auto flight = suite_of(*suite).client_flight({party, source, arith, engine, journal});
    EXPECT_THROW((void)flight->tag_share({}), ProtocolAbort);  // there is none yet
    std::vector<boolean::Preparation> circuits;
    circuits.push_back(flight->circuit());
    circuits.front().with_previous = false;  // alone here
    EXPECT_EQ(flight->num_ands(), circuits.front().program->num_ands());
    auto instances = engine.prepare(std::move(circuits));
    flight->hold(std::move(instances.front()));

    ClientFlight::mark(journal, Digest{});
    EXPECT_THROW(ClientFlight::mark(journal, Digest{}), ProtocolAbort);
    ClientFlight::mark(journal, sha256({}));  // of another connection
    const prep::AuthBits share = dealer.share_bits(party.id(), 1, bits_of_bytes(secret));
    const boolean::OnlineInputs inputs = flight->inputs(share, transcript, views, Digest{});
    boolean::Outputs outputs = engine.run(flight->instance(), inputs);
    const RecordText record = flight->take(std::move(outputs));
    const prep::AuthField tag = flight->tag_share(record);
    try {
      (void)flight->tag_share(record);
      ADD_FAILURE() << "a second tag";
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kRefusedByRule);
    }
    Bytes out = record.header;
    append(out, record.ciphertext);
    append(out, prep::ghash_bytes(prep::open_field(party, source.delta(), tag, "test/tag")[0]));
    return out;
  });
  Bytes content = tls::empty_certificate();
  append(content, tls::handshake_message(tls::HandshakeType::kFinished,
                                         tls::finished_mac(suite->hash(), c_hs, transcript)));
  const Bytes expected =
      tls::aead_seal(tls::traffic_keys(c_hs, *suite), 0, tls::ContentType::kHandshake, content);
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, expected);
  }
}

// What plans count is what is prepared.
TEST(ClientFlightCost, IsThatOfItsCircuits) {
  const Suite& aes = suite_of(tls::aes128_gcm_sha256());
  EXPECT_EQ(aes.client_flight_ands(2), 264'165u);
  EXPECT_EQ(aes.client_flight_ands(3), 264'165u);
  const Suite& chacha = suite_of(tls::chacha20_poly1305_sha256());
  EXPECT_EQ(chacha.client_flight_ands(2),
            chacha.client_flight_program(2)->num_ands() + 2 * 259 + 125);
  EXPECT_EQ(chacha.client_flight_ands(3), chacha.client_flight_ands(2) + 2 * 259);
}

}  // namespace
}  // namespace flexroom::agent
