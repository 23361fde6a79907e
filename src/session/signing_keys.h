#pragma once

#include <functional>
#include <string>

#include "agent/signing_key.h"
#include "session/member_session.h"

namespace flexroom::session {

/// kSigning of a stored AWS secret key for today's scope: taken from the store if all members have
/// it, derived in MPC and stored otherwise (tls-in-mpc.md §6.1). A stored key belongs to the one
/// record it was derived from, not to its name, and dies with it and with the epoch. Keys of
/// earlier days are erased.
struct ObtainedKey {
  agent::SigningKey key;
  std::string date;
  bool cached = false;
};
/// `decided` is called when all members know whether the key is in the store, before it is derived.
ObtainedKey obtain_signing_key(MemberSession& session, const store::RecordMeta& secret,
                               const std::string& region, const std::string& service,
                               const std::function<void(bool cached)>& decided = nullptr);

/// Erases signing keys whose secret is not in the store any more, or has a newer version.
void erase_orphaned_keys(MemberState& state);

inline constexpr std::string_view kSigningKeyKind = "sigv4-signing-key";

}  // namespace flexroom::session
