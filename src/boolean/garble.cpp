#include "boolean/garble.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include "boolean/gates.h"
#include "math/re_hash.h"

namespace flexroom::boolean {
namespace {

using math::hash_tweak;
using math::HashDomain;

constexpr std::string_view kRowsLabel = "boolean/F2 rows";

/// ANDs of a slab that are worked on in one go: all that belongs to them stays in the cache.
constexpr uint32_t kAndsInCache = 512;

/// Sum of the keys of bits [begin, end) over all peers, for Ksum_i and for Kbar; in place of the
/// first one's.
void sum_keys(prep::AuthBits& bits, size_t begin, size_t end) {
  const PartyId first = bits.first_peer();
  BlockVec& sum = bits.key[first];
  for (PartyId j = first + 1; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t t = begin; t < end; ++t) sum[t] ^= bits.key[j][t];
  }
}

/// The next masks of a slab, with their products and the sums of their keys.
uint32_t complete_masks(MaskSlab& slab, uint32_t begin) {
  const uint32_t end = std::min(slab.count(), begin + kAndsInCache);
  slab.add_products(end);
  AndMasks& masks = slab.masks();
  for (prep::AuthBits* bits : {&masks.alpha, &masks.beta, &masks.s}) sum_keys(*bits, begin, end);
  return end;
}

/// One message of rows under construction: G_0[count], G_1[count]; C_0, C_1, C_2 [count] of each
/// other garbler, ascending; colour bits.
class RowMessage {
 public:
  RowMessage(size_t num_parties, bool colours)
      : num_parties_(num_parties),
        has_colours_(colours),
        bytes_(row_bytes(num_parties, colours, kAndsPerMessage)) {}
  ~RowMessage() { wipe(bytes_); }  // rows are public, but not before they left
  RowMessage(const RowMessage&) = delete;
  RowMessage& operator=(const RowMessage&) = delete;

  void begin(uint32_t first, uint32_t count) {
    first_ = first;
    count_ = count;
    bytes_.resize(row_bytes(num_parties_, has_colours_, count));
  }
  uint32_t first() const { return first_; }
  uint32_t end() const { return first_ + count_; }
  /// Where block row `row` of AND t goes.
  uint8_t* row(size_t row, uint32_t t) {
    return bytes_.data() + 16 * (row * count_ + (t - first_));
  }
  bool has_colours() const { return has_colours_; }
  uint8_t* colours() { return bytes_.data() + 16 * (2 + 3 * (num_parties_ - 2)) * size_t{count_}; }
  const Bytes& bytes() const { return bytes_; }

 private:
  size_t num_parties_;
  bool has_colours_;
  uint32_t first_ = 0, count_ = 0;
  Bytes bytes_;
};

class Garbler {
 public:
  Garbler(net::Party& party, const Block& delta, Instance::Data& instance)
      : party_(party),
        program_(*instance.program),
        hash_(instance.s_inst),
        delta_(delta),
        evaluator_(instance.evaluator),
        tables_(instance.garbling),
        message_(party.num_parties(), party.id() == instance.garblers.front()),
        slots_(program_.num_slots),
        walk_(program_) {
    for (SlabBlocks* all : {&tables_.mac_alpha, &tables_.mac_beta, &tables_.mac_s}) {
      *all = SlabBlocks(ands_per_slab(party.num_parties()));
    }
    tables_.zero_labels = BlockVec(program_.num_ands(), BlockVec::uninitialised);
    for (const PartyId l : instance.garblers) {
      if (l != party.id()) other_garblers_.push_back(l);
    }
    make_input_labels();
  }
  ~Garbler() { wipe(&delta_, sizeof delta_); }
  Garbler(const Garbler&) = delete;
  Garbler& operator=(const Garbler&) = delete;

