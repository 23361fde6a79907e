#include "agent/sealed_read_direction.h"

#include <algorithm>
#include <deque>

#include "agent/freeze.h"
#include "agent/phases.h"
#include "agent/sealed_reading.h"
#include "agent/suite.h"

namespace flexroom::agent {
namespace {

class SealedReadDirection final : public ReadDirection {
 public:
  explicit SealedReadDirection(const ReadTerms& terms)
      : terms_(terms),
        cipher_(suite_of(*terms.suite).answer()),
        key_updates_(bounds_of(terms).updates),
        keys_(bounds_of(terms), cipher_, terms.num_members) {
    add(terms.sealed);
    for (const auto& plan : terms.later) add(plan);
    num_ands_ = keys_.num_ands();
    for (const Prepared& answer : answers_) num_ands_ += answer.circuits.num_ands();
  }

  void prepare(const Context& context) override {
    context_.emplace(context);
    keys_.prepare(context);
    for (Prepared& answer : answers_) prepare(answer);
  }
  void prepare_next(std::shared_ptr<const SealedPlan> plan) override {
    add(std::move(plan));
    num_ands_ += answers_.back().circuits.num_ands();
    prepare(answers_.back());
  }
  uint64_t num_ands() const override { return num_ands_; }
  void add_ids(std::vector<Digest>& out) const override {
    keys_.add_ids(out);
    answers_.front().circuits.add_ids(out);
  }

  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    keys_.take(program, outputs);
  }

  void erase() override {
    keys_.erase();
    answers_.clear();
    records_.reset();
    if (text_) text_->erase();
  }
  /// Of the answer that was read last.
  void confirm() override {
    keys_.confirm();
    Prepared& answer = answers_.front();
    answer.circuits.confirm();
    if (context_->left_over != nullptr) {
      answer.circuits.leave(*context_->left_over);
      context_->left_over->put_products(std::move(answer.products));
    }
    answers_.pop_front();
  }

  Reply read(const Released& request) override {
    if (!records_) begin(request);
    Prepared& prepared = answers_.front();
    SealedAnswer answer(*prepared.plan, prepared.circuits, keys_, *text_, *context_, request.views);
    answer.products = std::move(prepared.products);
    request.begin(phase::kAnswer);
    bool waited = false;
    if (prepared.plan->keep_alive) {
      records_->begin(answer, request.request_offset, [&](Waiting waiting, size_t enough) {
        return receive_more(request, answer,
                            patience(waiting, std::exchange(waited, true), enough));
      });
    } else {
      records_->begin(answer, request.request_offset);
      take_frozen(request, answer, freeze(request, terms_));
      request.server.close();
    }
    request.begin(phase::kReadAnswer);
    SealedReading reading(answer, *records_);
    SealedReply reply = reading.read();
    prepared.products = std::move(answer.products);
    reply.goes_on = reply.goes_on && !request.server.ended() &&
                    !request.machine.application_fault() && !request.machine.has_partial_record();
    if (!reply.goes_on) request.server.close();
    text_->erase();  // values have their bits; of the rest nothing is read any more
    return reply_of(request, std::move(reply));
  }

 private:
  /// One answer's plan and what is prepared for it.
  struct Prepared {
    Prepared(std::shared_ptr<const SealedPlan> the_plan, const AnswerCipher& cipher,
             size_t key_updates, bool in_parts)
        : plan(std::move(the_plan)), circuits(*plan, cipher, key_updates, in_parts) {}
    std::shared_ptr<const SealedPlan> plan;
    SealedCircuits circuits;
    std::vector<prep::VecTriple> products;
  };

  void add(std::shared_ptr<const SealedPlan> plan) {
    answers_.emplace_back(std::move(plan), cipher_, key_updates_, terms_.leaves_over);
  }

  void prepare(Prepared& answer) {
    PreparedStock* const left_over = context_->left_over;
    if (left_over != nullptr) left_over->agree(context_->party);
    if (answer.plan->reads_header()) prepare_tests(answer, left_over);
    answer.circuits.prepare(*context_);
    num_ands_ -= answer.circuits.ands_taken();
  }
  void prepare_tests(Prepared& answer, PreparedStock* left_over) {
    const size_t most = answer.plan->tests_max;
    if (left_over != nullptr) answer.products = left_over->take_products(most);
    const std::vector<size_t> missing(most - answer.products.size(), 1);
    if (missing.empty()) return;
    for (prep::VecTriple& made : context_->source.vec_triples(missing)) {
      answer.products.push_back(std::move(made));
    }
  }

