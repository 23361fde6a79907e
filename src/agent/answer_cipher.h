#pragma once

#include <memory>
#include <span>
#include <vector>

#include "agent/context.h"
#include "agent/views.h"
#include "mpc/program.h"
#include "tls/hash_kind.h"

namespace flexroom::agent {

/// What the records of a sealed connection take together (SealedPlan, RequestsToCome).
struct AnswerBounds {
  size_t records = 0;       // of the connection
  size_t record_bytes = 0;  // of them together, in ciphertext
  size_t updates = 0;       // KeyUpdates of the server, less than records
};

/// The tags of the records of one generation of the server's keys, which nobody has: T' of
/// tls-in-mpc.md §4.5.
///
/// Order      bind() while GC-C is prepared; take() when it ran; tags() of each record at most
///            once, where there is room: its position is marked before (§4.1)
class AnswerTags {
 public:
  virtual ~AnswerTags() = default;
  AnswerTags() = default;
  AnswerTags(const AnswerTags&) = delete;
  AnswerTags& operator=(const AnswerTags&) = delete;

  /// Fills in the `zero` inputs that GC-C has for tags.
  virtual void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) = 0;
  /// Takes what GC-C opened and kept for them.
  virtual void take(const mpc::Program& program, boolean::Outputs& outputs) = 0;
  /// Whether what is prepared suffices for these records together.
  virtual bool has_room_for(std::span<const RecordText> records) const = 0;
  /// Shares of the tags of the records from `sequence` on, to be opened to all. May take openings
  /// of what is masked, all members together.
  virtual prep::AuthField tags(uint64_t sequence, std::span<const RecordText> records) = 0;
  virtual void erase() = 0;
};

/// What a cipher suite is to a sealed answer: circuits of the server's keys and its keystream.
struct AnswerCipher {
  size_t block_bytes;              // of keystream
  uint32_t first_counter;          // of the block that holds the first byte of a record
  size_t key_bytes;                // RFC 8446 §7.3
  std::string_view keys;           // what GC-C keeps and the keystream takes, beside "iv_s"
  const tls::HashKind& (*hash)();  // of the key schedule
  /// GC-C: keeps "iv_s", `keys` and "first_blocks", one block a record; the rest is of AnswerTags.
  std::shared_ptr<const mpc::Program> (*key_program)(size_t records, size_t num_members);
  /// key_update_circuit() of the hash. Made once a process.
  std::shared_ptr<const mpc::Program> (*update_program)();
  /// In "iv_s", `keys`, "place"; keeps "keystream". Made once a process.
  std::shared_ptr<const mpc::Program> (*keystream_program)(size_t blocks);
  /// Of a generation with so many records.
  std::unique_ptr<AnswerTags> (*make_tags)(const Context& context, const AnswerBounds& bounds,
                                           size_t records);
  /// ANDs, and triples, of the tag of a record beside those of GC-C.
  uint64_t (*tag_ands)(size_t num_members);
  uint64_t (*tag_triples)(size_t num_members);
  /// Bytes to each other member that make_tags() takes, about: for plans.
  double (*tag_bytes)(const AnswerBounds& bounds, size_t records);
};

/// TLS_AES_128_GCM_SHA256: GHASH (§4.4), beyond 4 KB with one product of `bounds` a run.
const AnswerCipher& gcm_answer_cipher();
/// TLS_AES_256_GCM_SHA384: the same.
const AnswerCipher& aes256_answer_cipher();
/// TLS_CHACHA20_POLY1305_SHA256: a Poly1305Tag a record (§4.7), each for the longest record that
/// the bounds allow.
const AnswerCipher& chacha_answer_cipher();

}  // namespace flexroom::agent
