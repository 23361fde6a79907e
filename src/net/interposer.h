#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/transport.h"

namespace flexroom::net {

/// One message of a run: the label the protocol gave it and how many with that label this sender
/// sent to this receiver before.
struct MessageId {
  PartyId sender = 0;
  PartyId receiver = 0;
  std::string label;
  size_t index = 0;  // n-th message with that label from sender to receiver, from 0
  size_t bytes = 0;  // payload
};

/// What a corrupted party (or a test) does to a message before it leaves: it may change the payload
/// in place, also its length.
using Tamper = std::function<void(const MessageId&, Bytes& payload)>;

}  // namespace flexroom::net
