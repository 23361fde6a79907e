#include "session/hand_over.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "net/abort_reason.h"
#include "prep/rows.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "session/row_set.h"
#include "store/limits.h"
#include "store/row_reader.h"

namespace flexroom::session {

// --- What goes along ----------------------------------------------------------------------------

namespace {

constexpr uint8_t kForm = 1;
constexpr std::string_view kPlace = "what goes along in a hand-over";

std::pair<store::RecordId, uint32_t> place_of(const store::RecordMeta& meta) {
  return {meta.id, meta.version};
}

std::string shown(const store::RecordMeta& meta) {
  return fmt::format("'{}' version {}", display_short(meta.name), meta.version);
}

/// Why rows with these metadata cannot be handed over; empty: they can.
std::string problem_of(const Carried& carried) {
  size_t bytes = 0;
  const store::RecordMeta* before = nullptr;
  for (const store::RecordMeta& meta : carried.metas) {
    if (before != nullptr && !(place_of(*before) < place_of(meta))) {
      return "secrets are not sorted by id and version, each once";
    }
    before = &meta;
    if (meta.epoch != Digest{} || meta.set == store::RowSet{}) {
      return shown(meta) + " does not lie as rows";
    }
    if (meta.bits == 0 || meta.bits > 8 * store::kMaxSecretBytes) {
      return shown(meta) + " has an impossible length";
    }
    bytes += prep::row_bytes(meta.bits);
  }
  if (carried.metas.size() > Carried::kMaxSecrets || bytes > Carried::kMaxRowBytes) {
    return fmt::format("{} secrets with rows of {} bytes; at most {} and {} go in one hand-over",
                       carried.metas.size(), bytes, Carried::kMaxSecrets, Carried::kMaxRowBytes);
  }
  return {};
}

/// The same for a peer's bytes and the own disk's. `decode` is for one record; `refuse` throws.
template <typename In, typename Decode, typename Refuse>
Carried read_carried(In& in, Decode decode, Refuse refuse) {
  Carried out;
  if (in.u8() != kForm) refuse("has another form");
  const auto count_of = [&](size_t most) {
    const size_t count = in.u32();
    if (count > most) refuse(fmt::format("{} entries, at most {}", count, most));
    return count;
  };
  const auto key_of = [&] { return in.field(Carried::kMaxKeyBytes); };
  for (size_t left = count_of(Carried::kMaxSecrets); left > 0; --left) {
    out.metas.push_back(decode(in.field(store::kMaxMetaBytes)));
  }
  // One meaning has one form: ascending, each key once.
  const auto next = [&](const auto& container, const auto& key) {
    if (!container.empty() && !(container.rbegin()->first < key)) refuse("entries are not sorted");
  };
  for (size_t left = count_of(Carried::kMaxEntries); left > 0; --left) {
    std::string key = to_text(key_of());
    next(out.facts, key);
    const ByteView value = in.field(Carried::kMaxFactBytes);
    out.facts.emplace(std::move(key), Bytes(value.begin(), value.end()));
  }
  for (size_t left = count_of(Carried::kMaxEntries); left > 0; --left) {
    std::string key = to_text(key_of());
    next(out.ledger, key);
    out.ledger.emplace(std::move(key), in.u32());
  }
  for (std::set<Bytes>* set : {&out.prefixes, &out.unresolved}) {
    for (size_t left = count_of(Carried::kMaxEntries); left > 0; --left) {
      const ByteView raw = key_of();
      Bytes key(raw.begin(), raw.end());
      if (!set->empty() && !(*set->rbegin() < key)) refuse("entries are not sorted");
      set->insert(std::move(key));
    }
  }
  in.finish();
  if (const std::string problem = problem_of(out); !problem.empty()) refuse(problem);
  return out;
}

}  // namespace

Bytes Carried::encode() const {
  const auto refuse = [](const std::string& problem) {
    throw InputError(kPlace, problem, "remove secrets that are not needed any more");
  };
  if (const std::string problem = problem_of(*this); !problem.empty()) refuse(problem);
  const auto check = [&](size_t count) {
    if (count > kMaxEntries) refuse(fmt::format("{} entries, at most {}", count, kMaxEntries));
  };
  const auto check_key = [&](size_t bytes) {
    if (bytes > kMaxKeyBytes) refuse(fmt::format("a name of {} bytes", bytes));
  };
  Writer out;
  out.u8(kForm).u32(static_cast<uint32_t>(metas.size()));
  for (const store::RecordMeta& meta : metas) out.field(meta.encode());
  check(facts.size());
  out.u32(static_cast<uint32_t>(facts.size()));
  for (const auto& [key, value] : facts) {
    check_key(key.size());
    if (value.size() > kMaxFactBytes) refuse(display_short(key) + " is too long");
    out.field(key).field(value);
  }
  check(ledger.size());
  out.u32(static_cast<uint32_t>(ledger.size()));
  for (const auto& [key, spent] : ledger) {
    check_key(key.size());
    out.field(key).u32(spent);
  }
  for (const std::set<Bytes>* set : {&prefixes, &unresolved}) {
    check(set->size());
    out.u32(static_cast<uint32_t>(set->size()));
    for (const Bytes& key : *set) {
      check_key(key.size());
      out.field(key);
    }
  }
  if (out.size() > kMaxBytes) refuse(fmt::format("{} bytes, at most {}", out.size(), kMaxBytes));
  return out.take();
}

Carried Carried::decode_from(ByteView bytes, std::string_view label, PartyId from) {
  Reader in(bytes, label, from);
  return read_carried(
      in, [&](ByteView meta) { return store::RecordMeta::decode_from(meta, label, from); },
      [&](const std::string& problem) {
        throw ProtocolAbort(AbortCode::kBadFrame, label, problem, from);
      });
}

Carried Carried::decode(ByteView bytes) {
  constexpr std::string_view kRow = "state.db, what came along in a hand-over";
  store::RowReader in(bytes, kRow);
  return read_carried(
      in, [](ByteView meta) { return store::RecordMeta::decode(meta); },
      [&](const std::string& problem) { throw store::damaged_row(kRow, problem); });
}

Digest Carried::digest() const {
  return RandomOracle("handed over", RoScope{}).field(encode()).digest();
}

// --- The hand-over ------------------------------------------------------------------------------

namespace {

constexpr std::string_view kTerms = "hand-over/terms";
constexpr std::string_view kCarried = "hand-over/carried";

bool is_in(const std::vector<PartyId>& set, PartyId id) {
  return std::find(set.begin(), set.end(), id) != set.end();
}

/// Two of S describe what they hold differently; `who` is the one that is named.
[[noreturn]] void differ(const std::string& what, PartyId who) {
  throw ProtocolAbort(AbortCode::kDisagreement, "hand-over",
                      what +
                          "; nothing was handed over: put the newest state.db back at the member "
                          "that is behind, or `flexroom secret remove` it at all members",
                      who);
}

/// `mine` is this member's, or at who joins the first one's. Equal, else the field (members.md
/// 3.2(1), attack M9).
void require_equal(const Carried& mine, const Carried& theirs, PartyId who) {
  auto a = mine.metas.begin(), b = theirs.metas.begin();
  for (; a != mine.metas.end() || b != theirs.metas.end(); ++a, ++b) {
    if (b == theirs.metas.end() || (a != mine.metas.end() && place_of(*a) < place_of(*b))) {
      differ(shown(*a) + " is not there", who);
    }
    if (a == mine.metas.end() || place_of(*b) < place_of(*a)) {
      differ(shown(*b) + " is there and not at the others", who);
    }
    const std::string_view field = store::first_difference(*a, *b);
    if (!field.empty()) differ(shown(*a) + " has another " + std::string(field) + " there", who);
  }
  for (const auto& [key, value] : mine.facts) {
    const auto found = theirs.facts.find(key);
    if (found == theirs.facts.end()) differ("'" + display_short(key) + "' is not there", who);
    if (found->second != value) differ("'" + display_short(key) + "' is another one there", who);
  }
  for (const auto& [key, value] : theirs.facts) {
    if (mine.facts.contains(key)) continue;
    differ("'" + display_short(key) + "' is there and not at the others", who);
  }
}

/// Marks and ledgers of honest members differ after a crash (members.md 3.2(1), attack M25).
void join(Carried& all, const Carried& theirs) {
  for (const auto& [key, spent] : theirs.ledger) {
    uint32_t& most = all.ledger[key];
    most = std::max(most, spent);
  }
  all.prefixes.insert(theirs.prefixes.begin(), theirs.prefixes.end());
  all.unresolved.insert(theirs.unresolved.begin(), theirs.unresolved.end());
}

void require_possible(const HandOverTerms& terms, const net::Party& party) {
  const auto refuse = [](const std::string& problem) { throw InputError("hand-over", problem); };
  for (const auto* set : {&terms.from, &terms.to}) {
    if (set->size() < 2 || set->size() > store::kMaxMembers) {
      refuse(fmt::format("a room of {} members; it has 2 to {}", set->size(), store::kMaxMembers));
    }
    for (const PartyId id : *set) {
      if (id >= party.num_parties() || std::count(set->begin(), set->end(), id) != 1) {
        refuse("members are named twice, or are not here");
      }
    }
  }
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    if (!is_in(terms.from, i) && !is_in(terms.to, i)) refuse("somebody is here who is no member");
  }
  if (terms.of_union.identities.size() != party.num_parties() ||
      terms.of_next.identities.size() != terms.to.size()) {
    refuse("not every member has an identity");
  }
}

class HandOver {
 public:
  HandOver(net::Party& party, const HandOverTerms& terms, HandOverState& state)
      : party_(party),
        terms_(terms),
        state_(state),
        gives_(is_in(terms.from, party.id())),
        gets_(is_in(terms.to, party.id())) {}

