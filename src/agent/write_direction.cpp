#include "agent/write_direction.h"

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
  GcmWriteDirection(prep::Source& source, size_t keystream_blocks)
      : hash_(source, keystream_blocks + 2, 0) {}  // one more for AAD, one for the lengths

  void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    zero[program.input_group("r_c")] = hash_.random_bits();
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    j0_ = std::move(outputs.kept[program.output_group("j0_0")]);
    hash_.set_difference(
        prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_c")])));
  }
  prep::AuthField tag_share(ByteView header, ByteView ciphertext) override {
    prep::AuthField tag = hash_.hash_short(ghash_input(header, ciphertext));
    prep::add(tag, prep::pack(ghash_order(j0_)));
    return tag;
  }
  void erase() override {
    hash_.erase();
    j0_ = prep::AuthBits();
  }

 private:
  GhashKey hash_;
  prep::AuthBits j0_;  // E_K(J0) of the record
};

}  // namespace

void WriteDirection::mark(Journal& journal, const Digest& csid) const {
  Writer mark;
  mark.raw(csid).u8(kClientToServer).u32(position_.generation).u64(position_.sequence);
  journal.mark("record", mark.bytes());
}

std::unique_ptr<WriteDirection> make_gcm_write_direction(const Context& context,
                                                         const RequestPlan& plan) {
  return std::make_unique<GcmWriteDirection>(context.source, plan.keystream_blocks());
}

}  // namespace flexroom::agent
