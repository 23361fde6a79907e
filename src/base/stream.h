#pragma once

#include <chrono>
#include <optional>

#include "base/bytes.h"

namespace flexroom {

/// A byte stream to the outside world; what the courier holds.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  virtual void write(ByteView bytes) = 0;
  /// At least one byte, at most `max`; empty at end of stream. Throws ProtocolAbort (kServer) on a
  /// reset and kTimeout when nothing came in time.
  virtual Bytes read_some(size_t max) = 0;
  /// The same, or nothing when nothing came for `quiet`.
  virtual std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) = 0;
  virtual void close() = 0;
};

}  // namespace flexroom
