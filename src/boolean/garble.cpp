#include "boolean/garble.h"

#include <algorithm>
#include <cstring>

#include "math/re_hash.h"

namespace flexroom::boolean {
namespace {

using math::hash_tweak;
using math::HashDomain;

constexpr std::string_view kRowsLabel = "boolean/F2 rows";

/// Sum of the keys over all peers, for Ksum_i and for Kbar; in place of the first one's.
const BlockVec& sum_keys(prep::AuthBits& bits) {
  const PartyId first = bits.first_peer();
  BlockVec& sum = bits.key[first];
  for (PartyId j = first + 1; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t t = 0; t < sum.size(); ++t) sum[t] ^= bits.key[j][t];
  }
  return sum;
}

void keep(BlockVec& all, size_t first, const BlockVec& part) {
  if (part.empty()) return;
  std::memcpy(static_cast<void*>(all.data() + first), part.data(), part.size() * sizeof(Block));
}

/// One message of rows under construction: G_0[count], G_1[count]; C_0, C_1, C_2 [count] of each
/// other garbler, ascending; colour bits.
class RowMessage {
 public:
  RowMessage(size_t num_parties, PartyId self)
      : num_parties_(num_parties),
        self_(self),
        bytes_(row_bytes(num_parties, self, kAndsPerMessage)) {}
  ~RowMessage() { wipe(bytes_); }  // rows are public, but not before they left
  RowMessage(const RowMessage&) = delete;
  RowMessage& operator=(const RowMessage&) = delete;

  void begin(uint32_t first, uint32_t count) {
    first_ = first;
    count_ = count;
    bytes_.resize(row_bytes(num_parties_, self_, count));
  }
  uint32_t first() const { return first_; }
  uint32_t end() const { return first_ + count_; }
  /// Where block row `row` of AND t goes.
  uint8_t* row(size_t row, uint32_t t) {
    return bytes_.data() + 16 * (row * count_ + (t - first_));
  }
  uint8_t* colours() { return bytes_.data() + 16 * (2 + 3 * (num_parties_ - 2)) * size_t{count_}; }
  const Bytes& bytes() const { return bytes_; }

 private:
  size_t num_parties_;
  PartyId self_;
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
        tables_(instance.garbler),
        message_(party.num_parties(), party.id()),
        slots_(program_.num_slots),
        walk_(program_) {
    for (BlockVec* all : {&tables_.mac_alpha, &tables_.mac_beta, &tables_.mac_s}) {
      *all = BlockVec(program_.num_ands(), BlockVec::uninitialised);
    }
    tables_.zero_labels = BlockVec(program_.num_ands(), BlockVec::uninitialised);
    for (PartyId l = 1; l < party.num_parties(); ++l) {
      if (l != party.id()) other_garblers_.push_back(l);
    }
    make_input_labels();
  }
  ~Garbler() { wipe(&delta_, sizeof delta_); }
  Garbler(const Garbler&) = delete;
  Garbler& operator=(const Garbler&) = delete;

  /// Garbles and sends the rows of ANDs [first, first + count).
  void slab(uint32_t first, uint32_t count, AndMasks masks) {
    masks_ = std::move(masks);
    first_ = first;
    key_alpha_ = &sum_keys(masks_.alpha);
    key_beta_ = &sum_keys(masks_.beta);
    key_s_ = &sum_keys(masks_.s);
    keep(tables_.mac_alpha, first, masks_.alpha.mac[0]);
    keep(tables_.mac_beta, first, masks_.beta.mac[0]);
    keep(tables_.mac_s, first, masks_.s.mac[0]);
    const uint32_t slab_end = first + count;
    next_message(first, slab_end);
    walk_.to(slab_end, slots_.data(), [&](uint32_t begin, uint32_t end) {
      while (begin < end) {
        if (begin == message_.end()) {
          send();
          next_message(begin, slab_end);
        }
        const uint32_t stop = std::min({end, begin + kAndsAtATime, message_.end()});
        garble(begin, stop);
        begin = stop;
      }
    });
    send();
    masks_ = {};
  }

 private:
  void make_input_labels() {
    // Seed and starting point fresh for each instance (§6.3).
    Block seed = party_.prg().next_block();
    const Block iv = party_.prg().next_block();
    tables_.input_labels = BlockVec(program_.num_inputs(), BlockVec::uninitialised);
    Aes128(seed).ctr(iv, 0, tables_.input_labels.span());
    wipe(&seed, sizeof seed);
    for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
      slots_[program_.input_slots[w]] = tables_.input_labels[w];
    }
  }

