#pragma once

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "agent/connection.h"
#include "agent/memory_journal.h"
#include "agent/suite.h"
#include "boolean/evaluators.h"
#include "support/connection_report.h"
#include "support/dealer.h"
#include "support/forked.h"
#include "support/hmac_states.h"
#include "support/memory_image.h"
#include "support/memory_mesh.h"
#include "support/test_service.h"

namespace flexroom::support {

/// Members with one prepared connection each, preprocessing from the dealer. The online phase runs
/// in a forked copy, so that one preparation serves many runs: honest ones and altered ones.
class ConnectionRig {
 public:
  static constexpr std::string_view kMessage = "what is signed";
  static constexpr std::string_view kSecret = "s3";
  static constexpr size_t kSecretOffset = 8, kSignatureOffset = 16;

  struct Scenario {
    net::Tamper tamper;
    TestService::Script script;
    /// Another service than the one of the script.
    std::function<std::unique_ptr<ByteStream>(TestService::Seen&)> service;
    /// That member's journal holds every mark of this kind already, but for the first `unmarked`.
    std::optional<std::pair<PartyId, std::string>> marked;
    /// Marks are in files of this folder, one a member: there for the next run, also when the
    /// processes of this one are killed.
    std::string journals;
    size_t unmarked = 0;
    /// That member was told something else to do: its request differs in one public byte.
    std::optional<PartyId> other_request;
    /// Tries to make so many of the connection's later requests, whatever became of the one before.
    size_t next_requests = 0;
    /// That member's later request differs in one public byte.
    std::optional<PartyId> other_next_request;
    /// The first later request is a HEAD.
    bool head_next = false;
    /// That member has another policy for the first request that is laid out later.
    std::optional<PartyId> other_next_policy;
    /// That member has another plan of the answer to it.
    std::optional<PartyId> other_next_answer;
    /// All requests have the id of the first.
    bool repeats_id = false;
    /// Makes tokens after the connection ended, to see whether the arithmetic engine still serves.
    bool tokens_afterwards = false;
    /// Looks for the first value that is kept, when the reply is dropped and the connection is not.
    bool looks_for_the_value = false;
    /// The tampering waits for other members: it is called by several at once.
    bool concurrent_tamper = false;
  };
  using MemberReport = support::MemberReport;
  using Report = support::ConnectionReport;

  using Configure = std::function<void(PartyId, agent::ConnectionConfig&)>;
  /// `to_come`: plans of the answers to requests that are laid out while it runs
  /// (ConnectionConfig::to_come). `record_bytes`: content of a record of a request. `leaves_over`:
  /// with a PreparedStock.
  explicit ConnectionRig(size_t n, Configure configure = nullptr,
                         std::vector<std::shared_ptr<const agent::SealedPlan>> to_come = {},
                         size_t record_bytes = 16384, bool leaves_over = false)
      : n_(n),
        dealer_(n),
        members_(n),
        configure_(std::move(configure)),
        to_come_(std::move(to_come)),
        leaves_over_(leaves_over) {
    text_ = Bytes(kSignatureOffset + 64 + 20, '.');
    for (size_t k = 0; k < kSecret.size(); ++k) text_[kSecretOffset + k] = 0;
    for (size_t k = 0; k < 64; ++k) text_[kSignatureOffset + k] = 0;
    plan_.bytes = text_.size();
    plan_.record_bytes = record_bytes;
    for (uint32_t bit = 0; bit < 8 * kSecret.size(); ++bit) {
      plan_.secret_bits.push_back(static_cast<uint32_t>(8 * kSecretOffset) + bit);
    }
    plan_.signature_offset = kSignatureOffset;
    agent::ConnectionConfig of_first;
    if (configure_) configure_(0, of_first);
    plan_.pad = of_first.pad;

    auto transports = memory_mesh(n, std::chrono::seconds(60));
    std::vector<std::thread> threads;
    for (PartyId i = 0; i < n; ++i) {
      members_[i].party = std::make_unique<net::Party>(std::move(transports[i]), Prg(Block(5, i)));
      threads.emplace_back([this, i] { prepare(i); });
    }
    for (auto& thread : threads) thread.join();
  }

