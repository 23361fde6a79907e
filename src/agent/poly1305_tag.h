#pragma once

#include <memory>
#include <string>

#include "agent/context.h"

namespace flexroom::agent {

/// The Poly1305 tag of one record whose key nobody has, as authenticated bits (tls-in-mpc.md §4.7):
/// of a record that is sent or of one that came.
///
/// Order      construct and bind() while its record circuit is prepared; take_key() when that ran;
///            compute() once
/// Setting    n members, up to n-1 malicious; all call with equal arguments. The ciphertext is what
///            a circuit opened to all, or what A4 agreed on: the record's position is marked
///            (§4.1), as the masked accumulator counts as its tag
/// Guarantee  the tag of exactly that AAD and ciphertext under the key that the circuit kept, or an
///            abort; what is opened on the way is uniform. One tag an object, also after an abort
/// Cost       offline 3 sqrt(L) triples and 2 masks a member over 2^130 - 5, one instance of
///            259 n + 125 ANDs; online 3 openings (1 for one segment of blocks) and the instance
class Poly1305Tag {
 public:
  /// `name` names the record among those of the connection.
  Poly1305Tag(const Context& context, size_t aad_bytes, size_t ciphertext_bytes, std::string name);

  /// Fills in the `zero` inputs "rho_<seq>_<i>" of the circuit that derives the tag's key.
  void bind(const mpc::Program& program, uint64_t seq, std::vector<prep::AuthBits>& zero);
  /// Takes "r_<seq>" and "s_<seq>".
  void take_key(const mpc::Program& program, uint64_t seq, boolean::Outputs& outputs);
  /// The tag, 128 bits in the order of its bytes. Throws ProtocolAbort(kRefusedByRule) the second
  /// time, and what the engines throw.
  prep::AuthBits compute(ByteView aad, ByteView ciphertext);
  void erase();

  static uint64_t num_ands(size_t num_parties);

 private:
  Context context_;
  std::string name_;
  size_t aad_bytes_, ciphertext_bytes_;
  arith::Poly1305Masks masks_;
  std::unique_ptr<boolean::Instance> circuit_;
  std::vector<uint8_t> r_;  // masked, opened
  prep::AuthBits s_;
};

/// The same as an element of GF(2^128), so that it is opened like the tag of any other suite:
/// ghash_bytes() of what is opened is the tag.
prep::AuthField tag_element(const prep::AuthBits& tag);

/// Opens the tag of a record that came, to all, and compares it with the one received
/// (tls-in-mpc.md §4.7: T'). Throws ProtocolAbort: kServer (network) when it is another one, kMac
/// when a member's share is wrong.
void require_tag(net::Party& party, const Block& delta, const prep::AuthBits& tag,
                 ByteView received);

}  // namespace flexroom::agent
