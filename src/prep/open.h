#pragma once

#include <string>
#include <vector>

#include "base/block.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Open(<x_1..m>) to all or to one, with batched MAC check: boolean-engine.md §3.4. One flow,
/// ceil(m/8)+16 bytes a pair. A failed check throws kMac (boolean cheat). Results are checked when
/// the call returns. Split in send and receive so that callers can put other messages of the same
/// flow in between; the label must be the same at both ends.
///
/// Setting    constructed by every party in the same order, also by those that only send or only
///            receive (the counter of the tag is taken then, once per attempt)
/// Guarantee  a wrong value passes with probability 2^-128 per random-oracle query, or with Delta.
///            One seed covers all bits of the opening (§2.3)
class BitOpening {
 public:
  /// `bits` must outlive the object. `label` names the step in traces and errors.
  BitOpening(net::Party& party, const Block& delta, const AuthBits& bits, std::string_view label);
  ~BitOpening();
  BitOpening(const BitOpening&) = delete;
  BitOpening& operator=(const BitOpening&) = delete;
  /// Sends this party's shares and tag to one peer / to all peers.
  void send_to(PartyId peer);
  void send_to_all();
  /// Receives and checks a peer's shares.
  void receive_from(PartyId peer);
  void receive_from_all();
  /// XOR of own and all received shares, one byte (0/1) a bit; asserts that all were received.
  std::vector<uint8_t> result() const;

 private:
  Block seed(PartyId sender, ByteView packed) const;

  net::Party& party_;
  Block delta_;
  const AuthBits& bits_;
  std::string label_;
  uint64_t counter_;
  Bytes own_;                   // packed shares
  Bytes sum_;                   // XOR of the shares so far
  std::vector<bool> received_;  // by party
};

std::vector<uint8_t> open_bits(net::Party&, const Block& delta, const AuthBits&,
                               std::string_view label);

/// The same for [[x]]: 16m+16 bytes a pair.
class FieldOpening {
 public:
  /// `values` must outlive the object; constructed by every party, as BitOpening.
  FieldOpening(net::Party& party, const Block& delta, const AuthField& values,
               std::string_view label);
  ~FieldOpening();
  FieldOpening(const FieldOpening&) = delete;
  FieldOpening& operator=(const FieldOpening&) = delete;
  void send_to(PartyId peer);
  void send_to_all();
  void receive_from(PartyId peer);
  void receive_from_all();
  /// Sum of own and all received shares; asserts that all were received.
  const std::vector<Block>& result() const;

 private:
  Block seed(PartyId sender, ByteView shares) const;

  net::Party& party_;
  Block delta_;
  const AuthField& values_;
  std::string label_;
  uint64_t counter_;
  std::vector<Block> sum_;
  std::vector<bool> received_;  // by party
};

std::vector<Block> open_field(net::Party&, const Block& delta, const AuthField&,
                              std::string_view label);

}  // namespace flexroom::prep
