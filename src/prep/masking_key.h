#pragma once

#include <memory>
#include <span>

#include "math/secret_vector.h"
#include "net/coin.h"
#include "prep/bit_supply.h"

namespace flexroom::prep {

/// The masking key Gamma of one batch of triples (engine-v2.md §V1, §2.2): K fresh bits Gamma_i a
/// party, G = sum of all. Its states are types, each made by consuming the one before, so that
/// there is one tuple, one coin h, one zero test and one batch under a key, and nothing of it after
/// the coin (Q2): KeyedBits (rows), TupledKey (tuple), TossedKey (tossed), erased. There is no type
/// for a key without rows: they are made with it, so that no key is chosen, kept or shared. A
/// second use of what was moved from stops the process. Whatever ends a batch early destroys its
/// object, and with it all of this.
class KeyedBits {
 public:
  KeyedBits(KeyedBits&&) noexcept = default;
  KeyedBits& operator=(KeyedBits&&) noexcept = default;

  size_t size() const { return y_.size(); }
  size_t key_bits() const { return key_.size(); }
  /// <G[q]>, q < K. Opened nowhere.
  const AuthBits& key() const { return key_; }
  /// The y bits of the batch, aBit(all).
  const AuthBits& y() const { return y_; }
  /// This party's additive share Psi of y * G: [size()][K/64] words.
  std::span<const uint64_t> psi() const { return psi_; }

 private:
  friend class BitGenerator;
  friend class TupledKey;
  KeyedBits(AuthBits key, AuthBits y, math::SecretVector<uint64_t> psi)
      : key_(std::move(key)), y_(std::move(y)), psi_(std::move(psi)) {}

  AuthBits key_, y_;
  math::SecretVector<uint64_t> psi_;
};

/// A supply that can also make masking keys, each with the y bits of its batch.
class KeyedBitSupply : public BitSupply {
 public:
  /// A fresh key of `key_bits` (64 or 128) bits a party and `count` y bits under it. All checks of
  /// the key's bits, trees and rows passed when it returns.
  virtual KeyedBits keyed_bits(size_t count, unsigned key_bits) = 0;
};

/// The bits of a BitGenerator, which must outlive it.
class GeneratorSupply : public KeyedBitSupply {
 public:
  explicit GeneratorSupply(BitGenerator& generator) : generator_(generator) {}
  const Block& delta() const override { return generator_.delta(); }
  const math::ReHash& hash() const override { return generator_.hash(); }
  AuthBits random_bits(size_t count) override { return generator_.random_bits(count); }
  void begin_random_bits(size_t count) override { generator_.begin_random_bits(count); }
  void continue_random_bits() override { generator_.continue_random_bits(); }
  AuthBits owned_bits(PartyId owner, size_t count) override {
    return generator_.owned_bits(owner, count);
  }
  KeyedBits keyed_bits(size_t count, unsigned key_bits) override {
    return generator_.keyed_bits(count, key_bits);
  }

 private:
  BitGenerator& generator_;
};

/// What is left of a key after its coin: read by the one batch that it masks, then erased. It makes
/// no tuple, tosses no coin and starts no rows: there is no function that takes it but finish().
class TossedKey {
 public:
  TossedKey(TossedKey&&) noexcept = default;
  TossedKey& operator=(TossedKey&&) = delete;

  const AuthBits& key() const { return key_; }
  const AuthBits& y() const { return y_; }
  std::span<const uint64_t> psi() const { return psi_; }
  /// [K]: one-time masks of Y.
  const AuthField& beta() const { return beta_; }
  /// [[c]] = pack(rho) + g = sum_q G[q] * beta_q; rho [128].
  const AuthBits& rho() const { return rho_; }
  const Block& g() const { return g_; }
  /// The words of the coin, public: [size][K/8].
  const Bytes& h() const { return h_; }
  /// Of the batch, counted since before the own share of v.
  BatchInFlight& count() { return *count_; }

  /// The zero test of the batch passed and its x is masked: takes the count back, erases the key
  /// and all that was made with it, leaves the y bits.
  AuthBits finish() &&;

 private:
  friend class TupledKey;
  TossedKey(AuthBits key, AuthBits y, math::SecretVector<uint64_t> psi, AuthField beta,
            AuthBits rho, const Block& g, Bytes h, std::unique_ptr<BatchInFlight> count)
      : key_(std::move(key)),
        y_(std::move(y)),
        psi_(std::move(psi)),
        beta_(std::move(beta)),
        rho_(std::move(rho)),
        g_(g),
        h_(std::move(h)),
        count_(std::move(count)) {}

  AuthBits key_, y_;
  math::SecretVector<uint64_t> psi_;
  AuthField beta_;
  AuthBits rho_;
  Block g_;
  Bytes h_;
  std::unique_ptr<BatchInFlight> count_;
};

/// A masking key with its inner-product tuple, whose check passed; the batch is counted.
///
/// Protocol   engine-v2.md §2.4: [[beta_q]], [[c]] with c = sum_q G[q] * beta_q; sacrifice of a
///            second one with a coin eta
/// Guarantee  a wrong c passes with 2^-128; a wrong u is unnoticed iff a linear form of the
///            chooser's key has the value its sender bet on. A failure or an interruption may show
///            the whole key, of a batch that does not come to be
/// Cost       2K * 128 + 256 bits aBit(all); to each peer 32K bytes of u, 32 of g, 16K + 16, 32
/// Aborts     kSacrifice, kMac, kCoin, kEcho; kTooManyUnfinished, kEpochBurned when it counts
/// Timing     independent of keys, shares and Delta
class TupledKey {
 public:
  /// Consumes the key. The batch is counted, durably, before this party's share of the check
  /// leaves, and stays so until the caller says that the batch finished (Q4).
  static TupledKey make(Context& context, KeyedBits bits);
  TupledKey(TupledKey&&) noexcept = default;
  TupledKey& operator=(TupledKey&&) noexcept = default;

  const AuthBits& y() const { return bits_.y(); }
  size_t key_bits() const { return bits_.key_bits(); }

  /// Sends the commitment to coin h, behind the own U: no contribution yet.
  void commit_coin(Context& context);
  /// The peers', behind their U.
  void receive_commitments();
  /// Tosses the coin h of the batch (Q1): every check of the key, its rows and its tuple ended with
  /// success and the batch is counted, or there were no such object. The caller has received every
  /// U of the batch. Consumes the key: no batch gets a second coin.
  TossedKey toss() &&;

 private:
  TupledKey(KeyedBits bits, AuthField beta, AuthBits rho, const Block& g,
            std::unique_ptr<BatchInFlight> count)
      : bits_(std::move(bits)),
        beta_(std::move(beta)),
        rho_(std::move(rho)),
        g_(g),
        count_(std::move(count)) {}

  KeyedBits bits_;
  AuthField beta_;
  AuthBits rho_;
  Block g_;
  std::unique_ptr<BatchInFlight> count_;
  std::unique_ptr<net::Coin> coin_;  // h, once committed to
};

}  // namespace flexroom::prep