  /// Garbles and sends the rows of a slab, and keeps of its masks what the evaluator's macs are.
  void slab(MaskSlab& slab) {
    slab_ = &slab;
    masks_ = &slab.masks();
    first_ = slab.first();
    complete_ = 0;
    const uint32_t slab_end = first_ + slab.count();
    next_message(first_, slab_end);
    walk_.to(slab_end, slots_.data(), [&](uint32_t begin, uint32_t end) {
      while (begin < end) {
        if (begin == message_.end()) {
          send();
          next_message(begin, slab_end);
        }
        while (begin == first_ + complete_) complete_ = complete_masks(*slab_, complete_);
        const uint32_t stop =
            std::min({end, begin + kAndsAtATime, message_.end(), first_ + complete_});
        garble(begin, stop);
        begin = stop;
      }
    });
    send();
    tables_.mac_alpha.add(std::move(masks_->alpha.mac[evaluator_]));
    tables_.mac_beta.add(std::move(masks_->beta.mac[evaluator_]));
    tables_.mac_s.add(std::move(masks_->s.mac[evaluator_]));
  }

 private:
  void make_input_labels() {
    // Seed and starting point fresh for each instance (§6.3).
    Block seed = party_.prg().next_block();
    const Block iv = party_.prg().next_block();
    tables_.input_labels = BlockVec(program_.num_inputs(), BlockVec::uninitialised);
    Aes128(seed).ctr(iv, 0, tables_.input_labels.span());
    wipe(&seed, sizeof seed);
    for (Block& label : tables_.input_labels) label.set_bit(0, false);
    for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
      slots_[program_.input_slots[w]] = tables_.input_labels[w];
    }
  }

  void next_message(uint32_t first, uint32_t slab_end) {
    message_.begin(first, std::min(kAndsPerMessage, slab_end - first));
  }
  void send() {
    if (message_.has_colours()) {
      uint8_t* colours = message_.colours();
      const Block* labels = tables_.zero_labels.data() + message_.first();
      const uint32_t count = message_.end() - message_.first();
      std::memset(colours, 0, (count + 7) / 8);
      for (uint32_t t = 0; t < count; ++t) {
        colours[t / 8] = static_cast<uint8_t>(colours[t / 8] | (labels[t].lo & 1) << (t % 8));
      }
    }
    party_.send(evaluator_, kRowsLabel, message_.bytes());
  }

  // ANDs [begin, end), at most kAndsAtATime. a_0, b_0 side by side: tweak counter 2g + side.
  void garble(uint32_t begin, uint32_t end) {
    const size_t count = end - begin;
    Block* const x = x_.data();
    Block* const h0 = h0_.data();
    Block* const h1 = h1_.data();
    for (size_t k = 0; k < count; ++k) {
      const mpc::AndOp& op = program_.ands[begin + k];
      x[2 * k] = slots_[op.a] ^ select(op.a_negated != 0, delta_);
      x[2 * k + 1] = slots_[op.b] ^ select(op.b_negated != 0, delta_);
    }
    const PartyId self = party_.id();
    hash_.hash2(hash_tweak(HashDomain::kGarbling, self, self, 2 * uint64_t{begin}), {x, 2 * count},
                delta_, {h0, 2 * count}, {h1, 2 * count});
    const size_t at = begin - first_;  // in the slab
    const Block* mac_alpha = masks_->alpha.mac[evaluator_].data() + at;
    const Block* mac_beta = masks_->beta.mac[evaluator_].data() + at;
    const Block* mac_s = masks_->s.mac[evaluator_].data() + at;
    const PartyId sum = masks_->s.first_peer();  // where Ksum_i is
    const Block* key_alpha = masks_->alpha.key[sum].data() + at;
    const Block* key_beta = masks_->beta.key[sum].data() + at;
    const Block* key_s = masks_->s.key[sum].data() + at;
    Block* zero_labels = tables_.zero_labels.data() + begin;
    uint8_t* row0 = message_.row(0, begin);
    uint8_t* row1 = message_.row(1, begin);
    for (size_t k = 0; k < count; ++k) {
      const GarbledGate gate = garble_gate({h0[2 * k], h0[2 * k + 1], h1[2 * k], h1[2 * k + 1]},
                                           x[2 * k], {key_alpha[k], key_beta[k], key_s[k]},
                                           {mac_alpha[k], mac_beta[k], mac_s[k]}, delta_);
      store_block(row0 + 16 * k, gate.row0);
      store_block(row1 + 16 * k, gate.row1);
      zero_labels[k] = gate.gamma;
      slots_[program_.ands[begin + k].out] = gate.gamma;
    }
    for (size_t o = 0; o < other_garblers_.size(); ++o) send_cross_rows(o, begin, count, x);
  }