  void next_message(uint32_t first, uint32_t slab_end) {
    message_.begin(first, std::min(kAndsPerMessage, slab_end - first));
  }
  void send() {
    if (party_.id() == 1) {
      uint8_t* colours = message_.colours();
      const Block* labels = tables_.zero_labels.data() + message_.first();
      const uint32_t count = message_.end() - message_.first();
      std::memset(colours, 0, (count + 7) / 8);
      for (uint32_t t = 0; t < count; ++t) {
        colours[t / 8] = static_cast<uint8_t>(colours[t / 8] | (labels[t].lo & 1) << (t % 8));
      }
    }
    party_.send(0, kRowsLabel, message_.bytes());
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
    const Block* mac_alpha = masks_.alpha.mac[0].data() + at;
    const Block* mac_beta = masks_.beta.mac[0].data() + at;
    const Block* mac_s = masks_.s.mac[0].data() + at;
    const Block* key_alpha = key_alpha_->data() + at;
    const Block* key_beta = key_beta_->data() + at;
    const Block* key_s = key_s_->data() + at;
    Block* zero_labels = tables_.zero_labels.data() + begin;
    uint8_t* row0 = message_.row(0, begin);
    uint8_t* row1 = message_.row(1, begin);
    for (size_t k = 0; k < count; ++k) {
      const Block* h = h0 + 2 * k;
      const Block* g = h1 + 2 * k;
      store_block(row0 + 16 * k, h[0] ^ g[0] ^ key_beta[k] ^ select(mac_beta[k].lsb(), delta_));
      store_block(row1 + 16 * k,
                  h[1] ^ g[1] ^ key_alpha[k] ^ x[2 * k] ^ select(mac_alpha[k].lsb(), delta_));
      const Block gamma = h[0] ^ h[1] ^ key_s[k] ^ select(mac_s[k].lsb(), delta_);
      zero_labels[k] = gamma;
      slots_[program_.ands[begin + k].out] = gamma;
    }
    for (size_t o = 0; o < other_garblers_.size(); ++o) cross_rows(o, begin, count, x);
  }

  // What garbler l cannot know: this party's macs under l's key, hidden from the evaluator.
  void cross_rows(size_t other, uint32_t begin, size_t count, const Block* x) {
    const PartyId l = other_garblers_[other];
    Block* const h0 = h0_.data();
    Block* const h1 = h1_.data();
    hash_.hash2(hash_tweak(HashDomain::kGarbling, party_.id(), l, 2 * uint64_t{begin}),
                {x, 2 * count}, delta_, {h0, 2 * count}, {h1, 2 * count});
    for (size_t k = 0; k < count; ++k) {
      const uint32_t t = begin + static_cast<uint32_t>(k);
      const size_t at = t - first_;
      const Block* h = h0 + 2 * k;
      const Block* g = h1 + 2 * k;
      store_block(message_.row(2 + 3 * other, t), h[0] ^ g[0] ^ masks_.beta.mac[l][at]);
      store_block(message_.row(3 + 3 * other, t), h[1] ^ g[1] ^ masks_.alpha.mac[l][at]);
      store_block(message_.row(4 + 3 * other, t), h[0] ^ h[1] ^ masks_.s.mac[l][at]);
    }
  }

  net::Party& party_;
  const mpc::Program& program_;
  const math::ReHash hash_;
  Block delta_;
  GarblerTables& tables_;
  RowMessage message_;
  BlockVec slots_;  // zero labels
  Walk walk_;
  // Of the slab in work: its masks, its first AND, Ksum_i.
  AndMasks masks_;
  uint32_t first_ = 0;
  const BlockVec* key_alpha_ = nullptr;
  const BlockVec* key_beta_ = nullptr;
  const BlockVec* key_s_ = nullptr;
  // Of the ANDs in work: zero labels and both hashes. Not on the stack, where they would stay.
  BlockVec x_ = BlockVec(2 * kAndsAtATime);
  BlockVec h0_ = BlockVec(2 * kAndsAtATime), h1_ = BlockVec(2 * kAndsAtATime);
  std::vector<PartyId> other_garblers_;
};

// out[t] = mac[t] + row[t], where `row` is of a message. The first garbler's rows meet the
// evaluator's own macs; those of the others are added to that.
void fold_row(Block* out, const Block* mac, const uint8_t* row, size_t count) {
  for (size_t t = 0; t < count; ++t) out[t] = mac[t] ^ load_block(row + 16 * t);
}

