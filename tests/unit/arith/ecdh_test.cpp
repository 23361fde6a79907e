// Tokens and the online conversion end to end: the opened c minus the masks is what OpenSSL's ECDH
// gives the server; a corrupted member is caught; a token works once. Correlated bits come from the
// trusted dealer.
#include "arith/ecdh.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "arith/dh_online.h"
#include "arith/token_batch.h"
#include "support/dealer.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace {

using support::Dealer;
using support::run_parties;

struct KeyFree {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
};

/// The honest server: a fresh OpenSSL key pair and its side of the exchange.
class Server {
 public:
  explicit Server(NamedGroup group) {
    key_.reset(group == NamedGroup::kX25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519")
                                            : EVP_EC_gen("P-256"));
  }
  Bytes share() const {
    unsigned char* out = nullptr;
    const size_t size = EVP_PKEY_get1_encoded_public_key(key_.get(), &out);
    Bytes bytes(out, out + size);
    OPENSSL_free(out);
    return bytes;
  }
  Bytes secret(const Bytes& client_share) const {
    const std::unique_ptr<EVP_PKEY, KeyFree> peer(EVP_PKEY_new());
    EVP_PKEY_copy_parameters(peer.get(), key_.get());
    if (EVP_PKEY_get_id(key_.get()) == EVP_PKEY_X25519) {
      EVP_PKEY_set_type(peer.get(), EVP_PKEY_X25519);
    }
    EXPECT_EQ(
        EVP_PKEY_set1_encoded_public_key(peer.get(), client_share.data(), client_share.size()), 1);
    const std::unique_ptr<EVP_PKEY_CTX, KeyFree> ctx(EVP_PKEY_CTX_new(key_.get(), nullptr));
    size_t size = 32;
    Bytes out(32);
    EXPECT_EQ(EVP_PKEY_derive_init(ctx.get()), 1);
    EXPECT_EQ(EVP_PKEY_derive_set_peer(ctx.get(), peer.get()), 1);
    EXPECT_EQ(EVP_PKEY_derive(ctx.get(), out.data(), &size), 1);
    return out;
  }

 private:
  std::unique_ptr<EVP_PKEY, KeyFree> key_;
};

struct Result {
  Bytes key_share;
  std::vector<uint8_t> c;
  std::vector<uint8_t> rho;  // this party's mask bits
  bool refused_again = false;
  int marked = 0;
};

DhHooks mark(int& count) {
  return {[&count](const Token&) { ++count; }, nullptr};
}

std::vector<uint8_t> own_bits(const prep::AuthBits& bits) {
  std::vector<uint8_t> out;
  for (size_t t = 0; t < bits.size(); ++t) out.push_back(bits.share(t) ? 1 : 0);
  return out;
}

constexpr uint8_t kCsid = 9;

Result exchange(net::Party& party, Dealer& dealer, NamedGroup group, const Bytes& server_share,
                uint8_t view_byte = 3) {
  ArithEngine engine(party, dealer.source(party.id()));
  std::vector<Token> tokens = engine.make_tokens(group, 1);
  Result result;
  result.key_share = key_share(tokens[0]);
  result.rho = own_bits(tokens[0].rho[party.id()]);
  Digest csid{};
  csid[0] = kCsid;
  Digest view{};
  view[0] = view_byte;
  result.c = dh_online(party, tokens[0], server_share, csid, view, mark(result.marked));
  try {
    dh_online(party, tokens[0], server_share, csid, view, mark(result.marked));
  } catch (const ProtocolAbort& abort) {
    result.refused_again = abort.code() == AbortCode::kRefusedByRule;
  }
  return result;
}

template <typename F>
F element_of(const std::vector<uint8_t>& bits) {
  F v;
  for (size_t t = bits.size(); t-- > 0;) v = v.doubled() + F::from_u64(bits[t]);
  return v;
}