  // What garbler l cannot know: this party's macs under l's key, hidden from the evaluator.
  void send_cross_rows(size_t other, uint32_t begin, size_t count, const Block* x) {
    const PartyId l = other_garblers_[other];
    Block* const h0 = h0_.data();
    Block* const h1 = h1_.data();
    hash_.hash2(hash_tweak(HashDomain::kGarbling, party_.id(), l, 2 * uint64_t{begin}),
                {x, 2 * count}, delta_, {h0, 2 * count}, {h1, 2 * count});
    for (size_t k = 0; k < count; ++k) {
      const uint32_t t = begin + static_cast<uint32_t>(k);
      const size_t at = t - first_;
      const CrossRows rows =
          cross_rows({h0[2 * k], h0[2 * k + 1], h1[2 * k], h1[2 * k + 1]},
                     {masks_->alpha.mac[l][at], masks_->beta.mac[l][at], masks_->s.mac[l][at]});
      store_block(message_.row(2 + 3 * other, t), rows.row0);
      store_block(message_.row(3 + 3 * other, t), rows.row1);
      store_block(message_.row(4 + 3 * other, t), rows.row2);
    }
  }

  net::Party& party_;
  const mpc::Program& program_;
  const math::ReHash hash_;
  Block delta_;
  const PartyId evaluator_;
  GarblerTables& tables_;
  RowMessage message_;
  BlockVec slots_;  // zero labels
  Walk walk_;
  // Of the slab in work: its masks, its first AND, how many of it are complete.
  MaskSlab* slab_ = nullptr;
  AndMasks* masks_ = nullptr;
  uint32_t first_ = 0, complete_ = 0;
  // Of the ANDs in work: zero labels and both hashes. Not on the stack, where they would stay.
  BlockVec x_ = BlockVec(2 * kAndsAtATime);
  BlockVec h0_ = BlockVec(2 * kAndsAtATime), h1_ = BlockVec(2 * kAndsAtATime);
  std::vector<PartyId> other_garblers_;
};

// row[t] += message[t].
void fold_row(Block* row, const uint8_t* message, size_t count) {
  for (size_t t = 0; t < count; ++t) row[t] ^= load_block(message + 16 * t);
}

class RowReceiver {
 public:
  RowReceiver(net::Party& party, Instance::Data& instance)
      : party_(party),
        n_(party.num_parties()),
        garblers_(instance.garblers),
        program_(*instance.program),
        tables_(instance.evaluating),
        walk_(program_),
        colours_(program_.num_slots) {
    const uint32_t num_ands = program_.num_ands();
    for (auto* rows : {&tables_.row0, &tables_.row1, &tables_.row2}) {
      rows->resize(n_);
      for (const PartyId l : garblers_) (*rows)[l] = SlabBlocks(ands_per_slab(n_));
    }
    for (SlabBlocks* all : {&tables_.key_alpha, &tables_.key_beta, &tables_.key_s}) {
      *all = SlabBlocks(ands_per_slab(n_));
    }
    tables_.bits = SecretBytes(num_ands);
    if (num_ands == 0) follow_colours(0);
  }

