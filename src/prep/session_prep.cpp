#include "prep/session_prep.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/secret.h"
#include "prep/and_triples.h"
#include "prep/field_products.h"
#include "prep/masked_ands.h"
#include "prep/powers.h"

namespace flexroom::prep {
namespace {

// VecTriple(1) for the zero tests of so many batches are made together: they cost ten flows.
constexpr size_t kMaxBatchesAhead = 16;
// Bits of one COT batch; larger ones cost memory, smaller ones flows.
constexpr size_t kBitBatch = size_t{1} << 18;
constexpr size_t kSmallBitBatch = size_t{1} << 15;
// Of the room's batches, so many are made before the first triple of a stock is used; the others
// follow while it is. A larger stock is memory alone: circuits need theirs slab by slab.
constexpr size_t kBatchesOfStock = 8;
// Masked triples: a batch is down to such a part of the room's, and a multiple of it.
constexpr size_t kShortBatch = 8;

const TripleParameters& checked(const TripleParameters& parameters) {
  require_acceptable(parameters);
  return parameters;
}

// Random bits of one layer, or of one masked batch without the y bits that come with its key.
size_t bits_of_batch(const TripleParameters& parameters) {
  return (parameters.protocol == TripleProtocol::kBucket ? 3 : 2) * parameters.batch;
}

// Moves all of `in` to a place in `out`; `in` is wiped, it is single-use.
void move_bits(AuthBits& out, size_t offset, AuthBits in) {
  for (PartyId j = 0; j < out.num_parties(); ++j) {
    if (j == out.self()) continue;
    const auto move = [&](BlockVec& to, BlockVec& from) {
      std::memcpy(static_cast<void*>(to.data() + offset), from.data(), from.size() * sizeof(Block));
    };
    move(out.mac[j], in.mac[j]);
    move(out.key[j], in.key[j]);
  }
}

}  // namespace

/// What dies with the session.
struct SessionPrep::Live {
  Live(net::Party& party, const EpochState& epoch, Safety& safety, size_t bit_batch)
      : generator(party, epoch, bit_batch, 0, &safety),
        supply(generator),
        context{party, supply, safety} {}
  BitGenerator generator;
  GeneratorSupply supply;
  Context context;
  size_t next_batch = 0;  // triples of the batch that follows the one in work, if one does
};

SessionPrep::SessionPrep(net::Party& party, const EpochState& epoch, Safety& safety,
                         const TripleParameters& parameters, Progress progress)
    : party_(party),
      safety_(safety),
      parameters_(checked(parameters)),
      progress_(std::move(progress)),
      delta_(epoch.delta),
      live_(std::make_unique<Live>(
          party, epoch, safety,
          std::clamp(bits_of_batch(parameters_), kSmallBitBatch, kBitBatch))) {}

SessionPrep::~SessionPrep() = default;

/// Runs `make`; whatever it throws erases everything first (§5.3, §10.1 rule 6).
template <typename Make>
auto SessionPrep::guarded(std::string_view what, Make make) {
  if (live_ == nullptr) {
    throw ProtocolAbort(AbortCode::kCancelled, what, "this session was aborted before");
  }
  try {
    return make();
  } catch (...) {
    erase();
    throw;
  }
}

void SessionPrep::erase() noexcept {
  stock_.clear();
  zero_test_products_.clear();
  stock_size_ = 0;
  live_.reset();
}

void SessionPrep::report(std::string_view phase, uint64_t done, uint64_t total) const {
  if (progress_) progress_(phase, done, total);
}

AuthBits SessionPrep::random_bits(size_t count) {
  return guarded("random bits", [&] { return live_->generator.random_bits(count); });
}

AuthBits SessionPrep::owned_bits(PartyId owner, size_t count) {
  return guarded("owned bits", [&] { return live_->generator.owned_bits(owner, count); });
}

AuthBits SessionPrep::owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) {
  return guarded("owned bits", [&] { return live_->generator.owned_bits_of(owner, count, bits); });
}

Source::RotSender SessionPrep::rot_send(PartyId receiver, size_t count) {
  return guarded("rot", [&] { return live_->generator.rot_send(receiver, count); });
}

Source::RotReceiver SessionPrep::rot_receive(PartyId sender, size_t count,
                                             std::span<const uint8_t> choices) {
  return guarded("rot", [&] { return live_->generator.rot_receive(sender, count, choices); });
}

VecTriple SessionPrep::vec_triple(size_t count) {
  const size_t counts[] = {count};
  return std::move(vec_triples(counts)[0]);
}

std::vector<VecTriple> SessionPrep::vec_triples(std::span<const size_t> counts) {
  return guarded("field products", [&] {
    safety_.require_preprocessing_allowed();
    std::vector<VecTriple> out;
    for (FieldProducts& made : make_field_products(live_->context, counts)) {
      out.push_back(std::move(made.triple));
    }
    return out;
  });
}

Powers SessionPrep::powers(size_t max_power) {
  return guarded("powers", [&] {
    safety_.require_preprocessing_allowed();
    return make_powers(live_->context, max_power);
  });
}

// --- AND triples --------------------------------------------------------------------------------

