#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "boolean/engine.h"
#include "mpc/program.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// How a value that nobody knows is drawn (tls-in-mpc.md §5.2a): characters of an alphabet, or one
/// entry of a public list, and a public text behind them. All of it is public but the value.
struct Sampler {
  enum class Alphabet : uint8_t { kHex, kBase32, kBase64Url, kDigits, kList };
  Alphabet alphabet = Alphabet::kHex;
  uint32_t length = 0;            // characters; of every entry of a list
  std::vector<std::string> list;  // kList: 2^k entries of that length
  std::string suffix;

  size_t bytes() const { return length + suffix.size(); }
  /// Of the value, exactly: log2 of how many values there are, each as likely as the others.
  double entropy_bits() const;
};

/// One circuit for values that are drawn together.
///
/// Inputs   zero "bits_<k>": the uniform bits of sampler k
/// Opened   "accepted": one bit a candidate for a decimal digit, 1 if it is one
/// Kept     "drawn": for each sampler the bits of its text that are not constant; of digits the
/// four
///          bits of every candidate
/// Size     4, 7, 16 ANDs a character of hex, base32, base64url; 272, 528, 1,056 for a list of 256,
///          512, 1,024 entries; 2 a candidate. The shape depends on the samplers alone
struct DrawCircuit {
  struct Drawn {
    size_t first = 0;                   // of its bits in "drawn"
    std::vector<uint32_t> secret_bits;  // their places in the value (8 * byte + bit), ascending
    Bytes public_text;                  // constant bits in place, others 0
    size_t candidates = 0;              // digits
    size_t first_candidate = 0;         // in "accepted"
  };
  std::shared_ptr<const mpc::Program> program;
  std::vector<Sampler> samplers;
  std::vector<Drawn> drawn;
};
DrawCircuit build_draw_circuit(std::span<const Sampler> samplers);

/// Draws the values, as authenticated bits: 8 a byte, bit 0 of byte 0 first. No process ever holds
/// one of them.
///
/// Protocol   tls-in-mpc.md §5.2a: aBits of all as inputs of the circuit above; of the candidates
///            for digits the accepted ones are used in order, which is public
/// Guarantee  each value is uniform over its sampler's values unless all members collude, or abort.
///            A member that aborts learns nothing of them. Too few digits (2^-40 a value): all
///            values are drawn again, so that nothing opened depends on one that is used
/// Aborts     what the engine throws; kDisagreement or kViewMismatch where members draw by other
///            samplers
std::vector<prep::AuthBits> draw_values(net::Party& party, prep::Source& source,
                                        boolean::Engine& engine, const DrawCircuit& circuit);

}  // namespace flexroom::agent
