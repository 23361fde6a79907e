#include "base/sha256_block.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace flexroom {

const std::array<uint32_t, 64> kSha256RoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

const Sha256State kSha256Initial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

Sha256RoundWords sha256_schedule_plus_k(const Sha256BlockBytes& block) {
  Sha256RoundWords w;
  for (size_t t = 0; t < 16; ++t) {
    w[t] = static_cast<uint32_t>(block[4 * t]) << 24 |
           static_cast<uint32_t>(block[4 * t + 1]) << 16 |
           static_cast<uint32_t>(block[4 * t + 2]) << 8 | block[4 * t + 3];
  }
  for (size_t t = 16; t < w.size(); ++t) {
    const uint32_t x = w[t - 15];
    const uint32_t y = w[t - 2];
    const uint32_t s0 = std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3);
    const uint32_t s1 = std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10);
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
  for (size_t t = 0; t < w.size(); ++t) w[t] += kSha256RoundConstants[t];
  return w;
}

Sha256State sha256_compress(const Sha256State& state, const Sha256BlockBytes& block) {
  auto [a, b, c, d, e, f, g, h] = state;
  for (const uint32_t word : sha256_schedule_plus_k(block)) {
    const uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t t1 = h + sum1 + (g ^ (e & (f ^ g))) + word;
    const uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  return {state[0] + a, state[1] + b, state[2] + c, state[3] + d,
          state[4] + e, state[5] + f, state[6] + g, state[7] + h};
}

Digest sha256_state_bytes(const Sha256State& state) {
  Digest out;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  }
  return out;
}

Sha256State sha256_state_from(const Digest& bytes) {
  Sha256State out{};
  for (size_t i = 0; i < bytes.size(); ++i) out[i / 4] = out[i / 4] << 8 | bytes[i];
  return out;
}

Sha256BlockBytes sha256_last_block(ByteView tail, uint64_t bytes_before) {
  FLEXROOM_ASSERT(tail.size() <= 55 && bytes_before % 64 == 0);
  Sha256BlockBytes block{};
  std::copy(tail.begin(), tail.end(), block.begin());
  block[tail.size()] = 0x80;
  const uint64_t bits = 8 * (bytes_before + tail.size());
  for (size_t i = 0; i < 8; ++i) block[56 + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  return block;
}

Sha256State sha256_absorb(Sha256State state, ByteView data) {
  FLEXROOM_ASSERT(data.size() % 64 == 0);
  Sha256BlockBytes block;
  for (; !data.empty(); data = data.subspan(64)) {
    std::copy(data.begin(), data.begin() + 64, block.begin());
    state = sha256_compress(state, block);
  }
  return state;
}

Digest sha256_finish(const Sha256State& state, uint64_t bytes_before, ByteView tail) {
  FLEXROOM_ASSERT(bytes_before % 64 == 0);
  const size_t whole = tail.size() / 64 * 64;
  Sha256State now = sha256_absorb(state, tail.first(whole));
  const ByteView rest = tail.subspan(whole);
  const uint64_t before = bytes_before + whole;
  if (rest.size() <= 55) {
    return sha256_state_bytes(sha256_compress(now, sha256_last_block(rest, before)));
  }
  Sha256BlockBytes block{};
  std::copy(rest.begin(), rest.end(), block.begin());
  block[rest.size()] = 0x80;
  now = sha256_compress(now, block);
  Sha256BlockBytes length = sha256_last_block({}, 0);
  length[0] = 0;
  const uint64_t bits = 8 * (before + rest.size());
  for (size_t i = 0; i < 8; ++i) length[56 + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
  return sha256_state_bytes(sha256_compress(now, length));
}

Digest hmac_inner_digest(const Sha256State& inner, ByteView message) {
  return sha256_finish(inner, 64, message);
}

}  // namespace flexroom
