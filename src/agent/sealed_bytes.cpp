#include "agent/sealed_bytes.h"

#include <algorithm>

#include "agent/wires.h"
#include "base/error.h"
#include "math/gf128.h"
#include "prep/field_ops.h"
#include "prep/open.h"
#include "prep/zero_test.h"

namespace flexroom::agent {
namespace {

constexpr std::string_view kTestLabel = "sealed/test";
constexpr size_t kElementBytes = 16;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

// --- SealedAnswer ---

std::vector<uint8_t> SealedAnswer::open(const prep::AuthBits& bits, std::string_view label) const {
  return prep::open_bits(party, delta, bits, label);
}

Bytes SealedAnswer::open_bytes(std::span<const RecordByte> bytes, std::string_view label) const {
  return bytes_of_bits(open(text.bits(bytes), label));
}

SealedCircuits::Prepared& SealedAnswer::prepared(std::string_view name) {
  SealedCircuits::Prepared* const circuit = circuits.find(name);
  FLEXROOM_ASSERT(circuit != nullptr);
  return *circuit;
}

void SealedAnswer::decrypt(std::span<const RecordByte> bytes, std::string_view circuit) {
  std::vector<std::pair<uint32_t, uint32_t>> missing;
  for (const RecordByte& byte : bytes) {
    const std::pair<uint32_t, uint32_t> place = text.block_of(byte);
    if (text.has_block(place)) continue;
    if (missing.empty() || missing.back() != place) missing.push_back(place);
  }
  compute_blocks(std::move(missing), circuit);
}

void SealedAnswer::compute_blocks(std::vector<std::pair<uint32_t, uint32_t>> places,
                                  std::string_view circuit) {
  if (places.size() > circuits.keystream_left(circuit)) throw SealedFault("too long");
  std::span<const std::pair<uint32_t, uint32_t>> left(places);
  while (!left.empty()) {
    // One circuit has the keys of one generation.
    const uint32_t generation = keys.position(left.front().first).generation;
    size_t count = 0;
    while (count < left.size() && keys.position(left[count].first).generation == generation) {
      ++count;
    }
    SealedCircuits::Prepared* const next = circuits.keystream_for(circuit, count);
    if (next == nullptr) throw SealedFault("too long");  // of generations without a block between
    count = std::min(count, SealedCircuits::blocks_of(*next->program));
    compute_block_run(*next, left.first(count));
    left = left.subspan(count);
  }
}

// What the circuit has room for beyond these blocks is the last of them once more.
void SealedAnswer::compute_block_run(SealedCircuits::Prepared& circuit,
                                     std::span<const std::pair<uint32_t, uint32_t>> places) {
  std::vector<uint8_t> bits;
  for (size_t k = 0; k < SealedCircuits::blocks_of(*circuit.program); ++k) {
    const auto& [record, block] = places[std::min(k, places.size() - 1)];
    const uint64_t sequence = keys.position(record).sequence;
    const uint32_t counter = block + keys.cipher().first_counter;
    for (unsigned b = 0; b < 16; ++b) bits.push_back(static_cast<uint8_t>(sequence >> b & 1));
    for (unsigned b = 0; b < 12; ++b) bits.push_back(static_cast<uint8_t>(counter >> b & 1));
  }
  const AnswerKeys::Generation& generation = keys.of(places.front().first);
  SealedCircuits::Inputs inputs;
  inputs.dyn = {{"iv_s", &generation.iv}, {keys.cipher().keys, &generation.keys}};
  inputs.pub.emplace_back("place", std::move(bits));
  inputs.generation = keys.position(places.front().first).generation;
  boolean::Outputs outputs = run(circuit, inputs);
  text.add_keystream(places, outputs.kept[circuit.program->output_group("keystream")]);
}

boolean::Outputs SealedAnswer::run_on_text(SealedCircuits::Prepared& circuit,
                                           std::span<const RecordByte> bytes, char filler) {
  const size_t capacity = circuit.program->inputs[circuit.program->input_group("text")].size / 8;
  FLEXROOM_ASSERT(bytes.size() <= capacity);
  prep::AuthBits bits = text.bits(bytes);
  append_public(bits, Bytes(capacity - bytes.size(), static_cast<uint8_t>(filler)), delta);
  SealedCircuits::Inputs inputs;
  inputs.dyn = {{"text", &bits}};
  return run(circuit, inputs);
}

bool SealedAnswer::class_bit(std::string_view circuit, std::span<const RecordByte> bytes,
                             char filler) {
  SealedCircuits::Prepared& check = prepared(circuit);
  const boolean::Outputs outputs = run_on_text(check, bytes, filler);
  ++leak.class_bits;
  return outputs.opened[check.program->output_group("ok")].front() != 0;
}

// --- SealedBytes ---

// Bits that are all zero where the bytes are the text; of letters in any case bit 5 does not count.
prep::AuthBits SealedBytes::difference(const Question& question) const {
  prep::AuthBits bits = answer_.text.bits(at(question.span));
  std::vector<uint8_t> constants;
  for (size_t k = 0; k < question.text.size(); ++k) {
    const char c = question.text[k];
    const bool drop = question.any_case && is_letter(c);
    for (unsigned b = 0; b < 8; ++b) {
      const bool counts = b != 5 || !drop;
      constants.push_back(static_cast<uint8_t>(counts ? static_cast<uint8_t>(c) >> b & 1 : 0));
      if (counts) continue;
      for (PartyId j = 0; j < bits.num_parties(); ++j) {
        if (j == bits.self()) continue;
        bits.mac[j][8 * k + b] = Block();
        bits.key[j][8 * k + b] = Block();
      }
    }
  }
  prep::add_constants(bits, constants, answer_.delta);
  const size_t rest = bits.size() % 128;
  if (rest != 0) bits.append(prep::AuthBits(bits.self(), bits.num_parties(), 128 - rest));
  return bits;
}

void SealedBytes::ask_together(const std::vector<Question>& questions) {
  std::vector<const Question*> fresh;
  bool is_long = false;
  for (const Question& question : questions) {
    FLEXROOM_ASSERT(question.span.size() == question.text.size() && !question.text.empty() &&
                    question.span.end <= bytes_.size());
    const Key key = key_of(question);
    if (asked_.contains(key)) continue;
    if (std::any_of(fresh.begin(), fresh.end(),
                    [&](const Question* other) { return key_of(*other) == key; })) {
      continue;
    }
    fresh.push_back(&question);
    is_long |= question.text.size() > kElementBytes;
  }
  if (fresh.empty()) return;
  if (fresh.size() > answer_.products.size()) throw SealedFault("too many tests");
  // Drawn after A4 fixed all records, one a batch: no text can be made for it (§5.4).
  Block coin;
  if (is_long) coin = load_block(answer_.party.coin("sealed/coin of tests").data());
  prep::AuthField values(answer_.party.id(), answer_.party.num_parties(), fresh.size());
  std::vector<prep::VecTriple> products;
  for (size_t h = 0; h < fresh.size(); ++h) {
    const prep::AuthBits bits = difference(*fresh[h]);
    Block power(0, 1);
    for (size_t offset = 0; offset < bits.size(); offset += 128) {
      prep::accumulate_packed(values, h, power, bits, offset);
      power = math::gf_mul(power, coin);
    }
    products.push_back(std::move(answer_.products.back()));
    answer_.products.pop_back();
  }
  const std::vector<bool> equal = prep::are_zero(answer_.party, answer_.delta, std::move(values),
                                                 std::move(products), kTestLabel);
  for (size_t h = 0; h < fresh.size(); ++h) asked_.emplace(key_of(*fresh[h]), equal[h]);
  answer_.leak.tests += fresh.size();
}

bool SealedBytes::equal(http::Span span, std::string_view text, bool any_case) {
  const Question question{span, text, any_case};
  ask_together({question});
  return asked_.at(key_of(question));
}

// Dates and ages of cookies decide what follows; the form of a number is in the one class bit.
bool SealedBytes::in_classes(http::Span span, const std::vector<http::CharSet>& sets) {
  if (sets == http::cookie_date_form()) {
    return answer_.class_bit(SealedCircuits::kDate, at(span), '0');
  }
  if (sets == std::vector{http::char_set(http::CharClass::kDigits)}) {
    return answer_.class_bit(SealedCircuits::kAge, at(span), '0');
  }
  // Whoever asks about another class needs a circuit for it.
  FLEXROOM_ASSERT(sets == http::number_form(span.size()));
  return true;
}

bool SealedBytes::have_escape(const std::vector<http::Span>& strings) {
  std::vector<size_t> closing_quotes;
  for (const http::Span string : strings) closing_quotes.push_back(string.end);
  const std::vector<uint8_t> bits =
      answer_.open(gather(escapes_, closing_quotes), "sealed/open escapes");
  answer_.leak.escape_bits += bits.size();
  return std::any_of(bits.begin(), bits.end(), [](uint8_t bit) { return bit != 0; });
}

std::string SealedBytes::open_marks(const std::vector<size_t>& at) {
  std::vector<size_t> missing;
  std::vector<RecordByte> places;
  for (const size_t place : at) {
    if (opened_.contains(place)) continue;
    missing.push_back(place);
    places.push_back(bytes_.at(place));
  }
  if (!missing.empty()) {
    const Bytes bytes = answer_.open_bytes(places, "sealed/open structure");
    for (size_t k = 0; k < missing.size(); ++k) {
      opened_.emplace(missing[k], static_cast<char>(bytes[k]));
    }
    answer_.leak.structure_bytes += missing.size();
  }
  std::string out;
  for (const size_t place : at) out += opened_.at(place);
  return out;
}

std::string SealedBytes::open_date(http::Span span) {
  answer_.leak.opened_bytes += span.size();
  return to_text(answer_.open_bytes(at(span), "sealed/open date"));
}

}  // namespace flexroom::agent
