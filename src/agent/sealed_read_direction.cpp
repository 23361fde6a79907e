#include "agent/sealed_read_direction.h"

#include "agent/freeze.h"
#include "agent/phases.h"
#include "agent/sealed_reading.h"
#include "agent/wires.h"
#include "prep/ghash.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kHashRun = 256;  // blocks of GHASH without a product: 4 KB (§4.4)

class SealedReadDirection final : public ReadDirection {
 public:
  explicit SealedReadDirection(const ReadTerms& terms)
      : terms_(terms), plan_(*terms.sealed), circuits_(plan_) {}

  void prepare(const Context& context) override {
    context_.emplace(context);
    prep::Source& source = context.source;
    // Of each record its header and lengths are two blocks, and the last one may not be full.
    const size_t blocks = plan_.record_bytes / 16 + 3 * plan_.records;
    hash_.emplace(source, kHashRun, blocks / kHashRun);
    circuits_.set_hash_bits(hash_->random_bits());
    if (plan_.reads_header()) {
      products_ = source.vec_triples(std::vector<size_t>(plan_.tests_max, 1));
    }
    circuits_.prepare(*context_);
  }
  uint64_t num_ands() const override { return circuits_.num_ands(); }

  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    kout_s_ap_ = std::move(outputs.kept[program.output_group("kout_s_ap")]);
    kin_s_ap_ = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_s_ap")]));
  }

  void erase() override {
    kout_s_ap_ = prep::AuthBits();
    products_.clear();
    if (hash_) hash_->erase();
    circuits_.erase();
  }
  void confirm() override { circuits_.confirm(); }

  Reply read(const Released& request) override {
    SealedAnswer answer(plan_, circuits_, *context_, request.views);
    answer.products = std::move(products_);
    request.begin(phase::kAnswerKeys);
    SealedRecords::Keys keys = make_keys(answer);
    request.begin(phase::kAnswer);
    const tls::FrozenResponse frozen = freeze(request, terms_);
    request.begin(phase::kReadAnswer);
    // A4: what is judged is the same at all members before a share of it leaves. Nothing that comes
    // later is looked at.
    answer.a4 = freeze_view(request, frozen);
    request.views.agree("tls/A4", answer.a4, AbortCode::kViewMismatch);
    request.server.close();
    SealedRecords records(answer, frozen, std::move(keys), context_->journal,
                          request.views.party().scope().csid);
    SealedReading reading(answer, records);
    return reply_of(request, reading.read());
  }

 private:
  // GC-C while the service works.
  SealedRecords::Keys make_keys(SealedAnswer& answer) {
    const auto words = [&](std::string_view label, size_t length) {
      return word_bits(tls::outer_words(tls::inner_digest(kin_s_ap_, label, {}, length)));
    };
    SealedCircuits::Prepared& circuit = answer.prepared(SealedCircuits::kKeys);
    SealedCircuits::Inputs inputs;
    inputs.dyn = {{"kout_s_ap", &kout_s_ap_}};
    inputs.pub.emplace_back("kw_key", words("key", 16));
    inputs.pub.emplace_back("kw_iv", words("iv", 12));
    boolean::Outputs outputs = answer.run(circuit, inputs);
    const mpc::Program& program = *circuit.program;
    const auto kept = [&](std::string_view name) {
      return std::move(outputs.kept[program.output_group(name)]);
    };
    answer.iv = kept("iv_s");
    answer.round_keys = kept("round_keys_s");
    hash_->set_difference(
        prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_s")])));
    return {*hash_, kept("tag_masks"), kept("first_blocks")};
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
    reply.sealed = std::make_shared<SealedReply>(std::move(sealed));
    return reply;
  }

  const ReadTerms terms_;
  const SealedPlan& plan_;
  std::optional<Context> context_;
  SealedCircuits circuits_;
  std::optional<GhashKey> hash_;
  std::vector<prep::VecTriple> products_;
  prep::AuthBits kout_s_ap_;
  Sha256State kin_s_ap_{};
};

}  // namespace

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
