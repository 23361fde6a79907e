#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "agent/reply.h"
#include "agent/timeline.h"
#include "flow/executor.h"
#include "room/flow_answer.h"
#include "room/flow_connections.h"
#include "room/flow_jwe.h"
#include "room/flow_request.h"
#include "room/flow_signing.h"
#include "room/flow_values.h"
#include "room/joined.h"

namespace flexroom::room {

/// The phase of a timeline in which JWEs are made.
inline constexpr std::string_view kEncryptPhase = "encrypt";

/// What a release is bound to, part of the request's id and of every view: the approved proposal,
/// file, run, step, attempt, which sharing of which version stands in each slot, and
/// what `!=` excludes (tls-in-mpc.md §5.8). Of this release and of no other.
Digest step_policy(const flow::StepCall& call, const Digest& approved,
                   const std::map<std::string, flow::StoredValue>& secrets);

/// The steps of a flow in a session with all members: on connections that the plan lets them share
/// (flow/connections.h), each answer sealed or open as the file says, what is kept as fresh rows
/// (operations.md (c)).
///
/// Order      requests are filled and judged, stored values loaded, everything is preprocessed,
///            all members are READY; then `armed` here, then this member's share of A3
/// Guarantee  a request leaves only if every honest member has the same step, attempt, approved
///            proposal, versions of values and text: all of it is in the request's id and in every
///            view (tls-in-mpc.md §5.8). Nothing of a sealed answer is opened but what the step
///            says; of a member's private value nobody learns more than that each byte is in its
///            class, or, with nothing sent, that one is not
/// Errors     InputError and everything that ends a session. What is thrown before
///            before_release() left nothing at the provider
class FlowEngine : public flow::StepExecutor {
 public:
  /// Session and timeline outlive it. `inputs`: this member's private values, by input.
  FlowEngine(Joined& joined, agent::Timeline& timeline, std::map<std::string, SecretBytes> inputs);
  /// What all members signed: part of every request's id.
  void set_approved(const Digest& proposal) { approved_ = proposal; }
  /// In the place of the flow's own key; outlives it.
  void set_key(const GivenKey* key) { signing_.set_given(key); }
  /// In the place of an argument; `own_private` is what this member gives of it
  /// (OwnLinks::private_part()). The script outlives the engine.
  void set_script(const BootScript* script, SecretBytes own_private) {
    script_ = script;
    own_script_ = std::move(own_private);
  }

  std::map<std::string, flow::NewSecret> draw(const flow::Flow& flow,
                                              const flow::RunId& run) override;
  flow::StepAnswer make(const flow::StepCall& call) override;

  /// The file of the last answer that no step was committed with; empty: none was kept.
  const std::string& learnt() const { return learnt_; }
  /// What was opened to all in this session, by name; the newest.
  const std::map<std::string, std::string>& opened() const { return opened_; }

 private:
  struct Laid;
  flow::StepAnswer make_step(const flow::StepCall& call);
  agent::Reply send(const flow::StepCall& call, const Laid& laid, const agent::SlotValues& slots,
                    const AnswerTerms& terms);
  void keep_learnt(const flow::StepCall& call, const agent::Reply& reply) noexcept;
  agent::SlotValues take_secrets(const flow::StepCall& call,
                                 const std::map<std::string, flow::StoredValue>& secrets,
                                 const OpenCall& request, FlowJwes& jwes);
  uint64_t code_step(const std::map<std::string, flow::StoredValue>& secrets,
                     const OpenCall& request);
  std::optional<DatedKey> take_key(const flow::StepCall& call, const OpenCall& request,
                                   const CallCost& cost, const agent::ConnectionConfig& config,
                                   bool is_first);
  std::unique_ptr<agent::Connection> connection_for(const flow::Step& step, size_t bytes,
                                                    const agent::ConnectionConfig& config);
  agent::ConnectionConfig config_for(const flow::StepCall& call, const OpenCall& request,
                                     const AnswerTerms& terms, const Digest& policy);
  void hold_connection(const flow::Step& step, const agent::Reply& reply, AgreedRequest& made);
  bool decode(const flow::Step& step, std::map<std::string, prep::AuthBits>& values);
  flow::StepAnswer take_answer(const flow::Step& step, agent::Reply&& reply,
                               const AnswerTerms& terms);

  Joined& joined_;
  agent::Timeline& timeline_;
  FlowValues values_;
  FlowSigning signing_;
  ReleaseJournal releases_;         // outlives the connections
  agent::PreparedStock left_over_;  // so does it
  FlowConnections connections_;
  const std::map<std::string, SecretBytes> inputs_;
  const BootScript* script_ = nullptr;
  SecretBytes own_script_;
  Digest approved_{};
  std::set<std::string> looked_at_;  // hosts
  std::map<std::string, std::string> opened_;
  std::string learnt_;
};

}  // namespace flexroom::room
