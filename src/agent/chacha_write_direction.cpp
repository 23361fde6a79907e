#include <deque>

#include "agent/poly1305_tag.h"
#include "agent/write_direction.h"
#include "prep/prep.h"
#include "tls/record_layer.h"

namespace flexroom::agent {
namespace {

class ChaChaWriteDirection final : public WriteDirection {
 public:
  ChaChaWriteDirection(const Context& context, std::span<const RequestPlan> plans)
      : context_(context), keeps_keys_(plans.front().keep_write_keys) {
    make_tags(plans);
  }

  void prepare_next(const RequestPlan& plan) override { make_tags({&plan, 1}); }
  void bind(const mpc::Program& program, uint64_t sequence, size_t records,
            std::vector<prep::AuthBits>& zero) override {
    for (uint64_t seq = sequence; seq < sequence + records; ++seq) {
      tags_.at(seq).bind(program, seq, zero);
    }
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs, size_t records) override {
    const uint64_t first = position().sequence;
    for (uint64_t seq = first; seq < first + records; ++seq) {
      tags_.at(seq).take_key(program, seq, outputs);
    }
    if (first != 0 || !keeps_keys_) return;
    iv_ = std::move(outputs.kept[program.output_group("iv_c")]);
    key_ = std::move(outputs.kept[program.output_group("key_c")]);
  }
  void keys_for(const mpc::Program& program, boolean::OnlineInputs& inputs) const override {
    FLEXROOM_ASSERT(keeps_keys_);
    inputs.dyn[program.input_group("iv_c")] = &iv_;
    inputs.dyn[program.input_group("key_c")] = &key_;
  }
  prep::AuthField tag_shares(std::span<const RecordText> records) override {
    std::vector<Poly1305Tag*> tags;
    for (size_t k = 0; k < records.size(); ++k) tags.push_back(&tags_.at(position().sequence + k));
    prep::AuthField out;
    for (const prep::AuthBits& tag : Poly1305Tag::compute(tags, records)) {
      out.append(tag_element(tag));
    }
    return out;
  }
  void erase() override {
    tags_.clear();
    iv_ = prep::AuthBits();
    key_ = prep::AuthBits();
  }

 private:
  void make_tags(std::span<const RequestPlan> plans) {
    std::vector<Poly1305Tag::Shape> shapes;
    for (const RequestPlan& plan : plans) {
      for (size_t k = 0; k < plan.records(); ++k) {
        const std::string number = std::to_string(tags_.size() + shapes.size());
        shapes.push_back({tls::kHeaderSize, plan.inner_bytes(k), "request " + number});
      }
    }
    for (Poly1305Tag& tag : Poly1305Tag::make(context_, shapes)) tags_.push_back(std::move(tag));
  }

  Context context_;
  const bool keeps_keys_;
  std::deque<Poly1305Tag> tags_;  // by sequence number
  prep::AuthBits iv_, key_;       // where further requests follow
};

}  // namespace

std::unique_ptr<WriteDirection> make_chacha_write_direction(const Context& context,
                                                            std::span<const RequestPlan> plans,
                                                            size_t /* longest_to_come */) {
  return std::make_unique<ChaChaWriteDirection>(context, plans);
}

}  // namespace flexroom::agent
