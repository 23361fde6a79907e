#pragma once

#include <memory>
#include <vector>

#include "net/transport.h"

namespace flexroom::net {

/// Some parties of a mesh as a mesh: party k is members[k] there (Party::among). The links are the
/// whole mesh's: closing it closes that one, and its end leaves it open.
class SubMesh final : public Transport {
 public:
  /// `members`: each once, this party among them, at least two. `whole` must outlive this.
  SubMesh(Transport& whole, std::vector<PartyId> members);

  PartyId self() const override { return self_; }
  size_t num_parties() const override { return members_.size(); }
  void send(PartyId to, Bytes frame) override;
  Bytes receive(PartyId from, size_t max_bytes) override;
  Bytes buffer(size_t size) override { return whole_.buffer(size); }
  void recycle(Bytes frame) override { whole_.recycle(std::move(frame)); }
  std::chrono::milliseconds set_receive_timeout(std::chrono::milliseconds timeout) override {
    return whole_.set_receive_timeout(timeout);
  }
  void check() override;
  void close() override { whole_.close(); }

 private:
  template <typename Act>
  auto translated(Act act) const;

  Transport& whole_;
  const std::vector<PartyId> members_;
  PartyId self_ = 0;
};

}  // namespace flexroom::net
