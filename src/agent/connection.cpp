#include "agent/connection.h"

#include "agent/connection_state.h"
#include "agent/phases.h"

namespace flexroom::agent {
namespace {

/// Puts the scope back, however the connection ends: what the session does next must not carry the
/// csid of a dead connection.
class ScopeRestorer {
 public:
  explicit ScopeRestorer(net::Party& party) : party_(party), saved_(party.scope()) {}
  ~ScopeRestorer() { party_.set_scope(saved_); }
  ScopeRestorer(const ScopeRestorer&) = delete;
  ScopeRestorer& operator=(const ScopeRestorer&) = delete;

 private:
  net::Party& party_;
  const RoScope saved_;
};

/// However a call ends, the connection is void unless it was kept.
class ConnectionEraser {
 public:
  explicit ConnectionEraser(std::function<void()> erase) : erase_(std::move(erase)) {}
  ~ConnectionEraser() { erase_(); }
  ConnectionEraser(const ConnectionEraser&) = delete;
  ConnectionEraser& operator=(const ConnectionEraser&) = delete;

 private:
  std::function<void()> erase_;
};

}  // namespace

Connection::Connection(Context context, ConnectionConfig config, RequestPlan plan,
                       std::shared_ptr<const mpc::Program> program)
    : state_(std::make_unique<State>(context, std::move(config), std::move(plan))) {
  State& s = *state_;
  require_valid(s.config);
  s.requests.resize(s.plans.size());
  s.requests.front().program = std::move(program);
  ReadTerms terms;
  terms.suite = s.config.suite;
  terms.num_members = context.party.num_parties();
  terms.max_answer = s.config.max_answer;
  terms.await_close = s.config.await_close;
  terms.no_secret = s.config.no_secret;
  terms.requests = s.plans.size();
  terms.to_come = s.config.to_come;
  terms.leaves_over = context.left_over != nullptr;
  if (s.config.receive == ReceiveMode::kSealed) {
    terms.sealed = s.config.sealed;
    for (const LaterRequest& later : s.config.later) terms.later.push_back(later.sealed);
  }
  if (terms.sealed != nullptr) terms.sealed->require_valid(context.party.num_parties());
  for (const auto& answer : terms.later) answer->require_valid(context.party.num_parties());
  s.read = make_read_direction(s.config.receive, terms);
  s.config.handshake.application = terms.limit();
  s.config.handshake.client_auth = s.config.client_auth;
  FLEXROOM_ASSERT(s.config.courier != 0 && s.config.courier < context.party.num_parties());
  for (const RequestPlan& one : s.plans) FLEXROOM_ASSERT(one.pad == s.config.pad);
}
Connection::~Connection() = default;
bool Connection::released(size_t request) const { return request < state_->released; }
bool Connection::kept() const { return state_->kept; }
uint64_t Connection::sequence() const { return state_->write->position().sequence; }
size_t Connection::next_request() const { return state_->next; }
uint64_t Connection::num_ands() const {
  FLEXROOM_ASSERT(state_->prepared);
  uint64_t sum = state_->handshake_ands + state_->client_flight_ands();
  const uint64_t tag = state_->suite.tag_ands(state_->context.party.num_parties());
  for (size_t k = 0; k < state_->requests.size(); ++k) {
    sum += state_->requests[k].program->num_ands() + state_->plans[k].records() * tag;
  }
  return sum + state_->read->num_ands();
}

/// Together, so that the members garble side by side; gives their ANDs.
uint64_t Connection::State::garble() {
  const size_t n = party().num_parties();
  std::vector<boolean::Preparation> circuits;
  circuits.push_back(offer->circuit());
  uint64_t ands = handshake_ands, sequence = 0;
  for (size_t k = 0; k < requests.size(); ++k) {
    std::shared_ptr<const mpc::Program>& program = requests[k].program;
    if (k > 0) program = suite.later_request_program(plans[k], sequence, n);
    if (program == nullptr) program = suite.request_program(plans[k], n);
    ands += program->num_ands();
    std::vector<prep::AuthBits> zero(program->inputs.size());
    write->bind(*program, sequence, plans[k].records(), zero);
    sequence += plans[k].records();
    circuits.push_back({program, std::move(zero), k == 0 ? "gc-b" : "gc-later"});
    if (k != 0 || client_flight == nullptr) continue;
    circuits.push_back(client_flight->circuit());
    ands += client_flight->num_ands();
  }
  std::vector<std::unique_ptr<boolean::Instance>> instances =
      context.engine.prepare(std::move(circuits));
  auto next_instance = instances.begin();
  offer->take(std::move(*next_instance++));
  for (RequestCircuit& request : requests) {
    request.instance = std::move(*next_instance++);
    const bool is_first = &request == &requests.front();
    if (is_first && client_flight != nullptr) client_flight->hold(std::move(*next_instance++));
  }
  return ands;
}

void Connection::prepare(Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(!s.prepared);
  timeline.begin(phase::kToken);
  ConnectionNonces nonces(s.party(), s.views);
  KeyOffer keys(s.context.arith, s.config.groups);

  s.offer.emplace(std::move(nonces), std::move(keys), s.config.groups, s.suite,
                  s.suite.handshake_program(s.config.groups, s.party().num_parties()));
  s.handshake_ands = s.offer->num_ands();

  timeline.begin(phase::kPowers);
  s.write = s.suite.write_direction(s.context, s.plans, s.left.request_bytes);
  if (s.answers_request()) s.client_flight = s.suite.client_flight(s.context);
  timeline.begin(phase::kGarble);
  timeline.set_ands(s.garble());
  if (s.config.receive == ReceiveMode::kSealed) {
    timeline.begin(phase::kGarbleAnswer, s.read->num_ands());
  }
  s.read->prepare(s.context);
  if (s.config.receive == ReceiveMode::kSealed) timeline.set_ands(s.read->num_ands());
  s.prepared = true;
  timeline.end();
}

namespace {

void require_request(const Request& request, const RequestPlan& plan, bool sealed) {
  FLEXROOM_ASSERT(request.text.size() == plan.bytes);
  if (sealed && request.method == "HEAD") {
    throw InputError("`request`", "is a HEAD, whose answer has no body to select from",
                     "use GET");  // §5.7
  }
}

}  // namespace

Reply Connection::call(const Request& request, const ServerBytes::Connect& connect,
                       Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.prepared && !s.used && !s.config.pipelined);
  require_request(request, s.plan(), s.config.receive == ReceiveMode::kSealed);
  s.used = true;
  const ScopeRestorer scope(s.party());
  const ConnectionEraser eraser([&] {
    if (!s.kept) s.erase();
  });
  s.begin({&request, 1}, connect, timeline);
  s.release(request, timeline);
  return s.receive(request, timeline);
}

