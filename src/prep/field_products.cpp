#include "prep/field_products.h"

#include <algorithm>
#include <string>

#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/open.h"

namespace flexroom::prep {
namespace {

constexpr size_t kFieldBits = 128;
constexpr size_t kTau = kExtractionFactors;
constexpr size_t kInstanceBits = kTau * kFieldBits;  // choice bits of one product
constexpr size_t kInstancesInChunk = 128;            // 512 KB of u a message
constexpr std::string_view kLabel = "field products/";

std::string label(std::string_view step) { return std::string(kLabel).append(step); }

class Maker {
 public:
  Maker(Context& context, std::span<const size_t> counts)
      : context_(context),
        party_(context.party),
        batch_(context.safety),
        counts_(counts.begin(), counts.end()) {
    for (size_t set = 0; set < counts_.size(); ++set) {
      FLEXROOM_ASSERT(counts_[set] > 0);
      first_.push_back(set_of_.size());
      set_of_.insert(set_of_.end(), counts_[set] + 1, set);
    }
  }

  std::vector<FieldProducts> run() {
    draw_bits();
    transfer();
    extract();
    sacrifice();
    return split();
  }

 private:
  size_t size() const { return set_of_.size(); }

  // Step 1: aBit(all).
  void draw_bits() {
    b_bits_ = context_.bits.random_bits(kFieldBits * counts_.size());
    alpha_ = context_.bits.random_bits(kInstanceBits * size());
    rho_bits_ = context_.bits.random_bits(kFieldBits * size());
    b_ = pack(b_bits_);
    cross_ = BlockVec(kTau * size());
  }

  // Step 2: one OLE for every ordered pair (sender, chooser), instance and factor; additive shares
  // of alpha^chooser * b^sender are collected in cross_.
  void transfer() {
    counter_ = Context::reserve(context_.field_ole_counter, kInstanceBits * size());
    for (size_t first = 0; first < size(); first += kInstancesInChunk) {
      const size_t count = std::min(kInstancesInChunk, size() - first);
      for (const PartyId j : party_.peers()) send_chunk(j, first, count);
      for (const PartyId j : party_.peers()) receive_chunk(j, first, count);
    }
  }

  // u_q = H(K_q) + H(K_q + Delta) + X^q * b; this party keeps sum_q H(K_q).
  void send_chunk(PartyId chooser, size_t first, size_t count) {
    const size_t bits = kInstanceBits * count;
    const std::span<const Block> keys =
        alpha_.key[chooser].span().subspan(kInstanceBits * first, bits);
    BlockVec pad0(bits, BlockVec::uninitialised), u(bits, BlockVec::uninitialised);
    context_.bits.hash().hash2(tweak(party_.id(), chooser, first), keys, context_.bits.delta(),
                               pad0.span(), u.span());
    for (size_t h = 0; h < count; ++h) {
      const Block b = b_.share[set_of_[first + h]];
      for (size_t s = 0; s < kTau; ++s) {
        const size_t base = h * kInstanceBits + s * kFieldBits;
        Block power = b, kept;
        for (size_t q = base; q < base + kFieldBits; ++q) {
          u[q] ^= pad0[q] ^ power;
          kept ^= pad0[q];
          power = math::gf_mul_x(power);
        }
        cross_[(first + h) * kTau + s] ^= kept;
      }
    }
    net::send_blocks(party_, chooser, label("u"), u.span());
  }

  // The chooser keeps sum_q ( H(M_q) + alpha_q * u_q ).
  void receive_chunk(PartyId sender, size_t first, size_t count) {
    const size_t bits = kInstanceBits * count;
    const std::span<const Block> macs =
        alpha_.mac[sender].span().subspan(kInstanceBits * first, bits);
    BlockVec pad(bits, BlockVec::uninitialised), u(bits, BlockVec::uninitialised);
    net::receive_blocks(party_, sender, label("u"), u.span());
    context_.bits.hash().hash1(tweak(sender, party_.id(), first), macs, pad.span());
    for (size_t part = 0; part < kTau * count; ++part) {
      Block kept;
      for (size_t q = part * kFieldBits; q < (part + 1) * kFieldBits; ++q) {
        kept ^= pad[q] ^ select(macs[q].lsb(), u[q]);
      }
      cross_[first * kTau + part] ^= kept;
    }
  }

  Block tweak(PartyId sender, PartyId chooser, size_t first) const {
    return math::hash_tweak(math::HashDomain::kFieldOle, sender, chooser,
                            counter_ + kInstanceBits * first);
  }

