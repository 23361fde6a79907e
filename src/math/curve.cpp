#include "math/curve.h"

#include <algorithm>
#include <array>

#include "base/secret.h"

namespace flexroom::math {
namespace {

/// The isomorphic curve y^2 = X^3 + a X + b, X = x + a2/3.
template <typename G>
struct ShortForm {
  using F = typename G::Field;
  F shift, a, b3;
  ShortForm() {
    const F third = F::from_u64(3).inverse();
    shift = G::kA2 * third;
    a = G::kA4 - G::kA2 * shift;
    const F b = G::kA6 - G::kA4 * shift + F::from_u64(2) * shift.square() * shift;
    b3 = b + b + b;
  }
  static const ShortForm& get() {
    static const ShortForm form;
    return form;
  }
};

template <typename F>
struct Projective {  // X/Z, Y/Z; neutral (0:1:0)
  F x, y = F::one(), z;
};

// Renes, Costello, Batina 2015/1060, algorithm 1: complete for subgroups of odd order.
template <typename G, typename F = typename G::Field>
Projective<F> complete_add(const Projective<F>& p, const Projective<F>& q) {
  const ShortForm<G>& form = ShortForm<G>::get();
  F t0 = p.x * q.x;
  F t1 = p.y * q.y;
  F t2 = p.z * q.z;
  const F t3 = (p.x + p.y) * (q.x + q.y) - (t0 + t1);
  F t4 = (p.x + p.z) * (q.x + q.z) - (t0 + t2);
  const F t5 = (p.y + p.z) * (q.y + q.z) - (t1 + t2);
  F z = form.b3 * t2 + form.a * t4;
  F x = t1 - z;
  z = t1 + z;
  F y = x * z;
  t1 = t0 + t0 + t0;
  t2 = form.a * t2;
  t4 = form.b3 * t4;
  t1 += t2;
  t2 = form.a * (t0 - t2);
  t4 += t2;
  y += t1 * t4;
  x = t3 * x - t5 * t4;
  z = t5 * z + t3 * t1;
  return {x, y, z};
}

template <typename F>
Projective<F> select_point(uint64_t bit, const Projective<F>& a, const Projective<F>& b) {
  return {F::select(bit, a.x, b.x), F::select(bit, a.y, b.y), F::select(bit, a.z, b.z)};
}

/// Table entry `index` < 16, all entries read.
template <typename F>
Projective<F> lookup(const std::array<Projective<F>, 16>& table, uint64_t index) {
  Projective<F> out = table[0];
  for (uint64_t i = 1; i < 16; ++i) {
    const uint64_t difference = i ^ index;
    const uint64_t equal = ((difference | (0 - difference)) >> 63) ^ 1;
    out = select_point(equal, table[i], out);
  }
  return out;
}

// Jacobian coordinates X/Z^2, Y/Z^3 with every case handled: for public points of any order.
template <typename F>
struct Jacobian {
  F x = F::one(), y = F::one(), z;
};

template <typename G, typename F = typename G::Field>
Jacobian<F> double_vartime(const Jacobian<F>& p) {
  const F xx = p.x.square();
  const F yy = p.y.square();
  const F yyyy = yy.square();
  const F zz = p.z.square();
  const F s = ((p.x + yy).square() - xx - yyyy).doubled();
  const F m = xx.doubled() + xx + ShortForm<G>::get().a * zz.square();
  const F x = m.square() - s.doubled();
  const F y = m * (s - x) - yyyy.doubled().doubled().doubled();
  return {x, y, (p.y * p.z).doubled()};
}

template <typename G, typename F = typename G::Field>
Jacobian<F> add_vartime(const Jacobian<F>& p, const Jacobian<F>& q) {
  if (p.z.is_zero()) return q;
  if (q.z.is_zero()) return p;
  const F z1z1 = p.z.square();
  const F z2z2 = q.z.square();
  const F u1 = p.x * z2z2;
  const F s1 = p.y * z2z2 * q.z;
  const F h = q.x * z1z1 - u1;
  const F r = q.y * z1z1 * p.z - s1;
  if (h.is_zero()) return r.is_zero() ? double_vartime<G>(p) : Jacobian<F>{};
  const F hh = h.square();
  const F hhh = hh * h;
  const F v = u1 * hh;
  const F x = r.square() - hhh - v.doubled();
  return {x, r * (v - x) - s1 * hhh, p.z * q.z * h};
}

template <typename G, typename F = typename G::Field>
Jacobian<F> to_jacobian(const AffinePoint<F>& p) {
  if (p.infinity) return {};
  return {p.x + ShortForm<G>::get().shift, p.y, F::one()};
}

template <typename G, typename F = typename G::Field>
Jacobian<F> multiply_jacobian(const U256& k, const AffinePoint<F>& p) {
  const Jacobian<F> base = to_jacobian<G>(p);
  Jacobian<F> acc;
  for (unsigned t = 256; t-- > 0;) {
    acc = double_vartime<G>(acc);
    if (bit_of(k, t)) acc = add_vartime<G>(acc, base);
  }
  return acc;
}

template <typename G, typename F = typename G::Field>
AffinePoint<F> to_affine(const Jacobian<F>& p) {
  if (p.z.is_zero()) return AffinePoint<F>::neutral();
  const F inverse = p.z.inverse();
  const F square = inverse.square();
  return {p.x * square - ShortForm<G>::get().shift, p.y * square * inverse, false};
}

}  // namespace

template <typename G>
bool on_curve(const typename G::Point& p) {
  if (p.infinity) return true;
  return p.y.square() == ((p.x + G::kA2) * p.x + G::kA4) * p.x + G::kA6;
}

template <typename G>
typename G::Point negate(const typename G::Point& p) {
  return {p.x, -p.y, p.infinity};
}

template <typename G>
typename G::Point multiply(const typename G::Scalar& k, const typename G::Point& p) {
  using F = typename G::Field;
  const ShortForm<G>& form = ShortForm<G>::get();
  if (p.infinity) return p;
  std::array<Projective<F>, 16> table;
  table[1] = {p.x + form.shift, p.y, F::one()};
  for (size_t i = 2; i < 16; ++i) table[i] = complete_add<G>(table[i - 1], table[1]);
  U256 digits = k.canonical();
  Projective<F> acc;
  for (unsigned window = 64; window-- > 0;) {
    for (int i = 0; i < 4; ++i) acc = complete_add<G>(acc, acc);
    const uint64_t digit = (digits[window / 16] >> (4 * (window % 16))) & 15;
    acc = complete_add<G>(acc, lookup(table, digit));
  }
  const F inverse = acc.z.inverse();
  const typename G::Point out = {acc.x * inverse - form.shift, acc.y * inverse, acc.z.is_zero()};
  wipe(digits.data(), sizeof(digits));
  wipe(&acc, sizeof(acc));
  return out;
}

template <typename G>
typename G::Point add_points(const typename G::Point& a, const typename G::Point& b) {
  return to_affine<G>(add_vartime<G>(to_jacobian<G>(a), to_jacobian<G>(b)));
}

template <typename G>
typename G::Point multiply_vartime(const U256& k, const typename G::Point& p) {
  return to_affine<G>(multiply_jacobian<G>(k, p));
}

template <typename G>
bool in_prime_subgroup_vartime(const typename G::Point& p) {
  return multiply_jacobian<G>(G::Scalar::kModulus, p).z.is_zero();
}

template <typename G>
bool schnorr_equation_vartime(const typename G::Scalar& z, const typename G::Point& t,
                              const typename G::Scalar& c, const typename G::Point& k) {
  // z G - c K = T, one inversion.
  const auto left = multiply_jacobian<G>(z.canonical(), generator<G>());
  const auto right = multiply_jacobian<G>(c.canonical(), negate<G>(k));
  return to_affine<G>(add_vartime<G>(left, right)) == t;
}

std::optional<X25519Group::Point> lift_even_vartime(const F25519& u) {
  using G = X25519Group;
  const F25519 square = ((u + G::kA2) * u + G::kA4) * u + G::kA6;
  // p = 5 mod 8: a root is square^((p+3)/8), perhaps times sqrt(-1) = 2^((p-1)/4).
  static const F25519 kRootOfMinusOne = F25519::from_u64(2).pow(
      {0xfffffffffffffffbu, 0xffffffffffffffffu, 0xffffffffffffffffu, 0x1fffffffffffffffu});
  F25519 v = square.pow(
      {0xfffffffffffffffeu, 0xffffffffffffffffu, 0xffffffffffffffffu, 0x0fffffffffffffffu});
  if (v.square() != square) v *= kRootOfMinusOne;
  if (v.square() != square) return std::nullopt;
  if ((v.canonical()[0] & 1) != 0) v = -v;
  return X25519Group::Point{u, v, false};
}

template <>
Bytes encode_share<X25519Group>(const X25519Group::Point& p) {
  Bytes out;
  p.x.append_be(out);
  std::reverse(out.begin(), out.end());
  return out;
}

template <>
Bytes encode_share<P256Group>(const P256Group::Point& p) {
  Bytes out = {4};
  append_point<P256Group>(out, p);
  return out;
}

namespace {

// RFC 7748 §5: a receiver masks the top bit and takes u mod p. Public data.
std::array<uint8_t, 32> reduce_coordinate(std::span<const uint8_t, 32> share) {
  std::array<uint8_t, 32> out;
  std::copy(share.begin(), share.end(), out.begin());
  out[31] &= 0x7f;
  constexpr uint8_t kLowest = 0xed;  // p = 2^255 - 19
  const bool over =
      out[0] >= kLowest && out[31] == 0x7f &&
      std::all_of(out.begin() + 1, out.begin() + 31, [](uint8_t byte) { return byte == 0xff; });
  if (!over) return out;
  std::array<uint8_t, 32> small{};
  small[0] = static_cast<uint8_t>(out[0] - kLowest);
  return small;
}

}  // namespace

template <>
std::optional<X25519Group::Point> decode_share<X25519Group>(ByteView share) {
  if (share.size() != X25519Group::kShareBytes) return std::nullopt;
  const std::array<uint8_t, 32> reduced = reduce_coordinate(share.first<32>());
  const auto u = F25519::from_bytes_le(reduced);
  const auto point = lift_even_vartime(*u);
  if (!point || !in_prime_subgroup_vartime<X25519Group>(*point)) return std::nullopt;
  return point;
}

template <>
std::optional<P256Group::Point> decode_share<P256Group>(ByteView share) {
  if (share.size() != P256Group::kShareBytes || share[0] != 4) return std::nullopt;
  return parse_point<P256Group>(share.subspan<1, 64>());
}

template <typename G>
void append_point(Bytes& out, const typename G::Point& p) {
  p.x.append_be(out);
  p.y.append_be(out);
}

template <typename G>
std::optional<typename G::Point> parse_point(std::span<const uint8_t, 64> in) {
  const auto x = G::Field::from_bytes_be(in.template first<32>());
  const auto y = G::Field::from_bytes_be(in.template last<32>());
  if (!x || !y) return std::nullopt;
  const typename G::Point p{*x, *y, false};
  if (!on_curve<G>(p)) return std::nullopt;
  return p;
}

#define FLEXROOM_INSTANTIATE_CURVE(G)                                                            \
  template bool on_curve<G>(const G::Point&);                                                    \
  template G::Point negate<G>(const G::Point&);                                                  \
  template G::Point multiply<G>(const G::Scalar&, const G::Point&);                              \
  template G::Point add_points<G>(const G::Point&, const G::Point&);                             \
  template G::Point multiply_vartime<G>(const U256&, const G::Point&);                           \
  template bool in_prime_subgroup_vartime<G>(const G::Point&);                                   \
  template bool schnorr_equation_vartime<G>(const G::Scalar&, const G::Point&, const G::Scalar&, \
                                            const G::Point&);                                    \
  template void append_point<G>(Bytes&, const G::Point&);                                        \
  template std::optional<G::Point> parse_point<G>(std::span<const uint8_t, 64>);
FLEXROOM_INSTANTIATE_CURVE(X25519Group)
FLEXROOM_INSTANTIATE_CURVE(P256Group)

}  // namespace flexroom::math