  HandedOver run(const Carried& carried) {
    HandedOver out;
    agree(carried, out.carried);
    std::vector<SecretBytes> rows = own_rows(out.carried);
    in_epoch(HandOverEpoch::kUnion, [&] { pass_on(std::move(rows), out.carried); });
    out.metas = out.carried.digest();
    if (gets_) {
      in_epoch(HandOverEpoch::kNext, [&] { out.next = try_out(out.carried); });
    }
    return out;
  }

 private:
  // H1. Echoed, so that all who are honest compare the same.
  void agree(const Carried& mine, Carried& all) {
    RandomOracle terms("hand-over", RoScope{});
    terms.field(terms_.attempt).field(uint64_t{terms_.from.size()});
    for (const PartyId id : terms_.from) terms.field(uint64_t{id});
    for (const PartyId id : terms_.to) terms.field(uint64_t{id});
    for (const prep::EpochParameters* epoch : {&terms_.of_union, &terms_.of_next}) {
      terms.field(uint64_t{epoch->subfield_bits}).field(uint64_t{epoch->protocol});
      for (const Bytes& identity : epoch->identities) terms.field(identity);
    }
    const prep::TripleParameters& triples = terms_.triples;
    terms.field(uint64_t{triples.bucket_size}).field(uint64_t{triples.batch});
    terms.field(uint64_t{triples.string_bits}).field(static_cast<uint64_t>(triples.protocol));
    const std::vector<Bytes> said = party_.exchange(kTerms, terms.digest());
    const Bytes own = gives_ ? mine.encode() : Bytes();
    if (gives_) party_.broadcast(kCarried, own);
    std::vector<Bytes> theirs(party_.num_parties());
    for (const PartyId j : terms_.from) {
      if (j == party_.id()) continue;
      theirs[j] = party_.receive_broadcast_up_to(j, kCarried, Carried::kMaxBytes);
    }
    party_.echo(kCarried, AbortCode::kDisagreement);
    for (const PartyId j : party_.peers()) {
      if (said[j] == said[party_.id()]) continue;
      throw ProtocolAbort(AbortCode::kDisagreement, kTerms,
                          "is in another attempt, or names other members before or after it", j);
    }
    std::optional<Carried> first;
    if (gives_) first = mine;
    for (const PartyId j : terms_.from) {
      if (j == party_.id()) continue;
      const Carried one = Carried::decode_from(theirs[j], kCarried, j);
      if (first) require_equal(*first, one, j);
      if (!first) first = one;
      join(*first, one);
    }
    all = std::move(*first);
  }

  // All of them before anything else: what is wrong with this member's disk costs no epoch, and a
  // leaver is not frozen by it.
  std::vector<SecretBytes> own_rows(const Carried& carried) {
    std::vector<SecretBytes> rows;
    if (!gives_) return rows;
    for (const store::RecordMeta& meta : carried.metas) {
      rows.push_back(checked(state_.row(meta), meta));
    }
    return rows;
  }
  static SecretBytes checked(SecretBytes row, const store::RecordMeta& meta) {
    if (row.size() == prep::row_bytes(meta.bits)) return row;
    throw InputError("state.db", "the row of " + shown(meta) + " has an impossible size",
                     "restore a backup");
  }

  // H2 to H7, in an epoch that ends with this call.
  void pass_on(std::vector<SecretBytes> rows, Carried& carried) {
    prep::Safety& safety = state_.safety(HandOverEpoch::kUnion);
    safety.require_preprocessing_allowed();
    const prep::EpochState epoch = prep::setup_epoch(party_, terms_.of_union, &safety);
    prep::session_hello(party_, epoch, terms_.of_union.protocol);
    prep::SessionPrep source(party_, epoch, safety, terms_.triples);
    if (gives_ && !gets_) state_.freeze();
    std::vector<bool> holders(party_.num_parties(), false);
    for (const PartyId id : terms_.from) holders[id] = true;
    std::vector<prep::HeldRow> held;
    for (size_t s = 0; s < carried.metas.size(); ++s) {
      held.push_back({carried.metas[s].bits, gives_ ? rows[s].reveal() : ByteView()});
    }
    const std::vector<prep::AuthBits> values =
        prep::load_rows(party_, source, safety, held, std::move(holders));
    rows.clear();
    std::vector<const prep::AuthBits*> given;
    for (const prep::AuthBits& value : values) given.push_back(&value);
    const store::RowSet set = row_set(next_set(party_));
    std::vector<SecretBytes> fresh = prep::store_rows(party_, source, given, terms_.to);
    for (store::RecordMeta& meta : carried.metas) meta.set = set;
    if (!gets_) return;
    std::vector<store::Record> records;
    for (size_t s = 0; s < fresh.size(); ++s) {
      records.push_back({carried.metas[s], std::move(fresh[s])});
    }
    state_.stage(records, carried);
  }

