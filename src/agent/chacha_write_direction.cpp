#include "agent/poly1305_tag.h"
#include "agent/write_direction.h"
#include "tls/record_layer.h"

namespace flexroom::agent {
namespace {

class ChaChaWriteDirection final : public WriteDirection {
 public:
  ChaChaWriteDirection(const Context& context, const RequestPlan& plan)
      : tag_(context, tls::kHeaderSize, plan.inner_bytes(), "request 0") {}

  void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    tag_.bind(program, position().sequence, zero);
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    tag_.take_key(program, position().sequence, outputs);
  }
  void keys_for(const mpc::Program&, boolean::OnlineInputs&) const override {
    FLEXROOM_ASSERT(false && "one request a connection");
  }
  prep::AuthField tag_share(ByteView header, ByteView ciphertext) override {
    return tag_element(tag_.compute(header, ciphertext));
  }
  void erase() override { tag_.erase(); }

 private:
  Poly1305Tag tag_;
};

}  // namespace

std::unique_ptr<WriteDirection> make_chacha_write_direction(const Context& context,
                                                            std::span<const RequestPlan> plans) {
  FLEXROOM_ASSERT(plans.size() == 1);
  return std::make_unique<ChaChaWriteDirection>(context, plans.front());
}

}  // namespace flexroom::agent
