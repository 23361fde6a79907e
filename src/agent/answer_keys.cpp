#include "agent/answer_keys.h"

#include "agent/wires.h"
#include "tls/key_schedule.h"

namespace flexroom::agent {
namespace {

std::vector<uint8_t> outer_bits(const tls::HashKind& kind, const tls::HashValue& kin,
                                std::string_view label, size_t length) {
  return bits_of_bytes(tls::outer_words(kind, tls::inner_digest(kind, kin, label, {}, length)));
}

}  // namespace

AnswerKeys::AnswerKeys(const Bounds& bounds, const AnswerCipher& cipher, size_t num_members)
    : bounds_(bounds), cipher_(cipher), num_members_(num_members) {
  FLEXROOM_ASSERT(bounds_.updates < bounds_.records);
  circuits_.add(kKeys, cipher_.key_program(bounds_.records, num_members));
  for (size_t update = 1; update <= bounds_.updates; ++update) {
    circuits_.add(kUpdate, cipher_.update_program());
    // Each generation had a record before it.
    circuits_.add(kKeys, cipher_.key_program(bounds_.records - update, num_members));
  }
}

size_t AnswerKeys::num_tags() const {
  size_t sum = 0;
  for (size_t update = 0; update <= bounds_.updates; ++update) sum += bounds_.records - update;
  return sum;
}

void AnswerKeys::prepare(const Context& context) {
  FLEXROOM_ASSERT(context.party.num_parties() == num_members_);
  for (size_t generation = 0; generation <= bounds_.updates; ++generation) {
    tags_.push_back(cipher_.make_tags(context, bounds_, bounds_.records - generation));
  }
  size_t next = 0;
  circuits_.prepare(
      context, [&](const PreparedCircuits::Prepared& circuit, std::vector<prep::AuthBits>& zero) {
        if (circuit.name == kKeys) tags_[next++]->bind(*circuit.program, zero);
      });
}

void AnswerKeys::take(const mpc::Program& program, boolean::Outputs& outputs) {
  kout_ = std::move(outputs.kept[program.output_group("kout_s_ap")]);
  kin_ = hash_value_of_bits(outputs.opened[program.output_group("kin_s_ap")]);
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
  inputs.pub.emplace_back("kw_key", outer_bits(cipher_.hash(), kin_, "key", cipher_.key_bytes));
  inputs.pub.emplace_back("kw_iv", outer_bits(cipher_.hash(), kin_, "iv", 12));
  inputs.generation = static_cast<uint32_t>(generations_.size());
  boolean::Outputs outputs = circuits_.run(circuit, inputs, views, a4);
  const mpc::Program& program = *circuit.program;
  const auto kept = [&](std::string_view name) {
    return std::move(outputs.kept[program.output_group(name)]);
  };
  std::unique_ptr<AnswerTags> tags = std::move(tags_.front());
  tags_.pop_front();
  tags->take(program, outputs);
  generations_.push_back(
      {first_record, std::move(tags), kept("iv_s"), kept(cipher_.keys), kept("first_blocks")});
  if (!can_update()) forget_secret();
}

// Of the last generation that is prepared nothing is derived any more.
void AnswerKeys::forget_secret() {
  kout_ = prep::AuthBits();
  kin_ = tls::HashValue();
}

// application_traffic_secret_{N+1} stays inside; Kin of it is opened, as that of the first was.
void AnswerKeys::update(size_t first_record, const Views& views, const Digest& a4) {
  FLEXROOM_ASSERT(can_update() && first_record > generations_.back().first_record);
  PreparedCircuits::Prepared& circuit = prepared(kUpdate);
  PreparedCircuits::Inputs inputs;
  inputs.dyn = {{"kout", &kout_}};
  inputs.pub.emplace_back(
      "kw_next", outer_bits(cipher_.hash(), kin_, "traffic upd", cipher_.hash().digest_bytes));
  inputs.generation = static_cast<uint32_t>(generations_.size());
  boolean::Outputs outputs = circuits_.run(circuit, inputs, views, a4);
  const mpc::Program& program = *circuit.program;
  kin_ = hash_value_of_bits(outputs.opened[program.output_group("kin_next")]);
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

prep::AuthBits AnswerKeys::first_block(size_t record) {
  const size_t bits = 8 * cipher_.block_bytes;
  return of(record).first_blocks.slice(bits * position(record).sequence, bits);
}

void AnswerKeys::erase() {
  for (const auto& tags : tags_) tags->erase();
  for (Generation& generation : generations_) generation.tags->erase();
  tags_.clear();
  generations_.clear();
  circuits_.erase();
  forget_secret();
}

}  // namespace flexroom::agent
