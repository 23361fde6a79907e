#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/prg.h"
#include "math/gf128.h"
#include "prep/memory_safety.h"
#include "prep/rows.h"
#include "session/hand_over.h"
#include "support/parties.h"

namespace flexroom::support {

/// The string that rows of a value are shares of (members.md 3.1), with its first blocks given.
inline Bytes row_string(ByteView value, const Block& rho, const Block& key) {
  const size_t count = prep::row_value_blocks(8 * value.size()) + 1;
  Bytes out(prep::row_bytes(8 * value.size()));
  store_block(out.data(), rho);
  std::copy(value.begin(), value.end(), out.begin() + 16);
  for (size_t b = 0; b < count; ++b) {
    store_block(out.data() + 16 * (count + b), math::gf_mul(key, load_block(out.data() + 16 * b)));
  }
  store_block(out.data() + 32 * count, key);
  return out;
}

inline void add_row(Bytes& sum, ByteView row) {
  sum.resize(std::max(sum.size(), row.size()));
  for (size_t t = 0; t < row.size(); ++t) sum[t] ^= row[t];
}

/// Rows of one value for `members`, and what they sum up to.
inline std::vector<Bytes> rows_of_value(ByteView value, size_t members, Prg& prg) {
  Bytes rest = row_string(value, prg.next_block(), prg.next_block());
  std::vector<Bytes> out(members, Bytes(rest.size()));
  for (size_t i = 0; i + 1 < members; ++i) {
    prg.fill(std::span<uint8_t>(out[i]));
    add_row(rest, out[i]);
  }
  out.back() = rest;
  return out;
}

/// A member's state in memory.
class MemoryHandOver : public session::HandOverState {
 public:
  using Place = std::pair<store::RecordId, uint32_t>;
  static Place place(const store::RecordMeta& meta) { return {meta.id, meta.version}; }

  std::map<Place, Bytes> rows, staged;
  std::optional<session::Carried> staged_carried;
  bool frozen = false;
  size_t tried = 0;  // rows that the trial load read
  std::vector<std::pair<session::HandOverEpoch, ProtocolAbort>> failures;
  prep::MemorySafety of_union, of_next;
  /// What goes wrong at stage(), or with the row that was staged.
  std::function<void()> while_staging;
  std::function<void(Bytes&)> on_disk;

  SecretBytes row(const store::RecordMeta& meta) override {
    return SecretBytes::copy_of(rows.at(place(meta)));
  }
  void freeze() override { frozen = true; }
  void stage(std::span<const store::Record> records, const session::Carried& carried) override {
    if (while_staging) while_staging();
    for (const store::Record& record : records) {
      const ByteView row = record.bytes.reveal();
      staged[place(record.meta)].assign(row.begin(), row.end());
    }
    staged_carried = carried;
  }
  SecretBytes staged_row(const store::RecordMeta& meta) override {
    ++tried;
    Bytes row = staged.at(place(meta));
    if (on_disk) on_disk(row);
    return SecretBytes::copy_of(row);
  }
  prep::Safety& safety(session::HandOverEpoch epoch) override {
    return epoch == session::HandOverEpoch::kUnion ? of_union : of_next;
  }
  void failed(session::HandOverEpoch epoch, const ProtocolAbort& abort) override {
    failures.emplace_back(epoch, abort);
    (epoch == session::HandOverEpoch::kUnion ? of_union : of_next).burn(abort.code());
  }
};

/// A room of `from`, secrets and all, and everybody of U. Party indices as in U.
struct HandOverRig {
  using Members = std::vector<PartyId>;
  size_t n = 0;
  session::HandOverTerms terms;
  session::Carried carried;  // what S says
  std::vector<Bytes> values;
  std::vector<std::unique_ptr<MemoryHandOver>> states;  // by party
  std::vector<std::optional<session::Carried>> said;    // instead of it, by party

  HandOverRig(Members from, Members to, std::vector<Bytes> secrets, uint64_t seed = 5)
      : values(std::move(secrets)) {
    for (const Members* set : {&from, &to}) {
      for (const PartyId i : *set) n = std::max<size_t>(n, i + 1);
    }
    terms.attempt[0] = 0xa1;
    terms.from = std::move(from);
    terms.to = std::move(to);
    terms.triples = {3, 256, 64, true};
    terms.of_union.subfield_bits = terms.of_next.subfield_bits = 2;
    for (size_t i = 0; i < n; ++i) terms.of_union.identities.push_back(identity(i));
    for (const PartyId i : terms.to) terms.of_next.identities.push_back(identity(i));
    states.resize(n);
    said.resize(n);
    for (auto& state : states) state = std::make_unique<MemoryHandOver>();
    Prg prg(Block(seed, 1));
    for (size_t s = 0; s < values.size(); ++s) {
      store::RecordMeta meta;
      meta.id[0] = static_cast<uint8_t>(s / 256);
      meta.id[1] = static_cast<uint8_t>(s);
      meta.name = "acme/key-" + std::to_string(s);
      meta.kind = "api key";
      meta.value_class = "PRINTABLE";
      meta.bits = static_cast<uint32_t>(8 * values[s].size());
      meta.purposes = {"header authorization"};
      meta.set[0] = 1;
      carried.metas.push_back(meta);
      const std::vector<Bytes> rows = rows_of_value(values[s], terms.from.size(), prg);
      for (size_t k = 0; k < terms.from.size(); ++k) {
        states[terms.from[k]]->rows[MemoryHandOver::place(meta)] = rows[k];
      }
    }
    carried.facts["shop:plan"] = to_bytes("basic");
  }
  static Bytes identity(size_t i) { return Bytes(32, static_cast<uint8_t>(i + 1)); }

  bool in(const Members& set, PartyId i) const {
    return std::find(set.begin(), set.end(), i) != set.end();
  }
  MemoryHandOver& state(PartyId i) { return *states[i]; }
  Bytes& row(PartyId i, size_t secret) {
    return state(i).rows.at(MemoryHandOver::place(carried.metas[secret]));
  }
  const Bytes& staged(PartyId i, size_t secret) {
    return state(i).staged.at(MemoryHandOver::place(carried.metas[secret]));
  }

  Run<session::HandedOver> run(net::Tamper tamper = nullptr) {
    return run_parties(
        n,
        [&](net::Party& party) {
          const PartyId i = party.id();
          return session::hand_over(party, terms, said[i] ? *said[i] : carried, *states[i]);
        },
        std::move(tamper));
  }
  /// The value that these rows are shares of, if they are.
  static std::optional<Bytes> value_of(const std::vector<Bytes>& rows, size_t bytes) {
    Bytes sum;
    for (const Bytes& row : rows) add_row(sum, row);
    const Bytes value(sum.begin() + 16, sum.begin() + 16 + static_cast<ptrdiff_t>(bytes));
    const Block key = load_block(sum.data() + sum.size() - 16);
    if (sum != row_string(value, load_block(sum.data()), key)) return std::nullopt;
    return value;
  }
  /// All rows of S, or all that T staged.
  std::optional<Bytes> value_of(const Members& members, size_t secret, bool new_rows) {
    std::vector<Bytes> rows;
    for (const PartyId i : members) rows.push_back(new_rows ? staged(i, secret) : row(i, secret));
    return value_of(rows, values[secret].size());
  }
};

}  // namespace flexroom::support
