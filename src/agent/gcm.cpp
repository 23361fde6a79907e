#include "agent/gcm.h"

#include "base/codec.h"
#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/open.h"

namespace flexroom::agent {

std::vector<Block> ghash_input(ByteView header, ByteView ciphertext) {
  std::vector<Block> blocks;
  prep::append_ghash_blocks(blocks, header);
  prep::append_ghash_blocks(blocks, ciphertext);
  Writer lengths;
  lengths.u64(8 * header.size()).u64(8 * ciphertext.size());
  blocks.push_back(prep::ghash_block(lengths.bytes()));
  return blocks;
}

prep::AuthField multiply(net::Party& party, const Block& delta, prep::AuthField x,
                         prep::AuthField y, std::vector<prep::VecTriple> products,
                         std::string_view label) {
  const size_t count = products.size();
  FLEXROOM_ASSERT(count > 0 && x.size() == count && y.size() == count);
  prep::AuthField a = std::move(products[0].a), b = std::move(products[0].b);
  prep::AuthField out = std::move(products[0].c);
  for (size_t h = 1; h < count; ++h) {
    a.append(products[h].a);
    b.append(products[h].b);
    out.append(products[h].c);
  }
  prep::add(x, a);
  prep::add(y, b);
  x.append(y);
  const std::vector<Block> opened = prep::open_field(party, delta, x, label);
  // (e + a)(f + b) = ef + eb + fa + ab
  const std::span<const Block> e(opened.data(), count), f(opened.data() + count, count);
  std::vector<Block> both;
  for (size_t h = 0; h < count; ++h) both.push_back(math::gf_mul(e[h], f[h]));
  prep::scale(b, e);
  prep::scale(a, f);
  prep::add(out, b);
  prep::add(out, a);
  prep::add_constants(out, both, delta);
  return out;
}

GhashKey::GhashKey(prep::Source& source, size_t max_blocks, size_t products)
    : max_blocks_(max_blocks), powers_(source.powers(max_blocks)) {
  FLEXROOM_ASSERT(products == 0 || (max_blocks & (max_blocks - 1)) == 0);
  if (products != 0) products_ = source.vec_triples(std::vector<size_t>(products, 1));
}

// H^L = d^L + r^L where L is a power of two.
prep::AuthField GhashKey::top_power(const Block& delta) const {
  Block d = d_;
  for (size_t k = 1; k < max_blocks_; k <<= 1) d = math::gf_square(d);
  prep::AuthField out = powers_.powers.slice(max_blocks_, 1);
  prep::add_constants(out, std::span(&d, 1), delta);
  return out;
}

prep::AuthField GhashKey::hash_short(std::span<const Block> blocks) const {
  FLEXROOM_ASSERT(blocks.size() <= max_blocks_);
  return prep::ghash_share(powers_, d_, blocks);
}

prep::AuthField GhashKey::hash(net::Party& party, const Block& delta,
                               std::span<const Block> blocks) {
  FLEXROOM_ASSERT(!blocks.empty() && products_needed(blocks.size()) <= products_.size());
  const size_t first = blocks.size() - max_blocks_ * products_needed(blocks.size());
  prep::AuthField sum = hash_short(blocks.first(first));
  for (size_t done = first; done < blocks.size(); done += max_blocks_) {
    std::vector<prep::VecTriple> product;
    product.push_back(std::move(products_.back()));
    products_.pop_back();
    sum = multiply(party, delta, std::move(sum), top_power(delta), std::move(product),
                   "tls/tag step");
    prep::add(sum, hash_short(blocks.subspan(done, max_blocks_)));
  }
  return sum;
}

void GhashKey::erase() {
  powers_ = prep::Powers();
  products_.clear();
}

}  // namespace flexroom::agent