  /// Receives the rows of a slab and folds them into its masks, which become the tables.
  void slab(MaskSlab& slab) {
    const uint32_t first = slab.first(), count = slab.count();
    AndMasks& masks = slab.masks();
    uint8_t* bits = tables_.bits.writable().data() + first;
    for (uint32_t begin = 0; begin < count;) {
      const uint32_t end = complete_masks(slab, begin);
      keep_own_bits(masks, begin, end, bits);
      begin = end;
    }
    const PartyId sum = masks.s.first_peer();  // where Kbar is
    tables_.key_alpha.add(std::move(masks.alpha.key[sum]));
    tables_.key_beta.add(std::move(masks.beta.key[sum]));
    tables_.key_s.add(std::move(masks.s.key[sum]));
    for (const PartyId l : garblers_) {
      tables_.row0[l].add(std::move(masks.beta.mac[l]));
      tables_.row1[l].add(std::move(masks.alpha.mac[l]));
      tables_.row2[l].add(std::move(masks.s.mac[l]));
    }
    for (uint32_t done = 0; done < count; done += kAndsPerMessage) {
      for (const PartyId i : garblers_) {
        fold(i, first + done, std::min(kAndsPerMessage, count - done));
      }
    }
    follow_colours(first + count);
  }

 private:
  void keep_own_bits(const AndMasks& masks, uint32_t begin, uint32_t end, uint8_t* bits) const {
    const PartyId any = garblers_.front();  // bit 0 of its macs, as of all, is the own share
    for (uint32_t t = begin; t < end; ++t) {
      bits[t] = static_cast<uint8_t>((masks.alpha.mac[any][t].lo & 1) << AndBits::kOwnAlpha |
                                     (masks.beta.mac[any][t].lo & 1) << AndBits::kOwnBeta |
                                     (masks.s.mac[any][t].lo & 1) << AndBits::kOwnS);
    }
  }

  // The colours of operands up to AND `end`: XORs of those of ANDs, inputs have none.
  void follow_colours(uint32_t end) {
    uint8_t* const bits = tables_.bits.writable().data();
    uint8_t* const colours = colours_.data();
    walk_.to(end, colours, [&](uint32_t begin, uint32_t stop) {
      for (uint32_t t = begin; t < stop; ++t) {
        const mpc::AndOp& op = program_.ands[t];
        const unsigned operands = (colours[op.a] ^ op.a_negated) << AndBits::kColourAlpha |
                                  (colours[op.b] ^ op.b_negated) << AndBits::kColourBeta;
        bits[t] = static_cast<uint8_t>(bits[t] | operands);
        colours[op.out] = bits[t] >> AndBits::kColour & 1;
      }
    });
    if (end < program_.num_ands()) return;
    for (const auto& output : program_.outputs) {
      for (const mpc::Literal& literal : output.literals) {
        tables_.output_colours.push_back(colours[literal.slot] ^ (literal.negated ? 1 : 0));
      }
    }
  }

  // One message of garbler i: ANDs [out, out + count). Its rows meet this party's macs.
  void fold(PartyId i, uint32_t out, size_t count) {
    const bool is_first = i == garblers_.front();
    message_.resize(row_bytes(n_, is_first, count));
    party_.receive_into(i, kRowsLabel, message_);
    const uint8_t* at = message_.data();
    const auto fold_into = [&](SlabBlocks& row) {
      fold_row(row.at(out), at, count);
      at += 16 * count;
    };
    fold_into(tables_.row0[i]);
    fold_into(tables_.row1[i]);
    for (const PartyId l : garblers_) {
      if (l == i) continue;
      fold_into(tables_.row0[l]);
      fold_into(tables_.row1[l]);
      fold_into(tables_.row2[l]);
    }
    if (!is_first) return;
    uint8_t* bits = tables_.bits.writable().data() + out;
    for (size_t t = 0; t < count; ++t) {
      bits[t] = static_cast<uint8_t>(bits[t] | ((at[t / 8] >> (t % 8)) & 1) << AndBits::kColour);
    }
  }

  net::Party& party_;
  size_t n_;
  const std::vector<PartyId>& garblers_;
  const mpc::Program& program_;
  EvaluatorTables& tables_;
  Walk walk_;
  std::vector<uint8_t> colours_;  // by slot
  Bytes message_;
};