  /// What the service must see as the first request, or as a later one.
  std::string expected_request(size_t number = 0) const {
    std::string out = to_text(text_);
    std::copy(kSecret.begin(), kSecret.end(), out.begin() + kSecretOffset);
    const std::string hex = to_hex(hmac_sha256(key_, as_bytes(kMessage)));
    std::copy(hex.begin(), hex.end(), out.begin() + kSignatureOffset);
    if (number > 0) out.back() = static_cast<char>('a' + number - 1);
    return out + '\x17';
  }
  PartyId courier() const { return 1; }
  /// Who evaluates GC-A, and who GC-B and GC-CF, of a connection with one request
  /// (boolean-engine.md §6.7).
  struct Evaluators {
    PartyId gc_a, gc_b;
    /// Instances of the two that this party evaluates.
    size_t count(PartyId party) const {
      return (party == gc_a ? size_t{1} : 0) + (party == gc_b ? size_t{1} : 0);
    }
  };
  const Evaluators& evaluators() {
    if (evaluators_) return *evaluators_;
    const agent::Suite& suite = agent::suite_of(*suite_);
    boolean::EvaluatorPlan plan(n_);
    const uint64_t tag = suite.tag_ands(n_);  // one a record, prepared before them
    const bool flight = client_auth_ == tls::ClientAuth::kNone;
    for (size_t k = 0; tag != 0 && k < plan_.records() + (flight ? 1 : 0); ++k) {
      plan.count({&tag, 1}, plan.assign({&tag, 1}));
    }
    const uint64_t ands[] = {
        suite.handshake_program(agent::ConnectionConfig{}.groups, n_)->num_ands(),
        suite.request_program(plan_, n_)->num_ands() +
            (flight ? suite.client_flight_program(n_)->num_ands() : 0)};
    const std::vector<PartyId> assigned = plan.assign(ands);
    return evaluators_.emplace(Evaluators{assigned[0], assigned[1]});
  }
  size_t size() const { return n_; }

  Report run(const Scenario& scenario) {
    const auto got = run_in_copy([&] { return run_here(scenario); });
    Report report;
    report.ended = got.has_value();
    report.members.resize(n_);
    if (got) parse_report(*got, report);
    return report;
  }

 private:
  class MarkJournal : public agent::MemoryJournal {
   public:
    void mark(std::string_view kind, ByteView id) override {
      agent::MemoryJournal::mark(kind, id);
      if (!file.empty()) std::ofstream(file, std::ios::app) << kind << ' ' << to_hex(id) << '\n';
      if (kind == marked && unmarked-- == 0)
        throw ProtocolAbort(AbortCode::kReuse, kind, "marked already");
      kinds.emplace_back(kind);
    }
    void open(const std::string& path) {
      std::ifstream in(path);
      for (std::string kind, id; in >> kind >> id;) agent::MemoryJournal::mark(kind, from_hex(id));
      file = path;
    }
    std::vector<std::string> kinds;
    std::string marked, file;
    size_t unmarked = 0;
  };
  struct Member {
    std::unique_ptr<net::Party> party;
    std::unique_ptr<arith::ArithEngine> arith;
    std::unique_ptr<boolean::Engine> engine;
    MarkJournal journal;
    prep::AuthBits secret, kout;
    agent::PreparedStock left_over;
    std::unique_ptr<agent::Connection> connection;
  };

  static std::vector<uint8_t> bits_of(ByteView bytes) {
    std::vector<uint8_t> bits;
    for (const uint8_t byte : bytes) {
      for (unsigned b = 0; b < 8; ++b) bits.push_back(static_cast<uint8_t>(byte >> b & 1));
    }
    return bits;
  }

  void prepare(PartyId i) {
    Member& m = members_[i];
    RoScope scope;
    scope.eid[0] = 1;
    scope.sid[0] = 2;
    m.party->set_scope(scope);
    std::vector<Block> zero_keys(n_);
    for (PartyId j = 0; j < n_; ++j) {
      zero_keys[j] = Block(77 + std::min(i, j), 99 + std::max(i, j));
    }
    m.party->set_zero_keys(std::move(zero_keys));
    prep::Source& source = dealer_.source(i);
    m.secret = dealer_.share_bits(i, 1, bits_of(as_bytes(kSecret)));
    m.kout = dealer_.share_bits(i, 2, bits_of(sha256_state_bytes(hmac_states(key_).outer)));
    m.arith = std::make_unique<arith::ArithEngine>(*m.party, source);
    m.engine = std::make_unique<boolean::Engine>(*m.party, source);
    agent::ConnectionConfig config;
    config.host = "api.example";
    config.handshake = tls::handshake_config(tls::testing::chain_policy());
    if (configure_) configure_(i, config);
    agent::RequestPlan own = plan_;
    own.pad = config.pad;
    for (agent::LaterRequest& later : config.later) later.plan = own;
    for (const auto& plan : to_come_) {
      ++config.to_come.count;
      config.to_come.request_bytes = plan_.bytes;
      config.to_come.records += plan->records;
      config.to_come.record_bytes += plan->record_bytes;
    }
    if (i == 0) pipelined_ = config.pipelined;
    if (i == 0) num_later_ = config.later.size();
    if (i == 0) suite_ = config.suite;
    if (i == 0) client_auth_ = config.client_auth;
    m.connection = std::make_unique<agent::Connection>(
        agent::Context{*m.party, source, *m.arith, *m.engine, m.journal,
                       leaves_over_ ? &m.left_over : nullptr},
        config, own);
    agent::Timeline timeline(*m.party);
    m.connection->prepare(timeline);
  }

