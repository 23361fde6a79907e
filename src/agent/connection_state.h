#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "agent/connection.h"
#include "agent/handshake_states.h"
#include "agent/suite.h"
#include "agent/views.h"

namespace flexroom::agent {

/// Hash of everything that the members must have in common.
Digest connection_terms(const ConnectionConfig& config);

/// Throws InputError for what cannot be on one connection (tls-in-mpc.md §4.9, R2-1).
void require_valid(const ConnectionConfig& config);

/// What one connection has and does, beside the order of its calls (connection.cpp). Inside of
/// agent.
struct Connection::State {
  State(Context c, ConnectionConfig cfg, RequestPlan plan)
      : context(c),
        config(std::move(cfg)),
        suite(suite_of(*config.suite)),
        views(context.party, connection_terms(config)) {
    plans.push_back(std::move(plan));
    for (const LaterRequest& later : config.later) plans.push_back(later.plan);
    left = config.to_come;
    plans.front().keep_write_keys = plans.size() + left.count > 1;
    plans.front().sealed_answer = config.receive == ReceiveMode::kSealed;
  }

  /// The circuit of one request: GC-B of the first, LaterRequest of the others.
  struct RequestCircuit {
    std::shared_ptr<const mpc::Program> program;
    std::unique_ptr<boolean::Instance> instance;
  };

  Context context;
  ConnectionConfig config;
  std::vector<RequestPlan> plans;
  const Suite& suite;
  Views views;

  std::optional<PreparedHandshake> offer;  // up to the ServerHello
  std::optional<KeyedHandshake> keyed;     // from there up to the first request
  Digest csid{};                           // of the running connection
  tls::HashValue h2;
  Negotiated negotiated;  // by its ServerHello
  std::chrono::steady_clock::time_point server_hello_at;
  uint64_t handshake_ands = 0;
  std::unique_ptr<boolean::Instance> handshake_circuit;  // GC-A, until it is confirmed
  std::vector<RequestCircuit> requests;                  // as plans
  std::unique_ptr<ClientFlight> client_flight;  // with ClientAuth::kNone; gone if not asked for
  std::optional<RecordText> flight_record;      // its record, until it is released
  std::unique_ptr<WriteDirection> write;
  std::unique_ptr<ReadDirection> read;
  std::optional<tls::ClientHandshake> machine;
  std::unique_ptr<ServerBytes> server;
  RequestsToCome left;  // of ConnectionConfig::to_come
  size_t next = 0;      // the request that is made, or may be
  bool prepared = false;
  bool used = false;
  size_t released = 0;  // of `requests`, from the first on
  Bytes flight;         // courier: sealed records that wait for those behind them
  bool kept = false;

  net::Party& party() { return context.party; }
  /// Whether a CertificateRequest is answered, and what that takes: prepared whether or not one
  /// comes.
  bool answers_request() const { return config.client_auth == tls::ClientAuth::kNone; }
  uint64_t client_flight_ands() const {
    return answers_request() ? suite.client_flight_ands(context.party.num_parties()) : 0;
  }
  /// Whether a request may follow the one that is made.
  bool has_next() const { return next + 1 < plans.size() + left.count; }
  /// Whether the service said nothing behind the answer, agreed by all.
  bool is_idle();
  uint64_t garble();
  /// The scope of the connection, until the ScopeRestorer of the caller.
  void enter_scope();
  bool is_courier() const { return context.party.id() == config.courier; }

  /// Whatever the end was: token, instances, powers and keys of this connection are void
  /// (§0.3(10)).
  void erase() {
    kept = false;
    offer.reset();
    keyed.reset();
    handshake_circuit.reset();
    for (RequestCircuit& request : requests) request.instance.reset();
    client_flight.reset();
    flight_record.reset();
    machine.reset();
    server.reset();
    if (write != nullptr) write->erase();
    if (read != nullptr) read->erase();
  }
  tls::ClientHandshake new_client(std::vector<tls::KeyShare> shares);
  void begin(std::span<const Request> all, const ServerBytes::Connect& connect, Timeline& timeline);
  void release(const Request& request, Timeline& timeline);
  void tell_negotiated();
  Released released_request(const Request& request, Timeline& timeline);
  Reply receive(const Request& request, Timeline& timeline);
  void mark_instances();
  void shake_hands(Timeline& timeline);
  void say_farewell();
  tls::Event feed_until(tls::EventKind kind, std::vector<tls::Event> events);
  std::vector<RecordText> encrypt(const Request& request);
  boolean::OnlineInputs request_inputs(const Request& request);
  boolean::Outputs run_request(const boolean::OnlineInputs& inputs);
  Bytes seal(const Request& request, const std::vector<RecordText>& records,
             uint64_t server_offset);
  std::vector<Block> open_tags(const prep::AuthField& shares, const Digest& a3);
  void send(const Bytes& records);
  void confirm(std::span<Reply> replies);
  const RequestPlan& plan() const { return plans[next]; }
  /// To the next request and its records.
  void go_on() {
    write->advance(plan().records());
    ++next;
  }

  uint64_t request_offset = 0;  // bytes of the service that were there when `next` was released
};

}  // namespace flexroom::agent