/// What works on one instance at this member.
struct Working {
  Working(net::Party& party, prep::Source& source, GarbleWork& work)
      : masks(party, source, work.instance, std::move(work.zero)) {
    if (party.id() == work.instance.evaluator) {
      receiver.emplace(party, work.instance);
    } else {
      garbler.emplace(party, source.delta(), work.instance);
    }
  }
  MaskMaker masks;
  std::optional<Garbler> garbler;
  std::optional<RowReceiver> receiver;
};

/// The instances of one evaluator, slab by slab, one after the other.
class Line {
 public:
  Line(net::Party& party, prep::Source& source) : party_(party), source_(source) {}
  void add(GarbleWork work) { left_.push_back(std::move(work)); }

  /// Takes what the next slab is made of: the source may talk to the peers, so that nothing else is
  /// on its way.
  void take() {
    while (true) {
      if (taking_ == nullptr) {
        if (left_.empty()) return;
        taking_ = std::make_shared<Working>(party_, source_, left_.front());
        left_.pop_front();
      }
      next_ = {taking_, taking_->masks.next()};
      if (next_.slab != nullptr) return;
      taking_->masks.finish();
      next_ = {};
      taking_ = nullptr;
    }
  }
  void send_operands() {
    if (next_.slab != nullptr) next_.slab->send();
  }
  void receive_operands() {
    if (next_.slab != nullptr) next_.slab->receive();
  }
  /// Its operands came: on to its rows.
  bool advance() {
    now_.slab.reset();  // before what it refers to
    now_ = std::exchange(next_, {});
    return now_.slab != nullptr;
  }
  uint64_t send_rows() { return now_.slab != nullptr ? rows(now_.working->garbler) : 0; }
  uint64_t receive_rows() { return now_.slab != nullptr ? rows(now_.working->receiver) : 0; }

 private:
  struct Slab {
    std::shared_ptr<Working> working;  // outlives its slab
    std::unique_ptr<MaskSlab> slab;
  };
  template <typename Rows>
  uint64_t rows(std::optional<Rows>& of) {
    if (!of) return 0;
    of->slab(*now_.slab);
    return now_.slab->count();
  }

  net::Party& party_;
  prep::Source& source_;
  std::deque<GarbleWork> left_;
  std::shared_ptr<Working> taking_;  // the instance that the next slab is of
  Slab now_, next_;
};

/// All lines, step by step: at every member and on every link the same order of messages.
class SideBySide {
 public:
  SideBySide(net::Party& party, prep::Source& source, std::vector<GarbleWork> work,
             const PrepareProgress& progress)
      : progress_(progress) {
    for (PartyId e = 0; e < party.num_parties(); ++e) lines_.emplace_back(party, source);
    for (GarbleWork& one : work) {
      total_ += one.instance.program->num_ands();
      lines_[one.instance.evaluator].add(std::move(one));
    }
  }

  void run() {
    begin_slabs();
    for (Line& line : lines_) line.receive_operands();
    while (advance()) {
      begin_slabs();
      for (Line& line : lines_) count(line.send_rows());
      // On the way from a garbler to the evaluator, operands of the next slabs precede these rows.
      for (Line& line : lines_) line.receive_operands();
      for (Line& line : lines_) count(line.receive_rows());
    }
  }

 private:
  void begin_slabs() {
    for (Line& line : lines_) line.take();
    for (Line& line : lines_) line.send_operands();
  }
  bool advance() {
    bool any = false;
    for (Line& line : lines_) any = line.advance() || any;
    return any;
  }
  void count(uint64_t ands) {
    done_ += ands;
    if (ands != 0 && progress_) progress_(done_, total_);
  }

  const PrepareProgress& progress_;
  std::vector<Line> lines_;  // by evaluator
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

size_t row_bytes(size_t num_parties, bool colours, size_t count) {
  return 16 * (2 + 3 * (num_parties - 2)) * count + (colours ? (count + 7) / 8 : 0);
}

void garble_instances(net::Party& party, prep::Source& source, std::vector<GarbleWork> work,
                      const PrepareProgress& progress) {
  SideBySide(party, source, std::move(work), progress).run();
}

}  // namespace flexroom::boolean
