#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "agreement/render.h"
#include "agreement/words.h"
#include "net/receive_wait.h"
#include "session/change_meeting.h"
#include "session/member_session.h"
#include "session/room_terms.h"

// How a change of members begins: what is proposed, and who approved it (members.md §2, §4.3).

namespace flexroom::session {

using agreement::ChangeBody;
using agreement::ChangeSets;
using agreement::ChangeStart;
using agreement::Configuration;
using agreement::MemberId;
using agreement::Move;
using agreement::Place;

namespace {

constexpr std::string_view kChain = "change/chain";
constexpr uint32_t kMaxChain = 4096;
constexpr size_t kMaxChainBytes = size_t{64} << 20;
constexpr std::chrono::hours kApprovalWait{1};  // people read and decide

/// How one member of before shows that the room came to be what it says (members.md §4.3 H0).
std::vector<ChangeBody> read_chain(ByteView bytes, PartyId from, const store::RoomId& rid,
                                   const Digest& last) {
  Reader in(bytes, kChain, from);
  const uint32_t count = in.u32();
  if (count > kMaxChain) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, kChain, "shows too many configurations",
                        from);
  }
  std::vector<ChangeBody> chain;
  try {
    for (uint32_t k = 0; k < count; ++k) {
      ChangeBody body =
          ChangeBody::decode(in.field(agreement::kMaxStatementBytes), "configuration");
      const Configuration& c = body.configuration;
      body.require_valid("configuration");
      const bool follows = chain.empty() ? c.number == 0 && !body.start
                                         : c.number == chain.back().configuration.number + 1 &&
                                               c.previous == chain.back().configuration.digest();
      if (!follows || c.room != rid) {
        throw InputError("configuration", "does not follow from the one before");
      }
      chain.push_back(std::move(body));
    }
  } catch (const InputError& error) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, kChain, error.problem(), from);
  }
  in.finish();
  if (chain.empty() || chain.back().configuration.digest() != last) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, kChain,
                        "does not show how the room came to its configuration (its log is not "
                        "whole?)",
                        from);
  }
  return chain;
}

}  // namespace

Configuration RoomChange::configuration_now() {
  Configuration c = *state_.log().configuration();
  Configuration here = state_.configuration();
  // Its own entry may have its new certificate already.
  here.members[state_.self()] = c.members.at(state_.self());
  if (!c.same_content(here)) {
    throw InputError(state_.room().file.string(),
                     "says something else of the room than what all members signed last",
                     "run `flexroom init` at all members first; then change its members");
  }
  return c;
}

Configuration RoomChange::configuration_then(const Configuration& before) {
  const RoomConfig room = meeting_room();
  std::vector<MemberId> mids;
  std::vector<net::SigningKey> keys;
  for (const MemberEntry& m : wish_->next.members) {
    // By certificate: a name may be another member's then.
    const auto at = std::find_if(room.members.begin(), room.members.end(), [&](const auto& one) {
      return one.certificate_sha256 == m.certificate_sha256;
    });
    FLEXROOM_ASSERT(at != room.members.end());
    const auto party = static_cast<size_t>(at - room.members.begin());
    const auto was = member_of_before(now_, wish_->next, m);
    mids.push_back(was ? before.members[*was].id : meeting_->said[party].mid);
    keys.push_back(keys_[party]);
  }
  Configuration next = configuration_of(wish_->next, before.room, mids, keys, true);
  next.number = before.number + 1;
  next.previous = before.digest();
  return next;
}

// S shows those who join how the room came to be what it is (members.md §4.3, H0).
std::vector<ChangeBody> RoomChange::exchange_chains(const Configuration* own) {
  std::vector<PartyId> old_ones, new_ones;
  for (PartyId i = 0; i < names_.size(); ++i) {
    (i < now_.members.size() ? old_ones : new_ones).push_back(i);
  }
  if (new_ones.empty()) return {};
  if (own != nullptr) {
    std::vector<ChangeBody> chain = store_.shown();
    for (ChangeBody& body : state_.log().configurations()) {
      if (chain.empty() || chain.back().configuration.number < body.configuration.number) {
        chain.push_back(std::move(body));
      }
    }
    Writer message;
    message.u32(static_cast<uint32_t>(chain.size()));
    for (const ChangeBody& body : chain) message.field(body.encode());
    for (const PartyId j : new_ones) party_->send(j, kChain, message.bytes());
    return {};
  }
  std::vector<ChangeBody> out;
  for (const PartyId j : old_ones) {
    const Bytes theirs = party_->receive_up_to(j, kChain, kMaxChainBytes);
    out = read_chain(theirs, j, meeting_->said[j].rid, meeting_->said[j].configuration);
  }
  return out;
}

