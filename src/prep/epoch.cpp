#include "prep/epoch.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "prep/auth_bits.h"
#include "prep/protocol.h"

namespace flexroom::prep {
namespace {

constexpr std::string_view kMagic = "flexroom epoch 1";
constexpr size_t kMaxParties = 255;  // a party index is one byte of a hash tweak
constexpr uint16_t kSetupLane = 0xffff;

// §2.1: bit0 = 1 everywhere, bit1 = 1 at party 0 only.
LockedBlock pinned_delta(PartyId self, Prg& prg) {
  LockedBlock delta;
  prg.fill(std::span<Block>(&delta.writable(), 1));
  delta.set_bit(0, true);
  delta.set_bit(1, self == 0);
  return delta;
}

std::vector<Block> exchange_zero_keys(net::Party& party) {
  std::vector<Block> keys(party.num_parties());
  if (party.num_parties() == 2) return keys;
  for (const PartyId j : party.peers()) {
    keys[j] = party.prg().next_block();
    net::send_blocks(party, j, "setup/zero key", {&keys[j], 1});
  }
  for (const PartyId j : party.peers()) {
    Block theirs;
    net::receive_blocks(party, j, "setup/zero key", {&theirs, 1});
    keys[j] ^= theirs;
  }
  return keys;
}

// Both ends of every ordered pair announce its transcript digest; all must agree (echo) and match.
// Layout of an announcement: [n][2] digests, direction party -> j first.
std::vector<Bytes> exchange_transcripts(net::Party& party,
                                        const std::vector<ot::PairSetup>& pairs) {
  constexpr std::string_view kLabel = "setup/transcripts";
  const size_t n = party.num_parties();
  Bytes own;
  for (PartyId j = 0; j < n; ++j) {
    append(own, pairs[j].transcripts.as_sender);
    append(own, pairs[j].transcripts.as_receiver);
  }
  std::vector<Bytes> all = party.exchange(kLabel, own);
  constexpr Digest none{};
  const auto announced = [&](PartyId by, PartyId other, size_t direction) {
    return ByteView(all[by]).subspan((2 * other + direction) * 32, 32);
  };
  for (PartyId i = 0; i < n; ++i) {
    if (!std::equal(none.begin(), none.end(), announced(i, i, 1).begin())) {
      throw ProtocolAbort(AbortCode::kEcho, kLabel, "a set-up with itself", i);
    }
    for (PartyId j = 0; j < n; ++j) {
      // i = j: both are the digest "none"; anything else there would give another eid.
      const ByteView at_sender = announced(i, j, 0);
      const ByteView at_receiver = i == j ? ByteView(none) : announced(j, i, 1);
      if (!std::equal(at_sender.begin(), at_sender.end(), at_receiver.begin())) {
        throw ProtocolAbort(AbortCode::kEcho, kLabel, "two members saw different set-ups",
                            i == party.id() ? j : i);
      }
    }
  }
  party.echo(kLabel);
  return all;
}

// Two digests a COT direction: everything that makes this epoch this one.
Digest epoch_id(const EpochParameters& parameters, const std::vector<Bytes>& nonces,
                const std::vector<Bytes>& transcripts) {
  RandomOracle eid("eid", RoScope{});
  eid.field(uint64_t{parameters.subfield_bits});
  for (const Bytes& identity : parameters.identities) eid.field(identity);
  for (const Bytes& nonce : nonces) eid.field(nonce);
  for (const Bytes& digests : transcripts) eid.field(digests);
  return eid.digest();
}

}  // namespace

EpochState::~EpochState() { wipe(zero_keys.data(), zero_keys.size() * sizeof(Block)); }

EpochState setup_epoch(net::Party& party, const EpochParameters& parameters, Safety* safety) {
  FLEXROOM_ASSERT(parameters.identities.size() == party.num_parties() &&
                  party.num_parties() <= kMaxParties);
  party.set_scope(RoScope{});
  constexpr std::string_view kNonces = "setup/nonces";
  const std::vector<Bytes> nonces =
      party.exchange(kNonces, hello_nonce(party.prg(), parameters.protocol));
  for (const PartyId j : party.peers()) {
    require_same_protocol(nonces[j], parameters.protocol, kNonces, j);
  }
  party.echo(kNonces);
  RandomOracle suid("setup", RoScope{});
  suid.field(uint64_t{parameters.subfield_bits});
  for (const Bytes& one : nonces) suid.field(one);
  for (const Bytes& identity : parameters.identities) suid.field(identity);
  RoScope scope;
  scope.eid = scope.sid = suid.digest();
  party.set_scope(scope);

  EpochState state;
  state.self = party.id();
  state.num_parties = party.num_parties();
  state.delta = pinned_delta(party.id(), party.prg());
  std::vector<ot::PairSetup> pairs =
      ot::setup_pairs(party, state.delta, parameters.subfield_bits, safety);
  state.zero_keys = exchange_zero_keys(party);
  party.set_zero_keys(state.zero_keys);
  state.eid = epoch_id(parameters, nonces, exchange_transcripts(party, pairs));
  for (ot::PairSetup& pair : pairs) state.pairs.push_back(std::move(pair.seeds));

  scope.eid = state.eid;  // the set-up session keeps suid as its sid
  party.set_scope(scope);
  if (party.num_parties() > 2) {
    const size_t count = 128 * party.num_parties();
    BitGenerator generator(party, state, count, kSetupLane, safety);
    const AuthBits bits = generator.random_bits(count);
    check_delta_consistency(party, state.delta, bits, safety);
  }
  return state;
}

SecretBytes EpochState::serialise() const {
  // Into memory of the final size: a growing buffer would leave copies of the keys behind.
  Writer header;
  header.field(kMagic).raw(eid).u32(self).u32(static_cast<uint32_t>(num_parties));
  size_t size = header.size() + sizeof(Block);
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    size += sizeof(Block) + 1;
    size += pairs[j].sender_leaves.bytes().size() + pairs[j].receiver_leaves.bytes().size();
  }
  SecretBytes out(size);
  auto at = out.writable().begin();
  const auto put = [&at](ByteView piece) { at = std::copy(piece.begin(), piece.end(), at); };
  put(header.bytes());
  put(block_bytes(delta));
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    const uint8_t k[1] = {static_cast<uint8_t>(pairs[j].subfield_bits)};
    put(block_bytes(zero_keys[j]));
    put(k);
    put(pairs[j].sender_leaves.bytes());
    put(pairs[j].receiver_leaves.bytes());
  }
  FLEXROOM_ASSERT(at == out.writable().end());
  return out;
}

