#include <algorithm>
#include <exception>
#include <thread>

#include "agent/connection.h"
#include "agent/memory_journal.h"
#include "arith/ecdh.h"
#include "bogo/options.h"
#include "http/response.h"
#include "support/dealer.h"
#include "support/memory_mesh.h"

// Mode B (tls-complete.md §10.1): the product's connection of two members, in one process. What the
// runner will say is known before: the members send its echo as their one request, and the answer
// is opened.

namespace flexroom::bogo {
namespace {

constexpr size_t kMembers = 2;

/// What the runner writes and waits to hear inverted, where a test says nothing else.
Bytes message_of_runner() { return Bytes(32, 0x42); }

Bytes request_of(const Options& options) {
  Bytes out;
  if (options.writes_first) append(out, as_bytes(std::string_view("hello")));
  for (const uint8_t byte : message_of_runner()) out.push_back(byte ^ 0xff);
  return out;
}

/// The message is no HTTP answer, and nothing else may be wrong with it.
void check(const agent::Reply& reply) {
  const std::string fault = reply.unknown_outcome.value_or("");
  std::string of_http = "there is none";
  try {
    (void)http::parse_response(reply.partial.received, {}, true);
  } catch (const http::ResponseError& error) {
    of_http = error.detail();
  }
  if (reply.partial.received != message_of_runner() || !fault.starts_with(of_http)) {
    throw std::runtime_error(fault + " (" + std::to_string(reply.partial.received.size()) +
                             " bytes of application data)");
  }
}

class Member {
 public:
  Member(PartyId id, std::unique_ptr<net::Transport> transport, support::Dealer& dealer,
         const Options& options)
      : options_(options), party_(std::move(transport), Prg(Block(5, id))) {
    RoScope scope;
    scope.eid[0] = 1;
    scope.sid[0] = 2;
    party_.set_scope(scope);
    party_.set_zero_keys(std::vector<Block>(kMembers, Block(77, 99)));
    prep::Source& source = dealer.source(id);
    arith_ = std::make_unique<arith::ArithEngine>(party_, source);
    engine_ = std::make_unique<boolean::Engine>(party_, source);
    agent::ConnectionConfig config;
    config.host = options.host;
    // With ML-KEM the product holds P-256 back, as the runner expects of whoever is asked for it.
    config.groups = options.default_groups ? all_groups() : options.groups;
    config.suite = options.suite;
    config.client_auth = tls::ClientAuth::kNone;
    config.handshake = handshake_config(options);
    config.on_negotiated = [this](const agent::Negotiated& negotiated) { seen_ = negotiated; };
    agent::RequestPlan plan;
    plan.bytes = request_of(options).size();
    connection_ = std::make_unique<agent::Connection>(
        agent::Context{party_, source, *arith_, *engine_, journal_, nullptr}, config, plan);
  }

  void run() {
    try {
      agent::Timeline timeline(party_);
      connection_->prepare(timeline);
      agent::Request request;
      request.text = request_of(options_);
      request.id = sha256(request.text);
      check(connection_->call(
          request, [&] { return connect_to_runner(options_); }, timeline));
      check_expectations();
    } catch (...) {
      party_.abort();
      fault_ = std::current_exception();
    }
  }
  const std::exception_ptr& fault() const { return fault_; }

 private:
  void check_expectations() const {
    const auto require = [](bool holds, const std::string& what) {
      if (!holds) throw std::runtime_error(what);
    };
    require(!options_.expect_retry || seen_.retried, "no HelloRetryRequest came");
    require(!options_.expect_no_retry || !seen_.retried, "a HelloRetryRequest came");
    require(!options_.expect_group || seen_.group == *options_.expect_group,
            "another group was taken");
  }

  const Options& options_;
  net::Party party_;
  std::unique_ptr<arith::ArithEngine> arith_;
  std::unique_ptr<boolean::Engine> engine_;
  agent::MemoryJournal journal_;
  std::unique_ptr<agent::Connection> connection_;
  agent::Negotiated seen_;
  std::exception_ptr fault_;
};

}  // namespace

// Which scheme the server signed by, members tell nobody: mode A sees to what the runner expects.
void run_members(const Options& options) {
  if (options.shuts_down) unimplemented("a connection without a request");
  support::Dealer dealer(kMembers);
  auto transports = support::memory_mesh(kMembers);
  std::vector<std::unique_ptr<Member>> members;
  for (PartyId id = 0; id < kMembers; ++id) {
    members.push_back(std::make_unique<Member>(id, std::move(transports[id]), dealer, options));
  }
  std::vector<std::thread> threads;
  for (const auto& member : members) threads.emplace_back([&member] { member->run(); });
  for (std::thread& thread : threads) thread.join();
  // What the courier says first: the other may know no more than that it ended.
  for (const PartyId id : {PartyId{1}, PartyId{0}}) {
    if (members[id]->fault()) std::rethrow_exception(members[id]->fault());
  }
}

}  // namespace flexroom::bogo
