#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "boolean/instance.h"
#include "prep/open.h"

namespace flexroom::boolean {

/// ANDs whose masks are made together: one Open of their operands, with a tag of its own
/// (boolean-engine.md §2.3). What lives only between that Open and the rows, 192 bytes an AND at
/// n = 2, exists for two slabs at a time however large the circuit is.
/// More parties have more instances in work at a time, each with a share for more peers.
constexpr uint32_t ands_per_slab(size_t num_parties) {
  return num_parties == 2 ? 1u << 16 : 1u << 15;
}

/// Authenticated masks at the ANDs of one slab.
struct AndMasks {
  prep::AuthBits alpha, beta;  // <lambda> of the operands
  prep::AuthBits s;            // <s> = <lambda_alpha * lambda_beta> + <lambda_gamma>
};

/// Runs the XOR fabric over one value per slot, up to a given AND at a time: `at_ands(begin, end)`
/// is called for runs of independent ANDs and writes their outputs.
class Walk {
 public:
  explicit Walk(const mpc::Program& program) : program_(program) {}
  /// Goes on to AND `end`; with end = num_ands() also through all XORs behind the last AND.
  template <typename Slots, typename AtAnds>
  void to(uint32_t end, Slots* slots, AtAnds at_ands) {
    for (; batch_ < program_.batches.size(); ++batch_, xors_done_ = false) {
      const mpc::Batch& batch = program_.batches[batch_];
      if (!xors_done_) {
        program_.xors.apply(batch.xor_begin, batch.xor_end, slots);
        xors_done_ = true;
      }
      const uint32_t stop = std::min(batch.and_end, end);
      if (next_and_ < stop) at_ands(next_and_, stop);
      next_and_ = std::max(next_and_, stop);
      if (next_and_ < batch.and_end) return;
    }
  }

 private:
  const mpc::Program& program_;
  size_t batch_ = 0;
  uint32_t next_and_ = 0;
  bool xors_done_ = false;
};

/// The whole program at once.
template <typename Slots, typename AtAnds>
void walk(const mpc::Program& program, Slots* slots, AtAnds at_ands) {
  Walk(program).to(program.num_ands(), slots, at_ands);
}

/// One slab: send(), receive(), once each, then products until all are added.
class MaskSlab {
 public:
  uint32_t first() const { return first_; }
  uint32_t count() const { return count_; }
  /// Sends this party's operand shares, which depend on nothing that was opened.
  void send();
  /// Receives and checks everybody's operand shares. Nothing that depends on them may leave before.
  void receive();
  /// Adds the products of the ANDs up to the `end`-th of the slab to the masks s, after receive():
  /// a few at a time by who goes on with them, while they are in the cache.
  void add_products(uint32_t end);
  /// s of an AND holds <lambda_gamma> until its product is added.
  AndMasks& masks() { return masks_; }

 private:
  friend class MaskMaker;
  MaskSlab(net::Party& party, const mpc::Program& program, const Block& delta, uint32_t first,
           uint32_t count)
      : party_(party), program_(program), delta_(delta), first_(first), count_(count) {}
  net::Party& party_;
  const mpc::Program& program_;
  const Block& delta_;
  uint32_t first_, count_;
  AndMasks masks_;
  prep::AndTriples triples_;  // of all ANDs with one; x and y become e = x + lambda_alpha and
                              // f = y + lambda_beta
  std::unique_ptr<prep::BitOpening> opening_;  // none if no AND of the slab has a triple
  std::vector<uint8_t> ef_;                    // what it opened
  uint32_t added_ = 0;                         // ANDs whose products are in s
  size_t triple_ = 0;                          // of the next one
};

/// Masks of all wires and their products, slab by slab: boolean-engine.md §6.1, §6.2.
///
/// Setting   next() until it gives nothing, then finish(); all parties in step. No message of
///           another step may be on its way meanwhile: the source talks to the peers
/// Fills     own_masks, dyn_masks and output_masks of the instance (output_masks at the end)
/// Cost      2 bits an AND and 16 bytes a slab to each peer; n > 2: also 1 bit a private input to
///           its owner, and 1 bit an output that depends linearly on a kZero input (re-masked,
///           §3.5)
/// Aborts    kMac
class MaskMaker {
 public:
  /// Everything must outlive the maker and its slabs. Masks of private inputs are opened to their
  /// owners here.
  MaskMaker(net::Party& party, prep::Source& source, Instance::Data& instance,
            std::vector<prep::AuthBits> zero);
  ~MaskMaker();
  MaskMaker(const MaskMaker&) = delete;
  MaskMaker& operator=(const MaskMaker&) = delete;

  /// Takes triples and bits for the next slab. Null behind the last AND.
  std::unique_ptr<MaskSlab> next();
  /// Output masks; they depend on no Open of a slab.
  void finish();

 private:
  void spread(PartyId peer, MaskSlab& slab);

  net::Party& party_;
  prep::Source& source_;
  Block delta_;
  Instance::Data& instance_;
  const mpc::Program& program_;
  uint32_t next_ = 0;
  std::vector<BlockVec> slots_;  // by peer: mac and key of each slot's mask, side by side
  std::vector<Walk> walks_;      // by peer
};

}  // namespace flexroom::boolean
