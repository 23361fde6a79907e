#pragma once

#include <memory>
#include <span>
#include <vector>

#include "agent/context.h"
#include "base/secret.h"
#include "math/ml_kem.h"
#include "tls/messages.h"

namespace flexroom::agent {

/// What the members send each other for the ML-KEM key of one connection (tls-complete.md §2.2).
inline constexpr size_t kKemPart = 32;

/// The keys of one connection: a token of each curve of the groups that are offered, for one
/// ServerHello (tls-complete.md §1.2, §1.3), and an ML-KEM key that every member has: it protects
/// against who recorded the connection only, the members from each other by the curve.
///
/// Order      give_masks() to GC-A; mark(); make_kem() where has_kem(); shares() into the hello;
///            decapsulate() if the server took it; agree(), once
/// Guarantee  no key share leaves before every token is marked as used; one DH_Z a connection, in
///            the group of the ServerHello that this member accepted. The tokens of the other
///            groups never meet a server's share and end with the object
class KeyOffer {
 public:
  /// Runs with all members.
  KeyOffer(arith::ArithEngine& arith, const Groups& groups);

  /// The masks of every group, as `zero` inputs of GC-A.
  void give_masks(const mpc::Program& gc_a, std::vector<prep::AuthBits>& zero);
  /// Durable when it returns. Throws kReuse, and nothing of these keys may leave.
  void mark(Journal& journal);
  /// The ML-KEM key of `parts`, a secret of kKemPart bytes of each member.
  void make_kem(const RoScope& scope, std::span<const SecretBytes> parts);
  /// One of each group, in the order of the groups.
  std::vector<tls::KeyShare> shares() const;
  /// What ML-KEM gives for the server's share, 32 bytes; nothing where its group has none. In any
  /// case the end of that key.
  SecretBytes decapsulate(const tls::KeyShare& server);
  /// As if the group were not there: a HelloRetryRequest asked for another one.
  void drop_kem() { kem_.reset(); }
  /// ECDHE with the server's share: c of that group. Consumes all tokens whatever happens.
  std::vector<uint8_t> agree(const Context& context, const tls::KeyShare& server,
                             const Digest& csid, const Digest& view) &&;

 private:
  Groups groups_;
  std::vector<arith::Token> tokens_;
  std::unique_ptr<math::MlKemKey> kem_;
  bool marked_ = false;
};

}  // namespace flexroom::agent
