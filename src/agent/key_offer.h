#pragma once

#include <vector>

#include "agent/context.h"
#include "tls/messages.h"

namespace flexroom::agent {

/// The keys of one connection: a token of each group that is offered, for one ServerHello
/// (tls-complete.md §1.2, §1.3).
///
/// Order      give_masks() to GC-A; mark(); shares() into the hello; agree(), once
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
  std::vector<tls::KeyShare> shares() const;
  /// ECDHE with the server's share: c of that group. Consumes all tokens whatever happens.
  std::vector<uint8_t> agree(const Context& context, const tls::KeyShare& server,
                             const Digest& csid, const Digest& view) &&;

 private:
  std::vector<arith::Token> tokens_;
  bool marked_ = false;
};

}  // namespace flexroom::agent
