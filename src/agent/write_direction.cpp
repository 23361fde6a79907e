#include "agent/write_direction.h"

#include <algorithm>

#include "agent/gcm.h"
#include "agent/wires.h"
#include "base/codec.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"

namespace flexroom::agent {
namespace {

constexpr uint8_t kClientToServer = 0;

class GcmWriteDirection final : public WriteDirection {
 public:
  GcmWriteDirection(prep::Source& source, size_t keystream_blocks, bool keeps_keys)
      : hash_(source, keystream_blocks + 2, 0),  // one more for AAD, one for the lengths
        keeps_keys_(keeps_keys) {}

  void prepare_next(const RequestPlan& /* plan */) override {}
  void bind(const mpc::Program& program, uint64_t sequence, size_t /* records */,
            std::vector<prep::AuthBits>& zero) override {
    if (sequence == 0) zero[program.input_group("r_c")] = hash_.random_bits();
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs, size_t records) override {
    const auto kept = [&](std::string_view name) {
      return std::move(outputs.kept[program.output_group(name)]);
    };
    j0_.clear();
    for (size_t k = 0; k < records; ++k) {
      j0_.push_back(kept("j0_" + std::to_string(position().sequence + k)));
    }
    if (position().sequence != 0) return;
    hash_.set_difference(
        prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_c")])));
    if (!keeps_keys_) return;
    iv_ = kept("iv_c");
    round_keys_ = kept("round_keys_c");
  }
  void keys_for(const mpc::Program& program, boolean::OnlineInputs& inputs) const override {
    FLEXROOM_ASSERT(keeps_keys_);
    inputs.dyn[program.input_group("iv_c")] = &iv_;
    inputs.dyn[program.input_group("round_keys_c")] = &round_keys_;
  }
  prep::AuthField tag_shares(std::span<const RecordText> records) override {
    FLEXROOM_ASSERT(records.size() == j0_.size());
    prep::AuthField tags;
    for (size_t k = 0; k < records.size(); ++k) {
      prep::AuthField tag = hash_.hash_short(ghash_input(records[k].header, records[k].ciphertext));
      prep::add(tag, prep::pack(ghash_order(j0_[k])));
      tags.append(tag);
    }
    return tags;
  }
  void erase() override {
    hash_.erase();
    j0_.clear();
    iv_ = prep::AuthBits();
    round_keys_ = prep::AuthBits();
  }

 private:
  GhashKey hash_;
  const bool keeps_keys_;
  std::vector<prep::AuthBits> j0_;  // E_K(J0) of each record
  prep::AuthBits iv_, round_keys_;  // where further requests follow
};

}  // namespace

void WriteDirection::mark(Journal& journal, const Digest& csid, size_t records) const {
  for (size_t k = 0; k < records; ++k) {
    Writer mark;
    mark.raw(csid).u8(kClientToServer).u32(position_.generation).u64(position_.sequence + k);
    journal.mark("record", mark.bytes());
  }
}

std::unique_ptr<WriteDirection> make_gcm_write_direction(const Context& context,
                                                         std::span<const RequestPlan> plans,
                                                         size_t longest_to_come) {
  RequestPlan to_come;
  to_come.bytes = longest_to_come;
  to_come.pad = plans.front().pad;
  size_t blocks = longest_to_come > 0 ? to_come.keystream_blocks() : 0;
  for (const RequestPlan& plan : plans) blocks = std::max(blocks, plan.keystream_blocks());
  return std::make_unique<GcmWriteDirection>(context.source, blocks, plans.front().keep_write_keys);
}

}  // namespace flexroom::agent
