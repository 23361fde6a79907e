#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "net/transport.h"

namespace flexroom::support {

/// n transports inside one process, for tests and micro benchmarks; the same interface and the
/// same failures (kPeerLost after close, kTimeout) as the TCP mesh.
std::vector<std::unique_ptr<net::Transport>> memory_mesh(
    size_t num_parties, std::chrono::milliseconds timeout = std::chrono::seconds(60));

}  // namespace flexroom::support
