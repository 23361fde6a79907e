#include "agent/client_secret.h"

#include <chrono>

#include "agent/wires.h"
#include "base/error.h"
#include "net/receive_wait.h"

namespace flexroom::agent {
namespace {

/// A member that found the same fault sends its share at once. One that found none waits for the
/// courier, or for its labels, and an alert is not worth that it waits for its whole timeout.
constexpr std::chrono::seconds kForAlert{5};

}  // namespace

ClientSecret::ClientSecret(net::Party& party, const Block& delta, prep::AuthBits share,
                           PartyId courier)
    : party_(party),
      courier_(courier),
      share_(std::move(share)),
      opening_(party, delta, share_, "tls/open c_hs") {
  FLEXROOM_ASSERT(share_.size() != 0 && share_.size() % 8 == 0);
}

void ClientSecret::agreed() {
  FLEXROOM_ASSERT(state_ == State::kKept);
  state_ = State::kAgreed;
}

const prep::AuthBits& ClientSecret::agreed_inside() {
  FLEXROOM_ASSERT(state_ == State::kKept);
  state_ = State::kInside;
  return share_;
}

std::optional<tls::HashValue> ClientSecret::open_for_alert() {
  if (state_ != State::kKept) return std::nullopt;
  state_ = State::kOpened;
  try {
    if (!is_courier()) {
      opening_.send_to(courier_);
      return std::nullopt;
    }
    const net::ReceiveWait wait(party_.transport(), kForAlert);
    for (const PartyId j : party_.peers()) opening_.receive_from(j);
  } catch (const ProtocolAbort& abort) {
    // Whoever judged the flight otherwise sends something else, nothing, or left. A false share is
    // cheating.
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
  FLEXROOM_ASSERT((state_ == State::kAgreed || state_ == State::kOpened) && is_courier());
  state_ = State::kOpened;
  opening_.receive_from(peer);
}

tls::HashValue ClientSecret::result() const {
  FLEXROOM_ASSERT(state_ == State::kOpened && is_courier());
  return hash_value_of_bits(opening_.result());
}

}  // namespace flexroom::agent
