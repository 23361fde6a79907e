#include "session/stored_hand_over.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace flexroom::session {
namespace {

/// Ids of the parties of an epoch but this member, in their order.
std::vector<store::MemberId> peers_of(const std::vector<store::MemberId>& ids,
                                      const std::vector<PartyId>& parties, PartyId self) {
  std::vector<store::MemberId> out;
  for (const PartyId i : parties) {
    if (i != self) out.push_back(ids.at(i));
  }
  return out;
}

std::vector<PartyId> all_of(size_t count) {
  std::vector<PartyId> out;
  for (PartyId i = 0; i < count; ++i) out.push_back(i);
  return out;
}

/// The index of `party` among `parties` without `self`; nothing if it is not there.
std::optional<size_t> index_of(const std::vector<PartyId>& parties, PartyId self,
                               std::optional<PartyId> party) {
  size_t index = 0;
  for (const PartyId i : parties) {
    if (i == self) continue;
    if (i == party) return index;
    ++index;
  }
  return std::nullopt;
}

}  // namespace

StoredHandOver::StoredHandOver(const Where& where, const HandOverTerms& terms, PartyId self,
                               const std::vector<store::MemberId>& ids,
                               std::function<void()> freeze,
                               std::function<void(std::string_view)> fault)
    : secrets_(where.state, where.rid),
      handed_(where.state, where.rid, std::move(fault)),
      attempt_(terms.attempt),
      self_(self),
      to_(terms.to),
      num_parties_(ids.size()),
      mark_(where.mark),
      union_(where.once, peers_of(ids, all_of(ids.size()), self), where.mark),
      freeze_(std::move(freeze)) {
  if (std::find(to_.begin(), to_.end(), self) != to_.end()) {
    next_.emplace(where.once, peers_of(ids, to_, self), where.mark);
  }
}

SecretBytes StoredHandOver::row(const store::RecordMeta& meta) {
  return secrets_.row(meta.id, meta.version);
}

void StoredHandOver::freeze() { freeze_(); }

void StoredHandOver::stage(std::span<const store::Record> rows, const Carried& carried) {
  handed_.stage(attempt_, rows, carried.encode());
}

SecretBytes StoredHandOver::staged_row(const store::RecordMeta& meta) {
  return handed_.row(attempt_, meta);
}

prep::Safety& StoredHandOver::safety(HandOverEpoch epoch) {
  if (epoch == HandOverEpoch::kUnion) return union_;
  return next_.value();
}

// In once.db, or where that cannot be written now, in the session's mark.
void StoredHandOver::failed(HandOverEpoch epoch, const ProtocolAbort& abort) {
  const bool in_union = epoch == HandOverEpoch::kUnion;
  const std::optional<size_t> peer =
      index_of(in_union ? all_of(num_parties_) : to_, self_, abort.peer());
  try {
    (in_union ? union_ : next_.value()).failed(abort, peer);
    if (mark_ != nullptr) mark_->settle_verdict();
  } catch (const InputError&) {
    if (mark_ == nullptr) throw;
    if (!mark_->put(store::OpenMark::State::kBurn)) mark_->leave();
  }
}

}  // namespace flexroom::session
