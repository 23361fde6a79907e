#include "session/secret_refresh.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "prep/refresh.h"
#include "session/signing_keys.h"

namespace flexroom::session {
namespace {

// Every member counts for itself; a joint log entry has one number.
uint32_t largest_dirty(net::Party& party, uint32_t own) {
  constexpr std::string_view kLabel = "refresh/unfinished";
  const std::vector<Bytes> all = party.exchange(kLabel, Writer().u32(own).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  for (PartyId j = 0; j < all.size(); ++j) own = std::max(own, Reader(all[j], kLabel, j).u32());
  return own;
}

}  // namespace

RefreshPlan plan_refresh(MemberSession& session) {
  store::OnceDb& once = session.state().once();
  session.require_alone();
  const store::OnceDb::Counters counters = once.counters();
  if (counters.burned || counters.needs_operator) once.require_preprocessing_allowed();
  RefreshPlan plan;
  plan.epoch = session.epoch().eid;
  plan.dirty = largest_dirty(session.party(), counters.dirty);
  plan.records = session.state().secrets().list();
  if (session.state().secrets_of_before().empty()) return plan;
  for (store::RecordMeta& meta : session.state().loaded().list()) {
    if (meta.epoch == plan.epoch) plan.of_before.push_back(std::move(meta));
  }
  return plan;
}

agreement::Proposal refresh_proposal(const RoomConfig& room, const RefreshPlan& plan) {
  const bool moves = !plan.of_before.empty();
  std::string names;
  RandomOracle digest("refresh records", RoScope{});
  for (const store::RecordMeta& meta : moves ? plan.of_before : plan.records) {
    digest.field(meta.digest());
    if (meta.kind == kSigningKeyKind) continue;
    names += fmt::format("{}{} v{}", names.empty() ? "" : ", ", meta.name, meta.version);
  }
  const Digest records = digest.digest();
  agreement::Proposal proposal;
  const auto add = [&](std::string name, std::string_view value) {
    proposal.text(std::move(name), value);
  };
  proposal.kind = "secret refresh";
  add("room", room.name);
  add("effect", moves ? "secrets of an earlier version's form move to a new epoch; old shares, old "
                        "keys and the stock are erased"
                      : "all secrets get new rows; the old ones are erased");
  add("secrets", names.empty() ? "(none)" : names);
  add("records", to_hex(records));
  add("epoch", to_hex(plan.epoch));
  if (moves) add("unfinished", fmt::format("{} batches in this epoch", plan.dirty));
  return proposal;
}

namespace {

// As it was before there were rows (boolean-engine.md §8.4): the only way to keep what lies in that
// form when the epoch may make no products any more.
Digest move_to_new_epoch(MemberSession& session, const RefreshPlan& plan) {
  const Digest run = session.party().scope().sid;
  session.report("new epoch", 0, 1);
  const prep::EpochState epoch = session.make_epoch();
  std::vector<store::EpochChange::Record> moved;
  {
    prep::BitRefresh refresh(session.party(), session.epoch(), epoch, &session.state().once(),
                             protocol_of(session.state().room()));
    for (const store::RecordMeta& meta : plan.of_before) {
      session.report("secrets", moved.size(), plan.of_before.size());
      store::EpochChange::Record record;
      record.meta = meta;
      record.meta.epoch = epoch.eid;
      const prep::AuthBits old_bits = session.state().loaded().get(meta.id, meta.version);
      record.shares = store::encode_auth_bits(refresh.refresh(old_bits));
      moved.push_back(std::move(record));
    }
  }
  session.report("secrets", moved.size(), plan.of_before.size());
  session.state().once().run_released(run);  // from here on it may be stored
  session.change_epoch(epoch, moved);
  return epoch.eid;
}

}  // namespace

Digest refresh_secrets(MemberSession& session, const RefreshPlan& plan) {
  if (!plan.of_before.empty()) return move_to_new_epoch(session, plan);
  session.report("secrets", 0, plan.records.size());
  session.load(plan.records);
  std::vector<prep::AuthBits> bits;
  std::vector<MemberSession::Kept> values;
  bits.reserve(plan.records.size());
  for (const store::RecordMeta& meta : plan.records) {
    bits.push_back(session.shares(meta));
    values.push_back({meta, &bits.back()});
  }
  if (!values.empty()) {
    session.state().once().run_released(session.party().scope().sid);  // it may be stored now
    (void)session.keep(values);
  }
  session.report("secrets", plan.records.size(), plan.records.size());
  return plan.epoch;
}

std::string reason_to_refresh(uint32_t dirty, uint32_t dirty_max, uint64_t made, uint64_t now) {
  constexpr uint64_t kMonth = uint64_t{30} * 24 * 3600;
  if (2 * uint64_t{dirty} >= dirty_max) {
    return fmt::format("{} batches ended without a verdict", dirty);
  }
  if (made != 0 && now > made && now - made >= kMonth) return "the epoch is older than 30 days";
  return "";
}

}  // namespace flexroom::session
