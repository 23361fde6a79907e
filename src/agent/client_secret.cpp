#include "agent/client_secret.h"

#include "agent/wires.h"
#include "base/error.h"

namespace flexroom::agent {

ClientSecret::ClientSecret(net::Party& party, const Block& delta, prep::AuthBits share,
                           PartyId courier)
    : party_(party),
      courier_(courier),
      share_(std::move(share)),
      opening_(party, delta, share_, "tls/open c_hs") {
  FLEXROOM_ASSERT(share_.size() == 256);
}

void ClientSecret::agreed() {
  FLEXROOM_ASSERT(state_ == State::kKept);
  state_ = State::kAgreed;
}

std::optional<Digest> ClientSecret::open_for_alert() {
  if (state_ != State::kKept) return std::nullopt;
  state_ = State::kOpened;
  try {
    if (!is_courier()) {
      opening_.send_to(courier_);
      return std::nullopt;
    }
    for (const PartyId j : party_.peers()) opening_.receive_from(j);
  } catch (const ProtocolAbort& abort) {
    // Whoever judged the flight otherwise sends something else, or left. A false share is cheating.
    if (abort.abort_class() != AbortClass::kNetwork) throw;
    return std::nullopt;
  }
  return result();
}

void ClientSecret::give() {
  FLEXROOM_ASSERT(state_ == State::kAgreed && !is_courier());
  state_ = State::kOpened;
  opening_.send_to(courier_);
}

void ClientSecret::take_from(PartyId peer) {
  FLEXROOM_ASSERT(state_ != State::kKept && is_courier());
  state_ = State::kOpened;
  opening_.receive_from(peer);
}

Digest ClientSecret::result() const {
  FLEXROOM_ASSERT(state_ == State::kOpened && is_courier());
  return digest_of_bits(opening_.result());
}

}  // namespace flexroom::agent