  // At most 8 KeyUpdates a connection (§3.6).
  static AnswerKeys::Bounds bounds_of(const ReadTerms& terms) {
    AnswerKeys::Bounds bounds;
    const auto add = [&](const SealedPlan& plan) {
      bounds.records += plan.records;
      bounds.record_bytes += plan.record_bytes;
      bounds.updates = std::min(bounds.updates + plan.key_updates, SealedPlan::kMaxKeyUpdates);
    };
    add(*terms.sealed);
    for (const auto& plan : terms.later) add(*plan);
    bounds.records += terms.to_come.records;
    bounds.record_bytes += terms.to_come.record_bytes;
    return bounds;
  }

  void begin(const Released& request) {
    net::Party& party = request.views.party();
    text_.emplace(context_->source.delta(), party.id(), party.num_parties(), cipher_.block_bytes);
    records_.emplace(keys_, *text_, context_->journal, party.scope().csid);
    request.begin(phase::kAnswerKeys);
    keys_.derive(request.views);  // while the service works
  }

  // A4: what is judged is the same at all members before a share of it leaves. Nothing that comes
  // later is looked at, until it is agreed on in its turn.
  void take_frozen(const Released& request, SealedAnswer& answer, tls::FrozenResponse frozen) {
    answer.a4 = freeze_view(request, frozen);
    request.views.agree("tls/A4", answer.a4, AbortCode::kViewMismatch);
    records_->add(std::move(frozen.records));
  }

  // The first records are looked at as soon as they are there.
  static Patience patience(Waiting waiting, bool waited, size_t enough) {
    constexpr std::chrono::milliseconds kSettled{250}, kForTheConnection{2000};
    switch (waiting) {
      case Waiting::kAnswer:
        return {std::nullopt, waited ? kSettled : std::chrono::milliseconds(0), enough};
      case Waiting::kRest:
        return {tls::kQuietAfterAnswer, tls::kQuietAfterAnswer, enough};
      case Waiting::kConnection:
        return {kForTheConnection, kSettled, enough};
    }
    return {};
  }

  bool receive_more(const Released& request, SealedAnswer& answer, const Patience& patience) {
    tls::FrozenResponse frozen = freeze_next(request, terms_, patience);
    const bool more = !frozen.records.empty();
    take_frozen(request, answer, std::move(frozen));  // also that nothing came
    return more;
  }

  Reply reply_of(const Released& request, SealedReply sealed) const {
    Reply reply;
    reply.response.status = sealed.status;
    if (sealed.unknown) {
      reply.unknown_outcome = *sealed.failure;
      // Why nothing more was waited for.
      if (sealed.failure == kNoAnswer || sealed.failure == kCutAnswer) {
        const auto& fault = request.machine.application_fault();
        *reply.unknown_outcome += ": " + (fault ? *fault : request.server.end_reason());
      }
    }
    reply.goes_on = sealed.goes_on;
    reply.sealed = std::make_shared<SealedReply>(std::move(sealed));
    return reply;
  }

  const ReadTerms terms_;
  const AnswerCipher& cipher_;
  const size_t key_updates_;  // of the connection
  std::optional<Context> context_;
  AnswerKeys keys_;
  std::deque<Prepared> answers_;  // the next one first
  uint64_t num_ands_ = 0;         // of all of them
  std::optional<SealedText> text_;
  std::optional<SealedRecords> records_;
};

}  // namespace

uint64_t sealed_answer_triples(const SealedPlan& plan, const tls::CipherSuite& suite,
                               size_t num_members, const RequestsToCome& to_come,
                               const PreparedStock* left_over) {
  const AnswerKeys keys(
      {plan.records + to_come.records, plan.record_bytes + to_come.record_bytes, plan.key_updates},
      suite_of(suite).answer(), num_members);
  return keys.num_triples() + next_answer_triples(plan, suite, left_over);
}

uint64_t next_answer_triples(const SealedPlan& plan, const tls::CipherSuite& suite,
                             const PreparedStock* left_over) {
  return SealedCircuits(plan, suite_of(suite).answer(), plan.key_updates, left_over != nullptr)
      .num_triples(left_over);
}

std::unique_ptr<ReadDirection> make_sealed_read_direction(const ReadTerms& terms) {
  if (terms.sealed == nullptr) {
    throw InputError("`receive` = \"sealed\"", "needs a plan of what becomes of the answer",
                     "say what is kept, or use \"open\" for answers that hold no secret");
  }
  return std::make_unique<SealedReadDirection>(terms);
}

}  // namespace flexroom::agent
