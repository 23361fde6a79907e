#include "agent/answer_keys.h"

#include "circuits/answer.h"
#include "mpc/program_cache.h"
#include "prep/ghash.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

constexpr size_t kHashRun = 256;  // blocks of GHASH without a product: 4 KB (§4.4)

std::shared_ptr<const mpc::Program> key_program(size_t records) {
  static mpc::ProgramCache made;
  return made.get(std::to_string(records), [&] { return circuits::gc_c(records); });
}

std::shared_ptr<const mpc::Program> update_program() {
  static mpc::ProgramCache made;
  return made.get("", [] { return circuits::key_update_circuit(); });
}

std::vector<uint8_t> outer_bits(const Sha256State& kin, std::string_view label, size_t length) {
  return word_bits(tls::outer_words(tls::inner_digest(kin, label, {}, length)));
}

}  // namespace

AnswerKeys::AnswerKeys(const Bounds& bounds) : bounds_(bounds) {
  FLEXROOM_ASSERT(bounds_.updates < bounds_.records);
  circuits_.add(kKeys, key_program(bounds_.records));
  for (size_t update = 1; update <= bounds_.updates; ++update) {
    circuits_.add(kUpdate, update_program());
    // Each generation had a record before it.
    circuits_.add(kKeys, key_program(bounds_.records - update));
  }
}

void AnswerKeys::prepare(const Context& context) {
  // Of each record its header and lengths are two blocks, and the last one may not be full.
  const size_t blocks = bounds_.record_bytes / 16 + 3 * bounds_.records;
  for (size_t generation = 0; generation <= bounds_.updates; ++generation) {
    hashes_.emplace_back(context.source, kHashRun, blocks / kHashRun);
  }
  size_t next = 0;
  circuits_.prepare(
      context, [&](const PreparedCircuits::Prepared& circuit, std::vector<prep::AuthBits>& zero) {
        if (circuit.name != kKeys) return;
        zero[circuit.program->input_group("r_s")] = hashes_[next++].random_bits();
      });
}

void AnswerKeys::take(const mpc::Program& program, boolean::Outputs& outputs) {
  kout_ = std::move(outputs.kept[program.output_group("kout_s_ap")]);
  kin_ = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_s_ap")]));
}

PreparedCircuits::Prepared& AnswerKeys::prepared(std::string_view name) {
  PreparedCircuits::Prepared* const circuit = circuits_.find(name);
  FLEXROOM_ASSERT(circuit != nullptr);
  return *circuit;
}

void AnswerKeys::derive(const Views& views) {
  FLEXROOM_ASSERT(generations_.empty());
  derive_keys(0, views, {});
}

void AnswerKeys::derive_keys(size_t first_record, const Views& views, const Digest& a4) {
  PreparedCircuits::Prepared& circuit = prepared(kKeys);
  PreparedCircuits::Inputs inputs;
  inputs.dyn = {{"kout_s_ap", &kout_}};
  inputs.pub.emplace_back("kw_key", outer_bits(kin_, "key", 16));
  inputs.pub.emplace_back("kw_iv", outer_bits(kin_, "iv", 12));
  inputs.generation = static_cast<uint32_t>(generations_.size());
  boolean::Outputs outputs = circuits_.run(circuit, inputs, views, a4);
  const mpc::Program& program = *circuit.program;
  const auto kept = [&](std::string_view name) {
    return std::move(outputs.kept[program.output_group(name)]);
  };
  GhashKey hash = std::move(hashes_.front());
  hashes_.pop_front();
  hash.set_difference(
      prep::ghash_block(bytes_of_bits(outputs.opened[program.output_group("d_s")])));
  generations_.push_back({first_record, std::move(hash), kept("iv_s"), kept("round_keys_s"),
                          kept("tag_masks"), kept("first_blocks")});
}

// application_traffic_secret_{N+1} stays inside; Kin of it is opened, as that of the first was.
void AnswerKeys::update(size_t first_record, const Views& views, const Digest& a4) {
  FLEXROOM_ASSERT(can_update() && first_record > generations_.back().first_record);
  PreparedCircuits::Prepared& circuit = prepared(kUpdate);
  PreparedCircuits::Inputs inputs;
  inputs.dyn = {{"kout", &kout_}};
  inputs.pub.emplace_back("kw_next", outer_bits(kin_, "traffic upd", 32));
  inputs.generation = static_cast<uint32_t>(generations_.size());
  boolean::Outputs outputs = circuits_.run(circuit, inputs, views, a4);
  const mpc::Program& program = *circuit.program;
  kin_ = sha256_state_from(digest_of_bits(outputs.opened[program.output_group("kin_next")]));
  kout_ = std::move(outputs.kept[program.output_group("kout_next")]);
  derive_keys(first_record, views, a4);
}

AnswerKeys::Generation& AnswerKeys::of(size_t record) {
  return generations_.at(position(record).generation);
}

RecordPosition AnswerKeys::position(size_t record) const {
  FLEXROOM_ASSERT(record < bounds_.records && !generations_.empty());
  size_t generation = generations_.size() - 1;
  while (generations_[generation].first_record > record) --generation;
  return {static_cast<uint32_t>(generation), record - generations_[generation].first_record};
}

prep::AuthBits AnswerKeys::tag_mask(size_t record) {
  return of(record).tag_masks.slice(128 * position(record).sequence, 128);
}

prep::AuthBits AnswerKeys::first_block(size_t record) {
  return of(record).first_blocks.slice(128 * position(record).sequence, 128);
}

void AnswerKeys::erase() {
  for (GhashKey& hash : hashes_) hash.erase();
  for (Generation& generation : generations_) generation.hash.erase();
  hashes_.clear();
  generations_.clear();
  circuits_.erase();
  kout_ = prep::AuthBits();
}

}  // namespace flexroom::agent
