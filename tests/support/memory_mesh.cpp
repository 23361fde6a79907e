#include "support/memory_mesh.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "base/error.h"

namespace flexroom::support {
namespace {

struct Wire {
  std::mutex mutex;
  std::condition_variable ready;
  std::deque<Bytes> frames;
  bool closed = false;
};

struct Switch {
  explicit Switch(size_t n) : num_parties(n), wires(n * n) {}
  Wire& wire(PartyId from, PartyId to) { return wires[from * num_parties + to]; }
  size_t num_parties;
  std::vector<Wire> wires;
};

class MemoryTransport final : public net::Transport {
 public:
  MemoryTransport(std::shared_ptr<Switch> mesh, PartyId self, std::chrono::milliseconds timeout)
      : mesh_(std::move(mesh)), self_(self), timeout_(timeout) {}
  ~MemoryTransport() override { close(); }

  PartyId self() const override { return self_; }
  size_t num_parties() const override { return mesh_->num_parties; }

  void send(PartyId to, Bytes frame) override {
    Wire& wire = mesh_->wire(self_, to);
    const std::lock_guard lock(wire.mutex);
    if (wire.closed) throw ProtocolAbort(AbortCode::kPeerLost, "send", "connection closed", to);
    wire.frames.push_back(std::move(frame));
    wire.ready.notify_one();
  }

  Bytes receive(PartyId from, size_t) override {
    Wire& wire = mesh_->wire(from, self_);
    std::unique_lock lock(wire.mutex);
    const bool in_time =
        wire.ready.wait_for(lock, timeout_, [&] { return !wire.frames.empty() || wire.closed; });
    if (!in_time) throw ProtocolAbort(AbortCode::kTimeout, "receive", "no message in time", from);
    if (wire.frames.empty()) {
      throw ProtocolAbort(AbortCode::kPeerLost, "receive", "connection closed", from);
    }
    Bytes frame = std::move(wire.frames.front());
    wire.frames.pop_front();
    return frame;
  }

  std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) override {
    return std::exchange(timeout_, timeout);
  }

  void close() override {
    for (PartyId j = 0; j < mesh_->num_parties; ++j) {
      for (Wire* wire : {&mesh_->wire(self_, j), &mesh_->wire(j, self_)}) {
        const std::lock_guard lock(wire->mutex);
        wire->closed = true;
        wire->ready.notify_all();
      }
    }
  }

 private:
  std::shared_ptr<Switch> mesh_;
  PartyId self_;
  std::chrono::milliseconds timeout_;
};

}  // namespace

std::vector<std::unique_ptr<net::Transport>> memory_mesh(size_t num_parties,
                                                         std::chrono::milliseconds timeout) {
  const auto mesh = std::make_shared<Switch>(num_parties);
  std::vector<std::unique_ptr<net::Transport>> out;
  for (PartyId i = 0; i < num_parties; ++i) {
    out.push_back(std::make_unique<MemoryTransport>(mesh, i, timeout));
  }
  return out;
}

}  // namespace flexroom::support
