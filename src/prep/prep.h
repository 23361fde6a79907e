#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/block.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "ot/verdict.h"

namespace flexroom::prep {

/// This party's view of authenticated bits <x>_t, t < size (boolean-engine.md §1, §2.1):
///   mac[j][t] = M_j[x^i_t] = K_j[x^i_t] + x^i_t * Delta_j; bit0 is the share x^i_t itself, bit1
///               that too where j is party 0, else 0
///   key[j][t] = K_i[x^j_t], bit0 = bit1 = 0
/// for every peer j; entries of this party itself are empty. For n > 2 all macs of a bit carry the
/// same bit0. Move-only: single-use material must not be copied by accident.
class AuthBits {
 public:
  AuthBits() = default;
  AuthBits(PartyId self, size_t num_parties, size_t size);  // zeros: the sharing of constant 0
  /// Takes the arrays over: [n][size], entries of `self` empty.
  AuthBits(PartyId self, size_t size, std::vector<BlockVec>&& macs, std::vector<BlockVec>&& keys);
  /// What was moved from is empty: it cannot pass for a sharing of its old size.
  AuthBits(AuthBits&& other) noexcept { *this = std::move(other); }
  AuthBits& operator=(AuthBits&& other) noexcept;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  PartyId self() const { return self_; }
  size_t num_parties() const { return mac.size(); }
  /// This party's share of bit t.
  bool share(size_t t) const { return mac[first_peer()][t].lsb(); }
  PartyId first_peer() const { return self_ == 0 ? 1 : 0; }

  AuthBits clone() const;
  AuthBits slice(size_t offset, size_t count) const;
  /// The first `count` items leave; as BlockVec::take_front, so nothing large is copied.
  AuthBits take_front(size_t count);
  /// Appends `more` (same parties).
  void append(const AuthBits& more);
  /// this[t] += other[t], all shares, macs and keys: <x> + <y> is local.
  void add(const AuthBits& other);
  /// Packed shares, LSB first, ceil(size/8) bytes.
  Bytes packed_shares() const;
  /// Items [offset, offset + count) carry the pinned bits of §2.1. Whoever loads bits from a disk
  /// asks, so that damage is this member's error and not a failed opening at its peers.
  bool pinned(size_t offset, size_t count) const;
  /// Sets bit 1 of every block to what §2.1 says. For stored shares, before anything else is done
  /// with them (§8.1): those that protocol 1 made keep what the key's holder used there, and one
  /// that lied about bit 1 of its Delta would read 128 equations on them from an opening.
  void pin_bit1();

  std::vector<BlockVec> mac;  // [n][size]
  std::vector<BlockVec> key;  // [n][size]

 private:
  PartyId self_ = 0;
  size_t size_ = 0;
};

/// p_j of boolean §2.4: the blocks that the constant 1 adds to a MAC under Delta_j. It has the
/// pinned bits of Delta_j and no other.
inline Block constant_mac(PartyId key_holder) { return {0, key_holder == 0 ? 3u : 1u}; }

/// <x_t> := <x_t> + c_t for public bits c (boolean §2.4; `holder` is party 0, or the owner of the
/// bits: chosen owned bits). `delta` is this party's global key. Keeps the pinned bits.
void add_constants(AuthBits& bits, std::span<const uint8_t> constants /* one byte 0/1 each */,
                   const Block& delta, PartyId holder = 0);

/// [[x]]_t in GF(2^128): share x^i, mac M_j[x^i] = K_j[x^i] + x^i * Delta_j (field product).
class AuthField {
 public:
  AuthField() = default;
  AuthField(PartyId self, size_t num_parties, size_t size);
  AuthField(AuthField&&) noexcept = default;
  AuthField& operator=(AuthField&&) noexcept = default;
  size_t size() const { return share.size(); }
  PartyId self() const { return self_; }
  size_t num_parties() const { return mac.size(); }
  AuthField clone() const;
  AuthField slice(size_t offset, size_t count) const;
  void append(const AuthField& more);