template <typename F>
Bytes coordinate(const std::vector<Result>& results) {
  F x = element_of<F>(results[0].c);
  for (const Result& r : results) x -= element_of<F>(r.rho);
  Bytes out;
  x.append_be(out);
  return out;
}

struct Case {
  NamedGroup group;
  size_t parties;
};
class EcdhTest : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, EcdhTest,
                         testing::Values(Case{NamedGroup::kX25519, 2}, Case{NamedGroup::kX25519, 3},
                                         Case{NamedGroup::kP256, 2}, Case{NamedGroup::kP256, 3}));

TEST_P(EcdhTest, GivesTheServersSecret) {
  const auto [group, n] = GetParam();
  Dealer dealer(n);
  const Server server(group);
  auto run = run_parties(
      n, [&, group = group](net::Party& p) { return exchange(p, dealer, group, server.share()); });
  std::vector<Result> results;
  for (auto& o : run.outcomes) {
    ASSERT_TRUE(o.value) << o.abort->what();
    results.push_back(std::move(*o.value));
    EXPECT_EQ(results.back().key_share, results[0].key_share);
    EXPECT_EQ(results.back().c, results[0].c);
    EXPECT_EQ(results.back().c.size(), group == NamedGroup::kX25519 ? 255u : 256u);
    EXPECT_TRUE(results.back().refused_again);
    EXPECT_EQ(results.back().marked, 1);
  }
  Bytes want = server.secret(results[0].key_share);
  if (group == NamedGroup::kX25519) std::reverse(want.begin(), want.end());
  EXPECT_EQ(group == NamedGroup::kX25519 ? coordinate<math::F25519>(results)
                                         : coordinate<math::FP256>(results),
            want);
}

// What the design predicts to change nothing, in a message of the corrupted party.
enum class Predicted {
  kAbort,
  kHalf,  // matters only where a bit of Gamma (corrections) or of a (products) is 1: rate 1/2
  kFree,  // n = 2: party 1 says its seed of a coin after the commitment of party 0: rate 1
};
Predicted predicted(size_t n, const net::MessageId& m) {
  if (m.label == "arith/triples/products" || m.label.ends_with("/correction")) {
    return Predicted::kHalf;
  }
  const bool free = n == 2 && m.sender == 1 && m.label.ends_with("/coin open");
  return free ? Predicted::kFree : Predicted::kAbort;
}

// Every message of an honest run, one bit flipped: nobody who is honest ever gets another result,
// and every flip aborts at an honest party but for those that are predicted to be harmless.
TEST_P(EcdhTest, NoTamperedMessageYieldsAnotherResult) {
  const auto [group, n] = GetParam();
  const Server server(group);
  const auto run_with = [&, group = group, n = n](net::Tamper tamper) {
    Dealer dealer(n);
    return run_parties(
        n, [&](net::Party& p) { return exchange(p, dealer, group, server.share()); },
        std::move(tamper));
  };
  const auto honest = run_with(nullptr);
  size_t tried = 0, half = 0, half_harmless = 0;
  for (const net::MessageId& target : honest.trace) {
    // n = 3: what the last party tells the first one, and for one group the other way round.
    const bool down = target.sender == n - 1 && target.receiver == 0;
    const bool up = target.sender == 0 && target.receiver == n - 1;
    if (!down && !(up && (n == 2 || group == NamedGroup::kX25519))) continue;
    const auto run = run_with(support::flip_bit_of(target, target.bytes / 2, 3));
    ++tried;
    bool aborted = false;
    std::vector<Result> results;
    for (PartyId i = 0; i < n; ++i) {
      if (!run.outcomes[i].value) {
        aborted |= i != target.sender;
        continue;
      }
      results.push_back(*run.outcomes[i].value);
      EXPECT_EQ(results.back().c, results.front().c) << target.label;
    }
    const Predicted want = predicted(n, target);
    if (want == Predicted::kHalf) {
      ++half;
      half_harmless += aborted ? 0 : 1;
    } else {
      EXPECT_EQ(aborted, want == Predicted::kAbort) << target.label << "#" << target.index;
    }
    if (aborted) continue;
    ASSERT_EQ(results.size(), n);
    Bytes secret = server.secret(results[0].key_share);
    if (group == NamedGroup::kX25519) std::reverse(secret.begin(), secret.end());
    EXPECT_EQ(group == NamedGroup::kX25519 ? coordinate<math::F25519>(results)
                                           : coordinate<math::FP256>(results),
              secret)
        << target.label;
  }
  EXPECT_GT(tried, 30u);
  EXPECT_GT(half_harmless, 0u);
  EXPECT_LT(half_harmless, half);
}

