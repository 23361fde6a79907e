#include "prep/ghash.h"

#include <algorithm>

#include "math/gf128.h"
#include "prep/field_ops.h"

namespace flexroom::prep {
namespace {

// Swaps the order of the bits within every byte.
Block reverse_bits_in_bytes(const Block& in) {
  const auto reverse = [](uint64_t x) {
    x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
    x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
    return ((x >> 4) & 0x0f0f0f0f0f0f0f0f) | ((x & 0x0f0f0f0f0f0f0f0f) << 4);
  };
  return {reverse(in.hi), reverse(in.lo)};
}

}  // namespace

Block ghash_block(ByteView bytes) {
  FLEXROOM_ASSERT(bytes.size() == 16);
  return reverse_bits_in_bytes(load_block(bytes.data()));
}

Bytes ghash_bytes(const Block& block) {
  Bytes out(16);
  store_block(out.data(), reverse_bits_in_bytes(block));
  return out;
}

void append_ghash_blocks(std::vector<Block>& out, ByteView data) {
  for (size_t done = 0; done < data.size(); done += 16) {
    Bytes padded(16);
    const ByteView piece = data.subspan(done, std::min<size_t>(16, data.size() - done));
    std::copy(piece.begin(), piece.end(), padded.begin());
    out.push_back(ghash_block(padded));
  }
}

void apply_powers_transform(std::vector<Block>& w, const Block& d) {
  Block power = d;  // d^beta
  for (size_t beta = 1; beta < w.size(); beta <<= 1) {
    for (size_t i = beta; i < w.size(); ++i) {
      if ((i & beta) != 0) w[i - beta] ^= math::gf_mul(w[i], power);
    }
    power = math::gf_square(power);
  }
}

std::vector<Block> ghash_combination(const Block& d, std::span<const Block> blocks) {
  const size_t m = blocks.size();
  std::vector<Block> w(m + 1);
  for (size_t i = 1; i <= m; ++i) w[m + 1 - i] = blocks[i - 1];
  apply_powers_transform(w, d);
  return w;
}

AuthField ghash_share(const Powers& powers, const Block& d, std::span<const Block> blocks) {
  return combine(powers.powers, ghash_combination(d, blocks));
}

}  // namespace flexroom::prep