EpochState EpochState::deserialise(ByteView bytes) {
  const auto refuse = [](std::string_view problem) -> InputError {
    return InputError("epoch state", problem, "restore the store from a backup of this member");
  };
  EpochState out;
  try {
    Reader in(bytes, "epoch state");
    if (as_text(in.field(64)) != kMagic) throw refuse("not an epoch, or of another version");
    out.eid = in.digest();
    out.self = in.u32();
    out.num_parties = in.u32();
    if (out.num_parties < 2 || out.num_parties > kMaxParties || out.self >= out.num_parties) {
      throw refuse("impossible number of members");
    }
    out.delta = in.block();
    if (!out.delta.bit(0) || out.delta.bit(1) != (out.self == 0)) throw refuse("damaged key");
    out.pairs.resize(out.num_parties);
    out.zero_keys.resize(out.num_parties);
    for (PartyId j = 0; j < out.num_parties; ++j) {
      if (j == out.self) continue;
      out.zero_keys[j] = in.block();
      const unsigned k = in.u8();
      if (k != 2 && k != 4 && k != 8) throw refuse("impossible subfield exponent");
      const size_t leaves = ot::PprfShape{k}.num_leaves();
      out.pairs[j].subfield_bits = k;
      for (LockedBlocks* array : {&out.pairs[j].sender_leaves, &out.pairs[j].receiver_leaves}) {
        const ByteView raw = in.raw(leaves * sizeof(Block));
        *array = LockedBlocks(leaves);
        std::copy(raw.begin(), raw.end(), array->mutable_bytes().begin());
      }
    }
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw refuse(abort.detail());
  }
  return out;
}

}  // namespace flexroom::prep
