#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "call/recipe_call.h"
#include "config/config.h"
#include "flexroom/session.h"
#include "flow/executor.h"
#include "room/flow_values.h"
#include "room/joined.h"

namespace flexroom::room {

/// A record of the state as a flow takes it, under that name.
flow::StoredValue stored_of(std::string_view name, const store::RecordMeta& secret);

/// The key that the operators name with a run, as the flow's run takes it: a secret of the state in
/// the place of KEY/secret, its public id in that of KEY/id.
class GivenKey {
 public:
  /// Throws InputError: the flow has no `key`, or makes it itself; the secret is of another
  /// provider, or may not sign what the flow signs; an id that is none.
  GivenKey(const flow::Flow& flow, const FlowKey& key, store::RecordMeta secret);

  const store::RecordMeta& secret() const { return secret_; }
  const std::string& id() const { return id_; }
  /// Nothing for other names.
  std::optional<flow::StoredValue> value(std::string_view name) const;
  /// Of the proposal: "ID (secret NAME v2)".
  std::string text() const;

 private:
  std::string key_, id_;
  store::RecordMeta secret_;
};

/// Signing keys of the steps of a flow (tls-in-mpc.md §6.1): derived inside MPC from KEY/secret, as
/// an earlier step kept it, once a session, day, region and service; of a given key the one of the
/// state is used, as `call` uses it.
class FlowSigning {
 public:
  FlowSigning(Joined& joined, FlowValues& values) : joined_(joined), values_(values) {}
  /// `key` outlives it.
  void set_given(const GivenKey* key) { given_ = key; }

  /// For a signed step. `decided` hears how many ANDs a derivation takes, 0 for none, before it.
  /// Throws InputError where the stored key may not sign this (§3.4(i), §5.1).
  DatedKey key(const flow::StepCall& call, const std::function<void(uint64_t ands)>& decided);

 private:
  DatedKey given_key(const flow::StepCall& call, const std::function<void(uint64_t ands)>& decided);

  Joined& joined_;
  FlowValues& values_;
  const GivenKey* given_ = nullptr;
  /// Of this session: tag of the sharing, day, region, service.
  std::map<std::tuple<Digest, std::string, std::string, std::string>, agent::SigningKey> made_;
};

}  // namespace flexroom::room