AndTriples SessionPrep::and_triples(size_t count) {
  return guarded("and triples", [&] {
    // Of what was reserved nothing is told: it is made within another work, which tells how far it
    // is.
    fill_stock(count, reserved_ == 0);
    return take_from_stock(count);
  });
}

void SessionPrep::reserve_triples(size_t count) {
  guarded("and triples", [&] {
    reserved_ = count;
    fill_stock(std::min(count, kBatchesOfStock * parameters_.batch), true);
  });
}

// A public plan, the same at all: of all that is reserved, batch after batch until there is enough.
void SessionPrep::fill_stock(size_t count, bool told) {
  if (stock_size_ >= count) return;
  std::vector<size_t> batches;
  for (size_t left = std::max(count, reserved_) - stock_size_; left > 0;
       left -= std::min(left, batches.back())) {
    batches.push_back(batch_for(left));
  }
  uint64_t total = 0;
  for (size_t b = 0; stock_size_ + total < count; ++b) total += batches[b];
  uint64_t made = 0;
  const auto tick = [&](size_t done) {
    if (told) report("and triples", made + done, total);
  };
  tick(0);
  for (size_t b = 0; made < total; ++b) {
    safety_.require_preprocessing_allowed();
    std::vector<VecTriple> products = take_zero_test_products(batches.size() - b);
    // The bits of the next batch may be made meanwhile, unless its products come before them.
    const bool follows =
        b + 1 < batches.size() && zero_test_products_.size() >= zero_tests_of_batch();
    live_->next_batch = follows ? batches[b + 1] : 0;
    stock_.push_back(make_batch(batches[b], std::move(products), follows, tick));
    stock_size_ += batches[b];
    made += batches[b];
  }
}

// Of masked triples as few batches as there can be, because each costs its flows: up to
// batches_at_once() of the room's, the last one as long as what is missing; where more is asked for
// afterwards, a power of two that is enough.
size_t SessionPrep::batch_for(size_t missing) const {
  size_t batch = parameters_.batch;
  if (parameters_.protocol == TripleProtocol::kBucket) return batch;
  const size_t longest = batch * batches_at_once(parameters_.protocol, party_.num_parties());
  const size_t shortest = batch / kShortBatch;
  if (!followed_) return std::min(longest, (missing + shortest - 1) / shortest * shortest);
  while (batch < longest && batch < missing) batch *= 2;
  while (batch > shortest && batch / 2 >= missing) batch /= 2;
  return batch;
}

size_t SessionPrep::zero_tests_of_batch() const {
  return parameters_.protocol == TripleProtocol::kBucket ? parameters_.bucket_size : 1;
}

AndTriples SessionPrep::make_batch(size_t batch, std::vector<VecTriple> products, bool follows,
                                   const std::function<void(size_t)>& tick) {
  if (parameters_.protocol == TripleProtocol::kBucket) {
    return make_and_triples(live_->context, parameters_, std::move(products), follows,
                            [&](size_t leaky) { tick(leaky / parameters_.bucket_size); });
  }
  AndTriples made =
      make_masked_ands(live_->context, live_->supply,
                       {batch, parameters_.string_bits, live_->next_batch}, std::move(products[0]));
  tick(batch);
  return made;
}

std::vector<VecTriple> SessionPrep::take_zero_test_products(size_t batches_ahead) {
  const size_t needed = zero_tests_of_batch();
  if (zero_test_products_.size() < needed) {
    const std::vector<size_t> counts(needed * std::min(batches_ahead, kMaxBatchesAhead), 1);
    for (FieldProducts& made : make_field_products(live_->context, counts)) {
      zero_test_products_.push_back(std::move(made.triple));
    }
  }
  std::vector<VecTriple> out;
  for (size_t k = 0; k < needed; ++k) {
    out.push_back(std::move(zero_test_products_.back()));
    zero_test_products_.pop_back();
  }
  return out;
}

AndTriples SessionPrep::take_from_stock(size_t count) {
  FLEXROOM_ASSERT(count <= stock_size_);
  stock_size_ -= count;
  reserved_ -= std::min(reserved_, count);
  if (count == 0 || stock_.front().size() >= count) return take_front(count);
  AndTriples out;
  for (AuthBits* part : {&out.x, &out.y, &out.z}) {
    *part = AuthBits::unwritten(party_.id(), party_.num_parties(), count);
  }
  for (size_t done = 0; done < count;) {
    AndTriples part = take_front(std::min(count - done, stock_.front().size()));
    const size_t here = part.size();
    move_bits(out.x, done, std::move(part.x));
    move_bits(out.y, done, std::move(part.y));
    move_bits(out.z, done, std::move(part.z));
    done += here;
  }
  return out;
}

// Of the oldest batch, which has as many.
AndTriples SessionPrep::take_front(size_t count) {
  AndTriples out;
  if (count == 0) {
    for (AuthBits* part : {&out.x, &out.y, &out.z}) {
      *part = AuthBits(party_.id(), party_.num_parties(), 0);
    }
    return out;
  }
  AndTriples& front = stock_.front();
  out.x = front.x.take_front(count);
  out.y = front.y.take_front(count);
  out.z = front.z.take_front(count);
  if (front.size() == 0) stock_.pop_front();
  return out;
}

}  // namespace flexroom::prep
