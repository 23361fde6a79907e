#include "agent/answer_cipher.h"

#include <algorithm>
#include <deque>

#include "agent/gcm.h"
#include "agent/poly1305_tag.h"
#include "circuits/answer.h"
#include "circuits/chacha_records.h"
#include "mpc/program_cache.h"
#include "prep/field_ops.h"
#include "prep/ghash.h"
#include "prep/powers.h"
#include "tls/record_layer.h"

namespace flexroom::agent {
namespace {

constexpr size_t kHashRun = 256;  // blocks of GHASH without a product: 4 KB (§4.4)

// Of each record its header and lengths are two blocks, and the last one may not be full.
size_t hash_products(const AnswerBounds& bounds) {
  return (bounds.record_bytes / 16 + 3 * bounds.records) / kHashRun;
}

size_t longest_record(const AnswerBounds& bounds) {
  return std::min(bounds.record_bytes, tls::kMaxInner);
}

class GcmAnswerTags final : public AnswerTags {
 public:
  GcmAnswerTags(const Context& context, const AnswerBounds& bounds)
      : party_(context.party),
        delta_(context.source.delta()),
        hash_(context.source, kHashRun, hash_products(bounds)) {}

  void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    zero[program.input_group("r_s")] = hash_.random_bits();
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    hash_.set_difference(
        prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_s")])));
    masks_ = std::move(outputs.kept[program.output_group("tag_masks")]);
  }
  bool has_room_for(std::span<const RecordText> records) const override {
    size_t products = 0;
    for (const RecordText& record : records) {
      const size_t text = (record.ciphertext.size() + 15) / 16;
      products += hash_.products_needed(1 + text + 1);  // header, text, lengths
    }
    return products <= hash_.products_left();
  }
  prep::AuthField tags(uint64_t sequence, std::span<const RecordText> records) override {
    prep::AuthField out;
    for (const RecordText& record : records) {
      prep::AuthField tag =
          hash_.hash(party_, delta_, ghash_input(record.header, record.ciphertext));
      prep::add(tag, prep::pack(ghash_order(masks_.slice(128 * sequence++, 128))));
      out.append(tag);
    }
    return out;
  }
  void erase() override {
    hash_.erase();
    masks_ = prep::AuthBits();
  }

 private:
  net::Party& party_;
  const Block delta_;
  GhashKey hash_;
  prep::AuthBits masks_;  // E_K(J0) of every record
};

class ChaChaAnswerTags final : public AnswerTags {
 public:
  ChaChaAnswerTags(const Context& context, const AnswerBounds& bounds, size_t records)
      : most_(longest_record(bounds)) {
    std::vector<Poly1305Tag::Shape> shapes;
    for (size_t k = 0; k < records; ++k) {
      shapes.push_back({tls::kHeaderSize, most_, "answer " + std::to_string(k)});
    }
    for (Poly1305Tag& tag : Poly1305Tag::make(context, shapes)) tags_.push_back(std::move(tag));
  }

  void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) override {
    for (size_t k = 0; k < tags_.size(); ++k) tags_[k].bind(program, k, zero);
  }
  void take(const mpc::Program& program, boolean::Outputs& outputs) override {
    for (size_t k = 0; k < tags_.size(); ++k) tags_[k].take_key(program, k, outputs);
  }
  bool has_room_for(std::span<const RecordText> records) const override {
    return std::all_of(records.begin(), records.end(),
                       [&](const RecordText& record) { return record.ciphertext.size() <= most_; });
  }
  prep::AuthField tags(uint64_t sequence, std::span<const RecordText> records) override {
    std::vector<Poly1305Tag*> of;
    for (size_t k = 0; k < records.size(); ++k) of.push_back(&tags_.at(sequence + k));
    prep::AuthField out;
    for (const prep::AuthBits& tag : Poly1305Tag::compute(of, records)) {
      out.append(tag_element(tag));
    }
    return out;
  }
  void erase() override { tags_.clear(); }

 private:
  const size_t most_;  // bytes of a record
  std::deque<Poly1305Tag> tags_;
};

template <typename Build>
std::shared_ptr<const mpc::Program> cached(const std::string& name, Build build) {
  static mpc::ProgramCache made;
  return made.get(name, build);
}

template <const circuits::HashCircuit& (*kHash)()>
std::shared_ptr<const mpc::Program> update_program() {
  return cached("update " + std::string(kHash().name),
                [] { return circuits::key_update_circuit(kHash()); });
}

template <const circuits::GcmSuite& (*kSuite)()>
AnswerCipher gcm_cipher(const tls::HashKind& (*hash)(),
                        std::shared_ptr<const mpc::Program> (*update)()) {
  static const std::string name(kSuite().name);
  return {16,
          2,
          kSuite().key_bytes,
          "round_keys_s",
          hash,
          [](size_t records, size_t) {
            return cached(name + " keys " + std::to_string(records),
                          [&] { return circuits::gc_c(records, kSuite()); });
          },
          update,
          [](size_t blocks) {
            return cached(name + " blocks " + std::to_string(blocks),
                          [&] { return circuits::keystream_circuit(blocks, kSuite()); });
          },
          [](const Context& context, const AnswerBounds& bounds,
             size_t) -> std::unique_ptr<AnswerTags> {
            return std::make_unique<GcmAnswerTags>(context, bounds);
          },
          [](size_t) { return uint64_t{0}; },
          [](size_t) { return uint64_t{0}; },
          [](const AnswerBounds& bounds, size_t) {
            return prep::power_bytes_to_each_peer(kHashRun + hash_products(bounds));
          }};
}

}  // namespace

const AnswerCipher& gcm_answer_cipher() {
  static const AnswerCipher kCipher =
      gcm_cipher<circuits::aes128_gcm>(tls::sha256_kind, update_program<circuits::sha256_hash>);
  return kCipher;
}

const AnswerCipher& aes256_answer_cipher() {
  static const AnswerCipher kCipher =
      gcm_cipher<circuits::aes256_gcm>(tls::sha384_kind, update_program<circuits::sha384_hash>);
  return kCipher;
}

const AnswerCipher& chacha_answer_cipher() {
  static const AnswerCipher kCipher = {
      64,
      1,
      32,
      "key_s",
      tls::sha256_kind,
      [](size_t records, size_t n) {
        return cached("chacha keys " + std::to_string(records) + "/" + std::to_string(n),
                      [&] { return circuits::chacha_gc_c(records, n); });
      },
      update_program<circuits::sha256_hash>,
      [](size_t blocks) {
        return cached("chacha blocks " + std::to_string(blocks),
                      [&] { return circuits::chacha_keystream_circuit(blocks); });
      },
      [](const Context& context, const AnswerBounds& bounds,
         size_t records) -> std::unique_ptr<AnswerTags> {
        return std::make_unique<ChaChaAnswerTags>(context, bounds, records);
      },
      Poly1305Tag::num_ands,
      Poly1305Tag::num_triples,
      [](const AnswerBounds& bounds, size_t records) {
        return static_cast<double>(records) *
               Poly1305Tag::bytes_to_each_peer(tls::kHeaderSize, longest_record(bounds));
      }};
  return kCipher;
}

}  // namespace flexroom::agent