  // Steps 3 and 4: a_h = sum_s chi_hs * alpha_hs, the chi from a coin that nobody can grind: the
  // bound on what a wrong u tells about a_h is statistical. The batch is counted before this
  // party's part of that coin leaves: its last opener sees chi, and one that may go away uncounted
  // when it does not like it has as many looks at chi as it wants. c_h = pack(rho_h) + sum_i g^i_h.
  void extract() {
    batch_.before_verdict();
    chi_ = stream(party_.coin(label("chi")), kTau * size());
    const AuthField parts = pack(alpha_);
    BlockVec masked(size());
    std::vector<AuthField> combined;
    for (size_t h = 0; h < size(); ++h) {
      combined.push_back(combine(parts, {chi_.data() + kTau * h, kTau}, kTau * h));
    }
    a_ = concatenate(combined);
    c_ = pack(rho_bits_);
    for (size_t h = 0; h < size(); ++h) {
      math::GfSum sum;
      sum.add(a_.share[h], b_.share[set_of_[h]]);
      for (size_t s = 0; s < kTau; ++s) sum.add(chi_[kTau * h + s], cross_[kTau * h + s]);
      masked[h] = sum.value() ^ c_.share[h];
    }
    g_.assign(size(), Block());
    for (const Bytes& g : party_.exchange(label("g"), masked.bytes())) {
      for (size_t h = 0; h < size(); ++h) g_[h] ^= load_block(g.data() + 16 * h);
    }
    add_constants(c_, g_, context_.bits.delta());
  }

  // Step 5. The coin's echo covers the g of step 4 (n > 2).
  void sacrifice() {
    const Block& delta = context_.bits.delta();
    std::vector<Block> eta = stream(party_.coin(label("eta")), size());
    std::vector<AuthField> a_sums, c_sums;
    for (size_t set = 0; set < counts_.size(); ++set) {
      eta[first_[set] + counts_[set]] = Block(0, 1);
      const std::span<const Block> mine(eta.data() + first_[set], counts_[set] + 1);
      a_sums.push_back(combine(a_, mine, first_[set]));
      c_sums.push_back(combine(c_, mine, first_[set]));
    }
    const std::vector<Block> e =
        open_field(party_, delta, concatenate(a_sums), label("sacrifice e"));
    AuthField z = b_.clone();
    scale(z, e);
    add(z, concatenate(c_sums));
    const std::vector<Block> opened = open_field(party_, delta, z, label("sacrifice verdict"));
    Verdict verdict(&context_.safety);
    for (const Block& value : opened) {
      if (value != Block()) {
        throw ProtocolAbort(AbortCode::kSacrifice, label("sacrifice"),
                            "a member deviated in this batch");
      }
    }
    verdict.passed();
    batch_.finished();
  }

  std::vector<FieldProducts> split() const {
    std::vector<FieldProducts> out(counts_.size());
    for (size_t set = 0; set < counts_.size(); ++set) {
      const size_t first = first_[set], count = counts_[set];
      FieldProducts& products = out[set];
      products.triple.b = b_.slice(set, 1);
      products.triple.a = a_.slice(first, count);
      products.triple.c = c_.slice(first, count);
      products.b_bits = b_bits_.slice(kFieldBits * set, kFieldBits);
      products.alpha = alpha_.slice(kInstanceBits * first, kInstanceBits * count);
      products.rho = rho_bits_.slice(kFieldBits * first, kFieldBits * count);
      const Block* chi = chi_.data() + kTau * first;
      products.chi.assign(chi, chi + kTau * count);
      products.g.assign(g_.data() + first, g_.data() + first + count);
    }
    return out;
  }

  static std::vector<Block> stream(const Digest& coin, size_t count) {
    std::vector<Block> out(count);
    math::ChiStream(load_block(coin.data())).fill(0, out);
    return out;
  }

  // One pass, where append() would copy the front again and again.
  AuthField concatenate(const std::vector<AuthField>& elements) const {
    AuthField out(party_.id(), party_.num_parties(), elements.size());
    for (size_t t = 0; t < elements.size(); ++t) {
      out.share[t] = elements[t].share[0];
      for (const PartyId j : party_.peers()) {
        out.mac[j][t] = elements[t].mac[j][0];
        out.key[j][t] = elements[t].key[j][0];
      }
    }
    return out;
  }

  Context& context_;
  net::Party& party_;
  BatchInFlight batch_;
  std::vector<size_t> counts_, first_;
  std::vector<size_t> set_of_;  // by instance; the last instance of every set is sacrificed
  uint64_t counter_ = 0;
  AuthBits b_bits_, alpha_, rho_bits_;
  AuthField a_, b_, c_;
  BlockVec cross_;  // [instance][kTau]
  std::vector<Block> chi_, g_;
};

}  // namespace

std::vector<FieldProducts> make_field_products(Context& context, std::span<const size_t> counts) {
  if (counts.empty()) return {};
  return Maker(context, counts).run();
}

}  // namespace flexroom::prep
