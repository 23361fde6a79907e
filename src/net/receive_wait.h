#pragma once

#include <chrono>

#include "net/transport.h"

namespace flexroom::net {

/// As long as it lives, receive() of the mesh waits as set here; then as it did before.
class ReceiveWait {
 public:
  using Time = std::chrono::milliseconds;

  /// Waits as usual until set().
  explicit ReceiveWait(Transport& mesh) : ReceiveWait(mesh, Time(0)) { set(usual_); }
  ReceiveWait(Transport& mesh, Time wait) : mesh_(mesh), usual_(mesh.set_receive_timeout(wait)) {}
  ~ReceiveWait() { set(usual_); }
  ReceiveWait(const ReceiveWait&) = delete;
  ReceiveWait& operator=(const ReceiveWait&) = delete;
  void set(Time wait) { (void)mesh_.set_receive_timeout(wait); }
  Time usual() const { return usual_; }

 private:
  Transport& mesh_;
  const Time usual_;
};

}  // namespace flexroom::net
