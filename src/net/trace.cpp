#include "net/trace.h"

namespace flexroom::net {

Traffic Traffic::since(const Traffic& earlier) const {
  Traffic out = *this;
  out.bytes_sent -= earlier.bytes_sent;
  out.bytes_received -= earlier.bytes_received;
  out.messages_sent -= earlier.messages_sent;
  out.half_rounds -= earlier.half_rounds;
  for (const auto& [label, bytes] : earlier.bytes_sent_by_label) {
    out.bytes_sent_by_label[label] -= bytes;
  }
  return out;
}

void Traffic::add(const Traffic& more) {
  bytes_sent += more.bytes_sent;
  bytes_received += more.bytes_received;
  messages_sent += more.messages_sent;
  half_rounds += more.half_rounds;
  for (const auto& [label, bytes] : more.bytes_sent_by_label) bytes_sent_by_label[label] += bytes;
}

}  // namespace flexroom::net
