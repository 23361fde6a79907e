#include "session/totp_step.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include "base/codec.h"

namespace flexroom::session {
namespace {

constexpr uint64_t kStepSeconds = 30;

uint64_t own_step() { return static_cast<uint64_t>(std::time(nullptr)) / kStepSeconds; }

/// Party 0's step, if it is within one of this member's.
uint64_t agree_on_step(net::Party& party) {
  const uint64_t own = own_step();
  const Bytes mine = Writer().u64(own).take();
  const std::vector<Bytes> all = party.exchange("totp/step", mine);
  party.echo("totp/step", AbortCode::kDisagreement);
  const uint64_t agreed = Reader(all[0], "totp/step", 0).u64();
  for (PartyId i = 0; i < all.size(); ++i) {
    const uint64_t theirs = Reader(all[i], "totp/step", i).u64();
    if (std::max(theirs, own) - std::min(theirs, own) <= 1) continue;
    throw ProtocolAbort(AbortCode::kRefusedByRule, "totp",
                        "its clock is more than one step of 30 seconds away from ours. Set the "
                        "clocks (ntp) and run again",
                        i);
  }
  return agreed;
}

/// Takes the step for all keys here; false if one of them had it before, in whatever session.
bool take(MemberSession& session, std::span<const TotpKey> keys, uint64_t step) {
  net::Party& party = session.party();
  const Digest use = RandomOracle("totp use", party.scope(), party.next_counter("totp")).digest();
  bool is_new = true;
  const auto take_one = [&](const TotpKey& key, uint64_t number) {
    for (const Bytes& known_by : key.ids) {
      const Digest id = RandomOracle("totp", RoScope{}).field(known_by).field(number).digest();
      const Bytes bound = session.state().once().bind("totp", id, use);
      is_new = is_new && std::equal(bound.begin(), bound.end(), use.begin(), use.end());
    }
  };
  for (const TotpKey& key : keys) {
    take_one(key, step);
    if (key.next) take_one(key, step + 1);
  }
  return is_new;
}

bool all_took(net::Party& party, bool here) {
  const std::vector<Bytes> all = party.exchange("totp/once", Writer().u8(here ? 1 : 0).take());
  party.echo("totp/once", AbortCode::kDisagreement);
  return std::all_of(all.begin(), all.end(), [](const Bytes& said) { return said[0] == 1; });
}

}  // namespace

TotpKey totp_key(const store::RecordMeta& secret, bool next) {
  TotpKey out;
  out.ids.emplace_back(secret.id.begin(), secret.id.end());
  if (secret.is_of_flow()) out.ids.emplace_back(secret.provenance.begin(), secret.provenance.end());
  out.name = secret.name;
  out.next = next;
  return out;
}

uint64_t agree_on_totp_step(MemberSession& session, std::span<const TotpKey> keys,
                            const std::function<void()>& check) {
  FLEXROOM_ASSERT(!keys.empty());
  net::Party& party = session.party();
  const uint64_t step = agree_on_step(party);
  if (all_took(party, take(session, keys, step))) return step;
  while (own_step() <= step) {
    check();
    party.transport().check();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  if (all_took(party, take(session, keys, step + 1))) return step + 1;
  throw ProtocolAbort(AbortCode::kRefusedByRule, "totp",
                      fmt::format("a code of {} was made in each of these 30 seconds before; run "
                                  "again in a minute",
                                  keys.front().name));
}

}  // namespace flexroom::session
