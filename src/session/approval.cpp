#include "session/approval.h"

#include <chrono>
#include <ctime>

#include "agreement/render.h"
#include "call/per_run.h"
#include "net/receive_wait.h"

namespace flexroom::session {
namespace {

// People read and decide; a member that is gone shows as a lost connection long before.
constexpr std::chrono::hours kApprovalWait{1};

}  // namespace

Shown shown(MemberState& state, const agreement::Proposal& proposal) {
  Shown out;
  const Bytes canonical = proposal.canonical();
  out.digest = agreement::proposal_digest(canonical);
  out.text = agreement::render(canonical, "proposal");
  out.proposal = agreement::Proposal::decode(canonical, "proposal");
  const auto last = state.log().last_approved(proposal.kind, proposal.title);
  if (last) {
    ChangedSince changed =
        changed_since(agreement::Proposal::decode(*last, "audit log"), out.proposal);
    out.since = std::move(changed.text);
    out.new_each_run = std::move(changed.new_each_run);
  }
  return out;
}

agreement::Proposal of_this_room(MemberState& state, agreement::Proposal proposal) {
  proposal.room = state.rid();
  proposal.terms = state.configuration().terms();
  return proposal;
}

Digest approve(MemberSession& session, agreement::Proposal proposal, const Approving& approving) {
  MemberState& state = session.state();
  net::Party& party = session.party();
  proposal = of_this_room(state, std::move(proposal));
  net::ReceiveWait patience(party.transport());
  agreement::Deciding deciding;
  deciding.decide = [&](std::string& reason) {
    return approving.decide(shown(state, proposal), reason);
  };
  deciding.name = [&](PartyId j) { return state.room().members[j].name; };
  deciding.refused = [&](const Digest& digest, const std::string& reason) {
    return state.log().refuse(digest, reason);
  };
  deciding.heard_refusal = [&](PartyId who, const Digest& digest, ByteView refusal) {
    return state.log().heard_refusal(who, digest, refusal);
  };
  deciding.waiting = [&] {
    if (approving.waiting) approving.waiting();
    patience.set(kApprovalWait);
  };
  store::LogEntry entry;
  entry.approval =
      agreement::agree(party, state.identity(), state.signing_keys(), proposal, deciding);
  // On disk before anything follows from it: however this process ends, the log says that all
  // members wanted this, and shows their signatures.
  entry.unix_seconds = static_cast<uint64_t>(std::time(nullptr));
  entry.proposal = entry.approval->digest;
  entry.outcome = store::LogOutcome::kApproved;
  entry.text = proposal.kind + (proposal.title.empty() ? "" : " " + proposal.title);
  state.log().append_alone(entry);
  return entry.proposal;
}

}  // namespace flexroom::session
