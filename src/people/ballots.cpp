#include "people/ballots.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "people/voice_refused.h"
#include "store/room_store.h"
#include "store/row_reader.h"

namespace flexroom::people {
namespace {

constexpr std::string_view kRow = "once.db, voices that wait";

PersonStatement read_st(const Voice& voice) { return PersonStatement::decode(voice.st, kRow); }

/// Of all that voices of one matter have in common.
Digest id_of(PersonStatement matter) {
  matter.person = "any";
  matter.ticket = {};
  return RandomOracle("voices", RoScope{}).field(matter.encode()).digest();
}

}  // namespace

Ballots::Ballots(store::OnceDb& once, const Digest& room)
    : rows_(once.rows()), kind_(store::rows_of_room("voices", room)) {}

std::vector<Voice> Ballots::read(ByteView id) {
  const auto row = rows_.get(kind_, id);
  if (!row) return {};
  store::RowReader in(row->meta, kRow);
  std::vector<Voice> out;
  const uint32_t count = in.u32();
  if (count > Rule::kMaxPersons) throw store::damaged_row(kRow, "its length");
  for (uint32_t i = 0; i < count; ++i) {
    out.push_back(Voice::decode(in.field(Voice::kMaxBytes), kRow));
  }
  in.finish();
  return out;
}

void Ballots::write(const Digest& id, const std::vector<Voice>& voices) {
  if (voices.empty()) return rows_.remove(kind_, id);
  Writer out;
  out.u32(static_cast<uint32_t>(voices.size()));
  for (const Voice& voice : voices) out.field(voice.encode());
  rows_.put(kind_, id, out.take(), {});
}

void Ballots::put(const PersonStatement& matter, const Voice& voice) {
  const Digest id = id_of(matter);
  std::vector<Voice> all = read(id);
  if (all.empty() && rows_.count(kind_) >= kMostOpen) {
    throw InputError("signatures", "of too many matters wait for others", "decide some of them");
  }
  const std::string person = read_st(voice).person;
  std::erase_if(all, [&](const Voice& one) { return read_st(one).person == person; });
  all.push_back(voice);
  write(id, all);
}

std::vector<Voice> Ballots::of(const PersonStatement& matter) { return read(id_of(matter)); }

void Ballots::drop(const PersonStatement& matter) { rows_.remove(kind_, id_of(matter)); }

bool Ballots::take_back(const PersonStatement& matter, const std::string& person) {
  std::vector<Voice> all = of(matter);
  if (std::erase_if(all, [&](const Voice& one) { return read_st(one).person == person; }) == 0) {
    return false;
  }
  write(id_of(matter), all);
  return true;
}

void Ballots::prune(uint64_t now, uint32_t rule_version) {
  for (const Bytes& id : rows_.ids(kind_)) {
    const std::vector<Voice> all = read(id);
    const auto over = [&] {
      if (all.empty()) return true;
      const PersonStatement st = read_st(all.front());
      const bool has_window = st.kind != agreement::StatementKind::kRule;
      return st.rule_version != rule_version || (has_window && st.not_after < now);
    };
    if (over()) rows_.remove(kind_, id);
  }
}

Tally counted(const Rule& rule, const PersonStatement& matter, const std::string& proposer,
              std::vector<Voice>& all, const std::vector<RelyingParty>& parties) {
  Tally out(rule, matter, proposer);
  std::erase_if(all, [&](const Voice& voice) {
    const size_t before = out.count();
    try {
      out.add(verify_voice(rule, voice, parties).st);
    } catch (const VoiceRefused&) {
      return true;  // another page's, or of a key that is gone
    }
    return out.count() == before;
  });
  return out;
}

}  // namespace flexroom::people
