#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string_view>

#include "prep/auth_bits.h"
#include "prep/bit_supply.h"
#include "prep/triple_parameters.h"

namespace flexroom::prep {

/// Called with what is being made and how far it is, in items of that phase.
using Progress = std::function<void(std::string_view phase, uint64_t done, uint64_t total)>;

/// The boolean preprocessing of one session, made on demand in batches and served from buffers.
///
/// Protocol   boolean-engine.md §4, §5, §9 over the bits of one BitGenerator; triples of
///            TripleProtocol::kMasked as engine-v2.md §V2
/// Guarantee  everything handed out passed all its checks and is handed out once. Triples are made
///            in whole batches; what is left serves later calls. With buckets a batch is the
///            room's L; masked ones have L/8 up to L * batches_at_once() in steps of L/8, by how
///            many are missing: a plan of public numbers, the same at all
/// Aborts     what the protocols below throw, and kEpochBurned, kTooManyUnfinished of `safety`
///            (§10.3). Any exception erases all buffers, the bits and the seeds of the session;
///            every later call throws kCancelled
/// Threads    one; parties make the same calls in the same order
/// Memory     96 (n-1) bytes for every triple in stock. Of the batch in work, with buckets: n = 2,
///            about 150 bytes for every leaky triple (bucket_size * batch, at most 2^18 or one
///            layer). Masked: 96 (n-1) + 3K/8 bytes for every triple, and 64 (n-1) for every one of
///            the batch after it (engine-v2.md §4.2)
class SessionPrep : public Source {
 public:
  /// session_hello() must have set the party's scope; one object a session. `party`, `epoch` and
  /// `safety` must outlive it. Throws InputError for parameters that §5.4 refuses.
  SessionPrep(net::Party& party, const EpochState& epoch, Safety& safety,
              const TripleParameters& parameters = {}, Progress progress = nullptr);
  ~SessionPrep() override;
  SessionPrep(const SessionPrep&) = delete;
  SessionPrep& operator=(const SessionPrep&) = delete;

  const Block& delta() const override { return delta_; }  // of the epoch, also after an abort
  AuthBits random_bits(size_t count) override;
  AuthBits owned_bits(PartyId owner, size_t count) override;
  AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) override;
  AndTriples and_triples(size_t count) override;
  VecTriple vec_triple(size_t count) override;
  std::vector<VecTriple> vec_triples(std::span<const size_t> counts) override;
  Powers powers(size_t max_power) override;
  RotSender rot_send(PartyId receiver, size_t count) override;
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override;

  /// The next `count` triples are taken in this session: makes them, or the first of them where
  /// they are more than eight batches of the room, and the others while those are used. One batch
  /// after the other, each with a count of its own (engine-v2.md, Q5).
  void reserve_triples(size_t count);
  size_t triples_in_stock() const { return stock_size_; }
  /// From here on one reservation follows the other: what a longer batch has too many serves the
  /// next.
  void expect_more() { followed_ = true; }

 private:
  struct Live;
  template <typename Make>
  auto guarded(std::string_view what, Make make);
  void fill_stock(size_t count, bool told);
  /// Triples of the batches of a stock of which so many are missing.
  size_t batch_for(size_t missing) const;
  size_t zero_tests_of_batch() const;
  AndTriples make_batch(size_t batch, std::vector<VecTriple> products, bool follows,
                        const std::function<void(size_t)>& tick);
  std::vector<VecTriple> take_zero_test_products(size_t batches_ahead);
  AndTriples take_from_stock(size_t count);
  AndTriples take_front(size_t count);
  void report(std::string_view phase, uint64_t done, uint64_t total) const;
  void erase() noexcept;

  net::Party& party_;
  Safety& safety_;
  const TripleParameters parameters_;
  const Progress progress_;
  const Block& delta_;
  std::unique_ptr<Live> live_;  // empty after an abort

  std::deque<AndTriples> stock_;
  size_t stock_size_ = 0;
  size_t reserved_ = 0;  // of those in stock and those still to be made
  bool followed_ = false;
  std::vector<VecTriple> zero_test_products_;
};

}  // namespace flexroom::prep
