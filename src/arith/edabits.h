#pragma once

#include <array>

#include "arith/auth_value.h"
#include "math/fp.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

/// What the integers of the groups' fields are kept in, least significant limb first.
using U384 = std::array<uint64_t, 6>;

inline constexpr unsigned kEdaRepetitions = 8;
inline constexpr unsigned kEdaShifts = 64;  // challenges 0 and +-2^t, t < 64
inline constexpr unsigned kEdaHidingBits = 64;

/// What one party masks with: rho below p, and one integer a_v of l + 127 bits a repetition.
template <typename F>
struct MaskWitness {
  typename F::Integer rho{};
  std::array<typename F::Wide, kEdaRepetitions> a{};
  /// What is authenticated over F_p; equal to the integers unless the party cheats.
  F rho_element;
  std::array<F, kEdaRepetitions> a_elements;

  static MaskWitness random(Prg& prg);
  ~MaskWitness() { wipe(this, sizeof(*this)); }
};

/// Private edaBits (tls-in-mpc.md §1.9): every party shows that the bits of its mask rho, as
/// authenticated bits, and its authenticated element of F_p are the same integer below p.
///
/// Use, in the order of §1.11: construct (stage 1: bits); authenticate elements() with Pi_Auth;
/// coin 1; exchange_integers(); coin 2; check(). The z_v must be fixed before the coefficients of
/// the bit proof exist: who knows those first passes all repetitions with a wrong rho. The order is
/// asserted.
///
/// Throws   ProtocolAbort: kFpRange (integer out of range, or F_p side), kBitProof (bit side,
/// range). Secure   wrong rho survives with probability 129^-8 = 2^-56.1; z_v hides rho to 2^-64
/// each. Bytes    10 * kBits + 1,016 private bits and 9 elements a mask, 8 integers of
/// kIntegerBytes broadcast.
template <typename F>
class PrivateEdaBits {
 public:
  static constexpr unsigned kBits = F::kBits;
  static constexpr unsigned kIntegerBits = kBits + kEdaShifts - 1 + kEdaHidingBits;
  static constexpr size_t kBitsPerMask = 2 * kBits + kEdaRepetitions * kIntegerBits;
  static constexpr size_t kElementsPerMask = 1 + kEdaRepetitions;
  using Wide = typename F::Wide;
  static constexpr size_t kIntegerBytes = sizeof(Wide);

  /// Authenticates the bits of everybody's masks: own.size() masks a party.
  PrivateEdaBits(net::Party& party, prep::Source& source, std::span<const MaskWitness<F>> own);

  /// rho, a_0 .. a_7 of own mask `m`, to be authenticated over F_p.
  void append_elements(size_t m, math::SecretVector<F>& out) const;

  /// Sends the integers z_v = a_v + c_v rho. n > 2: the caller echoes before coin 2.
  void exchange_integers(const Digest& coin1);

  /// values(owner, m) gives the kElementsPerMask authenticated elements of a mask.
  void check(const F& gamma, const Digest& coin2,
             const std::function<std::span<const AuthValue<F>>(PartyId, size_t)>& values);

  /// The bits of mask m of `owner`, LSB first; only after check().
  prep::AuthBits rho_bits(PartyId owner, size_t m) const;

 private:
  struct Challenge {
    bool zero;
    bool negative;
    unsigned shift;
  };
  std::vector<Challenge> challenges(const Digest& coin1, PartyId owner) const;
  void write_relations(
      PartyId owner, std::span<const Block> bits, const Block& one,
      const std::function<void(const Block&, const Block&, const Block&)>& sink) const;

  net::Party& party_;
  prep::Source& source_;
  std::span<const MaskWitness<F>> own_;
  std::vector<prep::AuthBits> bits_;  // [owner], kBitsPerMask a mask: rho, p-1-rho, a_0 .. a_7
  std::vector<prep::AuthBits> proof_masks_;         // [owner]
  std::vector<std::vector<Challenge>> challenges_;  // [owner][m * kEdaRepetitions + v]
  std::vector<std::vector<Wide>> integers_;         // likewise
  bool checked_ = false;
};

}  // namespace flexroom::arith
