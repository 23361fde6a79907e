#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/connection.h"
#include "agent/signing_key.h"
#include "agent/slot_circuit.h"
#include "call/open_call.h"

namespace flexroom {

/// What the circuits of a call depend on beside the call.
struct ConnectionShape {
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  Groups groups = all_groups();
  size_t num_members = 0;
  bool sealed = false;  // of the answer: the server's key stays inside (tls-in-mpc.md §3.7)
  /// On a connection of several requests (§4.9): number of this one, and whether others may follow.
  uint64_t sequence = 0;
  bool goes_on = false;
  tls::ClientAuth client_auth = tls::ClientAuth::kRefuse;
  tls::Padding pad = tls::Padding::kNone;
};

/// The circuits of a call, made without any other party: shown in the plan and used by the call.
struct CallLayout {
  std::optional<agent::SlotCircuit> slots;  // if there are any
  /// Places (8 * byte + bit) of what is computed before the connection, but for `slots`: secret
  /// bits of JWEs by their slot, and of the signature where secrets are signed
  /// (OpenCall::signs_secrets).
  std::map<std::string, std::vector<uint32_t>> jwe_bits;
  std::vector<uint32_t> signature_bits;
  agent::RequestPlan plan;
  std::shared_ptr<const mpc::Program> request;  // of the number that the shape says
  /// A one-time code is in it, which is soon over.
  bool has_code() const { return slots && slots->has_totp; }
};
/// JWEs that stand in slots of a call, by the slot; each is of the slot's length, without encoding.
using ReadyJwes = std::map<std::string, const agent::JweText*>;
/// `member_id` finds a member by its name and throws InputError for a name that is none.
std::shared_ptr<const CallLayout> lay_out_call(
    const OpenCall& call, const ConnectionShape& shape,
    const std::function<PartyId(const std::string&)>& member_id, const ReadyJwes& jwes = {});

/// The same but for `request`, which alone depends on the suite.
CallLayout lay_out_content(const OpenCall& call, const ConnectionShape& shape,
                           const std::function<PartyId(const std::string&)>& member_id,
                           const ReadyJwes& jwes = {});

struct CallCost {
  uint64_t slot_ands = 0;           // of all that is computed before the connection
  uint64_t handshake_ands = 0;      // 0 on a connection that is there; with client_flight_ands
  uint64_t client_flight_ands = 0;  // what `client_auth = "none"` takes, asked for or not
  uint64_t request_ands = 0;        // with those of its tag
  uint64_t signing_key_ands = 0;    // 0 when it is in the store
  uint64_t total() const { return slot_ands + handshake_ands + request_ands + signing_key_ands; }
};
CallCost call_cost(const OpenCall& call, const CallLayout& layout, const ConnectionShape& shape);

/// What a call takes under one suite, and what its tags send beside the gates, to each other
/// member.
struct CostUnderSuite {
  const tls::CipherSuite* suite = nullptr;
  CallCost cost;
  double tag_bytes = 0;
};
/// Under each suite there is, that of `shape` first. What `layout` has no request for is counted
/// (agent/circuit_counts.h), not built.
std::vector<CostUnderSuite> call_costs(const OpenCall& call, const CallLayout& layout,
                                       const ConnectionShape& shape);

/// The signing key of a call and the day (YYYYMMDD) that it is for.
struct DatedKey {
  agent::SigningKey key;
  std::string date;
};

/// One call (tls-in-mpc.md §5, §6.2), of whatever kind: prepare() encodes and checks the slots and
/// does all preprocessing, and contacts nobody; call() makes the one request.
///
/// Attempts   (not of a call with a TOTP code, which counts once, nor of one whose signature is
/// made in prepare()) after call() returned, prepare_again() and call() make the same call once
/// more: on a
///            connection of its own, with the slots and the signing key of the first time, another
///            date and another signature. Attempts count 0, 1, 2, ..; the number is in the
///            request id, and so in every view: members at different attempts release nothing,
///            and each attempt is released once (§5.8)
///
/// Connection of another request (tls-in-mpc.md §4.9): continue_on() before prepare(), with the
/// layout's shape of its sequence(); take_connection() when call() returned. Where the service ends
/// it before the request is released, call() makes the request, the same with the same id, on a new
/// one: nothing of it was marked or released, and its date is of the time behind that.
///
/// A signed request carries the time at which it is made: `dated` makes the same call for another
/// X-Amz-Date, which the members agree on in call() and each holds to its own clock; where secrets
/// are signed, in prepare(), and each holds it to its clock in call() again.
class AgreedRequest {
 public:
  using Dated = std::function<OpenCall(const std::string& date_time)>;
  /// `proposal` is what every member signed; it is part of the request's id.
  AgreedRequest(agent::Context context, OpenCall call, Dated dated,
                agent::ConnectionConfig connection, std::shared_ptr<const CallLayout> layout,
                const Digest& proposal);
  ~AgreedRequest();
  /// `connection` is kept() and has room for the request and its answer, which has no one-time
  /// code. `before_new` reserves the triples of a new one that is prepared in its place.
  void continue_on(std::unique_ptr<agent::Connection> connection, std::function<void()> before_new);
  /// On that connection, not on a new one.
  bool went_on() const;
  /// What may carry another request, or null.
  std::unique_ptr<agent::Connection> take_connection();
  AgreedRequest(const AgreedRequest&) = delete;
  AgreedRequest& operator=(const AgreedRequest&) = delete;

  /// `key` if the call is signed; `values` with the JWEs that it was laid out with. `totp_step`
  /// gives the step of its codes, agreed by all and used once a key; it is asked last, because a
  /// code is soon over. Throws ProtocolAbort(kRefusedByRule) naming a member whose private value
  /// has a byte outside its class.
  void prepare(const agent::SlotValues& values, std::optional<DatedKey> key,
               agent::Timeline& timeline, const std::function<uint64_t()>& totp_step = nullptr);
  /// The preprocessing of one more attempt; call() was made and returned.
  void prepare_again(agent::Timeline& timeline);
  /// Throws kRefusedByRule, before anything leaves, when the day is no longer that of the key.
  agent::Reply call(const agent::ServerBytes::Connect& connect, agent::Timeline& timeline);

  /// In this attempt.
  bool released() const;
  unsigned attempt() const;
  /// Of one attempt.
  uint64_t num_ands() const;
  /// Whether what is signed at that time can be signed with the key.
  bool is_day_of_key(int64_t unix_seconds) const;
  /// X-Amz-Date of the request that was made.
  const std::string& date_time() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom
