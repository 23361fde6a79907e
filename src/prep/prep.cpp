#include "prep/prep.h"

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "base/error.h"
#include "math/gf128.h"

namespace flexroom::prep {
namespace {

// dst := a || b.
BlockVec joined(const BlockVec& a, const BlockVec& b) {
  BlockVec out(a.size() + b.size(), BlockVec::uninitialised);
  if (!a.empty()) std::memcpy(static_cast<void*>(out.data()), a.data(), a.size() * sizeof(Block));
  if (!b.empty()) {
    std::memcpy(static_cast<void*>(out.data() + a.size()), b.data(), b.size() * sizeof(Block));
  }
  return out;
}

std::vector<BlockVec> slices(const std::vector<BlockVec>& in, size_t offset, size_t count) {
  std::vector<BlockVec> out;
  out.reserve(in.size());
  for (const BlockVec& v : in) {
    out.push_back(v.empty() ? BlockVec() : v.slice(offset, count));
  }
  return out;
}

std::vector<BlockVec> joined_all(const std::vector<BlockVec>& a, const std::vector<BlockVec>& b) {
  std::vector<BlockVec> out;
  out.reserve(a.size());
  for (size_t j = 0; j < a.size(); ++j) out.push_back(joined(a[j], b[j]));
  return out;
}

void add_blocks(BlockVec& a, const BlockVec& b) {
  for (size_t t = 0; t < a.size(); ++t) a[t] ^= b[t];
}

}  // namespace

AuthBits::AuthBits(PartyId self, size_t num_parties, size_t size)
    : mac(num_parties), key(num_parties), self_(self), size_(size) {
  FLEXROOM_ASSERT(self < num_parties && num_parties >= 2);
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    mac[j] = BlockVec(size);
    key[j] = BlockVec(size);
  }
}

AuthBits AuthBits::unwritten(PartyId self, size_t num_parties, size_t size) {
  std::vector<BlockVec> macs(num_parties), keys(num_parties);
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    macs[j] = BlockVec(size, BlockVec::uninitialised);
    keys[j] = BlockVec(size, BlockVec::uninitialised);
  }
  return {self, size, std::move(macs), std::move(keys)};
}

AuthBits::AuthBits(PartyId self, size_t size, std::vector<BlockVec>&& macs,
                   std::vector<BlockVec>&& keys)
    : mac(std::move(macs)), key(std::move(keys)), self_(self), size_(size) {
  FLEXROOM_ASSERT(self < mac.size() && mac.size() == key.size());
  for (PartyId j = 0; j < mac.size(); ++j) {
    const size_t expected = j == self ? 0 : size;
    FLEXROOM_ASSERT(mac[j].size() == expected && key[j].size() == expected);
  }
}

AuthBits& AuthBits::operator=(AuthBits&& other) noexcept {
  mac = std::exchange(other.mac, {});
  key = std::exchange(other.key, {});
  self_ = other.self_;
  size_ = std::exchange(other.size_, 0);
  return *this;
}

AuthBits AuthBits::clone() const { return slice(0, size_); }

AuthBits AuthBits::slice(size_t offset, size_t count) const {
  FLEXROOM_ASSERT(offset <= size_ && count <= size_ - offset);
  AuthBits out;
  out.mac = slices(mac, offset, count);
  out.key = slices(key, offset, count);
  out.self_ = self_;
  out.size_ = count;
  return out;
}

AuthBits AuthBits::take_front(size_t count) {
  FLEXROOM_ASSERT(count <= size_);
  std::vector<BlockVec> macs(num_parties()), keys(num_parties());
  for (PartyId j = 0; j < num_parties(); ++j) {
    if (j == self_) continue;
    macs[j] = mac[j].take_front(count);
    keys[j] = key[j].take_front(count);
  }
  size_ -= count;
  return AuthBits(self_, count, std::move(macs), std::move(keys));
}

void AuthBits::append(const AuthBits& more) {
  if (more.num_parties() == 0) return;
  if (num_parties() == 0) {
    *this = more.clone();
    return;
  }
  FLEXROOM_ASSERT(self_ == more.self_ && num_parties() == more.num_parties());
  mac = joined_all(mac, more.mac);
  key = joined_all(key, more.key);
  size_ += more.size_;
}

void AuthBits::add(const AuthBits& other) {
  FLEXROOM_ASSERT(self_ == other.self_ && num_parties() == other.num_parties() &&
                  size_ == other.size_);
  for (PartyId j = 0; j < num_parties(); ++j) {
    add_blocks(mac[j], other.mac[j]);
    add_blocks(key[j], other.key[j]);
  }
}

bool AuthBits::pinned(size_t offset, size_t count) const {
  FLEXROOM_ASSERT(offset + count <= size_);
  uint64_t wrong = 0;
  for (PartyId j = 0; j < num_parties(); ++j) {
    if (j == self_) continue;
    for (size_t t = offset; t < offset + count; ++t) {
      const uint64_t share = mac[first_peer()][t].lo & 1;
      wrong |= key[j][t].lo & 3;
      wrong |= (mac[j][t].lo & 3) ^ share * constant_mac(j).lo;
    }
  }
  return wrong == 0;
}

void AuthBits::pin_bit1() {
  for (PartyId j = 0; j < num_parties(); ++j) {
    if (j == self_) continue;
    for (Block& k : key[j]) k.lo &= ~uint64_t{2};
    for (Block& m : mac[j]) m.lo = (m.lo & ~uint64_t{2}) | (j == 0 ? (m.lo & 1) << 1 : 0);
  }
}

Bytes AuthBits::packed_shares() const {
  Bytes out((size_ + 7) / 8);
  if (size_ == 0) return out;
  const Block* m = mac[first_peer()].data();
  size_t t = 0;
  // bit0 of 4 blocks: low words side by side, shifted to the sign.
  const auto four = [](const Block* p) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 2));
    const __m256i low = _mm256_unpacklo_epi64(a, b);  // words of blocks 0, 2, 1, 3
    const __m256i ordered = _mm256_permute4x64_epi64(low, 0xd8);
    return static_cast<unsigned>(
        _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_slli_epi64(ordered, 63))));
  };
  for (; t + 8 <= size_; t += 8) {
    out[t / 8] = static_cast<uint8_t>(four(m + t) | four(m + t + 4) << 4);
  }
  for (; t < size_; ++t) {
    out[t / 8] = static_cast<uint8_t>(out[t / 8] | static_cast<unsigned>(m[t].lsb()) << (t % 8));
  }
  return out;
}

Bytes pack_bits(std::span<const uint8_t> bits) {
  Bytes out((bits.size() + 7) / 8);
  for (size_t t = 0; t < bits.size(); ++t) {
    out[t / 8] = static_cast<uint8_t>(out[t / 8] | (bits[t] & 1u) << (t % 8));
  }
  return out;
}

void add_constants(AuthBits& bits, std::span<const uint8_t> constants, const Block& delta,
                   PartyId holder) {
  FLEXROOM_ASSERT(constants.size() == bits.size() && holder < bits.num_parties());
  const PartyId self = bits.self();
  if (self == holder) {
    for (PartyId j = 0; j < bits.num_parties(); ++j) {
      if (j == self) continue;
      Block* m = bits.mac[j].data();
      const uint64_t one = constant_mac(j).lo;
      for (size_t t = 0; t < constants.size(); ++t) m[t].lo ^= (constants[t] & 1u) * one;
    }
    return;
  }
  // K := K + c * (Delta + p): the pinned bits of K stay 0, and M, changed in these alone at the
  // holder, fits.
  Block step = delta ^ constant_mac(self);
  Block* k = bits.key[holder].data();
  for (size_t t = 0; t < constants.size(); ++t) k[t] ^= select((constants[t] & 1) != 0, step);
  wipe(&step, sizeof step);
}

AuthField::AuthField(PartyId self, size_t num_parties, size_t size)
    : share(size), mac(num_parties), key(num_parties), self_(self) {
  FLEXROOM_ASSERT(self < num_parties && num_parties >= 2);
  for (PartyId j = 0; j < num_parties; ++j) {
    if (j == self) continue;
    mac[j] = BlockVec(size);
    key[j] = BlockVec(size);
  }
}

AuthField AuthField::clone() const { return slice(0, size()); }

AuthField AuthField::slice(size_t offset, size_t count) const {
  AuthField out;
  out.share = share.slice(offset, count);
  out.mac = slices(mac, offset, count);
  out.key = slices(key, offset, count);
  out.self_ = self_;
  return out;
}

void AuthField::append(const AuthField& more) {
  if (more.num_parties() == 0) return;
  if (num_parties() == 0) {
    *this = more.clone();
    return;
  }
  FLEXROOM_ASSERT(self_ == more.self_ && num_parties() == more.num_parties());
  share = joined(share, more.share);
  mac = joined_all(mac, more.mac);
  key = joined_all(key, more.key);
}

}  // namespace flexroom::prep
