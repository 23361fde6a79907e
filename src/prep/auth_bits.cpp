#include "prep/auth_bits.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "ot/cot.h"
#include "prep/bit_consistency.h"
#include "prep/key_kernels.h"
#include "prep/masking_key.h"
#include "prep/session_hello.h"

namespace flexroom::prep {
namespace {

constexpr size_t kRotBatch = size_t{1} << 14;
constexpr std::string_view kChoicesLabel = "bits/choices";
constexpr std::string_view kRotLabel = "rot/choices";

// Checked blocks waiting to be handed out; what was taken is never looked at again. Batches are
// kept as they came and handed out in parts of themselves, from the oldest that has enough: only
// what no batch has alone is copied together. Which that is follows from public sizes.
class Stock {
 public:
  Stock() = default;
  Stock(Stock&&) noexcept = default;
  Stock& operator=(Stock&&) noexcept = default;
  size_t left() const { return left_; }
  void refill(BlockVec&& fresh) {
    left_ += fresh.size();
    batches_.push_back(std::move(fresh));
  }
  BlockVec take(size_t count) {
    FLEXROOM_ASSERT(count <= left());
    left_ -= count;
    if (count == 0) return {};
    for (size_t k = 0; k < batches_.size(); ++k) {
      if (batches_[k].size() >= count) return take_from(k, count);
    }
    BlockVec out(count, BlockVec::uninitialised);
    for (size_t done = 0; done < count;) {
      const BlockVec part = take_from(0, std::min(count - done, batches_.front().size()));
      std::memcpy(static_cast<void*>(out.data() + done), part.data(), part.size() * sizeof(Block));
      done += part.size();
    }
    return out;
  }

 private:
  BlockVec take_from(size_t batch, size_t count) {
    BlockVec out = batches_[batch].take_front(count);
    if (batches_[batch].empty()) batches_.erase(batches_.begin() + static_cast<ptrdiff_t>(batch));
    return out;
  }

