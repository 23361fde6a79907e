#pragma once

#include <string_view>
#include <vector>

#include "agent/wires.h"
#include "base/bytes.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// What GHASH reads of a record: header, ciphertext, lengths.
std::vector<Block> ghash_input(ByteView header, ByteView ciphertext);

/// [[x_h y_h]], each with one product of its own, all with one opening under `label`: x + a and
/// y + b are opened, once (boolean-engine.md §9.3).
prep::AuthField multiply(net::Party& party, const Block& delta, prep::AuthField x,
                         prep::AuthField y, std::vector<prep::VecTriple> products,
                         std::string_view label);

/// The shared hash key of one direction, H = R + d (tls-in-mpc.md §4.4).
class GhashKey {
 public:
  /// Preprocessing for messages of at most `max_blocks` blocks without a product; a longer one
  /// costs one of `products` for every further `max_blocks` begun.
  GhashKey(prep::Source& source, size_t max_blocks, size_t products);
  /// R, in byte order: the `zero` input of the circuit that opens d.
  prep::AuthBits random_bits() const { return ghash_order(powers_.r_bits); }
  void set_difference(const Block& d) { d_ = d; }
  /// Products that a message of so many blocks takes, and those that are left.
  size_t products_needed(size_t blocks) const { return (blocks - 1) / max_blocks_; }
  size_t products_left() const { return products_.size(); }
  /// [[GHASH]] of at most max_blocks blocks, without any message.
  prep::AuthField hash_short(std::span<const Block> blocks) const;
  /// [[GHASH]] of the blocks. Local up to max_blocks; else Horner's rule on runs of max_blocks, one
  /// opening of two elements each, all members together.
  prep::AuthField hash(net::Party& party, const Block& delta, std::span<const Block> blocks);
  void erase();

 private:
  prep::AuthField top_power(const Block& delta) const;  // [[H^max_blocks]]

  size_t max_blocks_;
  prep::Powers powers_;
  std::vector<prep::VecTriple> products_;  // one a step: b masks one value (boolean-engine.md §9.3)
  Block d_;
};

}  // namespace flexroom::agent