// A1: nobody opens a share if the members saw different bytes of the server.
TEST_P(EcdhTest, DifferentViewsOpenNothing) {
  const auto [group, n] = GetParam();
  Dealer dealer(n);
  const Server server(group);
  const auto run = run_parties(n, [&, group = group](net::Party& p) {
    return exchange(p, dealer, group, server.share(), p.id() == 0 ? 3 : 4);
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kViewMismatch);
  EXPECT_EQ(run.outcomes[0].abort->abort_class(), AbortClass::kNetwork);
  for (const auto& o : run.outcomes) EXPECT_FALSE(o.value);
  for (const auto& m : run.trace) {
    EXPECT_NE(m.label, "arith/dh/open");
    // n = 2: the evaluator compares before its point leaves.
    EXPECT_FALSE(n == 2 && m.sender == 0 && m.label == "arith/dh/Z");
  }
}

// A member that shows two others different, equally good points: the echo stops before a share of
// the opening leaves anybody.
TEST_P(EcdhTest, TwoFacesOfAPointOpenNothing) {
  const auto [group, n] = GetParam();
  if (n < 3) return;  // nobody to show another face
  Dealer dealer(n);
  const Server server(group);
  const auto run = run_parties(
      n, [&, group = group](net::Party& p) { return exchange(p, dealer, group, server.share()); },
      [group = group](const net::MessageId& m, Bytes& payload) {
        if (m.sender != 1 || m.receiver != 0 || m.label != "arith/dh/Z") return;
        const auto turn = [&]<typename G>() {
          const auto z =
              math::parse_point<G>(std::span<const uint8_t, 64>(payload.data() + 32, 64));
          Bytes other;
          math::append_point<G>(other, math::negate<G>(*z));
          std::copy(other.begin(), other.end(), payload.begin() + 32);
        };
        group == NamedGroup::kX25519 ? turn.template operator()<math::X25519Group>()
                                     : turn.template operator()<math::P256Group>();
      });
  for (const auto& o : run.outcomes) EXPECT_FALSE(o.value);
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kViewMismatch);
  for (const auto& m : run.trace) EXPECT_NE(m.label, "arith/dh/open");
}

TEST(ArithEngine, GuardsNothingOnceItHasEnded) {
  Dealer dealer(2);
  const auto run = run_parties(2, [&](net::Party& p) {
    ArithEngine engine(p, dealer.source(p.id()));
    EXPECT_EQ(engine.guarded([] { return 7; }), 7);
    engine.destroy();
    bool ran = false;
    try {
      engine.guarded([&] { ran = true; });
    } catch (const ProtocolAbort& abort) {
      return abort.code() == AbortCode::kRefusedByRule && !ran;
    }
    return false;
  });
  for (const auto& o : run.outcomes) EXPECT_TRUE(o.value.value_or(false));
}

template <typename G>
void expect_wiped() {
  const auto run = run_parties(2, [](net::Party& p) {
    alignas(TokenWitness<G>) std::array<uint8_t, sizeof(TokenWitness<G>)> memory{};
    auto* const witness = new (memory.data()) TokenWitness<G>(TokenWitness<G>::random(p, Digest{}));
    std::vector<Bytes> secrets;
    const auto note = [&](const auto& value) {
      const auto* at = reinterpret_cast<const uint8_t*>(&value);
      secrets.emplace_back(at, at + sizeof(value));
    };
    note(witness->x), note(witness->y), note(witness->w), note(witness->r), note(witness->k);
    note(witness->eda.rho);
    const auto found = [&](const Bytes& secret) {
      return std::search(memory.begin(), memory.end(), secret.begin(), secret.end()) !=
             memory.end();
    };
    for (const Bytes& secret : secrets) EXPECT_TRUE(found(secret));
    witness->~TokenWitness<G>();
    // Reads of the bytes, not of the object.
    for (size_t k = 0; k < secrets.size(); ++k) EXPECT_FALSE(found(secrets[k])) << k;
    return true;
  });
  for (const auto& o : run.outcomes) EXPECT_TRUE(o.value.value_or(false));
}

TEST(TokenWitness, LeavesNothingBehind) {
  expect_wiped<math::X25519Group>();
  expect_wiped<math::P256Group>();
}

// Attacks 7, 8: a bad Z_j aborts, a shifted one shifts the secret by the known point, no more.
TEST_P(EcdhTest, MaskedPointIsCheckedAndShiftIsKnown) {
  const auto [group, n] = GetParam();
  const Server server(group);
  const auto with_point = [&, group = group, n = n](auto alter) {
    Dealer dealer(n);
    return run_parties(
        n, [&](net::Party& p) { return exchange(p, dealer, group, server.share()); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == n - 1 && m.label == "arith/dh/Z") alter(payload);
        });
  };
  auto run = with_point([](Bytes& p) { std::fill_n(p.begin() + 32, 32, 0xff); });  // x >= p
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpKeyShare);
  run = with_point([](Bytes& p) { p[95] ^= 1; });  // off the curve
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpKeyShare);
  run = with_point([](Bytes& p) { p[0] ^= 1; });  // another connection
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kViewMismatch);

  if (n == 2) {
    // Party 1 adds D to what it sends, but computes with what it did not shift: openings disagree.
    run = with_point([group = group](Bytes& p) {
      const auto shift = [&]<typename G>() {
        const auto z = math::parse_point<G>(std::span<const uint8_t, 64>(p.data() + 32, 64));
        Bytes shifted;
        math::append_point<G>(shifted, math::add_points<G>(*z, math::generator<G>()));
        std::copy(shifted.begin(), shifted.end(), p.begin() + 32);
      };
      group == NamedGroup::kX25519 ? shift.template operator()<math::X25519Group>()
                                   : shift.template operator()<math::P256Group>();
    });
    EXPECT_FALSE(run.outcomes[0].value);
  }
}

TEST(Ecdh, BadServerSharesAreRefusedBeforeTheTokenIsUsed) {
  Dealer dealer(2);
  const auto run = run_parties(2, [&](net::Party& p) {
    ArithEngine engine(p, dealer.source(p.id()));
    std::vector<Token> tokens = engine.make_tokens(NamedGroup::kX25519, 1);
    int marked = 0;
    try {
      dh_online(p, tokens[0], Bytes(32), {}, {}, mark(marked));
    } catch (const ProtocolAbort& abort) {
      return abort.code() == AbortCode::kServer && marked == 0;
    }
    return false;
  });
  EXPECT_TRUE(*run.outcomes[0].value && *run.outcomes[1].value);
}

// A failed batch ends the engine: its Gamma serves no second try (§1.11).
TEST(Ecdh, FailedEngineMakesNoMoreTokens) {
  Dealer dealer(2);
  const auto run = run_parties(
      2,
      [&](net::Party& p) {
        ArithEngine engine(p, dealer.source(p.id()));
        AbortCode first{};
        try {
          engine.make_tokens(NamedGroup::kP256, 1);
        } catch (const ProtocolAbort& abort) {
          first = abort.code();
          p.abort();
        }
        try {
          engine.make_tokens(NamedGroup::kP256, 1);
        } catch (const ProtocolAbort& abort) {
          return std::make_pair(first, abort.code());
        }
        return std::make_pair(first, AbortCode{});
      },
      support::flip_bit_of({1, 0, "arith/monomials 1", 0, 0}, 5, 1));
  EXPECT_EQ(run.outcomes[0].value->first, AbortCode::kFpMac);
  EXPECT_EQ(run.outcomes[0].value->second, AbortCode::kRefusedByRule);
}

// tls-in-mpc.md appendix B, "DH online".
template <typename G>
void check_appendix_b(const char* expected_c, const char* expected_x, const char* expected_delta,
                      const char* expected_eps, const char* expected_zx) {
  using F = typename G::Field;
  using Q = typename G::Scalar;
  const auto g = math::generator<G>();
  const auto times = [&](uint64_t k, const auto& p) {
    return math::multiply<G>(Q::from_u64(k), p);
  };
  auto s = times(5005, g);
  if constexpr (std::is_same_v<G, math::X25519Group>) s = *math::lift_even_vartime(s.x);
  const auto r_point = math::add_points<G>(times(3003, g), times(4004, g));
  const auto z0 = math::add_points<G>(times(1001, s), math::negate<G>(times(3003, g)));
  const auto z1 = math::add_points<G>(times(2002, s), math::negate<G>(times(4004, g)));
  const auto z = math::add_points<G>(z0, z1);
  const F r = F::from_u64(6006);
  const F rho = F::from_u64(7007);
  const F& x = r_point.x;
  const F monomials[kMonomials] = {r,       r * x,       r * x * x,      r * r_point.y,
                                   r * rho, r * rho * x, r * rho * x * x};
  const ConversionCoefficients<G> c(z);
  F delta, eps;
  for (size_t m = 0; m < kMonomials; ++m) {
    delta += c.delta[m] * monomials[m];
    eps += c.eps[m] * monomials[m];
  }
  const auto hex = [](const F& v) {
    Bytes out;
    v.append_be(out);
    return to_hex(out);
  };
  EXPECT_EQ(hex(z.x), expected_zx);
  EXPECT_EQ(hex(delta), expected_delta);
  EXPECT_EQ(hex(eps), expected_eps);
  EXPECT_EQ(hex(eps * delta.inverse()), expected_c);
  EXPECT_EQ(hex(times(3003, s).x), expected_x);
}

TEST(DhOnline, AppendixB) {
  check_appendix_b<math::P256Group>(
      "7620edcf412088524e1d5cb9cea5b9e37230ee44c4df3884ad72101fc7e2fba7",
      "7620edcf412088524e1d5cb9cea5b9e37230ee44c4df3884ad72101fc7e2e048",
      "af56cf4cbcc60f33e09146ca395bc9e90b059906d9b9b147fc4b5365f50e7663",
      "aab22adad49e666d601f0ce01bc1e43013b2c685f760f72884d2ebeed060e600",
      "8b7fbcd999af3e7a16c91d55fadf80ad0d10ca4bc20af801356934b8bd4d03e6");
  check_appendix_b<math::X25519Group>(
      "780499070779b0d7ec9147d74647e7659589038c447f40516c52f9b6750e467c",
      "780499070779b0d7ec9147d74647e7659589038c447f40516c52f9b6750e2b1d",
      "695def1dc28fb2c04cba29795812a9c86104975a6bb8e14f9e5d5e833f4e38ec",
      "08149b69ab61a6f6ea6a646cf900caceb3ac397f68a411b6d1b2614ff34c6524",
      "3bc17113983ec53d9bd158d4575868e41bd7be46e2d28ed68696c5f71748efd4");
}

}  // namespace
}  // namespace flexroom::arith
