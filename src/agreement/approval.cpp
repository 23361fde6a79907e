#include "agreement/approval.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "agreement/render.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kDomain = "flexroom/proposal/1";

Bytes signed_text(const Digest& session, const Digest& digest) {
  Writer out;
  out.raw(session).raw(digest);
  return out.take();
}

// What a peer sent, as one. A malformed one is its fault, by name.
Proposal read_proposal(ByteView bytes, PartyId peer) {
  try {
    return Proposal::decode(bytes, "proposal");
  } catch (const InputError& error) {
    throw ProtocolAbort(AbortCode::kDisagreement, "proposal",
                        "its proposal cannot be read: it " + error.problem(), peer);
  }
}

[[noreturn]] void report_difference(const Proposal& own, ByteView bytes, ByteView announced,
                                    PartyId peer) {
  const Digest digest = proposal_digest(bytes);
  if (!std::equal(digest.begin(), digest.end(), announced.begin(), announced.end())) {
    throw ProtocolAbort(AbortCode::kDisagreement, "proposal",
                        "the member announced another digest than that of its fields", peer);
  }
  throw ProtocolAbort(AbortCode::kDisagreement, "proposal",
                      differences(own, read_proposal(bytes, peer)) + "  digests " +
                          to_hex(own.digest()) + " here, " + to_hex(digest) + " there",
                      peer);
}

// Equal digests at all members. Broadcasts before this one are none of this checkpoint's business:
// a difference there is cheating, one here is a disagreement about what to do.
void compare(net::Party& party, const Proposal& proposal, const Digest& digest) {
  party.echo("proposal/before");
  const std::vector<Bytes> digests = party.exchange("proposal/digest", digest);
  party.echo("proposal/digest", AbortCode::kDisagreement);
  const bool all_equal = std::all_of(digests.begin(), digests.end(),
                                     [&](const Bytes& d) { return d == digests[party.id()]; });
  if (all_equal) return;
  const Bytes canonical = proposal.canonical();
  for (const PartyId j : party.peers()) party.send(j, "proposal/fields", canonical);
  std::vector<Bytes> theirs(party.num_parties());
  for (const PartyId j : party.peers()) {
    theirs[j] = party.receive_up_to(j, "proposal/fields", Proposal::kMaxBytes);
  }
  for (const PartyId j : party.peers()) {
    if (digests[j] != digests[party.id()]) report_difference(proposal, theirs[j], digests[j], j);
  }
}

// An answer: yes and a signature, no and the refusal, or not now.
constexpr std::string_view kAnswer = "proposal/answer";
constexpr std::chrono::seconds kLookForReason{1};

// A peer that said no may be gone already; what it said is still to be read. Returns the first
// link that failed.
std::optional<ProtocolAbort> say(net::Party& party, Answer answer, ByteView more) {
  Writer out;
  out.u8(static_cast<uint8_t>(answer)).raw(more);
  std::optional<ProtocolAbort> failed;
  for (const PartyId j : party.peers()) {
    try {
      party.send(j, kAnswer, out.bytes());
    } catch (const ProtocolAbort& abort) {
      if (!failed) failed = abort;
    }
  }
  return failed;
}

[[noreturn]] void say_no(net::Party& party, const Digest& digest, const std::string& reason,
                         const Deciding& deciding) {
  const Bytes refusal = deciding.refused ? deciding.refused(digest, reason) : Bytes();
  FLEXROOM_ASSERT(refusal.size() <= kMaxRefusalBytes);
  (void)say(party, Answer::kNo, refusal);
  throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                      "the operator said no; nothing was contacted");
}

std::string name_of(PartyId peer, const Deciding& deciding) {
  return deciding.name ? deciding.name(peer) : "member " + std::to_string(peer + 1);
}

[[noreturn]] void hear_no(PartyId peer, const Digest& digest, ByteView refusal,
                          const Deciding& deciding) {
  const std::string reason =
      deciding.heard_refusal ? deciding.heard_refusal(peer, digest, refusal) : "";
  throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                      name_of(peer, deciding) + " said no" +
                          (reason.empty() ? "" : ": " + display_text(reason, 200)) +
                          "; nothing was contacted",
                      peer);
}

}  // namespace

