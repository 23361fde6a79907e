#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace flexroom::bench {

/// What a connection between two members has to cross.
struct LinkShape {
  double rtt_ms = 0;
  double mbit_s = 0;  // each way; 0: no limit
};

/// A wide-area link on this machine: members connect to its ports in place of each other's, and
/// what they send arrives half a round trip later and no faster than the rate allows. One thread
/// moves all bytes; each direction of each connection is a line of its own.
///
/// Memory   a direction holds what is on its way (rate times delay) and 1 MiB; beyond that TCP
/// slows
///          the sender down
class LinkSimulator {
 public:
  LinkSimulator();
  ~LinkSimulator();
  LinkSimulator(const LinkSimulator&) = delete;
  LinkSimulator& operator=(const LinkSimulator&) = delete;

  /// A new port of 127.0.0.1; what connects to it reaches `port`.
  uint16_t forward_to(uint16_t port);
  /// For everything sent from now on.
  void set_shape(const LinkShape& shape);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexroom::bench