void RoomChange::tell_words(const Configuration& before, const Configuration& next) {
  bool any = false;
  for (const Configuration::Member& m : next.members) {
    const auto was = before.index_of(m.id);
    if (was && before.members[*was].key == m.key &&
        before.members[*was].certificate == m.certificate) {
      continue;
    }
    any = true;
    const Bytes key = Writer().raw(m.id).raw(m.key).raw(m.certificate).take();
    note(fmt::format("words of the key of {}: {}. Compare them with {} by telephone", m.name,
                     agreement::words(key, agreement::kKeyWords), m.name));
  }
  if (!any) return;
  note(fmt::format("words of this change: {}. Who joins compares them with a member that it trusts",
                   agreement::words(agreement::change_proposal(before, next).digest(),
                                    agreement::kProposalWords)));
}

// CONF_g, as all of S hold it; who joins is shown how it came to be.
Configuration RoomChange::configuration_before(std::vector<ChangeBody>& chain) {
  const bool joins = !state_.founded();
  std::optional<Configuration> before;
  if (!joins) before = configuration_now();
  const Meeting::Said& first = meeting_->said[0];
  for (PartyId j = 0; j < now_.members.size(); ++j) {
    const Meeting::Said& said = meeting_->said[j];
    if (said.rid == first.rid && said.number == first.number &&
        said.configuration == first.configuration && said.rid != store::RoomId{}) {
      continue;
    }
    throw ProtocolAbort(AbortCode::kDisagreement, kRoomChange,
                        fmt::format("is in configuration {} of the room, {} in {}: a change was "
                                    "not finished, or a state.db is not the newest",
                                    said.number, names_[0], first.number),
                        j);
  }
  chain = exchange_chains(before ? &*before : nullptr);
  if (before) return *before;
  before = chain.back().configuration;
  const auto same = [](const MemberEntry& a, const Configuration::Member& b) {
    return a.name == b.name && a.certificate() == b.certificate;
  };
  if (!std::equal(now_.members.begin(), now_.members.end(), before->members.begin(),
                  before->members.end(), same)) {
    throw InputError(now_.file.string(), "lists other members than the room shows",
                     "get the room's present room.toml from a member that you trust");
  }
  const auto row = store::RoomRegister(state_.once(), before->room).get();
  if (row && row->number > before->number) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, kRoomChange,
                        fmt::format("an old configuration {} is shown: this member knew {}",
                                    before->number, row->number));
  }
  return *before;
}

// Each is who it was, and who joins is nobody that was somebody else here.
void RoomChange::check_ids(const Configuration& before) {
  const RoomConfig room = meeting_room();
  for (PartyId j = 0; j < names_.size(); ++j) {
    const MemberId& mid = meeting_->said[j].mid;
    const bool fits =
        j < before.members.size()
            ? mid == before.members[j].id
            : !before.index_of(mid) &&
                  store::RoomStore(state_.db()).fits(room.members[j].certificate(), mid);
    if (fits) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kRoomChange,
                        "claims another member id than it has here", j);
  }
}