Approval agree(net::Party& party, const net::Identity& identity,
               const std::vector<net::SigningKey>& keys, const Proposal& proposal,
               const Deciding& deciding) {
  FLEXROOM_ASSERT(keys.size() == party.num_parties());
  Approval approval;
  approval.proposal = proposal.canonical();
  approval.digest = proposal_digest(approval.proposal);
  approval.session = party.scope().sid;
  compare(party, proposal, approval.digest);
  std::string reason;
  const Answer own = deciding.decide ? deciding.decide(reason) : Answer::kYes;
  if (own == Answer::kNo) say_no(party, approval.digest, reason, deciding);
  if (own == Answer::kNotNow) {
    (void)say(party, own, {});
    throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                        "nobody is here to decide now; nothing was contacted");
  }
  const Bytes text = signed_text(approval.session, approval.digest);
  approval.signatures.assign(party.num_parties(), {});
  approval.signatures[party.id()] = identity.sign(kDomain, text);
  std::optional<ProtocolAbort> lost = say(party, Answer::kYes, approval.signatures[party.id()]);
  if (deciding.waiting) deciding.waiting();
  for (const PartyId j : party.peers()) {
    Bytes answer;
    try {
      // Once somebody is gone nothing comes of this: only the reason is looked for.
      if (lost) party.transport().set_receive_timeout(kLookForReason);
      answer = party.receive_up_to(j, kAnswer, 1 + kMaxRefusalBytes);
    } catch (const ProtocolAbort& abort) {
      if (!lost) lost = abort;
      continue;
    }
    Reader in(answer, kAnswer, j);
    const auto what = static_cast<Answer>(in.u8());
    if (what == Answer::kNo) hear_no(j, approval.digest, in.raw(in.remaining()), deciding);
    if (what == Answer::kNotNow) {
      throw ProtocolAbort(
          AbortCode::kRefusedByRule, "approval",
          name_of(j, deciding) + " has nobody there to decide now; nothing was contacted", j);
    }
    approval.signatures[j] = read_array<sizeof(net::Signature)>(in);
    in.finish();
    if (what != Answer::kYes || !net::verify(keys[j], kDomain, text, approval.signatures[j])) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "proposal", "wrong signature", j);
    }
  }
  if (lost) throw *lost;
  return approval;
}

Approval approve(net::Party& party, const net::Identity& identity,
                 const std::vector<net::SigningKey>& keys, const Proposal& proposal) {
  return agree(party, identity, keys, proposal, {});
}

Bytes Approval::encode() const {
  Writer out;
  out.raw(digest).raw(session).field(proposal).u32(static_cast<uint32_t>(signatures.size()));
  for (const net::Signature& signature : signatures) out.raw(signature);
  return out.take();
}

Approval Approval::decode(ByteView bytes, const std::string& place) {
  constexpr uint32_t kMaxMembers = 1024;
  try {
    Reader in(bytes, place);
    Approval out;
    out.digest = in.digest();
    out.session = in.digest();
    const ByteView proposal = in.field(Proposal::kMaxBytes);
    out.proposal.assign(proposal.begin(), proposal.end());
    const uint32_t count = in.u32();
    if (count > kMaxMembers) throw InputError(place, "has too many signatures");
    for (uint32_t j = 0; j < count; ++j) {
      out.signatures.push_back(read_array<sizeof(net::Signature)>(in));
    }
    in.finish();
    return out;
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
}

bool verify_approval(const Approval& approval, const std::vector<net::SigningKey>& keys) {
  if (approval.signatures.size() != keys.size()) return false;
  if (proposal_digest(approval.proposal) != approval.digest) return false;
  const Bytes text = signed_text(approval.session, approval.digest);
  for (size_t j = 0; j < keys.size(); ++j) {
    if (!net::verify(keys[j], kDomain, text, approval.signatures[j])) return false;
  }
  return true;
}

}  // namespace flexroom::agreement
