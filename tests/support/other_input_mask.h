#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "arith/coefficients.h"
#include "net/party.h"

namespace flexroom::support {

/// The lie that only the echo of the claims finds (tls-in-mpc.md §1.4(3)): towards `receiver` alone
/// `sender` authenticates another mask x_0 of that input and claims the combination with it. The
/// check of the receiver passes, and nothing that is used later has changed.
///
/// `input` is the label of the input; `honest`, the trace of the same run without a lie, says which
/// message of corrections is the last. Shapes: corrections [element][F::kBits] elements of F.
template <typename F>
net::Tamper other_input_mask(PartyId sender, PartyId receiver, const std::string& input,
                             const std::vector<net::MessageId>& honest) {
  uint64_t last = 0;
  for (const net::MessageId& m : honest) {
    if (m.sender == sender && m.receiver == receiver && m.label == input + "/correction") {
      last = std::max<uint64_t>(last, m.index);
    }
  }
  return [=](const net::MessageId& m, Bytes& payload) {
    if (m.sender != sender || m.receiver != receiver) return;
    size_t count = 0;  // elements at the end of the message
    if (m.label == input + "/correction" && m.index == last) count = F::kBits;
    if (m.label == input + "/claim") count = 1;
    for (size_t k = 1; k <= count; ++k) {
      const std::span<uint8_t, F::kBytes> at(payload.data() + payload.size() - k * F::kBytes,
                                             F::kBytes);
      (*F::from_bytes_be(at) + F::one()).to_bytes_be(at);
    }
  };
}

}  // namespace flexroom::support
