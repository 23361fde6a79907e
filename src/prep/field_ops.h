#pragma once

#include <span>

#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Local linear operations on authenticated GF(2^128) elements (boolean-engine.md §2.4, §9.1).
/// No messages; constant time.

/// a_t += b_t.
void add(AuthField& a, const AuthField& b);
/// a_t += c_t for public c: party 0 adds to its share, the others to their key of it.
void add_constants(AuthField& a, std::span<const Block> c, const Block& delta);
/// a_t *= c_t for public c.
void scale(AuthField& a, std::span<const Block> c);
/// sum_t c_t * a_{offset+t} for public c: one element.
AuthField combine(const AuthField& a, std::span<const Block> c, size_t offset = 0);
/// sum_t c_t * bits_t for public c: one element.
AuthField combine(const AuthBits& bits, std::span<const Block> c);
/// One part of all the products, in order; a copy.
AuthField join(std::span<const VecTriple> products, AuthField VecTriple::*part);

/// 128 bits each -> [[x]], x = sum_q X^(q * 2^s) x_q: Pack for s = 0; for s > 0 the Frobenius pack,
/// which gives [[x^(2^s)]] from the same bits. bits.size() is a multiple of 128.
AuthField pack(const AuthBits& bits, unsigned s = 0);
/// out[index] += coefficient * pack_s(bits[offset, offset + 128)).
void accumulate_packed(AuthField& out, size_t index, const Block& coefficient, const AuthBits& bits,
                       size_t offset, unsigned s = 0);

}  // namespace flexroom::prep
