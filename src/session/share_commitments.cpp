#include "session/share_commitments.h"

#include <fmt/core.h>

#include "base/ct.h"
#include "circuits/sha256.h"
#include "circuits/text.h"
#include "mpc/builder.h"

namespace flexroom::session {
namespace {

std::string input_of(PartyId member) { return fmt::format("share {}", member); }

/// Of an equality with a public value: an AND a bit.
mpc::Bit equals(const circuits::StateWords& state, const Digest& expected) {
  const mpc::Bits bits = circuits::bits_of(state);
  const mpc::Bits other = circuits::bits_of(circuits::state_of(circuits::constant_text(expected)));
  mpc::Bit same(true);
  for (size_t t = 0; t < bits.size(); ++t) same = same & !(bits[t] ^ other[t]);
  return same;
}

void append_bits(std::vector<uint8_t>& out, ByteView bytes) {
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) out.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
}

}  // namespace

mpc::Circuit commitment_circuit(uint32_t length, const std::vector<Digest>& commitments) {
  mpc::Builder builder;
  mpc::Bits value(size_t{8} * length), matches;
  for (PartyId i = 0; i < commitments.size(); ++i) {
    const mpc::Bits opening = builder.add_input(
        input_of(i), mpc::InputKind::kPriv, static_cast<uint32_t>(8 * (kSaltBytes + length)), i);
    matches.push_back(
        equals(circuits::sha256_finish(circuits::sha256_initial(), 0, circuits::text_of(opening)),
               commitments[i]));
    for (size_t t = 0; t < value.size(); ++t) value[t] ^= opening[8 * kSaltBytes + t];
  }
  builder.add_output("matches", mpc::OutputKind::kOpenAll, matches);
  builder.add_output("value", mpc::OutputKind::kKeep, value);
  return builder.finish();
}

Digest share_commitment(const SecretBytes& salt, const SecretBytes& share) {
  Sha256 hash;
  hash.update(salt.reveal()).update(share.reveal());
  return hash.digest();
}

Digest digest_of(const std::vector<Digest>& commitments) {
  RandomOracle hash("import commitments", RoScope{});
  for (const Digest& commitment : commitments) hash.field(commitment);
  return hash.digest();
}

void check_own_commitment(const SecretFile& file, PartyId self, size_t num_members,
                          std::string_view place) {
  if (file.commitments.empty()) return;
  if (file.commitments.size() != num_members) {
    throw InputError(place,
                     fmt::format("`commitments` has {} entries, the room has {} members",
                                 file.commitments.size(), num_members),
                     "the issuer makes one share and one commitment for each member, in the order "
                     "of room.toml");
  }
  if (!ct_equal(share_commitment(file.salt, file.material), file.commitments[self])) {
    throw InputError(place, "`share` and `salt` are not those of this member's commitment",
                     "bring the file as the issuer made it for this member, whole, and of the same "
                     "issue as the others'");
  }
}

prep::AuthBits open_committed_shares(MemberSession& session, const SecretFile& file) {
  const auto program = std::make_shared<const mpc::Program>(
      mpc::compile(commitment_circuit(file.length, file.commitments)));
  const auto instance = session.engine().prepare(program, {}, "secret commitments");
  boolean::OnlineInputs inputs;
  inputs.pub.resize(program->inputs.size());
  inputs.priv.resize(program->inputs.size());
  inputs.dyn.resize(program->inputs.size());
  inputs.view = digest_of(file.commitments);
  std::vector<uint8_t>& own = inputs.priv[program->input_group(input_of(session.party().id()))];
  own.reserve(8 * (kSaltBytes + file.length));  // a vector that grows leaves copies behind
  append_bits(own, file.salt.reveal());
  append_bits(own, file.material.reveal());
  boolean::Outputs outputs;
  try {
    outputs = session.engine().run(*instance, inputs);
  } catch (...) {
    wipe(own.data(), own.size());
    throw;
  }
  wipe(own.data(), own.size());
  session.engine().confirm(*instance);
  for (PartyId i = 0; i < file.commitments.size(); ++i) {
    if (outputs.opened[program->output_group("matches")][i] == 1) continue;
    throw ProtocolAbort(AbortCode::kRefusedByRule, "secret import",
                        fmt::format("the share of {} is not the one its issuer committed to; "
                                    "nothing was stored. It needs its file as the issuer made it",
                                    session.state().room().members[i].name));
  }
  return std::move(outputs.kept[program->output_group("value")]);
}

}  // namespace flexroom::session
