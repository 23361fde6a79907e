#include "inbox/board.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "store/room_store.h"
#include "store/row_reader.h"

namespace flexroom::inbox {
namespace {

using agreement::ApproveBody;
using agreement::InputBody;
using agreement::NoteBody;
using agreement::Proposal;
using agreement::RejectBody;
using agreement::RuleBody;
using agreement::Statement;
using agreement::StatementKind;
using agreement::WithdrawBody;
using store::RowReader;

constexpr std::string_view kPlace = "statement";

template <size_t N>
std::array<uint8_t, N> read_id(RowReader& in) {
  std::array<uint8_t, N> out;
  const ByteView bytes = in.raw(N);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

StatementRef read_ref(RowReader& in) {
  StatementRef out;
  out.incarnation = in.u32();
  out.number = in.u64();
  return out;
}
Writer& put_ref(Writer& out, const StatementRef& ref) {
  return out.u32(ref.incarnation).u64(ref.number);
}

// Only in the form that proposals have everywhere: no second codec of terms.
Bytes encode_terms(const Terms& terms) {
  Proposal bare;
  terms.add_to(bare);
  return bare.canonical();
}

Bytes encode_entry(const Entry& e) {
  Writer out;
  out.raw(e.author);
  put_ref(out, e.propose).u64(e.time).u64(e.arrived).field(e.kind).field(e.title).u32(e.bytes);
  out.raw(e.room_terms).field(encode_terms(e.terms));
  out.u8(e.complete ? 1 : 0).raw(e.complete.value_or(Digest{}));
  out.u32(static_cast<uint32_t>(e.inputs.size()));
  for (const auto& [slot, ref] : e.inputs) put_ref(out.u32(slot), ref);
  return out.take();
}

Bytes encode_said(const Said& s) {
  Writer out;
  put_ref(out, s.newest).u64(s.time).raw(s.statement).u8(s.withdrew_proposal ? 1 : 0);
  out.u8(s.rejected ? 1 : 0).field(s.rejected.value_or(""));
  out.u8(s.approval ? 1 : 0);
  if (s.approval) {
    out.field(s.approval->body.encode()).raw(s.approval->key);
    out.u32(s.approval->incarnation).u64(s.approval->number);
  }
  return out.take();
}

}  // namespace

Board::Board(store::SealedDb& db, const Digest& room, Fetch fetch)
    : db_(db), room_(room), fetch_(std::move(fetch)) {
  reload();
}

std::string Board::kind(std::string_view name) const { return store::rows_of_room(name, room_); }

void Board::reload() {
  entries_.clear();
  of_complete_.clear();
  said_.clear();
  rules_.clear();
  gone_on_.clear();
  loose_.clear();
  for (const auto& label : db_.labels(kind("proposal"))) load_entry(label);
  for (const auto& label : db_.labels(kind("said"))) load_said(label);
  for (const auto& label : db_.labels(kind("rule"))) {
    RowReader id(label.id, "state.db, a rule"), in(label.meta, "state.db, a rule");
    Rule& rule = rules_[read_id<16>(id)];
    rule.version = in.u32();
    rule.digest = in.digest();
    rule.incarnation = in.u32();
    in.finish();
  }
  for (const auto& label : db_.labels(kind("loose input"))) {
    RowReader id(label.id, "state.db, an input");
    const Digest proposal = id.digest();
    const MemberId member = read_id<16>(id);
    loose_[proposal].emplace_back(member, read_ref(id));
  }
  for (const auto& label : db_.labels(kind("fork note"))) {
    RowReader id(label.id, "state.db, a note about a fork");
    const Digest fork = id.digest();
    gone_on_[fork].push_back(read_id<16>(id));
  }
}

void Board::load_entry(const store::SealedDb::Label& label) {
  RowReader id(label.id, "state.db, a proposal"), in(label.meta, "state.db, a proposal");
  Entry e;
  e.proposal = id.digest();
  e.author = read_id<16>(in);
  e.propose = read_ref(in);
  e.time = in.u64();
  e.arrived = in.u64();
  e.kind = to_text(in.field(Proposal::kMaxName));
  e.title = to_text(in.field(Proposal::kMaxTitle));
  e.bytes = in.u32();
  e.room_terms = in.digest();
  const Proposal bare = Proposal::decode(in.field(Proposal::kMaxBytes), "state.db, a proposal");
  e.terms = Terms::read(bare, "state.db, a proposal");
  e.versions = e.terms.versions();
  const bool complete = in.u8() == 1;
  const Digest digest = in.digest();
  if (complete) e.complete = digest;
  const uint32_t inputs = in.u32();
  for (uint32_t i = 0; i < inputs; ++i) {
    const uint32_t slot = in.u32();
    e.inputs[slot] = read_ref(in);
  }
  in.finish();
  if (complete) of_complete_[digest] = e.proposal;
  entries_[e.proposal] = std::move(e);
}

void Board::load_said(const store::SealedDb::Label& label) {
  constexpr std::string_view kWhere = "state.db, what a member said";
  RowReader id(label.id, kWhere), in(label.meta, kWhere);
  const Digest about = id.digest();
  const MemberId member = read_id<16>(id);
  Said s;
  s.newest = read_ref(in);
  s.time = in.u64();
  s.statement = in.digest();
  s.withdrew_proposal = in.u8() == 1;
  const bool rejected = in.u8() == 1;
  const std::string reason = to_text(in.field(agreement::kMaxReasonBytes));
  if (rejected) s.rejected = reason;
  if (in.u8() == 1) {
    GivenApproval& a = s.approval.emplace();
    a.body = ApproveBody::decode(in.field(4096), kWhere);
    a.key = read_id<32>(in);
    a.incarnation = in.u32();
    a.number = in.u64();
  }
  in.finish();
  said_[about][member] = std::move(s);
}

void Board::save(const Entry& entry) {
  db_.put(kind("proposal"), entry.proposal, encode_entry(entry), {});
}

const Entry* Board::find(const Digest& id) const {
  const auto complete = of_complete_.find(id);
  const auto found = entries_.find(complete == of_complete_.end() ? id : complete->second);
  return found == entries_.end() ? nullptr : &found->second;
}

std::optional<Digest> Board::apply(const Statement& s, const net::SigningKey& key,
                                   uint64_t arrived) {
  try {
    switch (s.kind) {
      case StatementKind::kPropose:
        return propose(s, arrived);
      case StatementKind::kInput:
        return input(s);
      case StatementKind::kApprove: {
        ApproveBody body = ApproveBody::decode(s.body, kPlace);
        const Digest about = body.proposal;
        return say(s, about, [&](Said& said) {
          const StatementRef ref{s.incarnation, s.number};
          if (said.approval &&
              ref < StatementRef{said.approval->incarnation, said.approval->number}) {
            return;  // what an earlier incarnation said arrived later
          }
          said.approval = GivenApproval{std::move(body), key, s.incarnation, s.number};
        });
      }
      case StatementKind::kReject: {
        RejectBody body = RejectBody::decode(s.body, kPlace);
        return say(s, body.proposal, [&](Said& said) {
          if (!said.rejected) said.rejected = std::move(body.reason);
        });
      }
      case StatementKind::kWithdraw: {
        const WithdrawBody body = WithdrawBody::decode(s.body, kPlace);
        return say(s, body.complete, [&](Said& said) {
          if (body.what == WithdrawBody::What::kProposal) said.withdrew_proposal = true;
        });
      }
      case StatementKind::kRule:
        rule(s);
        return std::nullopt;
      case StatementKind::kNote:
        note(s);
        return std::nullopt;
      default:
        return std::nullopt;
    }
  } catch (const store::DamagedState&) {
    throw;
  } catch (const InputError&) {
    return std::nullopt;  // signed, kept, and without effect
  }
}

std::optional<Terms> Board::readable(const Statement& s) {
  try {
    const Proposal proposal = Proposal::decode(s.body, kPlace);
    Terms terms = Terms::read(proposal, kPlace);
    if (terms.proposer != s.author || proposal.room != s.room) return std::nullopt;
    return terms;
  } catch (const InputError&) {
    return std::nullopt;
  }
}

std::optional<Digest> Board::propose(const Statement& s, uint64_t arrived) {
  const auto terms = readable(s);
  if (!terms) return std::nullopt;
  const Digest id = agreement::proposal_digest(s.body);
  if (entries_.contains(id)) return id;
  const Proposal proposal = Proposal::decode(s.body, kPlace);
  Entry e;
  e.proposal = id;
  e.author = s.author;
  e.propose = {s.incarnation, s.number};
  e.time = s.time;
  e.arrived = arrived;
  e.kind = proposal.kind;
  e.title = proposal.title;
  e.bytes = static_cast<uint32_t>(s.body.size());
  e.room_terms = proposal.terms;
  e.terms = *terms;
  e.versions = e.terms.versions();
  if (e.terms.inputs.empty()) e.complete = agreement::complete_digest(id, {});
  save(e);
  if (e.complete) of_complete_[*e.complete] = id;
  entries_[id] = std::move(e);
  take_loose(id);
  return id;
}

namespace {
Bytes loose_id(const Digest& proposal, const MemberId& member, const StatementRef& ref) {
  Writer out;
  return put_ref(out.raw(proposal).raw(member), ref).take();
}
}  // namespace

void Board::keep_loose(const Digest& proposal, const Statement& s) {
  const StatementRef ref{s.incarnation, s.number};
  db_.put(kind("loose input"), loose_id(proposal, s.author, ref), {}, {});
  loose_[proposal].emplace_back(s.author, ref);
}

// In the order of each author's chain; authors do not give each other's slots.
void Board::take_loose(const Digest& proposal) {
  const auto found = loose_.find(proposal);
  if (found == loose_.end()) return;
  auto waiting = std::move(found->second);
  loose_.erase(found);
  std::sort(waiting.begin(), waiting.end());
  for (const auto& [member, ref] : waiting) {
    if (const auto s = fetch_(member, ref)) (void)input(*s);
    db_.remove(kind("loose input"), loose_id(proposal, member, ref));
  }
}

// The first one of its author's chains for its slot counts, in whatever order they arrive; once all
// are there D is fixed (M35).
std::optional<Digest> Board::input(const Statement& s) {
  const InputBody body = InputBody::decode(s.body, kPlace);
  const auto found = entries_.find(body.proposal);
  if (found == entries_.end()) {
    keep_loose(body.proposal, s);
    return std::nullopt;
  }
  Entry& e = found->second;
  for (uint32_t i = 0; i < e.terms.inputs.size(); ++i) {
    const WantedInput& wanted = e.terms.inputs[i];
    const auto before = e.inputs.find(i);
    const bool counts = before == e.inputs.end() ||
                        (!e.complete && StatementRef{s.incarnation, s.number} < before->second);
    if (wanted.member != s.author || wanted.slot != body.slot || !counts) continue;
    const bool has_private = body.commitment != Digest{};
    if (has_private == wanted.value_class.empty()) continue;
    if (!fits_pattern(wanted.pattern, to_text(body.public_part))) continue;
    Entry next = e;
    next.inputs[i] = {s.incarnation, s.number};
    if (next.inputs.size() == next.terms.inputs.size()) {
      std::vector<agreement::GivenInput> all;
      for (const auto& [slot, ref] : next.inputs) {
        const MemberId& member = next.terms.inputs[slot].member;
        if (slot == i) {
          all.push_back({member, body});
        } else if (const auto other = fetch_(member, ref)) {
          all.push_back({member, InputBody::decode(other->body, kPlace)});
        }
      }
      FLEXROOM_ASSERT(all.size() == next.inputs.size());
      next.complete = agreement::complete_digest(next.proposal, all);
    }
    save(next);
    if (next.complete) of_complete_[*next.complete] = next.proposal;
    e = std::move(next);
    return e.proposal;
  }
  return std::nullopt;
}

std::optional<Digest> Board::say(const Statement& s, const Digest& about,
                                 const std::function<void(Said&)>& change) {
  Said& said = said_[about][s.author];
  const StatementRef ref{s.incarnation, s.number};
  if (said.newest < ref) {
    said.newest = ref;
    said.time = s.time;
    said.statement = s.digest();
  }
  change(said);
  db_.put(kind("said"), Writer().raw(about).raw(s.author).bytes(), encode_said(said), {});
  const Entry* entry = find(about);
  if (entry == nullptr) return std::nullopt;
  return entry->proposal;
}

// A chain that follows a lost one goes on with whatever version was the newest then.
bool Board::Rule::is_followed_by(const RuleBody& body, uint32_t in) const {
  const bool next =
      version > 0 ? body.version == version + 1 && body.previous == digest : body.version == 1;
  const bool lost = in > (version > 0 ? incarnation : 1);
  return next || (lost && body.version > version);
}

void Board::rule(const Statement& s) {
  const RuleBody head = RuleBody::decode(s.body, kPlace);
  Rule& rule = rules_[s.author];
  if (!rule.is_followed_by(head, s.incarnation)) return;
  rule = {head.version, head.digest, s.incarnation};
  Writer row;
  row.u32(rule.version).raw(rule.digest).u32(rule.incarnation);
  db_.put(kind("rule"), s.author, row.bytes(), {});
}

void Board::note(const Statement& s) {
  const NoteBody body = NoteBody::decode(s.body, kPlace);
  if (body.text != kGoOn) return;
  std::vector<MemberId>& members = gone_on_[body.proposal];
  if (std::find(members.begin(), members.end(), s.author) != members.end()) return;
  members.push_back(s.author);
  db_.put(kind("fork note"), Writer().raw(body.proposal).raw(s.author).bytes(), {}, {});
}

Said Board::said(const Entry& entry, const MemberId& member) const {
  Said out;
  const auto merge = [&](const Digest& id, bool complete) {
    const auto all = said_.find(id);
    if (all == said_.end()) return;
    const auto one = all->second.find(member);
    if (one == all->second.end()) return;
    const Said& s = one->second;
    if (out.newest < s.newest) {
      out.newest = s.newest;
      out.time = s.time;
      out.statement = s.statement;
    }
    out.withdrew_proposal |= s.withdrew_proposal;
    if (s.rejected) out.rejected = s.rejected;
    if (complete) out.approval = s.approval;
  };
  merge(entry.proposal, false);
  if (entry.complete) merge(*entry.complete, true);
  return out;
}

std::vector<agreement::GivenInput> Board::inputs(const Entry& entry) const {
  std::vector<agreement::GivenInput> out;
  for (const auto& [slot, ref] : entry.inputs) {
    const MemberId& member = entry.terms.inputs[slot].member;
    const auto s = fetch_(member, ref);
    if (!s) throw store::damaged_row("state.db, a statement", "an input is missing");
    out.push_back({member, InputBody::decode(s->body, kPlace)});
  }
  return out;
}

Board::Rule Board::rule(const MemberId& member) const {
  const auto found = rules_.find(member);
  return found == rules_.end() ? Rule{} : found->second;
}

std::vector<MemberId> Board::gone_on(const Digest& fork) const {
  const auto found = gone_on_.find(fork);
  return found == gone_on_.end() ? std::vector<MemberId>() : found->second;
}

void Board::forget(const Digest& proposal) {
  const auto found = entries_.find(proposal);
  if (found == entries_.end()) return;
  for (const Digest& id : {proposal, found->second.complete.value_or(proposal)}) {
    for (const auto& [member, said] : said_[id]) {
      db_.remove(kind("said"), Writer().raw(id).raw(member).bytes());
    }
    said_.erase(id);
  }
  if (found->second.complete) of_complete_.erase(*found->second.complete);
  db_.remove(kind("proposal"), proposal);
  entries_.erase(found);
}

}  // namespace flexroom::inbox
