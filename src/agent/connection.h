#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/connection_circuits.h"
#include "agent/context.h"
#include "agent/read_direction.h"
#include "agent/reply.h"
#include "agent/server_bytes.h"
#include "agent/timeline.h"
#include "http/response.h"
#include "tls/handshake.h"

namespace flexroom::agent {

/// A further request on the same connection (tls-in-mpc.md §4.9), and what becomes of its answer.
struct LaterRequest {
  RequestPlan plan;
  std::shared_ptr<const SealedPlan> sealed;  // of a sealed connection
};

/// What the service took of what the hello offered, and what of the connection was seen on the line
/// beside its hello and its answer.
struct Negotiated {
  NamedGroup group = NamedGroup::kX25519;
  bool retried = false;  // it asked for another hello first (HelloRetryRequest)
  std::chrono::system_clock::time_point opened;  // by this member's clock
  std::chrono::milliseconds pause{0};            // from the ServerHello to the first request
  std::vector<size_t> record_bytes;  // of that request: content, type and zeros of each record
};

/// The settings of one connection. All but the trust store, the clock and `on_negotiated` are
/// agreed: they are part of csid and of every view.
struct ConnectionConfig {
  std::string host;                                           // SNI and Host
  Groups groups = all_groups();                               // that are offered
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();  // the one that is offered
  ReceiveMode receive = ReceiveMode::kOpen;
  tls::ClientAuth client_auth = tls::ClientAuth::kRefuse;  // to a CertificateRequest
  PartyId courier = 1;                                     // a garbler
  tls::HandshakeConfig handshake;                          // this member's trust store and clock
  bool no_secret = false;                  // R2-6: HTTP/1.0 and close-delimited answers accepted
  size_t max_answer = http::kMaxAnswer;    // bytes of the body; a longer one is an unknown outcome
  bool await_close = false;                // R2-5: silence does not end the answer
  tls::Padding pad = tls::Padding::kNone;  // of all its requests: what their plans say
  std::shared_ptr<const SealedPlan> sealed;  // of a sealed connection: what becomes of the answer
  /// Sealed: each is made behind the answer of the one before, call() then call_next(); all answers
  /// but the last are of plans with `keep_alive`. Open: all are sent before any answer is read,
  /// call_all(), which needs `pipelined`. Blocks for all are prepared: READY covers them.
  std::vector<LaterRequest> later;
  /// Sealed, in place of `later`: requests that are not known yet, prepare_next() each.
  RequestsToCome to_come;
  /// §4.6(b): every request of this open connection is idempotent or carries an idempotency token.
  bool pipelined = false;
  /// Hash of all that was agreed before (proposal or policy).
  Digest policy{};
  /// The curve that the host chose the last time (tls-complete.md §1.1, host fact): its key is in
  /// the first hello. It says what is likely, so a wrong one costs a round trip; nothing is left
  /// out of what is offered, and nothing is accepted for it.
  std::optional<NamedGroup> likely_curve;
  /// Told at each member, once, when its first request was released: A2 holds then. Must not throw.
  std::function<void(const Negotiated&)> on_negotiated;
};

/// One request of a connection.
struct Request {
  Bytes text;                                    // secret bits are 0; size as planned
  const prep::AuthBits* secret = nullptr;        // one share per RequestPlan::secret_bits
  const prep::AuthBits* kout_signing = nullptr;  // 256 bits, if the plan has a signature
  std::optional<Digest> signature_inner_digest;  // SHA_{Kin(kSigning)}(string to sign)
  std::string method = "GET";                    // for response framing
  Digest id{};                                   // request id: RO("request", all that was agreed)
};

/// One TLS 1.3 connection of the secure agent, open mode R2 or sealed: prepare, one request, one
/// answer, gone (variant (a)); or, where the configuration says so, several of them (§4.9,
/// §4.6(b)).
///
/// Protocol   tls-in-mpc.md §3 (F+ profile, its R2 column in open mode), §4.1-4.6, §4.11, §7.3;
///            agreement A1-A4
/// Setting    n members, up to n-1 malicious; all call the same methods with equal public arguments
/// Guarantee  theorems 1-4 of tls-in-mpc.md: the service accepts a request only if every honest
///            member released its tag share for exactly that request; the reply is what the service
///            sent. Once the request is out the service cannot make call() throw: what is wrong
///            with its answer is said in the reply, with all that could be decrypted
///            A later request is released only behind an answer that every honest member found
///            whole by its framing and took (§4.9(1)); everything else ends the connection
/// Not given  fairness; after released() an abort leaves the outcome unknown
/// Aborts     all classes; whatever was started is void afterwards
class Connection {
 public:
  /// `plan` says how long the request is and where its secret bits are; see plan_request().
  /// `program` is the suite's request_program(plan, n), if the caller has it already.
  Connection(Context context, ConnectionConfig config, RequestPlan plan,
             std::shared_ptr<const mpc::Program> program = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Offline: token, GC-A, GC-B, with ClientAuth::kNone GC-CF, what the tags need. The service is
  /// not contacted.
  void prepare(Timeline& timeline);

  /// Online. `connect` opens the socket and is called at the courier only, after every member is
  /// ready. A reply that is whole stands although a member fails to confirm afterwards.
  Reply call(const Request& request, const ServerBytes::Connect& connect, Timeline& timeline);
  /// Sealed: whether the next of ConnectionConfig::later, or one of those to come, may be made on
  /// this connection. If not, what is left of them needs another one.
  bool kept() const;
  /// All members together, nothing being under way: whether the service has left the connection
  /// alone since the answer, as the courier says and all agree. If not (it has ended it, or sent
  /// anything), the connection is gone, nothing having been marked or released for a next request.
  bool stands(Timeline& timeline);
  /// Of requests to come: whether there is room for this one and its answer.
  bool has_room_for(const RequestPlan& plan, const SealedPlan& sealed) const;
  /// Number of the first record of the next request.
  uint64_t sequence() const;
  /// Number of the next request, as released() counts.
  size_t next_request() const;
  /// The next request to come, behind an answer and before call_next(): garbles it and what reading
  /// its answer takes. `policy`: hash of all that was agreed on for it; bound with `sealed` in
  /// every view from here on. `program` is the suite's later_request_program(plan, sequence()), if
  /// the caller has it already. Throws as call_next() unless kept(); the connection is gone then.
  void prepare_next(RequestPlan plan, std::shared_ptr<const SealedPlan> sealed,
                    const Digest& policy, Timeline& timeline,
                    std::shared_ptr<const mpc::Program> program = nullptr);
  /// The next of ConnectionConfig::later, or the one that prepare_next() prepared. Throws
  /// ProtocolAbort(kRefusedByRule) unless kept(), with nothing marked or released. Whatever it
  /// throws, the connection is gone.
  Reply call_next(const Request& request, Timeline& timeline);
  /// Open and pipelined: sends all requests, each released on its own, then reads all answers, one
  /// a request in their order. One that did not come whole is an unknown outcome of its own request
  /// and of all behind it. No command asks for it yet (docs/status.md).
  std::vector<Reply> call_all(const std::vector<Request>& requests,
                              const ServerBytes::Connect& connect, Timeline& timeline);

  /// Whether this member released its share of the tag of that request of the connection (0: the
  /// first): from then on the request may have been carried out.
  bool released(size_t request = 0) const;
  /// ANDs of GC-A, of GC-B, of GC-CF, where it is prepared, of later requests, of the tags'
  /// circuits, where they have one, and of what sealed answers need.
  uint64_t num_ands() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::agent
