#include "ot/base_ot.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"

namespace flexroom::ot {
namespace {

static_assert(crypto_core_ristretto255_BYTES == kPointBytes);
using Point = std::array<uint8_t, kPointBytes>;

void start_sodium() {
  static const int ready = sodium_init();
  FLEXROOM_ASSERT(ready >= 0);
}

[[noreturn]] void fail(std::string_view what, PartyId peer) {
  throw ProtocolAbort(AbortCode::kBaseOt, "setup/base OT", what, peer);
}

// The all-zero encoding is the identity; libsodium counts it as valid.
Point checked_point(ByteView bytes, PartyId peer) {
  Point out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  if (crypto_core_ristretto255_is_valid_point(out.data()) != 1) fail("not a group element", peer);
  if (sodium_is_zero(out.data(), out.size()) == 1) fail("the identity instead of a point", peer);
  return out;
}

// a * P. libsodium refuses an identity result, which only a bad P or a zero scalar can give.
Point multiply(const uint8_t* scalar, const Point& point, PartyId peer) {
  Point out;
  if (crypto_scalarmult_ristretto255(out.data(), scalar, point.data()) != 0) {
    fail("product is the identity", peer);
  }
  return out;
}

Point hash_to_point(const std::array<uint8_t, 64>& wide) {
  Point out;
  FLEXROOM_ASSERT(crypto_core_ristretto255_from_hash(out.data(), wide.data()) == 0);
  return out;
}

// h(q, b, R): in the hash, q is the counter.
Point blinding(const PairContext& pair, size_t q, uint8_t b, const Point& r) {
  const uint8_t choice[1] = {b};
  return hash_to_point(RandomOracle::wide("bot", pair.scope, q, pair.cot_sender, pair.cot_receiver,
                                          {ByteView(choice), ByteView(r)}));
}

Point plus(const Point& a, const Point& b) {
  Point out;
  FLEXROOM_ASSERT(crypto_core_ristretto255_add(out.data(), a.data(), b.data()) == 0);
  return out;
}

Point minus(const Point& a, const Point& b) {
  Point out;
  FLEXROOM_ASSERT(crypto_core_ristretto255_sub(out.data(), a.data(), b.data()) == 0);
  return out;
}

Block output_key(const PairContext& pair, size_t q, uint8_t x, const Point& a, const Point& b,
                 const Point& product) {
  const uint8_t choice[1] = {x};
  return RandomOracle("botk", pair.scope, q, pair.cot_sender, pair.cot_receiver)
      .field(ByteView(choice))
      .field(a)
      .field(b)
      .field(product)
      .block();
}

// A scalar from the party's own randomness, uniform up to 2^-259 (64 bytes reduced).
void random_scalar(Prg& prg, uint8_t* out) {
  std::array<uint8_t, 64> wide;
  prg.fill(std::span<uint8_t>(wide));
  crypto_core_ristretto255_scalar_reduce(out, wide.data());
  wipe(wide.data(), wide.size());
}

// out := a if `choice`, without a branch.
void choose(uint8_t choice, const Point& a, Point& out) {
  const auto mask = static_cast<uint8_t>(0 - choice);
  for (size_t i = 0; i < kPointBytes; ++i) {
    out[i] = static_cast<uint8_t>(out[i] ^ ((a[i] ^ out[i]) & mask));
  }
}

// Writes a to place `choice` and b to the other, without a branch.
void place(uint8_t choice, const Point& a, const Point& b, uint8_t* pair_of_points) {
  const auto mask = static_cast<uint8_t>(0 - choice);
  for (size_t i = 0; i < kPointBytes; ++i) {
    const auto difference = static_cast<uint8_t>((a[i] ^ b[i]) & mask);
    pair_of_points[i] = static_cast<uint8_t>(a[i] ^ difference);
    pair_of_points[kPointBytes + i] = static_cast<uint8_t>(b[i] ^ difference);
  }
}

}  // namespace

BaseOtReceiver::BaseOtReceiver(const PairContext& pair, LockedBlock choices, Prg& prg)
    : pair_(pair),
      choices_(std::move(choices)),
      scalars_(kBaseOts * 32),
      message_(kBaseOtReceiverBytes) {
  start_sodium();
  for (size_t q = 0; q < kBaseOts; ++q) {
    const auto c = static_cast<uint8_t>(choices_.bit(static_cast<unsigned>(q)));
    uint8_t* a = scalars_.writable().data() + 32 * q;
    random_scalar(prg, a);
    std::array<uint8_t, 64> wide;
    prg.fill(std::span<uint8_t>(wide));
    const Point other = hash_to_point(wide);  // R_{1-c}: nobody knows its logarithm
    Point ag;
    FLEXROOM_ASSERT(crypto_scalarmult_ristretto255_base(ag.data(), a) == 0);
    // R_c for both choices, so that the group's own checks of encodings see nothing that depends on
    // c.
    Point own = minus(ag, blinding(pair_, q, 0, other));
    choose(c, minus(ag, blinding(pair_, q, 1, other)), own);
    place(c, own, other, message_.data() + 2 * kPointBytes * q);
  }
}

BlockVec BaseOtReceiver::keys(ByteView sender_message) const {
  const Point b = checked_point(sender_message.first(kPointBytes), pair_.cot_receiver);
  BlockVec out(kBaseOts);
  for (size_t q = 0; q < kBaseOts; ++q) {
    const auto c = static_cast<uint8_t>(choices_.bit(static_cast<unsigned>(q)));
    const uint8_t* a = scalars_.reveal().data() + 32 * q;
    Point ag;
    FLEXROOM_ASSERT(crypto_scalarmult_ristretto255_base(ag.data(), a) == 0);
    Point product = multiply(a, b, pair_.cot_receiver);
    out[q] = output_key(pair_, q, c, ag, b, product);
    wipe(product.data(), product.size());
  }
  return out;
}

BaseOtSender::BaseOtSender(const PairContext& pair, Prg& prg)
    : pair_(pair), scalar_(32), message_(kPointBytes) {
  start_sodium();
  random_scalar(prg, scalar_.writable().data());
  FLEXROOM_ASSERT(crypto_scalarmult_ristretto255_base(message_.data(), scalar_.reveal().data()) ==
                  0);
}

BaseOtSenderKeys BaseOtSender::keys(ByteView receiver_message) const {
  FLEXROOM_ASSERT(receiver_message.size() == kBaseOtReceiverBytes);
  Point b;
  std::copy(message_.begin(), message_.end(), b.begin());
  BaseOtSenderKeys out{BlockVec(kBaseOts), BlockVec(kBaseOts)};
  const PartyId peer = pair_.cot_sender;
  for (size_t q = 0; q < kBaseOts; ++q) {
    Point r[2];
    for (size_t x = 0; x < 2; ++x) {
      r[x] = checked_point(receiver_message.subspan((2 * q + x) * kPointBytes, kPointBytes), peer);
    }
    for (uint8_t x = 0; x < 2; ++x) {
      const Point a = plus(r[x], blinding(pair_, q, x, r[1 - x]));
      Point product = multiply(scalar_.reveal().data(), a, peer);
      (x == 0 ? out.key0 : out.key1)[q] = output_key(pair_, q, x, a, b, product);
      wipe(product.data(), product.size());
    }
  }
  return out;
}

}  // namespace flexroom::ot
