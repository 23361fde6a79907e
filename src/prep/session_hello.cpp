#include "prep/session_hello.h"

#include <algorithm>

#include "base/error.h"
#include "prep/protocol.h"

namespace flexroom::prep {

namespace {

// Nonces of all under `eid`, and the session id they make.
void hello(net::Party& party, const Digest& eid, uint16_t protocol, std::string_view label) {
  RoScope scope;
  scope.eid = eid;
  party.set_scope(scope);
  Bytes own(eid.begin(), eid.end());
  append(own, hello_nonce(party.prg(), protocol));
  const std::vector<Bytes> all = party.exchange(label, own);
  for (const PartyId j : party.peers()) {
    require_same_protocol(ByteView(all[j]).subspan(32), protocol, label, j);
    if (!std::equal(eid.begin(), eid.end(), all[j].begin())) {
      throw ProtocolAbort(AbortCode::kDisagreement, label, "the member is in another epoch", j);
    }
  }
  RandomOracle sid("ses", scope);
  for (const Bytes& one : all) sid.field(ByteView(one).subspan(32));
  scope.sid = sid.digest();
  party.set_scope(scope);
}

bool is_of(const EpochState& epoch, const net::Party& party) {
  return epoch.self == party.id() && epoch.num_parties == party.num_parties();
}

}  // namespace

void session_hello(net::Party& party, const EpochState& epoch, uint16_t protocol) {
  constexpr std::string_view kLabel = "session hello";
  FLEXROOM_ASSERT(is_of(epoch, party));
  hello(party, epoch.eid, protocol, kLabel);
  party.set_zero_keys(epoch.zero_keys);
  party.echo(kLabel);
}

void refresh_hello(net::Party& party, const EpochState& from, const EpochState& to,
                   uint16_t protocol) {
  constexpr std::string_view kLabel = "refresh hello";
  FLEXROOM_ASSERT(is_of(from, party) && is_of(to, party) && from.eid != to.eid);
  hello(party, RandomOracle("refresh", RoScope{}).field(from.eid).field(to.eid).digest(), protocol,
        kLabel);
  party.set_zero_keys({});  // those of either epoch stay with its own sessions
  party.echo(kLabel);
}

Block session_hash_key(const RoScope& scope, uint16_t lane) {
  return RandomOracle("S", scope, lane).block();
}

}  // namespace flexroom::prep