namespace {

/// §4.9(1): nothing of a later request leaves this member unless it took the answer before.
void require_kept(bool kept) {
  if (kept) return;
  throw ProtocolAbort(AbortCode::kRefusedByRule, "tls/next request",
                      "the answer before it did not leave the connection to another request");
}

}  // namespace

bool Connection::stands(Timeline& timeline) {
  State& s = *state_;
  if (!s.kept) return false;
  s.kept = false;
  const ScopeRestorer scope(s.party());
  const ConnectionEraser eraser([&] {
    if (!s.kept) s.erase();
  });
  s.enter_scope();
  timeline.begin(phase::kAgree);
  s.kept = s.is_idle();
  timeline.end();
  return s.kept;
}

bool Connection::has_room_for(const RequestPlan& plan, const SealedPlan& sealed) const {
  const RequestsToCome& left = state_->left;
  return left.count > 0 && plan.bytes <= left.request_bytes && sealed.records <= left.records &&
         sealed.record_bytes <= left.record_bytes;
}

void Connection::prepare_next(RequestPlan plan, std::shared_ptr<const SealedPlan> sealed,
                              const Digest& policy, Timeline& timeline,
                              std::shared_ptr<const mpc::Program> program) {
  State& s = *state_;
  require_kept(s.kept);
  FLEXROOM_ASSERT(s.next == s.plans.size() && has_room_for(plan, *sealed));
  FLEXROOM_ASSERT(plan.pad == s.config.pad);
  s.kept = false;
  const ConnectionEraser eraser([&] {
    if (!s.kept) s.erase();
  });
  sealed->require_valid(s.party().num_parties());
  s.views.go_on(
      RandomOracle("next policy", RoScope{}).field(policy).field(sealed->digest()).digest());
  --s.left.count;
  s.left.records -= sealed->records;
  s.left.record_bytes -= sealed->record_bytes;

  timeline.begin(phase::kGarbleRequest);
  const size_t n = s.party().num_parties();
  if (program == nullptr) program = s.suite.later_request_program(plan, sequence(), n);
  timeline.set_ands(program->num_ands());
  std::vector<prep::AuthBits> zero(program->inputs.size());
  s.write->prepare_next(plan);
  s.write->bind(*program, sequence(), plan.records(), zero);
  auto instance = s.context.engine.prepare(program, std::move(zero), "gc-later");
  s.plans.push_back(std::move(plan));
  s.requests.push_back({std::move(program), std::move(instance)});
  const uint64_t before = s.read->num_ands();
  timeline.begin(phase::kGarbleAnswer);
  s.read->prepare_next(std::move(sealed));
  timeline.set_ands(s.read->num_ands() - before);
  timeline.end();
  s.kept = true;
}

Reply Connection::call_next(const Request& request, Timeline& timeline) {
  State& s = *state_;
  require_kept(s.kept);
  FLEXROOM_ASSERT(s.next < s.plans.size());
  s.kept = false;  // whatever comes now
  const ScopeRestorer scope(s.party());
  const ConnectionEraser eraser([&] {
    if (!s.kept) s.erase();
  });
  require_request(request, s.plan(), true);
  s.enter_scope();
  timeline.begin(phase::kAgree);
  s.views.agree("tls/ready",
                s.views.of("ready next")
                    .field(uint64_t{s.next})
                    .field(request.id)
                    .field(request.text)
                    .digest(),
                AbortCode::kDisagreement);
  s.mark_instances();
  s.release(request, timeline);
  return s.receive(request, timeline);
}

std::vector<Reply> Connection::call_all(const std::vector<Request>& requests,
                                        const ServerBytes::Connect& connect, Timeline& timeline) {
  State& s = *state_;
  FLEXROOM_ASSERT(s.config.receive == ReceiveMode::kOpen && s.config.pipelined);
  FLEXROOM_ASSERT(s.prepared && !s.used && requests.size() == s.plans.size());
  for (size_t k = 0; k < requests.size(); ++k) require_request(requests[k], s.plans[k], false);
  s.used = true;
  const ScopeRestorer scope(s.party());
  const ConnectionEraser eraser([&] { s.erase(); });
  s.begin(requests, connect, timeline);
  for (const Request& request : requests) {
    s.release(request, timeline);
    if (&request != &requests.back()) s.go_on();
  }
  // R2-2: the reveal comes behind the last release, and there is no way back.
  std::vector<bool> heads;
  for (const Request& request : requests) heads.push_back(request.method == "HEAD");
  std::vector<Reply> replies =
      s.read->read_all(s.released_request(requests.front(), timeline), heads);
  timeline.begin(phase::kConfirm);
  s.confirm(replies);
  timeline.end();
  return replies;
}

}  // namespace flexroom::agent
