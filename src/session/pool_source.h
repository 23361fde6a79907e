#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/party.h"
#include "prep/protocol.h"
#include "prep/session_prep.h"
#include "store/once_db.h"

namespace flexroom::session {

/// What a pool holds.
struct PoolStock {
  uint64_t triples = 0, bits = 0;
  uint64_t bytes = 0;
};
PoolStock summarise(std::span<const store::Pool::Stock> batches, size_t num_parties);

/// Preprocessing of a session from the members' pool, and live where the pool does not reach.
///
/// Setting    OnceDb::connect() was called in this session; parties make the same calls in the same
///            order. Which items serve a call follows from the stock agreed then and the calls so
///            far: equal at all members without a message
/// Guarantee  an item is burned on disk before it is opened (boolean-engine.md §8.2). Items are
///            taken in portions; what is left of one serves later calls of this session and dies
///            with it
/// Cost       one fsync a call that takes from disk; 96 bytes a triple at n = 2, read once
/// Aborts     kEpochBurned; what the live source throws. Any exception ends the source: all it
///            holds is wiped, every later call throws kCancelled
class PooledSource : public prep::Source {
 public:
  /// Makes the live source when first needed. Never called while the pool suffices.
  using MakeLive = std::function<std::unique_ptr<prep::Source>()>;

  /// `batch`: triples (or bits) of one batch of fill(), the profile's L. `protocol`: what
  /// the room speaks, named by each batch. `party`, `once` and `delta` must outlive the source.
  PooledSource(net::Party& party, store::OnceDb& once, const Block& delta, size_t batch,
               MakeLive make_live, uint16_t protocol = prep::kProtocol);
  ~PooledSource() override;
  PooledSource(const PooledSource&) = delete;
  PooledSource& operator=(const PooledSource&) = delete;

  const Block& delta() const override { return delta_; }
  prep::AuthBits random_bits(size_t count) override;
  prep::AndTriples and_triples(size_t count) override;
  // Always live:
  prep::AuthBits owned_bits(PartyId owner, size_t count) override;
  prep::AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) override;
  prep::VecTriple vec_triple(size_t count) override;
  std::vector<prep::VecTriple> vec_triples(std::span<const size_t> counts) override;
  prep::Powers powers(size_t max_power) override;
  RotSender rot_send(PartyId receiver, size_t count) override;
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override;

  /// Makes whole batches of at least so many triples and bits and stores each; a batch counts when
  /// all members said that it is durable (App. B A7). Returns the number of batches. Stopped
  /// anywhere, only whole batches that all members have remain. Throws InputError when another
  /// session has the pool, or the disk is full.
  size_t fill(size_t num_triples, size_t num_bits, const prep::Progress& progress = nullptr);
  PoolStock stock();

 private:
  using Parts = std::vector<prep::AuthBits>;  // x, y, z, or one array of bits
  struct Rest {                               // of a portion
    Parts parts;
    size_t next = 0;
    size_t left() const { return parts.empty() ? 0 : parts.front().size() - next; }
  };
  template <typename Body>
  auto guarded(std::string_view what, Body body);
  prep::Source& live();
  std::vector<store::Pool::Range> ranges_for(char kind, size_t unit, size_t count);
  Parts make(char kind, size_t count);
  Parts take(char kind, size_t num_parts, size_t count, Rest& rest);
  void store(char kind, const Parts& parts);

  net::Party& party_;
  store::OnceDb& once_;
  const Block& delta_;
  size_t batch_;
  MakeLive make_live_;
  const uint16_t protocol_;
  std::unique_ptr<prep::Source> live_;
  Rest triples_, bits_;
  uint32_t next_batch_ = 0;
  bool dead_ = false;
};

}  // namespace flexroom::session