ChangeStart RoomChange::approve(const Configuration& before, const Configuration& next) {
  const agreement::Proposal proposal = agreement::change_proposal(before, next);
  const ChangeSets sets = agreement::change_sets(before, next);
  const bool joins = !state_.founded();
  ChangeStart start;
  start.before = before;
  start.next = next;
  for (const Meeting::Said& said : meeting_->said) start.nonces.push_back(said.nonce);
  // What is signed is of this meeting and no other.
  RandomOracle sid("change session", RoScope{});
  for (const Digest& nonce : start.nonces) sid.field(nonce);
  RoScope scope;
  scope.sid = sid.digest();
  party_->set_scope(scope);
  net::ReceiveWait patience(party_->transport());
  agreement::Deciding deciding;
  deciding.decide = [&](std::string&) {
    Shown shown;
    const Bytes canonical = proposal.canonical();
    shown.digest = agreement::proposal_digest(canonical);
    shown.text = agreement::render(canonical, "proposal");
    shown.proposal = agreement::Proposal::decode(canonical, "proposal");
    return options_.decide(shown);
  };
  deciding.name = [&](PartyId j) { return names_[j]; };
  if (!joins) {
    deciding.refused = [&](const Digest& digest, const std::string& reason) {
      return state_.log().refuse(digest, reason);
    };
  }
  deciding.heard_refusal = [&](PartyId who, const Digest& digest, ByteView refusal) {
    // Who joins has no log of this room yet; a no needs no proof to end it.
    if (joins || refusal.empty() || who >= before.members.size() ||
        sets.all[who].key != before.members[who].key) {
      return std::string();
    }
    return state_.log().heard_refusal(who, digest, refusal);
  };
  deciding.waiting = [&] {
    note("waiting for the other members to approve");
    patience.set(kApprovalWait);
  };
  start.approval = agreement::agree(*party_, state_.identity(), sets.keys(), proposal, deciding);
  start.verify("the change");
  return start;
}

// On disk before anything follows from it (members.md §4.2: nothing runs from the session on).
void RoomChange::enter(ChangeStart start, const std::vector<ChangeBody>& chain) {
  const bool joins = !state_.founded();
  const Configuration before = start.before;
  store::ChangeStore::Attempt attempt;
  attempt.start = std::move(start);
  attempt.room_text = wish_->text;
  attempt.addresses = meeting_addresses();
  state_.db().transaction([&] {
    store_.put(attempt);
    if (joins) store_.put_shown(chain);
    store::AuditLog own(state_.db(), state_.once(), state_.identity(), before.room, self_);
    (void)own.append_of_change(Kind::kStart, attempt.start.encode());
  });
  enter_attempt(attempt);
  reached("approved");
  store::RoomRegister registers = once_register();
  store::RegisterRow row = registers.get().value_or(store::RegisterRow{});
  if (!agreement::is_free(row.standing) && row.standing.place != Place::kNew) {
    throw InputError("room " + now_.name, "is in another change",
                     "run `flexroom room change` without anything else first");
  }
  row.number = before.number;
  row.configuration = before.digest();
  row.attempt = id_;
  row.standing = {agreement::part_of(sets_, self_)};
  row.since = static_cast<uint64_t>(std::time(nullptr));
  registers.set(row);
  reached("register idle");
}

// The session of a ends well here: what this member needs in CONF_{g+1} is on its disk.
void RoomChange::become_ready() {
  const ChangeStart& start = attempt_->start;
  if (agreement::needs_rows(start.before, start.next)) {
    if (!hand_over_rows()) return;
  } else {
    agreement::ReadyBody ready;
    ready.attempt = id_;
    RandomOracle metas("metas", RoScope{});
    for (const store::RecordMeta& meta : state_.secrets().list()) metas.field(meta.digest());
    ready.metas = metas.digest();
    const auto epoch = store::EpochStore(state_.db()).load(rid());
    if (epoch) ready.epoch = epoch->epoch_id;
    ready_ = ready;
  }
  attempt_->ready = ready_;
  store_.put(*attempt_);
  move(Move::kBecomeReady);
}

void RoomChange::begin() {
  if (options_.mode != ChangeMode::kAll) {
    throw InputError("room change",
                     "no change is under way that could be gone on with or taken back",
                     "run it without --go-on and --back");
  }
  std::vector<Term> terms;
  for (Term& term : room_terms(wish_->next)) terms.push_back({"then: " + term.name, term.value});
  agree_on_terms(*party_, meeting_room(), terms);
  std::vector<ChangeBody> chain;
  const Configuration before = configuration_before(chain);
  check_ids(before);
  const Configuration next = configuration_then(before);
  agreement::check_change(before, next, wish_->next.file.string());
  if (agreement::needs_rows(before, next) && state_.founded()) {
    require_rows_can_go(!agreement::change_sets(before, next).join.empty());
  }
  tell_words(before, next);
  enter(approve(before, next), chain);
  become_ready();
  for (Meeting::Said& said : meeting_->said) {
    said.has_attempt = true;
    said.attempt = id_;
    said.place = Place::kReady;
  }
}

}  // namespace flexroom::session
