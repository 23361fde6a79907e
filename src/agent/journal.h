#pragma once

#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::agent {

/// The durable memory of what may happen once only: tokens, instances, keystream blocks, released
/// requests (tls-in-mpc.md §0.3(11), §4.1; boolean-engine.md §8.2).
class Journal {
 public:
  virtual ~Journal() = default;
  /// On disk when it returns. Throws ProtocolAbort(kReuse) if (kind, id) is marked already.
  virtual void mark(std::string_view kind, ByteView id) = 0;
  /// Instances any of which may start from here on: a journal may mark them in one step, in place
  /// of one step each when it starts. Throws as mark().
  virtual void mark_ahead(std::span<const Digest> /* instances */) {}
};

}  // namespace flexroom::agent
