#pragma once

#include <functional>
#include <span>

#include "boolean/instance.h"

namespace flexroom::boolean {

/// ANDs whose masked values leave in one message while the evaluator goes on: its garblers follow
/// meanwhile, and at the end have this many to follow at most (boolean-engine.md §7.4). Of eight.
inline constexpr uint32_t kAndsPerPiece = 1u << 14;

/// Bit `bit` of `count` bytes, LSB first: count / 8 bytes, rounded up.
void pack_bits(const uint8_t* bytes, unsigned bit, std::span<uint8_t> packed, size_t count);

/// Called with kAndsPerPiece masked values of ANDs, packed LSB first, as soon as they are known;
/// not with those at the end, of which there is always one.
using PieceDone = std::function<void(ByteView packed)>;

/// Evaluator: all masked values and all garblers' labels of AND outputs, from the active input
/// labels (boolean-engine.md §7.3). Nothing is known to be true before the commit point. Fills
/// and_values, gammas and output_values; row2 becomes the labels, row0 and row1 are wiped.
void evaluate_gates(Instance::Data& instance, const PieceDone& piece_done);

/// Garbler: the same masked values from the AND outputs' that the evaluator reported, piece by
/// piece. With them mac_s becomes its macs of c_t = La*lambda_beta + Lb*lambda_alpha + s.
class Follower {
 public:
  explicit Follower(Instance::Data& instance);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// The next ANDs' masked values: kAndsPerPiece of them, or all that are left.
  void piece(ByteView packed);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::boolean
