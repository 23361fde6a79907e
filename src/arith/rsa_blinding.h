#pragma once

#include <functional>
#include <memory>

#include "arith/cope.h"
#include "arith/edabits.h"
#include "arith/input.h"
#include "arith/rsa_key.h"
#include "arith/triples.h"
#include "math/zn.h"

namespace flexroom::arith {

/// RSA encryption of one shared block EM without any party knowing EM (tls-in-mpc.md §5.9(4)).
///
/// Protocol   every party has a factor r_i and a mask rho_i, both authenticated over Z_N, and
///            publishes s_i = r_i^e. A circuit opens c = EM + sum rho_i; then [EM] = c - sum
///            [rho_i] and w = EM * prod r_i is opened. EM^e = w^e * prod s_i^-1 is computed by
///            everybody. e is public, so that no exponentiation happens on shares
/// Use        construct (offline, modulus known); mask_bits() go into the circuit;
///            publish_powers(); only then may c be opened; encrypt(). Once: EM must not be blinded
///            a second time (§5.9(2)). Steps out of order are bugs and stop the process
/// Guarantee  w is uniform among the units and shows nothing of EM. The result is (EM f)^e for an f
///            that corrupted parties chose before anything depended on EM; f = 1 unless one of them
///            published another power than that of its factor, which is not proved: it costs a
///            failed login and no more, because EM is fresh
/// Aborts     kFpAuth, kFpMac, kFpSacrifice, kFpRange (mask, power or w that is no unit mod N; w
///            also in an honest run, if the service chose a key with small factors above 2^20),
///            kFpKeyShare (opening of a power does not fit its commitment), kBitProof, kEcho. The
///            object is then dead: its keys serve no second try
/// Cost       n = 2, 2048 bits: 22 elements of 512 KiB and 2 triples of 1.5 MiB a direction
class RsaBlinding {
 public:
  /// All offline stages; `attempt` scopes every hash, coin and digest of it.
  static std::unique_ptr<RsaBlinding> make(net::Party& party, prep::Source& source,
                                           const RsaPublicKey& key, const Digest& attempt);
  RsaBlinding() = default;
  virtual ~RsaBlinding() = default;
  RsaBlinding(const RsaBlinding&) = delete;
  RsaBlinding& operator=(const RsaBlinding&) = delete;

  /// rho_i of that party, key.bits() bits, bit 0 least significant; below N.
  virtual prep::AuthBits mask_bits(PartyId owner) const = 0;
  /// Commits to s_i, opens it, checks the others' (n > 2: echoed).
  virtual void publish_powers() = 0;
  /// From c, key.bits() / 8 bytes, most significant first, to the ciphertext of that length.
  virtual Bytes encrypt(ByteView c) = 0;
};

/// What one party chooses; the elements are apart from what they should be, so that tests can play
/// a party that lies.
template <typename F>
struct BlindingWitness {
  MaskWitness<F> mask;  // rho_i
  F factor;             // r_i
  F power;              // s_i

  /// r_i uniform among the units. Inside a scope of the modulus.
  static BlindingWitness random(Prg& prg, const RsaPublicKey& key);
  BlindingWitness() = default;
  BlindingWitness(const BlindingWitness&) = default;
  BlindingWitness& operator=(const BlindingWitness&) = default;
  ~BlindingWitness() { wipe(&factor, sizeof(F)); }
};

template <typename F>
class RsaBlindingOver final : public RsaBlinding {
 public:
  using Choose = std::function<BlindingWitness<F>(Prg&, const RsaPublicKey&)>;
  RsaBlindingOver(net::Party& party, prep::Source& source, const RsaPublicKey& key,
                  const Digest& attempt, const Choose& choose = &BlindingWitness<F>::random);
  ~RsaBlindingOver() override;

  prep::AuthBits mask_bits(PartyId owner) const override;
  void publish_powers() override;
  Bytes encrypt(ByteView c) override;

 private:
  enum class Stage : uint8_t { kPrepared, kPublished, kSpent };
  struct State;  // everything that an abort destroys
  class Step;    // scopes of one stage; destroys the state unless it ends well

  void authenticate(prep::Source& source);
  void exchange_integers_and_check();
  void multiply_factors();
  AuthValue<F> shared(size_t slot) const;

  net::Party& party_;
  const RsaPublicKey key_;
  const Digest attempt_;
  const typename F::Modulus modulus_;
  Stage stage_ = Stage::kPrepared;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::arith