  // H8: T in its own epoch, with the bytes that lie on the disk (members.md §3.4).
  prep::EpochState try_out(const Carried& carried) {
    prep::Safety& safety = state_.safety(HandOverEpoch::kNext);
    safety.require_preprocessing_allowed();
    const std::unique_ptr<net::Party> members = party_.among(terms_.to);
    try {
      prep::EpochState epoch = prep::setup_epoch(*members, terms_.of_next, &safety);
      prep::session_hello(*members, epoch, terms_.of_next.protocol);
      prep::SessionPrep source(*members, epoch, safety, terms_.triples);
      std::vector<SecretBytes> rows;
      std::vector<prep::HeldRow> held;
      for (const store::RecordMeta& meta : carried.metas) {
        rows.push_back(checked(state_.staged_row(meta), meta));
        held.push_back({meta.bits, rows.back().reveal()});
      }
      (void)prep::load_rows(*members, source, safety, held);
      return epoch;
    } catch (const ProtocolAbort& abort) {
      std::optional<PartyId> peer;
      if (abort.peer()) peer = terms_.to.at(*abort.peer());
      throw ProtocolAbort(abort.code(), abort.operation(), abort.detail(), peer);
    }
  }

  // On disk before the others hear of it (boolean-engine.md §10.2).
  template <typename Body>
  void in_epoch(HandOverEpoch epoch, Body body) {
    try {
      body();
    } catch (const ProtocolAbort& abort) {
      if (abort.abort_class() == AbortClass::kBooleanCheat) state_.failed(epoch, abort);
      throw;
    }
  }

  net::Party& party_;
  const HandOverTerms& terms_;
  HandOverState& state_;
  const bool gives_, gets_;
};

}  // namespace

HandedOver hand_over(net::Party& party, const HandOverTerms& terms, const Carried& carried,
                     HandOverState& state) {
  try {
    require_possible(terms, party);
    return HandOver(party, terms, state).run(carried);
  } catch (const ProtocolAbort& abort) {
    const auto said = net::said_why(party, abort);
    net::abort_saying(party, net::reason_of(abort));
    if (said) throw ProtocolAbort(*said);
    throw;
  } catch (...) {
    net::abort_saying(party, net::AbortReason::kOwn);
    throw;
  }
}

}  // namespace flexroom::session