  Bytes run_here(const Scenario& scenario) {
    TestService::Seen seen;
    std::vector<MemberReport> reports(n_);
    std::mutex tamper_mutex;
    seen_ = &seen;
    std::vector<std::thread> threads;
    for (PartyId i = 0; i < n_; ++i) {
      threads.emplace_back([&, i] { run_member(i, scenario, seen, tamper_mutex, reports[i]); });
    }
    for (auto& thread : threads) thread.join();
    return write_report(seen, reports);
  }

  TestService::Script script_of(const Scenario& scenario) const {
    TestService::Script script = scenario.script;
    script.server.suite = suite_;
    if (plan_.records() > 1) script.request_bytes = plan_.bytes;
    if (script.server.hello.suite == tls::aes128_gcm_sha256().code) {
      script.server.hello.suite = suite_->code;
    }
    return script;
  }

  void run_member(PartyId i, const Scenario& scenario, TestService::Seen& seen, std::mutex& mutex,
                  MemberReport& report) {
    Member& m = members_[i];
    m.party->set_tamper([&](const net::MessageId& message, Bytes& payload) {
      std::unique_lock lock(mutex, std::defer_lock);
      if (!scenario.concurrent_tamper) lock.lock();
      if (scenario.tamper) scenario.tamper(message, payload);
    });
    m.party->set_observer([&](const net::MessageId& message, ByteView) {
      report.sent.push_back(message);
      report.sent.back().bytes = message.bytes;
    });
    m.journal.kinds.clear();
    if (!scenario.journals.empty()) {
      m.journal.open(scenario.journals + "/" + std::to_string(i));
    }
    if (scenario.marked && scenario.marked->first == i) m.journal.marked = scenario.marked->second;
    m.journal.unmarked = scenario.unmarked;
    agent::Request request;
    request.text = text_;
    if (scenario.other_request == i) request.text.back() ^= 1;
    request.secret = &m.secret;
    request.kout_signing = &m.kout;
    request.signature_inner_digest = hmac_inner_digest(hmac_states(key_).inner, as_bytes(kMessage));
    request.id = sha256(request.text);
    agent::Timeline timeline(*m.party);
    const RoScope before = m.party->scope();
    const auto connect = [&]() -> std::unique_ptr<ByteStream> {
      if (scenario.service) return scenario.service(seen);
      return std::make_unique<TestService>(script_of(scenario), seen);
    };
    // What is sent up to the end of a request counts as its own.
    const auto attempt = [&](MemberReport& into, size_t number, const auto& action) {
      try {
        action();
      } catch (const ProtocolAbort& abort) {
        into.code = abort.code();
        into.where = abort.operation();
        into.detail = abort.detail();
      } catch (const InputError& error) {
        into.detail = error.what();
      }
      into.released = m.connection->released(number);
      into.kept = m.connection->kept();
      into.scope_restored = m.party->scope().csid == before.csid;
      into.marks = m.journal.kinds;
    };
    if (pipelined_) {
      attempt(report, 0, [&] { call_all(m, scenario, request, connect, timeline, report); });
    } else {
      attempt(report, 0, [&] {
        const uint64_t turns = m.party->traffic().half_rounds;
        std::optional<agent::Reply> reply = m.connection->call(request, connect, timeline);
        report.half_rounds = m.party->traffic().half_rounds - turns;
        note_reply(*reply, report);
        if (scenario.looks_for_the_value) look_for_value(m, reply, report);
      });
      for (size_t k = 0; k < scenario.next_requests; ++k) {
        MemberReport next;
        const agent::Request later = later_request(m, scenario, i, request, k);
        attempt(next, k + 1, [&] {
          if (m.connection->kept()) FLEXROOM_ASSERT(m.connection->next_request() == k + 1);
          if (!to_come_.empty()) lay_out_next(m, scenario, i, k, timeline, next);
          note_reply(m.connection->call_next(later, timeline), next);
        });
        report.next.push_back(std::move(next));
        if (report.next.back().code) break;
      }
      if (!report.next.empty() && report.next.back().code) m.party->abort();
    }
    if (report.code && scenario.tokens_afterwards) {
      try {
        (void)m.arith->make_tokens(NamedGroup::kX25519, 1);
      } catch (const ProtocolAbort& abort) {
        report.engine_ended = abort.code() == AbortCode::kRefusedByRule;
      }
    }
    if (report.code) m.party->abort();
  }

