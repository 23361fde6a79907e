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

  void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    zero[program.input_group("r_c")] = hash_.random_bits();
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    const auto kept = [&](std::string_view name) {
      return std::move(outputs.kept[program.output_group(name)]);
    };
    j0_ = kept("j0_" + std::to_string(position().sequence));
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
  prep::AuthField tag_share(ByteView header, ByteView ciphertext) override {
    prep::AuthField tag = hash_.hash_short(ghash_input(header, ciphertext));
    prep::add(tag, prep::pack(ghash_order(j0_)));
    return tag;
  }
  void erase() override {
    hash_.erase();
    j0_ = prep::AuthBits();
    iv_ = prep::AuthBits();
    round_keys_ = prep::AuthBits();
  }

 private:
  GhashKey hash_;
  const bool keeps_keys_;
  prep::AuthBits j0_;               // E_K(J0) of the record
  prep::AuthBits iv_, round_keys_;  // where further requests follow
};

}  // namespace

void WriteDirection::mark(Journal& journal, const Digest& csid) const {
  Writer mark;
  mark.raw(csid).u8(kClientToServer).u32(position_.generation).u64(position_.sequence);
  journal.mark("record", mark.bytes());
}

std::unique_ptr<WriteDirection> make_gcm_write_direction(const Context& context,
                                                         std::span<const RequestPlan> plans) {
  size_t blocks = 0;
  for (const RequestPlan& plan : plans) blocks = std::max(blocks, plan.keystream_blocks());
  return std::make_unique<GcmWriteDirection>(context.source, blocks, plans.size() > 1);
}

}  // namespace flexroom::agent
