#include "agent/sealed_read_direction.h"

#include "agent/freeze.h"
#include "agent/phases.h"
#include "agent/sealed_reading.h"

namespace flexroom::agent {
namespace {

class SealedReadDirection final : public ReadDirection {
 public:
  explicit SealedReadDirection(const ReadTerms& terms)
      : terms_(terms),
        plan_(*terms.sealed),
        keys_({plan_.records, plan_.record_bytes, plan_.key_updates}),
        circuits_(plan_) {}

  void prepare(const Context& context) override {
    context_.emplace(context);
    if (plan_.reads_header()) {
      products_ = context.source.vec_triples(std::vector<size_t>(plan_.tests_max, 1));
    }
    keys_.prepare(context);
    circuits_.prepare(context);
  }
  uint64_t num_ands() const override { return keys_.num_ands() + circuits_.num_ands(); }

  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    keys_.take(program, outputs);
  }

  void erase() override {
    products_.clear();
    keys_.erase();
    circuits_.erase();
  }
  void confirm() override {
    keys_.confirm();
    circuits_.confirm();
  }

  Reply read(const Released& request) override {
    net::Party& party = request.views.party();
    SealedText text(context_->source.delta(), party.id(), party.num_parties());
    SealedAnswer answer(plan_, circuits_, keys_, text, *context_, request.views);
    answer.products = std::move(products_);
    request.begin(phase::kAnswerKeys);
    keys_.derive(request.views);  // while the service works
    request.begin(phase::kAnswer);
    tls::FrozenResponse frozen = freeze(request, terms_);
    request.begin(phase::kReadAnswer);
    // A4: what is judged is the same at all members before a share of it leaves. Nothing that comes
    // later is looked at.
    answer.a4 = freeze_view(request, frozen);
    request.views.agree("tls/A4", answer.a4, AbortCode::kViewMismatch);
    request.server.close();
    SealedRecords records(keys_, text, context_->journal, party.scope().csid);
    records.begin(answer, frozen.request_offset);
    records.add(std::move(frozen.records));
    SealedReading reading(answer, records);
    return reply_of(request, reading.read());
  }

 private:
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
    reply.sealed = std::make_shared<SealedReply>(std::move(sealed));
    return reply;
  }

  const ReadTerms terms_;
  const SealedPlan& plan_;
  std::optional<Context> context_;
  AnswerKeys keys_;
  SealedCircuits circuits_;
  std::vector<prep::VecTriple> products_;
};

}  // namespace

uint64_t sealed_answer_triples(const SealedPlan& plan) {
  return AnswerKeys({plan.records, plan.record_bytes, plan.key_updates}).num_triples() +
         SealedCircuits(plan).num_triples();
}

std::unique_ptr<ReadDirection> make_sealed_read_direction(const ReadTerms& terms) {
  if (terms.sealed == nullptr) {
    throw InputError("`receive` = \"sealed\"", "needs a plan of what becomes of the answer",
                     "say what is kept, or use \"open\" for answers that hold no secret");
  }
  if (terms.suite->code != tls::aes128_gcm_sha256().code) {
    throw InputError("`suite` " + std::string(terms.suite->setting),
                     "is not built for sealed answers", "use \"aes128\"");
  }
  return std::make_unique<SealedReadDirection>(terms);
}

}  // namespace flexroom::agent
