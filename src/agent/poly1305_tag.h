#pragma once

#include <memory>
#include <string>

#include "agent/context.h"
#include "agent/views.h"

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
/// Bound      a ciphertext may be shorter than what it was made for: its length is public
/// Cost       offline 3 sqrt(L) triples and 2 masks a member over 2^130 - 5, one instance of
///            259 n + 125 ANDs; online 3 openings (1 for one segment of blocks) and the instance
class Poly1305Tag {
 public:
  /// Of a record whose header and ciphertext are that long at most; `name` names it among those of
  /// the connection.
  struct Shape {
    size_t aad_bytes = 0, ciphertext_bytes = 0;
    std::string name;
  };
  Poly1305Tag(const Context& context, size_t aad_bytes, size_t ciphertext_bytes, std::string name);
  /// Several, whose masks are made together.
  static std::vector<Poly1305Tag> make(const Context& context, const std::vector<Shape>& shapes);

  /// Fills in the `zero` inputs "rho_<seq>_<i>" of the circuit that derives the tag's key.
  void bind(const mpc::Program& program, uint64_t seq, std::vector<prep::AuthBits>& zero);
  /// Takes "r_<seq>" and "s_<seq>".
  void take_key(const mpc::Program& program, uint64_t seq, boolean::Outputs& outputs);
  /// The tag, 128 bits in the order of its bytes. Throws ProtocolAbort(kRefusedByRule) the second
  /// time, and what the engines throw.
  prep::AuthBits compute(ByteView aad, ByteView ciphertext);
  /// Of several records, whose openings over F_p are made together: the tag of `tags[k]` of
  /// records[k].
  static std::vector<prep::AuthBits> compute(std::span<Poly1305Tag* const> tags,
                                             std::span<const RecordText> records);
  void erase();

  static uint64_t num_ands(size_t num_parties);
  static uint64_t num_triples(size_t num_parties);
  /// What the masks of one send, about: for plans.
  static double bytes_to_each_peer(size_t aad_bytes, size_t ciphertext_bytes);

 private:
  Poly1305Tag(const Context& context, Shape shape, arith::Poly1305Masks masks);
  prep::AuthBits unmask(ByteView aad, ByteView ciphertext, const std::vector<uint8_t>& masked);

  Context context_;
  Shape shape_;
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