  // All members at once: they are in one memory. A value and the keystream that it was read with
  // have the same MACs up to public constants.
  static void look_for_value(Member& m, std::optional<agent::Reply>& reply, MemberReport& report) {
    const prep::AuthBits& bits = reply->sealed->values.at(0).bits;
    const Block masked = bits.mac[bits.first_peer()][0] ^ kMask;
    report.copies_before = copies_of(masked);
    reply.reset();
    (void)m.party->exchange("test/dropped", Digest{});
    report.copies_behind = copies_of(masked);
    (void)m.party->exchange("test/looked", Digest{});
  }

  void lay_out_next(Member& m, const Scenario& scenario, PartyId i, size_t k,
                    agent::Timeline& timeline, MemberReport& report) {
    report.stood = m.connection->stands(timeline);
    if (!report.stood) return;
    Digest policy{};
    policy[0] = static_cast<uint8_t>(k);
    if (k == 0 && scenario.other_next_policy == i) policy[1] = 1;
    FLEXROOM_ASSERT(m.connection->has_room_for(plan_, *to_come_[k]));
    auto answer = to_come_[k];
    if (k == 0 && scenario.other_next_answer == i) {
      agent::SealedPlan other = *answer;
      other.content_type = "text/html";
      answer = std::make_shared<const agent::SealedPlan>(std::move(other));
    }
    m.connection->prepare_next(plan_, answer, policy, timeline);
  }

  /// Its own id, unless the scenario says otherwise, and another last byte.
  agent::Request later_request(Member& m, const Scenario& scenario, PartyId i,
                               const agent::Request& first, size_t k) const {
    agent::Request out = first;
    out.text.back() = static_cast<uint8_t>('a' + k);
    out.secret = &m.secret;
    out.kout_signing = &m.kout;
    if (!scenario.repeats_id) out.id = sha256(out.text);
    if (scenario.head_next && k == 0) out.method = "HEAD";
    if (scenario.other_next_request == i) out.text.back() ^= 1;
    return out;
  }

  void call_all(Member& m, const Scenario& scenario, const agent::Request& request,
                const agent::ServerBytes::Connect& connect, agent::Timeline& timeline,
                MemberReport& report) {
    std::vector<agent::Request> all = {request};
    for (size_t k = 0; k < num_later_; ++k) {
      all.push_back(later_request(m, scenario, m.party->id(), request, k));
    }
    const std::vector<agent::Reply> replies = m.connection->call_all(all, connect, timeline);
    note_reply(replies.front(), report);
    for (size_t k = 1; k < replies.size(); ++k) note_reply(replies[k], report.next.emplace_back());
  }

  static void note_reply(const agent::Reply& reply, MemberReport& report) {
    report.replied = !reply.unknown_outcome;
    report.unknown = reply.unknown_outcome.has_value();
    report.status = reply.response.status;
    report.unknown_why = reply.unknown_outcome.value_or("");
    report.received = to_text(reply.partial.received);
    report.body = to_text(reply.unknown_outcome ? reply.partial.body() : reply.response.body);
    report.unconfirmed = reply.unconfirmed.value_or("");
    if (reply.sealed != nullptr) note_sealed(*reply.sealed, report);
  }

  static void note_sealed(const agent::SealedReply& reply, MemberReport& report) {
    report.sealed = true;
    report.sealed_unknown = reply.unknown;
    report.none = reply.none;
    report.sealed_status = reply.status;
    report.failure = reply.failure.value_or("");
    report.listed_code = reply.code.value_or("");
    for (const agent::SealedValue& value : reply.values) {
      report.values.push_back({static_cast<uint8_t>(value.state), value.text,
                               to_text(value.secret.reveal()),
                               value.bits.empty() ? "" : to_text(value.bits.packed_shares())});
    }
    report.leak = reply.leak;
  }

 public:
  /// In the running copy: what the service of this run sees. For tampering that depends on it.
  const TestService::Seen* seen() const { return seen_; }

 private:
  const size_t n_;
  const tls::CipherSuite* suite_ = nullptr;  // also of the service
  tls::ClientAuth client_auth_ = tls::ClientAuth::kRefuse;
  Dealer dealer_;
  std::vector<Member> members_;
  Configure configure_;
  Bytes text_;
  agent::RequestPlan plan_;
  std::optional<Evaluators> evaluators_;
  std::vector<std::shared_ptr<const agent::SealedPlan>> to_come_;
  const bool leaves_over_;
  const Bytes key_ = Bytes(32, 0x42);
  TestService::Seen* seen_ = nullptr;
  bool pipelined_ = false;
  size_t num_later_ = 0;
};

}  // namespace flexroom::support
