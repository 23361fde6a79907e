#include "base/codec.h"
#include "fuzz.h"
#include "net/party.h"
#include "prep/epoch.h"

// Frames of a peer as a Party takes them, and the stored epoch. First byte: which.

namespace flexroom {
namespace {

/// Hands out one frame, then the peer is gone.
class OneFrame : public net::Transport {
 public:
  explicit OneFrame(ByteView frame) : frame_(frame.begin(), frame.end()) {}
  PartyId self() const override { return 0; }
  size_t num_parties() const override { return 2; }
  void send(PartyId, Bytes) override {}
  Bytes receive(PartyId from, size_t /*max_bytes*/) override {
    if (taken_) throw ProtocolAbort(AbortCode::kPeerLost, "fuzz", "no more frames", from);
    taken_ = true;
    return frame_;
  }
  std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) override {
    return timeout;
  }
  void close() override {}

 private:
  Bytes frame_;
  bool taken_ = false;
};

void run(uint8_t which, ByteView input) {
  if (which % 2 == 0) {
    const prep::EpochState epoch = prep::EpochState::deserialise(input);
    const SecretBytes again = epoch.serialise();
    const ByteView bytes = again.reveal();
    FLEXROOM_ASSERT(std::equal(bytes.begin(), bytes.end(), input.begin(), input.end()));
    return;
  }
  net::Party party(std::make_unique<OneFrame>(input), Prg(Block{}));
  const Bytes payload = party.receive_up_to(1, "fuzz/label", 64);
  FLEXROOM_ASSERT(payload.size() <= 64 && payload.size() < input.size());
  Reader reader(payload, "fuzz");
  const ByteView field = reader.field(16);
  FLEXROOM_ASSERT(field.size() <= 16);
  reader.finish();
}

}  // namespace
}  // namespace flexroom

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  flexroom::fuzz::accepts([&] { flexroom::run(data[0], flexroom::ByteView(data + 1, size - 1)); });
  return 0;
}
