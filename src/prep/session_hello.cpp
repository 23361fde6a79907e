#include "prep/session_hello.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom::prep {

void session_hello(net::Party& party, const EpochState& epoch) {
  constexpr std::string_view kLabel = "session hello";
  FLEXROOM_ASSERT(epoch.self == party.id() && epoch.num_parties == party.num_parties());
  RoScope scope;
  scope.eid = epoch.eid;
  party.set_scope(scope);
  Bytes hello(64);  // eid, nonce
  std::copy(epoch.eid.begin(), epoch.eid.end(), hello.begin());
  party.prg().fill(std::span<uint8_t>(hello).subspan(32));
  const std::vector<Bytes> all = party.exchange(kLabel, hello);
  for (const PartyId j : party.peers()) {
    if (!std::equal(epoch.eid.begin(), epoch.eid.end(), all[j].begin())) {
      throw ProtocolAbort(AbortCode::kDisagreement, kLabel, "the member is in another epoch", j);
    }
  }
  RandomOracle sid("ses", scope);
  for (const Bytes& one : all) sid.field(ByteView(one).subspan(32));
  scope.sid = sid.digest();
  party.set_scope(scope);
  party.set_zero_keys(epoch.zero_keys);
  party.echo(kLabel);
}

Block session_hash_key(const RoScope& scope, uint16_t lane) {
  return RandomOracle("S", scope, lane).block();
}

}  // namespace flexroom::prep
