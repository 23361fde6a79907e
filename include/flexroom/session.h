#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "flexroom/decider.h"
#include "flexroom/error.h"
#include "flexroom/room.h"
#include "flexroom/runs.h"

namespace flexroom {

/// A whole answer of a service.
struct ServiceAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // bytes as they came
  bool refused() const { return status >= 400; }
};

struct GetRequest {
  std::string url;
  std::string provider;  // entry of room.toml; empty: the first
};

struct CallRequest {
  std::filesystem::path recipe;                  // docs/recipes.md; the same at every member
  std::map<std::string, std::string> arguments;  // public
  std::filesystem::path inputs;  // this member's private values (JSON, mode 0600), if any
};

/// A key of an AWS account that lies in the state, and its public id.
struct FlowKey {
  std::string secret;  // imported or drawn (`secret list`); empty: none
  std::string id;
};

struct FlowRequest {
  std::filesystem::path file;                    // docs/flows.md; the same at every member
  std::map<std::string, std::string> arguments;  // public
  std::string go_on;                             // --continue: the open run; empty: not
  std::string abandon;                           // --abandon: one of the open runs; empty: not
  FlowKey key = {};  // what signed steps use in place of the values that the flow's `key` names
  std::filesystem::path inputs;  // this member's private values (JSON, mode 0600); those that it
                                 // does not have are asked for
};

/// What came of a flow that is done, or was abandoned.
struct FlowEnd {
  std::string flow, run;
  std::map<std::string, std::string> opened;  // what was opened to all members in this session
  std::vector<std::string> left;              // --abandon: made, or possibly made, at the providers
};

struct RunScriptRequest {
  std::filesystem::path job;    // job.toml, the same at every member (docs/files.md)
  std::filesystem::path links;  // this member's private links
  bool classic = false;         // ten calls, by the shipped flow; killed: the same goes on
  std::map<std::string, std::string> arguments = {};  // of that flow: training-image
  /// Of --classic: a run as Room::run() or that flow names it; empty: not.
  std::string go_on = {};    // Session::run_script(), after a member was restored
  std::string abandon = {};  // Session::abandon_script()
};

/// What came of the one request that starts the machine.
struct RunStarted {
  std::string run;  // its id, hexadecimal; the same at every member
  int status = 0;
  std::string instance_id;  // empty if the service refused
  std::string error_code;   // as the service names it
  std::string error_message;
  std::string body;  // of a refusal, as it came
  unsigned attempts = 1;
  /// The service refused and did not say that nothing was started: look for a machine with
  /// `client_token` before you run again.
  bool unclear = false;
  std::string client_token;
  /// Why the run's record could not be written here; empty: it was.
  std::string not_written;
};

/// What a plan takes under one cipher suite, all of it, at most: AND gates, and what this member's
/// preprocessing sends, with what tags take.
struct SuiteCost {
  std::string suite;
  uint64_t ands = 0;
  double bytes_each_way = 0;
};

/// What a plan shows of `pad`; of "none" the first line alone.
struct PaddingPlan {
  std::string pad = "none";
  uint64_t sent_bytes = 0;  // of the request's records, with types and zeros
  uint64_t more_ands = 0;   // than without; of request_ands
  struct Range {
    uint64_t from = 0, to = 0;                 // bytes of a request
    uint64_t mean_ands = 0, largest_ands = 0;  // more than without
  };
  std::vector<Range> ranges;
};

struct RunScriptPlan {
  /// What would be approved, as far as this member knows it; of the rest, sentences.
  Summary summary;
  std::vector<std::string> not_known_yet;
  std::string region, group, suite, secret;
  unsigned calls = 1;  // of --classic: those of the main line, whose costs are upper bounds
  uint64_t request_bytes = 0;
  uint64_t payload_ands = 0, signing_key_ands = 0, handshake_ands = 0, request_ands = 0;
  /// Of handshake_ands, what `client_auth = "none"` takes: an empty Certificate for a service that
  /// asks for one, prepared whether or not it does. 0: such a service ends the run.
  uint64_t client_flight_ands = 0;
  double bytes_each_way = 0;  // preprocessing, of this member
  /// Under each suite: the one that is offered, of --classic as room.toml says host by host, first.
  std::vector<SuiteCost> suites;
  PaddingPlan padding;
  uint64_t ands() const { return payload_ands + signing_key_ands + handshake_ands + request_ands; }
};