  BlockVec share;             // [size]
  std::vector<BlockVec> mac;  // [n][size]
  std::vector<BlockVec> key;  // [n][size]

 private:
  PartyId self_ = 0;
};

struct AndTriples {  // z = x & y
  AuthBits x, y, z;
  size_t size() const { return x.size(); }
};

/// [[b]], [[a_h]], [[c_h]] = a_h * b (boolean §9.3). b masks at most one value: y + b is opened
/// once. The alpha bits and g are what Powers needs to keep linear forms.
struct VecTriple {
  AuthField b, a, c;
};

/// [[r^j]], 0 <= j <= L, and the bits of r^1 (boolean §9.4); serves one hash key H.
struct Powers {
  AuthField powers;
  AuthBits r_bits;  // [128]: coefficients of X^0..X^127 of r
};

/// What the layers above need from the boolean preprocessing of one session. Implemented by the
/// real protocols (prep/session_prep.h), by the pool, and by the trusted dealer of the tests.
/// Every call is made by all parties in the same order with equal arguments.
class Source {
 public:
  virtual ~Source() = default;
  virtual const Block& delta() const = 0;  // this party's global key, one per epoch
  /// aBit(all): every party holds random shares; each bit is used in one place only.
  virtual AuthBits random_bits(size_t count) = 0;
  /// aBit(owner): random bits known to `owner` alone; other shares are zero.
  virtual AuthBits owned_bits(PartyId owner, size_t count) = 0;
  /// The same for bits that the owner chooses; `bits` [count] one byte each, read at the owner
  /// only.
  virtual AuthBits owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) = 0;
  virtual AndTriples and_triples(size_t count) = 0;
  virtual VecTriple vec_triple(size_t count) = 0;
  /// One VecTriple for every count, each with a factor of its own; made together where they can be.
  virtual std::vector<VecTriple> vec_triples(std::span<const size_t> counts) {
    std::vector<VecTriple> out;
    for (const size_t count : counts) out.push_back(vec_triple(count));
    return out;
  }
  virtual Powers powers(size_t max_power) = 0;
  /// rot(i <- j) with random choice: 128-bit seeds (boolean §4.5). Called by the two parties only.
  struct RotSender {
    BlockVec seed0, seed1;
  };
  struct RotReceiver {
    RotReceiver() = default;
    RotReceiver(std::vector<uint8_t> choices, BlockVec seeds)
        : choice(std::move(choices)), seed(std::move(seeds)) {}
    RotReceiver(RotReceiver&&) noexcept = default;
    RotReceiver& operator=(RotReceiver&& other) noexcept {
      choice.swap(other.choice);
      std::swap(seed, other.seed);
      return *this;
    }
    ~RotReceiver() { wipe(choice); }

    std::vector<uint8_t> choice;  // [count], 0 or 1, secret
    BlockVec seed;                // seed_choice
  };
  virtual RotSender rot_send(PartyId receiver, size_t count) = 0;
  /// `choices` [count] of 0/1, or empty for random ones.
  virtual RotReceiver rot_receive(PartyId sender, size_t count,
                                  std::span<const uint8_t> choices) = 0;
};

/// The durable flags and counters of boolean §8.2 and §10. Every call is on disk when it returns.
class Safety : public ot::VerdictNotes {
 public:
  /// Throws ProtocolAbort kEpochBurned / kTooManyUnfinished when preprocessing must not go on.
  virtual void require_preprocessing_allowed() = 0;
  /// dirty += count and LIFE += count, before this party's part of what a peer could see first and
  /// hide. Compares with the limits and looks at `burned` in the same step, and throws as above
  /// with nothing added: sessions and lanes side by side may all have passed the early answer.
  virtual void begin_batches(size_t count) = 0;
  /// Both back, after the last check of these batches passed.
  virtual void finish_batches(size_t count) = 0;
};

using ot::Verdict;

}  // namespace flexroom::prep
