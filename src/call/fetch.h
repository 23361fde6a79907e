#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "config/config.h"

namespace flexroom {

struct FetchResult {
  long status = 0;
  Bytes body;
  /// Tells one state of the object from another: ETag and Last-Modified, or a hash of the body from
  /// a server that sends neither.
  std::string version;
  bool too_large = false;  // over the limit: nothing of it is here
};

/// An ordinary HTTPS GET by this member alone (its own result object; never with a room secret),
/// over libcurl: connect_to and the rules on certificates (ca_file, trust, pin, revocation) are
/// those of the provider whose entry is for the URL's host, as in a call of the room; for a host of
/// no entry the system's roots alone are trusted (RoomConfig::provider_of_link). At most
/// `max_bytes`, else `too_large`. Redirects are not followed: the caller looks at the status.
/// Throws ProtocolAbort(kServer), or kCancelled once `cancel` is set; the URL is never part of a
/// message, only its host.
FetchResult fetch(const RoomConfig& room, const std::string& url, size_t max_bytes,
                  std::chrono::seconds timeout, const std::atomic<bool>* cancel = nullptr);

/// The same for a PUT of `body`, to a link of this member's own.
FetchResult put(const RoomConfig& room, const std::string& url, ByteView body,
                std::chrono::seconds timeout, const std::atomic<bool>* cancel = nullptr);

}  // namespace flexroom
