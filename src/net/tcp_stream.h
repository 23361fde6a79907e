#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/stream.h"

namespace flexroom::net {

/// Connects to host:port. Throws ProtocolAbort(kServer) that says what failed and what to check.
std::unique_ptr<ByteStream> connect_tcp(const std::string& host, uint16_t port,
                                        std::chrono::milliseconds timeout);

}  // namespace flexroom::net
