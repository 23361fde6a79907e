#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/stream.h"

namespace flexroom::net {

/// Connects to host:port. Throws ProtocolAbort(kServer) that says what failed and what to check.
/// `check` is called ten times a second while the stream waits (connecting, reading, writing) and
/// ends the wait by throwing.
std::unique_ptr<ByteStream> connect_tcp(const std::string& host, uint16_t port,
                                        std::chrono::milliseconds timeout,
                                        std::function<void()> check = nullptr);

}  // namespace flexroom::net
