#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "math/gf128.h"
#include "prep/bit_supply.h"
#include "support/dealer.h"
#include "support/gf_pow.h"

namespace flexroom::support {

/// The bits of the dealer with the session's H: protocols of prep/ run on it without COT.
class DealerSupply : public prep::BitSupply {
 public:
  explicit DealerSupply(prep::Source& source) : source_(source), hash_(Block(5, 6)) {}
  const Block& delta() const override { return source_.delta(); }
  const math::ReHash& hash() const override { return hash_; }
  prep::AuthBits random_bits(size_t count) override { return source_.random_bits(count); }
  prep::AuthBits owned_bits(PartyId owner, size_t count) override {
    return source_.owned_bits(owner, count);
  }

 private:
  prep::Source& source_;
  math::ReHash hash_;
};

template <typename T>
using Views = std::vector<const T*>;  // by party

/// M = K + x * Delta for all pairs, bits 0 and 1 as pinned.
inline void expect_authentic(const Views<prep::AuthBits>& views, const std::vector<Block>& deltas) {
  for (PartyId i = 0; i < views.size(); ++i) {
    for (PartyId j = 0; j < views.size(); ++j) {
      if (i == j) continue;
      for (size_t t = 0; t < views[i]->size(); ++t) {
        const Block mac = views[i]->mac[j][t], key = views[j]->key[i][t];
        ASSERT_FALSE(key.lsb());
        ASSERT_FALSE(key.bit(1));
        ASSERT_EQ(mac.bit(1), j == 0 && mac.lsb());
        ASSERT_EQ(mac.lsb(), views[i]->share(t));
        ASSERT_EQ(mac, key ^ select(mac.lsb(), deltas[j])) << i << " to " << j << " at " << t;
      }
    }
  }
}

inline void expect_authentic(const Views<prep::AuthField>& views,
                             const std::vector<Block>& deltas) {
  for (PartyId i = 0; i < views.size(); ++i) {
    for (PartyId j = 0; j < views.size(); ++j) {
      if (i == j) continue;
      for (size_t t = 0; t < views[i]->size(); ++t) {
        ASSERT_EQ(views[i]->mac[j][t],
                  views[j]->key[i][t] ^ math::gf_mul(views[i]->share[t], deltas[j]))
            << i << " to " << j << " at " << t;
      }
    }
  }
}

inline std::vector<uint8_t> secret_bits(const Views<prep::AuthBits>& views) {
  std::vector<uint8_t> out(views[0]->size());
  for (const auto* view : views) {
    for (size_t t = 0; t < out.size(); ++t) out[t] ^= static_cast<uint8_t>(view->share(t));
  }
  return out;
}

inline std::vector<Block> secret_field(const Views<prep::AuthField>& views) {
  std::vector<Block> out(views[0]->size());
  for (const auto* view : views) {
    for (size_t t = 0; t < out.size(); ++t) out[t] ^= view->share[t];
  }
  return out;
}

/// Right, authentic, and (over enough of them) not constant.
inline void expect_triples(const Views<prep::AndTriples>& views, const std::vector<Block>& deltas) {
  const auto part = [&](prep::AuthBits prep::AndTriples::*member) {
    Views<prep::AuthBits> out;
    for (const auto* view : views) out.push_back(&(view->*member));
    expect_authentic(out, deltas);
    return secret_bits(out);
  };
  const auto x = part(&prep::AndTriples::x), y = part(&prep::AndTriples::y),
             z = part(&prep::AndTriples::z);
  for (size_t t = 0; t < x.size(); ++t) ASSERT_EQ(z[t], x[t] & y[t]) << t;
  if (x.size() < 64) return;
  for (const auto& bits : {x, y}) {
    const auto ones = std::count(bits.begin(), bits.end(), 1);
    EXPECT_GT(ones, 0);
    EXPECT_LT(static_cast<size_t>(ones), bits.size());
  }
}

/// Products of one common factor, right and authentic.
inline void expect_products(const Views<prep::VecTriple>& views, const std::vector<Block>& deltas) {
  const auto part = [&](prep::AuthField prep::VecTriple::*member) {
    Views<prep::AuthField> out;
    for (const auto* view : views) out.push_back(&(view->*member));
    expect_authentic(out, deltas);
    return secret_field(out);
  };
  const auto a = part(&prep::VecTriple::a), b = part(&prep::VecTriple::b),
             c = part(&prep::VecTriple::c);
  ASSERT_EQ(b.size(), 1u);
  for (size_t h = 0; h < a.size(); ++h) ASSERT_EQ(c[h], math::gf_mul(a[h], b[0])) << h;
}

/// Powers of one element, the bits of which are r_bits.
inline void expect_powers(const Views<prep::Powers>& views, const std::vector<Block>& deltas) {
  Views<prep::AuthField> fields;
  Views<prep::AuthBits> bits;
  for (const auto* view : views) {
    fields.push_back(&view->powers);
    bits.push_back(&view->r_bits);
  }
  expect_authentic(fields, deltas);
  expect_authentic(bits, deltas);
  const auto r_bits = secret_bits(bits);
  Block r;
  for (unsigned q = 0; q < 128; ++q) r.set_bit(q, r_bits[q] != 0);
  const auto powers = secret_field(fields);
  for (size_t j = 0; j < powers.size(); ++j) ASSERT_EQ(powers[j], gf_pow(r, j)) << j;
}

template <typename T, typename RunType>
Views<T> views_of(const RunType& run) {
  Views<T> out;
  for (const auto& outcome : run.outcomes) {
    EXPECT_TRUE(outcome.value.has_value()) << (outcome.abort ? outcome.abort->what() : "");
    out.push_back(&*outcome.value);
  }
  return out;
}

inline std::vector<Block> deltas_of(const Dealer& dealer, size_t num_parties) {
  std::vector<Block> out;
  for (PartyId i = 0; i < num_parties; ++i) out.push_back(dealer.delta(i));
  return out;
}

}  // namespace flexroom::support