/// What a call will do and cost.
struct CallPlan {
  Summary summary;  // what would be approved, with its digest
  struct Slot {
    std::string name, description;
  };
  std::string address;  // "POST https://host/path"
  std::string group, suite;
  std::vector<Slot> slots;
  std::string signed_with;       // empty: nothing
  bool opens_body_hash = false;  // hidden by a nonce
  uint64_t request_bytes = 0;
  uint64_t slot_ands = 0, signing_key_ands = 0, handshake_ands = 0, request_ands = 0;
  uint64_t client_flight_ands = 0;  // of handshake_ands; as of RunScriptPlan
  std::vector<SuiteCost> suites;    // under each: the one that is offered first
  PaddingPlan padding;
  uint64_t ands() const { return slot_ands + signing_key_ands + handshake_ands + request_ands; }
};

struct SecretsMoved {
  uint64_t records = 0;
  /// Hexadecimal; equal, unless secrets in the form of an earlier version had to move to a new one.
  std::string epoch, epoch_before;
  uint64_t unfinished_before = 0;
};

/// What all members of a room do together: every one starts the same operation, the first waits for
/// the others. One session runs one operation; the next one needs a new session.
///
/// Guarantee  an operation that asks goes: joined, proposals compared, Decider::approve(), all
///            members' signatures on disk, and only then does anything follow. A service gets a
///            request only if every honest member approved and released exactly that request; the
///            answer is what the service sent (tls-in-mpc.md, theorems 1-4)
/// Not given  fairness: after the release an abort leaves the outcome unknown (Exit::kUnknown)
/// Errors     Error. Whatever happens after a proposal was shown stands in the log
class Session {
 public:
  /// Nothing is connected to yet. Both outlive the session.
  Session(Room& room, Decider& decider);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Sets the room up with the other members; safe to repeat. With `new_epoch`, at all members:
  /// another one; no secret is lost by it (the decider is asked). Returns whether one was made.
  bool init(bool new_epoch);
  /// An agreed GET without secrets.
  ServiceAnswer get(const GetRequest& request);
  /// An agreed call of a recipe with an open answer.
  ServiceAnswer call(const CallRequest& request);
  /// A flow file: goes on with its open run, or begins one, and returns when it is done. What a run
  /// has done stays when it stops; the same call goes on from there.
  FlowEnd flow(const FlowRequest& request);
  /// Starts the agreed script on all members' data in the joint cloud account.
  RunStarted run_script(const RunScriptRequest& request);
  /// Ends the run `request.abandon` of a classic one, whose job is not looked at: what it left at
  /// the provider is told; its machine, if there is one, Room::stop_run() ends.
  FlowEnd abandon_script(const RunScriptRequest& request);

  /// Brings a secret in (docs/secrets.md): from shares, or from the member that knows it.
  SecretInfo import_secret(const std::filesystem::path& file);
  /// Draws secrets inside MPC that nobody ever knows (docs/secrets.md), and stores all of the file
  /// together; the same file at every member.
  std::vector<SecretInfo> draw_secrets(const std::filesystem::path& file);
  void remove_secret(const std::string& name);
  /// All secrets get new rows, in the epoch of now; the old ones are erased.
  SecretsMoved refresh_secrets();
  /// Makes AND triples until so many are in stock, the same number at every member.
  Stock fill_stock(uint64_t triples);

  /// Of the present epoch, hexadecimal; after init().
  std::string epoch() const;

 private:
  friend class room::Access;
  struct State;
  std::unique_ptr<State> state_;
};

/// What call() and run_script() would do and cost. No member and no service is contacted; the
/// script of a job without a local copy is fetched from its public address, as run_script() does.
CallPlan plan_call(Room& room, const CallRequest& request);
RunScriptPlan plan_run_script(Room& room, const RunScriptRequest& request);

}  // namespace flexroom
