#pragma once

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Rows: how a value rests on the members' disks (members.md §3). The string
///
///   x_0 .. x_L, tau_0 .. tau_L, k        16(2L+3) bytes, L = ceil(bits / 128)
///
/// of elements of GF(2^128), x_0 = rho, x_1..x_L the value padded with zero bits, tau_b = k x_b,
/// rho and k uniform and fresh for every set of rows, is the XOR of the members' rows. It depends
/// on no global key, so that it outlives every epoch, also a burned one.

constexpr size_t row_value_blocks(size_t bits) { return (bits + 127) / 128; }
constexpr size_t row_blocks(size_t bits) { return 2 * row_value_blocks(bits) + 3; }
constexpr size_t row_bytes(size_t bits) { return 16 * row_blocks(bits); }

/// This member's row of a value of so many bits.
struct HeldRow {
  size_t bits = 0;
  ByteView row;  // row_bytes(bits); nothing at who holds none
};

/// Values from their rows, in a session of all who hold one, and of others who give nothing: who
/// joins in a hand-over.
///
/// Protocol   members.md §3.2: rows as chosen bits, sum, re-mask; coin chi with chi_0 = 1;
///            X = sum chi_b x_b, T = sum chi_b tau_b, kX by a VecTriple(1) of its own with
///            X + a and k + b opened; one ZERO of sum_s chi'_s (T_s + k_s X_s) over all values
/// In         the same values in the same order at all parties: who may have others asks first.
///            `holders` [n]: who has rows, equal at all; all without it
/// Guarantee  the stored values, or abort; another row of whoever passes with 2^-127, also for who
///            knows a value; pass or fail is one bit for all values and independent of them
/// Cost       a value: 2L+3 blocks of chosen and as many of random bits, a VecTriple(1); about 20
///            flows for all together. Counts as one batch in flight
/// Aborts     kRowTag when the rows do not fit (class B: it says nothing about Delta or a
///            value, and not who lied); kMac, kEcho, kCoin; what preprocessing throws
std::vector<AuthBits> load_rows(net::Party& party, Source& source, Safety& safety,
                                std::span<const HeldRow> rows, std::vector<bool> holders = {});

/// Fresh rows of values: this member's, one a value; nothing at who gets none.
///
/// Protocol   members.md §3.3: rho', k' = aBit(all), tau' by VecTriple(L+1) with k' + b opened
///            once; rows of all but the last member are aBit(all), the last is the string plus
///            their sum; each is opened to its owner alone
/// In         `owners`: who gets a row, each once, equal at all; all without it
/// Guarantee  the rows are of these values, or abort; nobody sees anything of another's row, and
///            nothing that all see ties it to an earlier one
/// Cost       a value: (n'-1)(2L+3) + 2 blocks of random bits for n' owners, VecTriple(L+1),
///            16(2L+3) bytes to each owner; about 8 flows beside the products
/// Aborts     kMac; what preprocessing throws
std::vector<SecretBytes> store_rows(net::Party& party, Source& source,
                                    std::span<const AuthBits* const> values,
                                    std::vector<PartyId> owners = {});

/// That the ZERO of a load passed. Made by the load alone.
class RowVerdict {
  RowVerdict() = default;
  friend class RowLoad;
};

/// What was brought together from rows and not tested yet: it comes out against the verdict.
template <typename T>
class Unchecked {
 public:
  explicit Unchecked(T&& value) : value_(std::move(value)) {}
  Unchecked(Unchecked&&) noexcept = default;
  Unchecked& operator=(Unchecked&&) noexcept = default;
  T release(const RowVerdict&) && { return std::move(value_); }

 private:
  friend class RowLoad;
  T value_;
};

/// The operands of the product of a load. They differ in what masks them (k takes the place of b:
/// the other way round, two loads under a global key that becomes known give the value), so that
/// they are of different types.
struct CombinedRow {
  AuthField value;  // X of each value
};
struct RowKey {
  AuthField value;  // k of each value
};
/// [[k X]] of each, `products` being VecTriple(1) each: opens X + a and k + b.
AuthField row_products(net::Party& party, const Block& delta, CombinedRow combined, RowKey key,
                       std::span<const VecTriple> products);

}  // namespace flexroom::prep