  std::vector<BlockVec> batches_;
  size_t left_ = 0;
};

void add_rows(BlockVec& sum, const BlockVec& rows) {
  if (sum.empty()) sum = BlockVec(rows.size());
  FLEXROOM_ASSERT(sum.size() == rows.size());
  for (size_t t = 0; t < rows.size(); ++t) sum[t] ^= rows[t];
}

// Psi += y * Gamma: what a party adds for its own key and its own bits.
void add_own_key(math::SecretVector<uint64_t>& psi, Block gamma, const AuthBits& y) {
  const size_t words = psi.size() / y.size();
  const Block* const macs = y.mac[y.first_peer()].data();
  for (size_t t = 0; t < y.size(); ++t) {
    const uint64_t mask = 0 - (macs[t].lo & 1);
    psi[t * words] ^= gamma.lo & mask;
    if (words == 2) psi[t * words + 1] ^= gamma.hi & mask;
  }
  wipe(&gamma, sizeof gamma);
}

uint8_t bit_at(ByteView packed, size_t t) {
  return static_cast<uint8_t>(packed[t / 8] >> (t % 8) & 1);
}

}  // namespace

struct BitGenerator::Impl {
  Impl(net::Party& p, const EpochState& epoch, size_t batch_size, uint16_t lane_id,
       Safety* the_safety)
      : party(p),
        safety(the_safety),
        delta(epoch.delta),
        lane(lane_id),
        subfield_bits(epoch.pairs[p.peers().front()].subfield_bits),
        batch(batch_size),
        hash(session_hash_key(p.scope(), lane_id)),
        stocks(p.num_parties()),
        rot_sent(p.num_parties()),
        rot_received(p.num_parties()),
        rot_send_counter(p.num_parties()),
        rot_receive_counter(rot_send_counter) {
    FLEXROOM_ASSERT(epoch.self == p.id() && epoch.num_parties == p.num_parties() && batch > 0);
    // A second generator would expand the same COT streams again: bits and masks used twice.
    const std::string use = "bits of " + to_hex(p.scope().sid) + "/" + std::to_string(lane_id);
    const bool first_of_its_session_and_lane = p.next_counter(use) == 0;
    FLEXROOM_ASSERT(first_of_its_session_and_lane);
    senders.resize(p.num_parties());
    receivers.resize(p.num_parties());
    for (const PartyId j : p.peers()) {
      const ot::PairSeeds& seeds = epoch.pairs[j];
      senders[j] = std::make_unique<ot::CotSender>(p, j, seeds, delta, lane_id);
      receivers[j] = std::make_unique<ot::CotReceiver>(p, j, seeds, lane_id);
      stocks[j].resize(p.num_parties());
    }
    stocks[p.id()].resize(p.num_parties());
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // A masking key on its way to its rows: trees by peer, and the sum of the rows N and L.
  struct KeyWork {
    AuthBits key;
    std::vector<ot::KeyTreesOf> owning, holding;
    BlockVec rows;
  };

  // A batch of fresh bits whose corrections have left and whose peers' are not read yet.
  struct Started {
    std::vector<PartyId> owners;
    size_t count = 0;  // without the masks of the consistency check
    SecretBytes bits;  // n > 2: this party's, masks included
    size_t steps = 0;  // of extend() that are done
    std::vector<OwnedBatch> made;
    std::optional<KeyWork> key;  // of these bits
  };

  // n = 2: random COTs, nothing to be consistent with. n > 2: bits chosen here, the same for all
  // peers, with the check of §4.3.
  Started start(std::vector<PartyId> owners, size_t count,
                std::optional<KeyWork> key = std::nullopt) {
    FLEXROOM_ASSERT(!ahead.has_value());
    Started out{std::move(owners), count, {}, 0, {}, std::move(key)};
    const bool chosen = party.num_parties() > 2;
    if (chosen) {
      out.bits = SecretBytes((count + kConsistencyMasks + 7) / 8);
      party.prg().fill(out.bits.writable());
    }
    if (std::find(out.owners.begin(), out.owners.end(), party.id()) == out.owners.end()) return out;
    const std::optional<ByteView> choices =
        chosen ? std::optional<ByteView>(out.bits.reveal()) : std::nullopt;
    for (const PartyId j : party.peers()) {
      receivers[j]->send_corrections(columns(count), choices, grow_key_trees(out, j));
    }
    return out;
  }

  // Sends the trees under the key of peer j (M1), which this party owns.
  std::optional<ot::KeyTreesOwner> grow_key_trees(const Started& work, PartyId j) {
    if (!work.key) return std::nullopt;
    ot::KeyTreesOwner trees(work.key->owning[j], hash, work.key->key.key[j].span(), delta,
                            party.prg());
    party.send(j, ot::kKeyTreesLabel, trees.message());
    return trees;
  }

  // Those of all peers under the own key, checked before any of them gets a challenge (Q7).
  std::vector<std::optional<ot::KeyTreesHolder>> recover_key_trees(const Started& work) {
    std::vector<std::optional<ot::KeyTreesHolder>> out(party.num_parties());
    if (!work.key) return out;
    std::vector<Bytes> messages(party.num_parties());
    for (const PartyId j : party.peers()) {
      messages[j] =
          party.receive(j, ot::kKeyTreesLabel, work.key->holding[j].shape.message_bytes());
    }
    Verdict verdict(safety);
    for (const PartyId j : party.peers()) {
      out[j].emplace(work.key->holding[j], hash, work.key->key.mac[j].span(), messages[j]);
    }
    verdict.passed();
    return out;
  }

  size_t columns(size_t count) const {
    return party.num_parties() == 2 ? count : count + kConsistencyMasks;
  }

  // All directions interleaved: nobody waits for a message that is sent after one this party still
  // has to send. Each step waits for one message of each peer.
  void extend(Started& work) {
    const PartyId self = party.id();
    switch (work.steps++) {
      case 0: {
        std::vector<std::optional<ot::KeyTreesHolder>> trees = recover_key_trees(work);
        for (const PartyId o : work.owners) {
          if (o == self) continue;
          senders[o]->receive_corrections(columns(work.count), party.num_parties() > 2,
                                          std::move(trees[o]));
        }
        return;
      }
      case 1:
        for (const PartyId o : work.owners) {
          OwnedBatch& made = work.made.emplace_back();
          made.owner = o;
          made.blocks.resize(party.num_parties());
          if (o != self) continue;
          for (const PartyId j : party.peers()) {
            made.blocks[j] = receivers[j]->answer();
            if (work.key) add_rows(work.key->rows, receivers[j]->take_key_rows());
          }
        }
        return;
      default:
        for (const PartyId o : work.owners) {
          if (o != self) senders[o]->receive_answer();
        }
    }
  }

  // The masks of the check are gone from what it makes.
  std::vector<OwnedBatch> finish(Started work) {
    finish_checks(work);
    return std::move(work.made);
  }

  void finish_checks(Started& work) {
    while (work.steps < kStepsAhead) extend(work);
    Verdict verdict(safety);
    for (OwnedBatch& made : work.made) {
      if (made.owner != party.id()) made.blocks[made.owner] = senders[made.owner]->finish();
    }
    verdict.passed();
    if (work.key) {
      for (const PartyId j : party.peers()) add_rows(work.key->rows, senders[j]->take_key_rows());
    }
    if (party.num_parties() > 2) {
      const ConsistencyInstance instance{delta, work.made};
      check_bit_consistency(party, {&instance, 1}, work.count, safety);
    }
    for (OwnedBatch& made : work.made) {
      for (BlockVec& blocks : made.blocks) {
        if (blocks.size() > work.count) blocks.shrink(work.count);
      }
      bits_made += work.count;
    }
  }

  std::vector<OwnedBatch> fresh_bits(std::vector<PartyId> owners, size_t count) {
    return finish(start(std::move(owners), count));
  }

  void restock(std::vector<OwnedBatch> fresh) {
    for (OwnedBatch& made : fresh) {
      for (PartyId j = 0; j < party.num_parties(); ++j) {
        if (!made.blocks[j].empty()) stocks[made.owner][j].refill(std::move(made.blocks[j]));
      }
    }
  }

  // Stocks of one owner are equally full; party `probe` stands for them.
  size_t left(PartyId owner) const {
    const PartyId probe = owner != party.id() ? owner : party.peers().front();
    return stocks[owner][probe].left();
  }

  // Of random bits, which all owners contribute to.
  size_t least_left() const {
    size_t least = std::numeric_limits<size_t>::max();
    for (PartyId o = 0; o < party.num_parties(); ++o) least = std::min(least, left(o));
    return least;
  }

  // The batch that was started before now becomes stock. Its messages are the next on every link.
  void finish_ahead() {
    if (!ahead) return;
    restock(finish(*std::exchange(ahead, std::nullopt)));
  }

  void require(const std::vector<PartyId>& owners, size_t count) {
    if (std::any_of(owners.begin(), owners.end(), [&](PartyId o) { return left(o) < count; })) {
      finish_ahead();
    }
    std::vector<PartyId> short_of;
    size_t missing = 0;
    for (const PartyId o : owners) {
      if (left(o) >= count) continue;
      short_of.push_back(o);
      missing = std::max(missing, count - left(o));
    }
    if (!short_of.empty()) restock(fresh_bits(std::move(short_of), std::max(batch, missing)));
  }

  void take_owned(PartyId owner, size_t count, std::vector<BlockVec>& mac,
                  std::vector<BlockVec>& key) {
    if (owner != party.id()) {
      key[owner] = stocks[owner][owner].take(count);
      return;
    }
    for (const PartyId j : party.peers()) mac[j] = stocks[owner][j].take(count);
  }

  // Bits of all, of a batch of their own: handed over without a copy.
  AuthBits handed_over(std::vector<OwnedBatch> fresh, size_t count) {
    std::vector<BlockVec> mac(party.num_parties()), key(party.num_parties());
    for (OwnedBatch& made : fresh) {
      if (made.owner == party.id()) {
        for (const PartyId j : party.peers()) mac[j] = std::move(made.blocks[j]);
      } else {
        key[made.owner] = std::move(made.blocks[made.owner]);
      }
    }
    return AuthBits(party.id(), count, std::move(mac), std::move(key));
  }

  // Where the trees under a fresh key belong. Batch ids and tweaks are never used again in this
  // session and lane (Q8).
  KeyWork new_key(AuthBits bits) {
    const ot::PprfShape shape{subfield_bits, static_cast<unsigned>(bits.size())};
    const uint64_t id = ++key_batches;
    KeyWork out{std::move(bits), {}, {}, {}};
    for (PartyId j = 0; j < party.num_parties(); ++j) {
      out.owning.push_back({shape, {party.scope(), j, party.id(), lane, id}, key_tree_counter});
      out.holding.push_back({shape, {party.scope(), party.id(), j, lane, id}, key_tree_counter});
    }
    key_tree_counter += shape.key_bits;
    return out;
  }

  net::Party& party;
  Safety* const safety;
  const Block& delta;
  const uint16_t lane;
  const unsigned subfield_bits;
  size_t batch;
  math::ReHash hash;
  std::vector<std::unique_ptr<ot::CotSender>> senders;      // by peer
  std::vector<std::unique_ptr<ot::CotReceiver>> receivers;  // by peer
  std::vector<std::vector<Stock>> stocks;                   // [owner][as in OwnedBatch]
  std::vector<Stock> rot_sent, rot_received;                // K resp. M, by peer
  std::optional<Started> ahead;                             // begin_random_bits()
  std::vector<uint64_t> rot_send_counter, rot_receive_counter;
  uint64_t key_batches = 0, key_tree_counter = 0;
  uint64_t bits_made = 0;
};

BitGenerator::BitGenerator(net::Party& party, const EpochState& epoch, size_t batch, uint16_t lane,
                           Safety* safety)
    : impl_(std::make_unique<Impl>(party, epoch, batch, lane, safety)) {}
BitGenerator::~BitGenerator() = default;

const Block& BitGenerator::delta() const { return impl_->delta; }
const math::ReHash& BitGenerator::hash() const { return impl_->hash; }
uint64_t BitGenerator::bits_made() const { return impl_->bits_made; }

std::vector<PartyId> BitGenerator::everybody() const {
  std::vector<PartyId> all;
  for (PartyId o = 0; o < impl_->party.num_parties(); ++o) all.push_back(o);
  return all;
}

void BitGenerator::begin_random_bits(size_t count) {
  if (impl_->least_left() >= count) return;
  impl_->ahead = impl_->start(everybody(), std::max(impl_->batch, count));
}

void BitGenerator::continue_random_bits() {
  std::optional<Impl::Started>& ahead = impl_->ahead;
  if (!ahead) return;
  if (ahead->steps + 1 == kStepsAhead) return impl_->finish_ahead();
  impl_->extend(*ahead);
}

AuthBits BitGenerator::random_bits(size_t count) {
  const std::vector<PartyId> everybody = this->everybody();
  const size_t n = impl_->party.num_parties();
  const PartyId self = impl_->party.id();
  if (count == 0) return AuthBits(self, n, 0);
  if (impl_->least_left() < count) impl_->finish_ahead();
  if (impl_->least_left() < count && count >= impl_->batch) {
    return impl_->handed_over(impl_->fresh_bits(everybody, count), count);
  }
  std::vector<BlockVec> mac(n), key(n);
  impl_->require(everybody, count);
  for (const PartyId o : everybody) impl_->take_owned(o, count, mac, key);
  return AuthBits(self, count, std::move(mac), std::move(key));
}

AuthBits BitGenerator::owned_bits(PartyId owner, size_t count) {
  FLEXROOM_ASSERT(owner < impl_->party.num_parties());
  AuthBits out(impl_->party.id(), impl_->party.num_parties(), count);
  if (count == 0) return out;
  impl_->require({owner}, count);
  impl_->take_owned(owner, count, out.mac, out.key);
  return out;
}

AuthBits BitGenerator::owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) {
  AuthBits out = owned_bits(owner, count);
  if (count == 0) return out;
  net::Party& party = impl_->party;
  Bytes difference;
  if (owner == party.id()) {
    FLEXROOM_ASSERT(bits.size() == count);
    difference = pack_bits(bits);
    Bytes random = out.packed_shares();
    for (size_t i = 0; i < difference.size(); ++i) difference[i] ^= random[i];
    wipe(random);  // with the difference it gives the bits away
    party.broadcast(kChoicesLabel, difference);
  } else {
    difference = party.receive_broadcast(owner, kChoicesLabel, (count + 7) / 8);
  }
  // Different differences to different peers would be different bits.
  party.echo(kChoicesLabel);
  std::vector<uint8_t> constants(count);
  for (size_t t = 0; t < count; ++t) constants[t] = bit_at(difference, t);
  add_constants(out, constants, impl_->delta, owner);
  return out;
}

// The key is the owners' fresh random bits; nobody chooses it, and the bits by which the trees are
// unmasked are those that are authenticated.
KeyedBits BitGenerator::keyed_bits(size_t count, unsigned key_bits) {
  FLEXROOM_ASSERT(count > 0 && (key_bits == 64 || key_bits == 128));
  AuthBits bits(impl_->party.id(), impl_->party.num_parties(), key_bits);
  impl_->require(everybody(), key_bits);  // of all at once
  for (const PartyId o : everybody()) bits.add(owned_bits(o, key_bits));
  impl_->finish_ahead();
  Impl::Started work = impl_->start(everybody(), count, impl_->new_key(std::move(bits)));
  impl_->finish_checks(work);
  Impl::KeyWork& key = *work.key;
  AuthBits y = impl_->handed_over(std::move(work.made), count);
  math::SecretVector<uint64_t> psi = strings_of_key_rows(key.rows, key_bits, count);
  add_own_key(psi, ot::key_of_macs(key.key.mac[key.key.first_peer()].span()), y);
  return KeyedBits(std::move(key.key), std::move(y), std::move(psi));
}

Source::RotSender BitGenerator::rot_send(PartyId receiver, size_t count) {
  Source::RotSender out;
  if (count == 0) return out;
  Stock& stock = impl_->rot_sent[receiver];
  if (stock.left() < count) {
    FLEXROOM_ASSERT(!impl_->ahead.has_value());
    const size_t more = std::max(kRotBatch, count - stock.left());
    impl_->senders[receiver]->receive_corrections(more);
    impl_->senders[receiver]->receive_answer();
    Verdict verdict(impl_->safety);
    stock.refill(impl_->senders[receiver]->finish());
    verdict.passed();
  }
  const Bytes corrections = impl_->party.receive(receiver, kRotLabel, (count + 7) / 8);
  out.seed0 = stock.take(count);
  out.seed1 = BlockVec(count, BlockVec::uninitialised);
  uint64_t& counter = impl_->rot_send_counter[receiver];
  const Block tweak =
      math::hash_tweak(math::HashDomain::kOtConversion, impl_->party.id(), receiver, counter);
  counter += count;
  impl_->hash.hash2(tweak, out.seed0.span(), impl_->delta, out.seed0.span(), out.seed1.span());
  for (size_t t = 0; t < count; ++t) {
    const Block swap = select(bit_at(corrections, t) != 0, out.seed0[t] ^ out.seed1[t]);
    out.seed0[t] ^= swap;
    out.seed1[t] ^= swap;
  }
  return out;
}

Source::RotReceiver BitGenerator::rot_receive(PartyId sender, size_t count,
                                              std::span<const uint8_t> choices) {
  FLEXROOM_ASSERT(choices.empty() || choices.size() == count);
  Source::RotReceiver out;
  if (count == 0) return out;
  Stock& stock = impl_->rot_received[sender];
  if (stock.left() < count) {
    FLEXROOM_ASSERT(!impl_->ahead.has_value());
    const size_t more = std::max(kRotBatch, count - stock.left());
    impl_->receivers[sender]->send_corrections(more);
    stock.refill(impl_->receivers[sender]->answer());
  }
  out.seed = stock.take(count);
  out.choice.resize(count);
  std::vector<uint8_t> corrections(count);
  for (size_t t = 0; t < count; ++t) {
    out.choice[t] = static_cast<uint8_t>(out.seed[t].lsb());
    if (choices.empty()) continue;
    corrections[t] = static_cast<uint8_t>((out.choice[t] ^ choices[t]) & 1);
    out.choice[t] = choices[t] & 1;
  }
  impl_->party.send(sender, kRotLabel, pack_bits(corrections));
  uint64_t& counter = impl_->rot_receive_counter[sender];
  const Block tweak =
      math::hash_tweak(math::HashDomain::kOtConversion, sender, impl_->party.id(), counter);
  counter += count;
  impl_->hash.hash1(tweak, out.seed.span(), out.seed.span());
  return out;
}

}  // namespace flexroom::prep
