#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/connection.h"
#include "agent/signing_key.h"
#include "agreement/time.h"
#include "base/secret.h"
#include "call/another_attempt.h"
#include "call/recipe_call.h"
#include "call/run_instances.h"
#include "config/config.h"
#include "store/secret_store.h"

namespace flexroom {

/// What all members agreed on before a run: equal everywhere, no secret.
struct RunScriptTerms {
  JobConfig job;
  std::vector<PublicLinks> links;  // by member
  std::string client_token;        // EC2 idempotency token
  Digest proposal{};               // digest that every member signed
};

struct RunScriptResult {
  int status = 0;
  std::string instance_id;  // empty if the service refused
  std::string error_code;   // as the service names it
  std::string error_message;
  std::string body;
  unsigned attempts = 1;
  /// The service refused, and did not say of every attempt that nothing was started.
  bool unclear = false;
};

/// §5.1, §3.4(i): the job's key belongs to the job's provider and may sign for EC2 in its region.
/// Throws InputError.
void check_key(const JobConfig& job, const store::RecordMeta& secret);

/// The instance that (a part of) an answer to RunInstances names; empty: none, or not a whole id.
/// For people, who look at it or end it: it does not say that the answer is one.
std::string instance_id_in(std::string_view answer);

/// A member's private string (OwnLinks::private_part()) cut into its slots of the boot script, by
/// the slot. `self`: run_member(). Throws InputError where the lengths differ.
std::map<std::string, SecretBytes> own_slots(const OpenCall& call, std::string_view self,
                                             const SecretBytes& own_private);

/// What a run costs, for the plan.
struct RunScriptCost {
  uint64_t payload_ands = 0;      // of the private text and the hash of the body
  uint64_t signing_key_ands = 0;  // 0 when it is in the store
  uint64_t handshake_ands = 0;
  uint64_t client_flight_ands = 0;  // of them (CallCost)
  uint64_t request_ands = 0;
  size_t request_bytes = 0;
  uint64_t total() const { return payload_ands + signing_key_ands + handshake_ands + request_ands; }
};

/// The request of a run and its circuits, made once from the terms without any other party: shown
/// in the plan and used by the call.
struct RunScriptLayout {
  OpenCall call;
  std::shared_ptr<const CallLayout> layout;
};
std::shared_ptr<const RunScriptLayout> lay_out_run_script(const RunScriptTerms& terms,
                                                          const ConnectionShape& shape);
RunScriptCost run_script_cost(const RunScriptLayout& layout, const ConnectionShape& shape);

/// `lean` run-script: one RunInstances call, signed inside MPC (product.md §6, tls-in-mpc.md
/// §5.11).
///
/// The built-in recipe of run_instances_call() over the one pipeline (AgreedRequest): prepare()
/// does all preprocessing and contacts nobody; call() makes the one request, and makes it again
/// where retry_rule() says so. All members call both with equal terms; `own_private` is the
/// member's own (private_part of its links).
class RunScriptCall {
 public:
  RunScriptCall(agent::Context context, RunScriptTerms terms, agent::ConnectionConfig connection,
                std::string own_private, std::shared_ptr<const RunScriptLayout> layout = nullptr);
  ~RunScriptCall();
  RunScriptCall(const RunScriptCall&) = delete;
  RunScriptCall& operator=(const RunScriptCall&) = delete;

  /// `secret_key`: the shares of the secret access key, 8 bits a byte. Members agree on the date of
  /// the signing key; clocks may differ by five minutes.
  void prepare(const prep::AuthBits& secret_key, agent::Timeline& timeline);
  /// The same with a signing key derived earlier; kout is used, not consumed.
  void prepare(agent::SigningKey key, const std::string& key_date, agent::Timeline& timeline);

  /// Called by every member before another attempt, when all agreed on it: waits so long, and makes
  /// what is to be made for `refused`'s successor. What it throws ends the run.
  using BeforeAgain =
      std::function<void(const RunScriptResult& refused, std::chrono::seconds wait)>;
  /// Without `again` one attempt is made. Throws agent::UnknownOutcome if the answer is not whole,
  /// or none of RunInstances: no further attempt is made then. kDisagreement names a member that
  /// would make another attempt than we, or holds another answer.
  RunScriptResult call(const agent::ServerBytes::Connect& connect, agent::Timeline& timeline,
                       const BeforeAgain& again = nullptr);

  /// A machine may have been started: by the present attempt, or by one whose answer left it open.
  bool released() const;
  /// The answer to the attempt before this one, "503 RequestLimitExceeded"; empty in the first one.
  const std::string& refused_before() const;
  uint64_t num_ands() const;
  size_t request_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom
