#pragma once

#include <string_view>

#include "base/hash.h"
#include "base/prg.h"
#include "math/fp.h"
#include "net/party.h"

namespace flexroom::arith {

/// Public coefficients drawn from one coin for one purpose: every purpose has its own label, hence
/// an independent stream (tls-in-mpc.md §1.11).
class Coefficients {
 public:
  Coefficients(const net::Party& party, const Digest& coin, std::string_view label)
      : prg_(RandomOracle("coefficients", party.scope()).field(label).field(coin).block()) {}

  /// mod p with bias < 2^-128.
  template <typename F>
  F next() {
    return F::random(prg_);
  }
  template <typename F>
  std::vector<F> take(size_t count) {
    std::vector<F> out(count);
    for (F& c : out) c = F::random(prg_);
    return out;
  }
  Block next_block() { return prg_.next_block(); }
  uint64_t below(uint64_t bound) { return prg_.below(bound); }

 private:
  Prg prg_;
};

/// Sets the csid of all random-oracle calls and coins, and puts the old scope back.
class ScopeGuard {
 public:
  ScopeGuard(net::Party& party, const Digest& csid) : party_(party), saved_(party.scope()) {
    RoScope scope = saved_;
    scope.csid = csid;
    party_.set_scope(scope);
  }
  ~ScopeGuard() { party_.set_scope(saved_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  net::Party& party_;
  RoScope saved_;
};

/// One element per F::kBytes bytes, canonical, or ProtocolAbort(kBadFrame).
template <typename F>
std::vector<F> parse_elements(ByteView bytes, std::string_view operation, PartyId sender) {
  std::vector<F> out;
  out.reserve(bytes.size() / F::kBytes);
  for (size_t at = 0; at + F::kBytes <= bytes.size(); at += F::kBytes) {
    const auto v =
        F::from_bytes_be(std::span<const uint8_t, F::kBytes>(bytes.data() + at, F::kBytes));
    if (!v) {
      throw ProtocolAbort(AbortCode::kBadFrame, operation, "a field element is not canonical",
                          sender);
    }
    out.push_back(*v);
  }
  return out;
}

}  // namespace flexroom::arith