class RowReceiver {
 public:
  RowReceiver(net::Party& party, Instance::Data& instance)
      : party_(party), n_(party.num_parties()), tables_(instance.evaluator) {
    const uint32_t num_ands = instance.program->num_ands();
    for (auto* rows : {&tables_.row0, &tables_.row1, &tables_.row2}) {
      rows->resize(n_);
      for (PartyId l = 1; l < n_; ++l) (*rows)[l] = BlockVec(num_ands, BlockVec::uninitialised);
    }
    for (BlockVec* all : {&tables_.key_alpha, &tables_.key_beta, &tables_.key_s}) {
      *all = BlockVec(num_ands, BlockVec::uninitialised);
    }
    tables_.bits = SecretBytes(num_ands);
  }

  /// Receives and folds the rows of ANDs [first, first + count).
  void slab(uint32_t first, uint32_t count, AndMasks masks) {
    uint8_t* bits = tables_.bits.writable().data() + first;
    for (uint32_t t = 0; t < count; ++t) {
      bits[t] = static_cast<uint8_t>((masks.alpha.mac[1][t].lo & 1) << AndBits::kOwnAlpha |
                                     (masks.beta.mac[1][t].lo & 1) << AndBits::kOwnBeta |
                                     (masks.s.mac[1][t].lo & 1) << AndBits::kOwnS);
    }
    keep(tables_.key_alpha, first, sum_keys(masks.alpha));
    keep(tables_.key_beta, first, sum_keys(masks.beta));
    keep(tables_.key_s, first, sum_keys(masks.s));
    for (PartyId l = 1; l < n_; ++l) keep(tables_.row2[l], first, masks.s.mac[l]);
    for (uint32_t done = 0; done < count; done += kAndsPerMessage) {
      const size_t here = std::min(kAndsPerMessage, count - done);
      for (PartyId i = 1; i < n_; ++i) fold(i, first, done, here, masks);
    }
  }

 private:
  // One message of garbler i: ANDs [done, done + count) of the slab.
  void fold(PartyId i, uint32_t first, uint32_t done, size_t count, const AndMasks& masks) {
    const Bytes message = party_.receive(i, kRowsLabel, row_bytes(n_, i, count));
    const uint8_t* at = message.data();
    const size_t out = size_t{first} + done;
    const auto fold_in = [&](BlockVec& row, const Block* mac) {
      fold_row(row.data() + out, mac, at, count);
      at += 16 * count;
    };
    // The first message to arrive starts a row from the macs, the others add to it.
    const auto sum = [&](BlockVec& row, const BlockVec& mac) {
      fold_in(row, i == 1 ? mac.data() + done : row.data() + out);
    };
    sum(tables_.row0[i], masks.beta.mac[i]);
    sum(tables_.row1[i], masks.alpha.mac[i]);
    for (PartyId l = 1; l < n_; ++l) {
      if (l == i) continue;
      sum(tables_.row0[l], masks.beta.mac[l]);
      sum(tables_.row1[l], masks.alpha.mac[l]);
      fold_in(tables_.row2[l], tables_.row2[l].data() + out);
    }
    if (i != 1) return;
    uint8_t* bits = tables_.bits.writable().data() + out;
    for (size_t t = 0; t < count; ++t) {
      bits[t] = static_cast<uint8_t>(bits[t] | ((at[t / 8] >> (t % 8)) & 1) << AndBits::kColour);
    }
  }

  net::Party& party_;
  size_t n_;
  EvaluatorTables& tables_;
};

template <typename Rows>
void run_slabs(net::Party& party, MaskMaker& masks, uint64_t num_ands,
               const PrepareProgress& progress, Rows&& rows) {
  std::unique_ptr<MaskSlab> now = masks.next();
  if (now) now->receive();
  while (now) {
    std::unique_ptr<MaskSlab> next = masks.next();
    // On the way from a garbler to the evaluator, operands of the next slab precede these rows.
    if (next && party.id() == 0) next->receive();
    rows.slab(now->first(), now->count(), now->products());
    if (progress) progress(uint64_t{now->first()} + now->count(), num_ands);
    if (next && party.id() != 0) next->receive();
    now = std::move(next);
  }
  masks.finish();
}

}  // namespace

size_t row_bytes(size_t num_parties, PartyId garbler, size_t count) {
  return 16 * (2 + 3 * (num_parties - 2)) * count + (garbler == 1 ? (count + 7) / 8 : 0);
}

void garble_instance(net::Party& party, prep::Source& source, Instance::Data& instance,
                     std::vector<prep::AuthBits> zero, const PrepareProgress& progress) {
  const uint64_t num_ands = instance.program->num_ands();
  MaskMaker masks(party, source, instance, std::move(zero));
  if (party.id() == 0) {
    run_slabs(party, masks, num_ands, progress, RowReceiver(party, instance));
  } else {
    run_slabs(party, masks, num_ands, progress, Garbler(party, source.delta(), instance));
  }
}

}  // namespace flexroom::boolean
