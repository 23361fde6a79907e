#pragma once

#include <memory>
#include <vector>

#include "base/secret.h"
#include "boolean/engine.h"
#include "boolean/slab_blocks.h"

namespace flexroom::boolean {

enum class InstanceState : uint8_t {
  kPrepared,
  kStarted,    // the start hook ran; inputs on their way
  kReady,      // all masked inputs known, labels sent or received
  kEvaluated,  // evaluator: all labels known. Garblers: Lambda of all ANDs but the last piece
  kDone,
  kConfirmed,
  kVoid,
};

/// What a garbler keeps of each AND t between garbling and the commit point (boolean-engine.md
/// §6.3), 64 bytes, and its input labels.
struct GarblerTables {
  SlabBlocks mac_alpha, mac_beta, mac_s;  // [num_ands] M_E[lambda_alpha^i] ..., for the evaluator;
                                          // mac_s becomes M_E[c_t^i] when Lambda is known
  BlockVec zero_labels;                   // [num_ands] m^i_{gamma,0}
  BlockVec input_labels;                  // [num_inputs] m^i_{w,0}; moved out when released
};

/// What the evaluator keeps of each AND t (§6.3): three row blocks per garbler, three key sums and
/// its own bits.
struct EvaluatorTables {
  std::vector<SlabBlocks> row0, row1;     // [n][num_ands], its own entry empty
  std::vector<SlabBlocks> row2;           // the same; evaluation replaces R_2 by the label of gamma
  SlabBlocks key_alpha, key_beta, key_s;  // [num_ands] sums over garblers of K_E
  SecretBytes bits;                       // [num_ands] AndBits
  std::vector<uint8_t> output_colours;    // of all outputs, negation included
  std::vector<BlockVec> input_labels;     // [n][num_inputs], active, its own entry empty
};

/// Bits of one AND at the evaluator.
struct AndBits {
  static constexpr unsigned kOwnAlpha = 0, kOwnBeta = 1, kOwnS = 2;  // lambda^E_alpha, ..., s^E
  static constexpr unsigned kColour = 3;                             // c_g
  static constexpr unsigned kColourAlpha = 4,
                            kColourBeta = 5;  // of the operands, negation included
};

/// Masked values of one AND, one byte: public to all parties.
struct MaskedBits {
  static constexpr unsigned kAlpha = 0, kBeta = 1, kGamma = 2;
};

class Follower;

struct Instance::Data {
  std::shared_ptr<const mpc::Program> program;
  Digest id{};
  Block s_inst;                   // S_inst = RO128("gc", sid, id), public
  PartyId evaluator = 0;          // bound in the id
  std::vector<PartyId> garblers;  // garblers_of(n, evaluator): the first sends the colour bits
  InstanceState state = InstanceState::kPrepared;

  std::vector<SecretBytes> own_masks;     // by input group: lambda of this party's kPriv wires
  std::vector<prep::AuthBits> dyn_masks;  // by input group: <lambda> of kDyn wires
  prep::AuthBits output_masks;            // <lambda> of all outputs, group after group

  GarblerTables garbling;      // of a garbler
  EvaluatorTables evaluating;  // of the evaluator

  std::vector<uint8_t> input_values;   // [num_inputs] Lambda_w
  std::vector<uint8_t> and_values;     // [num_ands] MaskedBits
  Bytes gammas;                        // kGamma of them, packed LSB first
  std::shared_ptr<Follower> follower;  // of a garbler, until the commit point
  std::vector<uint8_t> output_values;  // Lambda of all outputs, negation included
  /// Frees (and wipes) everything that must not be used again.
  void erase_secrets();
};

}  // namespace flexroom::boolean
