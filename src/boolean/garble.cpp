#include "boolean/garble.h"

#include <algorithm>
#include <cstring>

#include "math/re_hash.h"

namespace flexroom::boolean {
namespace {

using math::hash_tweak;
using math::HashDomain;

constexpr std::string_view kRowsLabel = "boolean/F2 rows";

/// key[first] := sum over peers, for Ksum_i and for Kbar. The others are freed.
BlockVec sum_keys(prep::AuthBits& bits) {
  const PartyId first = bits.first_peer();
  BlockVec sum = std::move(bits.key[first]);
  for (PartyId j = first + 1; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t t = 0; t < sum.size(); ++t) sum[t] ^= bits.key[j][t];
    bits.key[j] = BlockVec();
  }
  return sum;
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
  Garbler(net::Party& party, const Block& delta, Instance::Data& instance, AndMasks& masks)
      : party_(party),
        program_(*instance.program),
        hash_(instance.s_inst),
        delta_(delta),
        masks_(masks),
        key_alpha_(sum_keys(masks.alpha)),
        key_beta_(sum_keys(masks.beta)),
        key_s_(sum_keys(masks.s)),
        tables_(instance.garbler),
        message_(party.num_parties(), party.id()),
        slots_(program_.num_slots) {
    tables_.zero_labels = BlockVec(program_.num_ands(), BlockVec::uninitialised);
    for (PartyId l = 1; l < party.num_parties(); ++l) {
      if (l != party.id()) other_garblers_.push_back(l);
    }
  }

  void run() {
    make_input_labels();
    next_message(0);
    walk(program_, slots_.data(), [&](uint32_t begin, uint32_t end) {
      while (begin < end) {
        if (begin == message_.end()) flush(begin);
        const uint32_t stop = std::min({end, begin + kAndsAtATime, message_.end()});
        garble(begin, stop);
        begin = stop;
      }
    });
    if (program_.num_ands() != 0) send();
  }

 private:
  void make_input_labels() {
    Block seed = party_.prg().next_block();  // fresh for each instance (§6.3)
    tables_.input_labels = BlockVec(program_.num_inputs(), BlockVec::uninitialised);
    Aes128(seed).ctr(0, tables_.input_labels.span());
    wipe(&seed, sizeof seed);
    for (uint32_t w = 0; w < program_.num_inputs(); ++w) {
      slots_[program_.input_slots[w]] = tables_.input_labels[w];
    }
  }

  void next_message(uint32_t first) {
    message_.begin(first, std::min(kAndsPerMessage, program_.num_ands() - first));
  }
  void flush(uint32_t first) {
    send();
    next_message(first);
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
    const Block* mac_alpha = masks_.alpha.mac[0].data() + begin;
    const Block* mac_beta = masks_.beta.mac[0].data() + begin;
    const Block* mac_s = masks_.s.mac[0].data() + begin;
    const Block* key_alpha = key_alpha_.data() + begin;
    const Block* key_beta = key_beta_.data() + begin;
    const Block* key_s = key_s_.data() + begin;
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
      const Block* h = h0 + 2 * k;
      const Block* g = h1 + 2 * k;
      store_block(message_.row(2 + 3 * other, t), h[0] ^ g[0] ^ masks_.beta.mac[l][t]);
      store_block(message_.row(3 + 3 * other, t), h[1] ^ g[1] ^ masks_.alpha.mac[l][t]);
      store_block(message_.row(4 + 3 * other, t), h[0] ^ h[1] ^ masks_.s.mac[l][t]);
    }
  }

  net::Party& party_;
  const mpc::Program& program_;
  const math::ReHash hash_;
  const Block delta_;
  AndMasks& masks_;
  const BlockVec key_alpha_, key_beta_, key_s_;  // Ksum_i
  GarblerTables& tables_;
  RowMessage message_;
  BlockVec slots_;  // zero labels
  // Of the ANDs in work: zero labels and both hashes. Not on the stack, where they would stay.
  BlockVec x_ = BlockVec(2 * kAndsAtATime);
  BlockVec h0_ = BlockVec(2 * kAndsAtATime), h1_ = BlockVec(2 * kAndsAtATime);
  std::vector<PartyId> other_garblers_;
};

void xor_into(Block* out, const uint8_t* in, size_t count) {
  for (size_t t = 0; t < count; ++t) out[t] ^= load_block(in + 16 * t);
}

}  // namespace

size_t row_bytes(size_t num_parties, PartyId garbler, size_t count) {
  return 16 * (2 + 3 * (num_parties - 2)) * count + (garbler == 1 ? (count + 7) / 8 : 0);
}

void garble_and_send(net::Party& party, const Block& delta, Instance::Data& instance,
                     AndMasks masks) {
  Garbler(party, delta, instance, masks).run();
  instance.garbler.mac_alpha = std::move(masks.alpha.mac[0]);
  instance.garbler.mac_beta = std::move(masks.beta.mac[0]);
  instance.garbler.mac_s = std::move(masks.s.mac[0]);
}

void receive_rows(net::Party& party, Instance::Data& instance, AndMasks masks) {
  const size_t n = party.num_parties();
  const uint32_t num_ands = instance.program->num_ands();
  EvaluatorTables& tables = instance.evaluator;
  tables.key_alpha = sum_keys(masks.alpha);
  tables.key_beta = sum_keys(masks.beta);
  tables.key_s = sum_keys(masks.s);
  tables.bits = SecretBytes(num_ands);
  uint8_t* bits = tables.bits.writable().data();
  for (uint32_t t = 0; t < num_ands; ++t) {
    bits[t] = static_cast<uint8_t>((masks.alpha.mac[1][t].lo & 1) << AndBits::kOwnAlpha |
                                   (masks.beta.mac[1][t].lo & 1) << AndBits::kOwnBeta |
                                   (masks.s.mac[1][t].lo & 1) << AndBits::kOwnS);
  }
  tables.row0 = std::move(masks.beta.mac);
  tables.row1 = std::move(masks.alpha.mac);
  tables.row2 = std::move(masks.s.mac);
  for (uint32_t first = 0; first < num_ands; first += kAndsPerMessage) {
    const size_t count = std::min(kAndsPerMessage, num_ands - first);
    for (PartyId i = 1; i < n; ++i) {
      const Bytes message = party.receive(i, kRowsLabel, row_bytes(n, i, count));
      const uint8_t* at = message.data();
      const auto fold = [&](BlockVec& row) {
        xor_into(row.data() + first, at, count);
        at += 16 * count;
      };
      fold(tables.row0[i]);
      fold(tables.row1[i]);
      for (PartyId l = 1; l < n; ++l) {
        if (l == i) continue;
        fold(tables.row0[l]);
        fold(tables.row1[l]);
        fold(tables.row2[l]);
      }
      if (i != 1) continue;
      for (size_t t = 0; t < count; ++t) {
        bits[first + t] = static_cast<uint8_t>(bits[first + t] | ((at[t / 8] >> (t % 8)) & 1)
                                                                     << AndBits::kColour);
      }
    }
  }
}

}  // namespace flexroom::boolean
