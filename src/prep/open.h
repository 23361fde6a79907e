#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "base/block.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Open(<x_1..m>), or the same for [[x]], to all or to one, with batched MAC check:
/// boolean-engine.md §3.4. One flow; a pair sends the shares (ceil(m/8) bytes of bits, 16m of field
/// elements) and a tag of 16 bytes. A failed check throws kMac (boolean cheat). Results are checked
/// when the call returns. Split in send and receive so that callers can put other messages of the
/// same flow in between; the label must be the same at both ends.
///
/// Setting    constructed by every party in the same order, also by those that only send or only
///            receive (the counter of the tag is taken then, once per attempt)
/// Guarantee  a wrong value passes with probability 2^-128 per random-oracle query, or with Delta.
///            One seed covers all bits of the opening (§2.3)
template <typename Values>  // AuthBits, AuthField
class MacOpening {
 public:
  /// One byte (0/1) a bit, or a field element.
  using Opened = std::conditional_t<std::is_same_v<Values, AuthBits>, uint8_t, Block>;

  /// `values` must outlive the object. `label` names the step in traces and errors.
  MacOpening(net::Party& party, const Block& delta, const Values& values, std::string_view label)
      : MacOpening(party, delta, std::vector<const Values*>{&values}, label) {}
  /// One opening of all values of `parts`, part after part; as if they were one array.
  MacOpening(net::Party& party, const Block& delta, std::vector<const Values*> parts,
             std::string_view label);
  ~MacOpening();
  MacOpening(const MacOpening&) = delete;
  MacOpening& operator=(const MacOpening&) = delete;
  /// Sends this party's shares and tag to one peer / to all peers.
  void send_to(PartyId peer);
  void send_to_all();
  /// Receives and checks a peer's shares.
  void receive_from(PartyId peer);
  void receive_from_all();
  /// The sum of own and all received shares; asserts that all were received. Of an opening to this
  /// party alone it is a secret, and the caller's to wipe.
  std::vector<Opened> result() const;

 private:
  net::Party& party_;
  Block delta_;
  std::vector<const Values*> parts_;
  size_t size_ = 0;  // of all parts
  std::string label_;
  uint64_t counter_;
  Bytes own_;                   // this party's shares as they are sent
  Bytes sum_;                   // XOR of the shares so far
  std::vector<bool> received_;  // by party
};
using BitOpening = MacOpening<AuthBits>;
using FieldOpening = MacOpening<AuthField>;

std::vector<uint8_t> open_bits(net::Party&, const Block& delta, const AuthBits&,
                               std::string_view label);
std::vector<Block> open_field(net::Party&, const Block& delta, const AuthField&,
                              std::string_view label);

}  // namespace flexroom::prep
