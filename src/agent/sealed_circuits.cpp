#include "agent/sealed_circuits.h"

#include <algorithm>
#include <optional>

#include "agent/wires.h"
#include "base/error.h"
#include "circuits/answer.h"
#include "circuits/code_search.h"
#include "circuits/header_outline.h"
#include "circuits/json_outline.h"
#include "circuits/xml_outline.h"
#include "mpc/program_cache.h"

namespace flexroom::agent {
namespace {

using circuits::ByteSet;

// Large circuits are cut, so that only what an answer needs is evaluated. A circuit serves one
// generation of keys, and what is there when it runs. Bytes; blocks are 16 or 64 of them.
constexpr size_t kCircuitBytes = 1024, kStepBytes = 64;

ByteSet set_of(const http::CharSet& chars) {
  ByteSet out;
  for (unsigned c = 0; c < 256; ++c) out[c] = chars.contains(static_cast<uint8_t>(c));
  return out;
}

std::vector<ByteSet> sets_of(const std::vector<http::CharSet>& sets) {
  std::vector<ByteSet> out;
  for (const http::CharSet& set : sets) out.push_back(set_of(set));
  return out;
}

/// Programs of a few public sizes: made once a process.
std::shared_ptr<const mpc::Program> sized(std::string_view name, size_t size,
                                          mpc::Circuit (*build)(size_t)) {
  static mpc::ProgramCache made;
  return made.get(std::string(name) + "/" + std::to_string(size), [&] { return build(size); });
}

std::shared_ptr<const mpc::Program> fresh(const mpc::Circuit& circuit) {
  return std::make_shared<const mpc::Program>(mpc::compile(circuit));
}

mpc::Circuit digits_circuit(size_t bytes) {
  return circuits::gate_circuit(bytes, circuits::byte_set("0123456789"));
}
mpc::Circuit size_line_circuit(size_t bytes) {
  return circuits::gate_circuit(bytes, circuits::byte_set("0123456789abcdefABCDEF\r\n"));
}
mpc::Circuit age_circuit(size_t bytes) {
  return circuits::class_circuit(std::vector<ByteSet>(bytes, circuits::byte_set("0123456789")));
}
mpc::Circuit date_circuit(size_t) {
  return circuits::class_circuit(sets_of(http::cookie_date_form()));
}
/// What an item with `after` or a pattern is searched with.
std::optional<mpc::Circuit> search_circuit(const SealedItem& item, size_t body_max) {
  const bool absent = item.fate == SealedItem::Fate::kAbsent;
  if (const auto* pattern = std::get_if<SealedPattern>(&item.at)) {
    if (absent) return circuits::literal_circuit(body_max, pattern->literal);
    return circuits::code_search_circuit(body_max, pattern->literal, set_of(pattern->run_class),
                                         set_of(pattern->terminator));
  }
  if (!item.behind) return std::nullopt;
  constexpr size_t kBytes = SealedPlan::kCodeCapacity;
  if (absent) return circuits::literal_circuit(kBytes, *item.behind);
  if (std::holds_alternative<SealedJson>(item.at)) {
    return circuits::json_code_search_circuit(kBytes, *item.behind, set_of(item.char_class));
  }
  return circuits::code_search_circuit(kBytes, *item.behind, set_of(item.char_class));
}
mpc::Circuit status_circuit(size_t) { return circuits::status_circuit(); }

}  // namespace

bool has_class_check(const SealedItem& item) {
  if (item.fate == SealedItem::Fate::kTest || item.fate == SealedItem::Fate::kAbsent) return false;
  if (item.behind) return false;  // the search itself takes bytes of the class alone
  if (const auto* pattern = std::get_if<SealedPattern>(&item.at)) {
    return !pattern->blanks.empty() || !pattern->run_class.subset_of(item.char_class);
  }
  const auto* json = std::get_if<SealedJson>(&item.at);
  const bool number = json != nullptr && json->number;
  return number || set_of(item.char_class).count() != 256;
}

std::vector<http::CharSet> class_sets(const SealedPlan& plan) {
  std::vector<http::CharSet> out;
  for (const SealedItem& item : plan.items) {
    if (!has_class_check(item)) continue;
    const auto* json = std::get_if<SealedJson>(&item.at);
    const std::vector<http::CharSet> form = http::number_form(item.max_bytes);
    for (size_t k = 0; k < item.max_bytes; ++k) {
      const bool number = json != nullptr && json->number;
      out.push_back(number ? item.char_class & form[k] : item.char_class);
    }
    if (const auto* pattern = std::get_if<SealedPattern>(&item.at)) {
      out.insert(out.end(), pattern->blanks.size(), http::CharSet::of(" "));
    }
  }
  return out;
}

size_t SealedCircuits::blocks_of(const mpc::Program& program) {
  return program.inputs[program.input_group("place")].size / circuits::kPlaceBits;
}

void SealedCircuits::add_blocks(std::string_view name, size_t blocks) {
  add_general(name, cipher_.keystream_program(blocks));
}

size_t SealedCircuits::in_steps(size_t blocks) const {
  const size_t step = kStepBytes / cipher_.block_bytes;
  return (blocks + step - 1) / step * step;
}

// Bytes may come in breaks + 1 pieces of any sizes. Each piece wastes less than a step: every size
// is twice the one below it, and of each but the largest there is one a piece, so that whoever
// takes the largest first never lacks a smaller one (keystream_for). One piece in parts wastes less
// than two steps, of fewer circuits.
void SealedCircuits::add_keystream(std::string_view name, size_t bytes, size_t breaks) {
  const size_t step = kStepBytes / cipher_.block_bytes;
  const size_t most = kCircuitBytes / cipher_.block_bytes;
  size_t left = in_steps((bytes + cipher_.block_bytes - 1) / cipher_.block_bytes + step * breaks);
  const bool whole = breaks == 0 && !in_parts_;
  for (size_t size = breaks > 0 ? step : 2 * step; !whole && size < most; size *= 2) {
    for (size_t piece = 0; piece <= breaks && left >= size; ++piece, left -= size) {
      add_blocks(name, size);
    }
  }
  while (left > 0) {
    size_t size = most;
    while (size > left) size = whole ? left : size / 2;
    add_blocks(name, size);
    left -= size;
  }
}

SealedCircuits::Prepared* SealedCircuits::keystream_for(std::string_view name, size_t blocks) {
  Prepared* enough = nullptr;
  Prepared* less = nullptr;
  each_left(name, [&](Prepared& circuit) {
    const size_t size = blocks_of(*circuit.program);
    Prepared*& best = size >= blocks ? enough : less;
    const bool better = best == nullptr || (size >= blocks ? size < blocks_of(*best->program)
                                                           : size > blocks_of(*best->program));
    if (better) best = &circuit;
  });
  const bool exact = enough != nullptr && blocks_of(*enough->program) <= in_steps(blocks);
  return less == nullptr || exact ? enough : less;
}

void SealedCircuits::add_header() {
  // A record boundary may cut a block in two, but the first block of every record is there.
  const size_t windows = header_windows(plan_);
  add_keystream(kHeaderBlocks, plan_.header_max, key_updates_ + windows - 1);
  for (size_t window = 0; window < windows; ++window) {
    add_general(kHeader, sized(kHeader, plan_.header_max, circuits::header_outline_circuit));
  }
  for (const SealedItem& item : plan_.items) {
    if (!std::holds_alternative<SealedCookie>(item.at)) continue;
    add_general(kAge, sized(kAge, kAgeDigits, age_circuit));
    add_general(kDate, sized(kDate, kDateBytes, date_circuit));
  }
}

void SealedCircuits::add_body() {
  if (!plan_.prepares_body() && !plan_.keep_alive) return;
  add_general(kDigits, sized(kDigits, kLengthDigits, digits_circuit));
  if (!plan_.prepares_body()) return;
  // Each chunk has a line of 3 to 7 bytes, read in at most three steps, and the last one is empty.
  const size_t lines = plan_.max_chunks + 1;
  for (size_t k = 0; k < 3 * lines; ++k) {
    add_general(kSizeLine, sized(kSizeLine, kSizeBytes, size_line_circuit));
  }
  const size_t arrivals = plan_.keep_alive ? plan_.records : 1;
  // Its first block may be one that the header ends in.
  const size_t bytes = (plan_.body_max + 9 * lines) / cipher_.block_bytes * cipher_.block_bytes;
  add_keystream(kBodyBlocks, bytes + cipher_.block_bytes, key_updates_ + arrivals - 1);
  switch (plan_.body_kind()) {
    case SealedBodyKind::kJson:
      return add_general(kBody, sized("json", plan_.body_max, circuits::json_outline_circuit));
    case SealedBodyKind::kXml:
      return add_general(kBody, sized("xml", plan_.body_max, circuits::xml_outline_circuit));
    case SealedBodyKind::kText:
      return;  // no outline: patterns read the whole of it
  }
}

void SealedCircuits::add_values() {
  for (size_t k = 0; k < plan_.items.size(); ++k) {
    if (auto circuit = search_circuit(plan_.items[k], plan_.body_max)) {
      add(search_name(k), fresh(*circuit));
    }
  }
  const std::vector<http::CharSet> sets = class_sets(plan_);
  if (!sets.empty()) add(kClasses, fresh(circuits::class_circuit(sets_of(sets))));
}

SealedCircuits::SealedCircuits(const SealedPlan& plan, const AnswerCipher& cipher,
                               size_t key_updates, bool in_parts)
    : plan_(plan), cipher_(cipher), key_updates_(key_updates), in_parts_(in_parts) {
  // One at a time: how many records are looked at together is known when they are there.
  for (size_t block = 0; block < plan_.records + plan_.spare_blocks; ++block) {
    add_blocks(kTypes, 1);
  }
  add_general(kStatus, sized(kStatus, 0, status_circuit));
  if (!plan_.reads_header()) return;
  add_header();
  add_body();
  add_values();
}

size_t SealedCircuits::keystream_left(std::string_view name) const {
  return count(name, [](const Prepared& circuit) { return blocks_of(*circuit.program); });
}

}  // namespace flexroom::agent
