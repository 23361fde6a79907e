#pragma once

#include <optional>
#include <string_view>

#include "net/party.h"
#include "prep/open.h"
#include "tls/hash_kind.h"

namespace flexroom::agent {

/// c_hs in the members' hands (tls-complete.md §4.2). Whoever knows it writes the client's flight,
/// a certificate of its own included, so it is opened once, to the courier, and only
/// - in an abort, before this member agreed to the flight (HS_OK): for the alert; or
/// - beside the first share of a tag (A3), behind every member's HS_OK: for the Finished.
/// Where the service asked for a client certificate it is opened never: agreed_inside().
///
/// Guarantee  no share leaves in an abort once agreed() or agreed_inside() was called, and none at
///            all behind the latter; no second opening
/// Aborts     kMac: a member's share is not its own
class ClientSecret {
 public:
  /// Bits of a digest that GC-A kept. Constructed by all members at the same point.
  ClientSecret(net::Party& party, const Block& delta, prep::AuthBits share, PartyId courier);
  ClientSecret(const ClientSecret&) = delete;
  ClientSecret& operator=(const ClientSecret&) = delete;

  /// HS_OK of this member is about to leave.
  void agreed();
  /// The same, of a flight with a CertificateRequest: the shares, for the circuit that makes the
  /// client's flight (ClientFlight). c_hs is not opened any more.
  const prep::AuthBits& agreed_inside();
  /// In an abort, with members that saw the same fault: c_hs at the courier. Elsewhere, and where
  /// this member agreed already or another member did not send its share, nothing.
  std::optional<tls::HashValue> open_for_alert();

  /// Behind A2, in the message of A3: this member's share to the courier.
  void give();
  /// The courier's side of give().
  void take_from(PartyId peer);
  /// At the courier, with the shares of all.
  tls::HashValue result() const;

 private:
  enum class State : uint8_t { kKept, kAgreed, kOpened, kInside };

  bool is_courier() const { return party_.id() == courier_; }

  net::Party& party_;
  PartyId courier_;
  prep::AuthBits share_;
  prep::BitOpening opening_;
  State state_ = State::kKept;
};

}  // namespace flexroom::agent
