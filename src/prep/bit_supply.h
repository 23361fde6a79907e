#pragma once

#include "math/re_hash.h"
#include "net/party.h"
#include "prep/auth_bits.h"

namespace flexroom::prep {

/// Where the protocols of this layer take their authenticated bits from: the session's COT
/// generator, or a trusted dealer in tests. Calls as in Source.
class BitSupply {
 public:
  virtual ~BitSupply() = default;
  virtual const Block& delta() const = 0;
  /// H of boolean-engine.md §2.3, keyed with S of the session.
  virtual const math::ReHash& hash() const = 0;
  virtual AuthBits random_bits(size_t count) = 0;
  /// BitGenerator::begin_random_bits and continue_random_bits.
  virtual void begin_random_bits(size_t /* count */) {}
  virtual void continue_random_bits() {}
  virtual AuthBits owned_bits(PartyId owner, size_t count) = 0;
};

/// What the protocols of one session share. One object a session: the tweak counters in it make
/// sure that no (S, tweak) of H is ever used twice (§2.3).
struct Context {
  net::Party& party;
  BitSupply& bits;
  Safety& safety;
  uint64_t leaky_and_counter = 0;
  uint64_t field_ole_counter = 0;
  uint64_t key_tuple_counter = 0;

  /// The next `count` counters of a domain; the same at all parties.
  static uint64_t reserve(uint64_t& counter, size_t count) {
    const uint64_t first = counter;
    counter += count;
    return first;
  }
};

/// Counts a batch as unfinished from just before this party's part of what a peer could see first
/// and then hide leaves (the coin chi of field products, the first zero test of triples) until its
/// last check passed (boolean-engine.md §10.3). A batch that dies in between stays counted: the
/// peer may have hidden a failed guess, or a coin it did not like, as a disconnect.
class BatchInFlight {
 public:
  explicit BatchInFlight(Safety& safety) : safety_(safety) {}
  BatchInFlight(const BatchInFlight&) = delete;
  BatchInFlight& operator=(const BatchInFlight&) = delete;
  /// Durable when it returns; once a batch, further calls do nothing.
  void before_verdict() {
    FLEXROOM_ASSERT(state_ != State::kOver);
    if (state_ == State::kCounted) return;
    safety_.begin_batches(1);
    state_ = State::kCounted;
  }
  bool counted() const { return state_ == State::kCounted; }
  /// The last check passed. Of one batch, once: a second would take another's count back.
  void finished() {
    FLEXROOM_ASSERT(state_ == State::kCounted);
    safety_.finish_batches(1);
    state_ = State::kOver;
  }

 private:
  enum class State : uint8_t { kNew, kCounted, kOver };
  Safety& safety_;
  State state_ = State::kNew;
};

}  // namespace flexroom::prep
