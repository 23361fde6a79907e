#pragma once

#include <memory>
#include <vector>

#include "agent/client_secret.h"
#include "agent/key_offer.h"
#include "agent/suite.h"
#include "agent/views.h"
#include "tls/handshake.h"

namespace flexroom::agent {

/// The members' nonces of one connection. They make csid unpredictable to everybody until all are
/// bound to theirs (tls-in-mpc.md §1.8).
class ConnectionNonces {
 public:
  /// Commits; takes the number of the connection for `views`.
  ConnectionNonces(net::Party& party, Views& views);
  /// Opens and gives csid. With `kem_parts`, which comes empty, each member's secret for the ML-KEM
  /// key travels beside, drawn now (tls-complete.md §2.2).
  Digest open(net::Party& party, const Views& views, std::vector<SecretBytes>* kem_parts) const;

 private:
  Bytes own_;  // nonce, commitment randomness
  std::vector<Bytes> commitments_;
};

/// Behind GC-A: what reads the server's flight, and what the first request is made under.
struct KeyedHandshake {
  tls::HashValue s_hs;                 // opened
  std::unique_ptr<ClientSecret> c_hs;  // until the Finished is made
  tls::HashValue kin_ms;               // opened
  prep::AuthBits kout_ms;
  std::unique_ptr<boolean::Instance> circuit;  // GC-A, to be confirmed
};

/// What is made before the service is contacted: nonces, keys, GC-A. It serves one ServerHello.
class PreparedHandshake {
 public:
  /// `gc_a`: handshake_program() of `suite` for `groups`.
  PreparedHandshake(ConnectionNonces nonces, KeyOffer keys, const Groups& groups,
                    const Suite& suite, std::shared_ptr<const mpc::Program> gc_a);
  uint64_t num_ands() const { return gc_a_->num_ands(); }
  /// GC-A, once, to be garbled beside the other circuits of the connection; take() has it back.
  boolean::Preparation circuit();
  void take(std::unique_ptr<boolean::Instance> gc_a) { circuit_ = std::move(gc_a); }
  const Digest& instance_id() const { return circuit_->id(); }

  /// With what the members need for the ML-KEM key, where it is offered.
  Digest open_nonces(net::Party& party, const Views& views);
  void mark(Journal& journal) { keys_.mark(journal); }
  std::vector<tls::KeyShare> shares() const { return keys_.shares(); }
  /// Behind a HelloRetryRequest for a group without it.
  void drop_kem() { keys_.drop_kem(); }
  SecretBytes decapsulate(const tls::Event& server_hello) {
    return keys_.decapsulate(server_hello.key_share);
  }

  /// ECDHE with the share of the ServerHello (A1: `view`), once, before GC-A: c of its group.
  std::vector<uint8_t> agree(const Context& context, const tls::Event& server_hello,
                             const Digest& csid, const Digest& view) {
    return std::move(keys_).agree(context, server_hello.key_share, csid, view);
  }
  /// GC-A. The end of this state. `kem_secret`: of decapsulate(), wiped; `a1` covers it.
  KeyedHandshake run(const Context& context, const Views& views, const tls::Event& server_hello,
                     const std::vector<uint8_t>& c, SecretBytes kem_secret, const Digest& a1,
                     PartyId courier) &&;

 private:
  boolean::OnlineInputs inputs_of(const tls::Event& server_hello, const std::vector<uint8_t>& c,
                                  const SecretBytes& kem_secret) const;

  ConnectionNonces nonces_;
  KeyOffer keys_;
  Groups groups_;
  const Suite& suite_;
  std::shared_ptr<const mpc::Program> gc_a_;
  std::unique_ptr<boolean::Instance> circuit_;
};

}  // namespace flexroom::agent
