#pragma once

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "agent/answer_cipher.h"
#include "agent/prepared_circuits.h"

namespace flexroom::agent {

/// The server's keys on a sealed connection, one generation after the other (tls-in-mpc.md §3.4
/// GC-C, §3.6; RFC 8446 §7.2), which nobody has. Records are numbered from the first behind the
/// server's Finished on, over all generations.
///
/// Order      prepare(); take() when the request circuit ran; derive(); update() whenever the
///            server says that its next record is under new keys
/// Guarantee  keys of a generation are those that the server derives; what is opened is Kin of its
///            traffic secret (§3.4(i)) and H xor R
/// Cost       a generation is prepared in full, whether it comes or not: under AES 2 pubmsg + 6 400
/// +
///            10 240 a record, under ChaCha20 2 pubmsg + 20 535 + 259 n a record and its tag;
///            behind the first 59 496 more (§3.4: 5 compressions, 91 992 in all)
class AnswerKeys {
 public:
  using Bounds = AnswerBounds;
  struct Generation {
    size_t first_record = 0;
    std::unique_ptr<AnswerTags> tags;
    prep::AuthBits iv, keys;
    prep::AuthBits first_blocks;  // from first_record on
  };
  AnswerKeys(const Bounds& bounds, const AnswerCipher& cipher, size_t num_members);

  void prepare(const Context& context);
  uint64_t num_ands() const {
    return circuits_.num_ands() + num_tags() * cipher_.tag_ands(num_members_);
  }
  uint64_t num_triples() const {
    return circuits_.num_triples() + num_tags() * cipher_.tag_triples(num_members_);
  }

  /// Takes what GC-B left: "kin_s_ap" opened, "kout_s_ap" kept.
  void take(const mpc::Program& program, boolean::Outputs& outputs);
  /// GC-C of the first generation.
  void derive(const Views& views);
  bool can_update() const { return generations_.size() <= bounds_.updates; }
  /// The next generation, of which `first_record` is the first. `a4` fixed the KeyUpdate.
  void update(size_t first_record, const Views& views, const Digest& a4);

  /// Where a record stands: generation, and sequence number in it.
  RecordPosition position(size_t record) const;
  Generation& of(size_t record);
  /// The first block of a record's keystream.
  prep::AuthBits first_block(size_t record);
  const AnswerCipher& cipher() const { return cipher_; }

  void confirm() { circuits_.confirm(); }
  void add_ids(std::vector<Digest>& out) const { circuits_.add_ids(out); }
  void erase();

  static constexpr std::string_view kKeys = "answer keys", kUpdate = "answer key update";

 private:
  PreparedCircuits::Prepared& prepared(std::string_view name);
  void derive_keys(size_t first_record, const Views& views, const Digest& a4);
  void forget_secret();

  /// Of all generations.
  size_t num_tags() const;

  const Bounds bounds_;
  const AnswerCipher& cipher_;
  const size_t num_members_;
  PreparedCircuits circuits_;
  std::deque<std::unique_ptr<AnswerTags>> tags_;  // of generations to come
  std::deque<Generation> generations_;
  prep::AuthBits kout_;
  tls::HashValue kin_;
};

}  // namespace flexroom::agent
