#include "agreement/approval.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kDomain = "flexroom/proposal/1";
constexpr size_t kMaxProposalBytes = 4 << 20;
constexpr size_t kMaxShown = 120;

Bytes signed_text(const Digest& session, const Digest& digest) {
  Writer out;
  out.raw(session).raw(digest);
  return out.take();
}

// Foreign text on an operator's terminal: printable ASCII only, and not all of it.
std::string shown(const Proposal::Field* field) {
  if (field == nullptr) return "(no such field)";
  if (field->secret) return "(not shown)";
  std::string out;
  for (const uint8_t c : field->value) {
    if (out.size() == kMaxShown) return out + "...";
    out.push_back(c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?');
  }
  return out;
}

std::string name_of(const Proposal::Field* field) {
  if (field == nullptr) return "(none)";
  Proposal::Field name{"", to_bytes(field->name), false};
  return shown(&name);
}

Proposal parse(ByteView bytes, PartyId peer) {
  Reader in(bytes, "proposal", peer);
  Proposal out;
  while (in.remaining() > 0) {
    Proposal::Field field;
    field.name = to_text(in.field(256));
    field.secret = in.u8() != 0;
    const ByteView value = in.field(kMaxProposalBytes);
    field.value.assign(value.begin(), value.end());
    out.fields.push_back(std::move(field));
  }
  return out;
}

[[noreturn]] void report_difference(const Proposal& own, const Proposal& theirs, PartyId peer) {
  const size_t n = std::max(own.fields.size(), theirs.fields.size());
  for (size_t i = 0; i < n; ++i) {
    const auto* a = i < own.fields.size() ? &own.fields[i] : nullptr;
    const auto* b = i < theirs.fields.size() ? &theirs.fields[i] : nullptr;
    const bool same = a != nullptr && b != nullptr && a->name == b->name &&
                      a->secret == b->secret && a->value == b->value;
    if (same) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, "proposal",
                        "field " + name_of(a != nullptr ? a : b) + " differs\n  here:  " +
                            shown(a) + "\n  there: " + shown(b) + "\n  digests " +
                            to_hex(own.digest()) + " here, " + to_hex(theirs.digest()) + " there",
                        peer);
  }
  throw ProtocolAbort(AbortCode::kDisagreement, "proposal",
                      "the member announced another digest than that of its fields", peer);
}

Digest digest_of(ByteView canonical) {
  return RandomOracle("proposal", RoScope{}).field(canonical).digest();
}

}  // namespace

Bytes Proposal::canonical() const {
  Writer out;
  for (const Field& field : fields) {
    out.field(field.name).u8(field.secret ? 1 : 0).field(field.value);
  }
  return out.take();
}

Digest Proposal::digest() const { return digest_of(canonical()); }

Approval approve(net::Party& party, const net::Identity& identity,
                 const std::vector<net::SigningKey>& keys, const Proposal& proposal) {
  FLEXROOM_ASSERT(keys.size() == party.num_parties());
  Approval approval;
  approval.digest = proposal.digest();
  approval.session = party.scope().sid;
  approval.proposal = proposal.canonical();
  const std::vector<Bytes> digests = party.exchange("proposal/digest", approval.digest);
  party.echo("proposal/digest");
  const bool all_equal = std::all_of(digests.begin(), digests.end(),
                                     [&](const Bytes& d) { return d == digests[party.id()]; });
  if (!all_equal) {
    for (const PartyId j : party.peers()) {
      party.send(j, "proposal/fields", proposal.canonical());
    }
    std::vector<Bytes> theirs(party.num_parties());
    for (const PartyId j : party.peers()) {
      theirs[j] = party.receive_up_to(j, "proposal/fields", kMaxProposalBytes);
    }
    for (const PartyId j : party.peers()) {
      if (digests[j] != digests[party.id()]) report_difference(proposal, parse(theirs[j], j), j);
    }
  }
  const Bytes text = signed_text(party.scope().sid, approval.digest);
  const std::vector<Bytes> signatures =
      party.exchange("proposal/signature", identity.sign(kDomain, text));
  for (PartyId j = 0; j < party.num_parties(); ++j) {
    net::Signature signature{};
    std::copy(signatures[j].begin(), signatures[j].end(), signature.begin());
    if (!net::verify(keys[j], kDomain, text, signature)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "proposal", "wrong signature", j);
    }
    approval.signatures.push_back(signature);
  }
  return approval;
}

Bytes Approval::encode() const {
  Writer out;
  out.raw(digest).raw(session).field(proposal).u32(static_cast<uint32_t>(signatures.size()));
  for (const net::Signature& signature : signatures) out.raw(signature);
  return out.take();
}

Approval Approval::decode(ByteView bytes, const std::string& place) {
  constexpr uint32_t kMaxMembers = 1024;
  Reader in(bytes, place);
  Approval out;
  out.digest = in.digest();
  out.session = in.digest();
  const ByteView proposal = in.field(kMaxProposalBytes);
  out.proposal.assign(proposal.begin(), proposal.end());
  const uint32_t count = in.u32();
  if (count > kMaxMembers) throw InputError(place, "has too many signatures");
  for (uint32_t j = 0; j < count; ++j) {
    net::Signature& signature = out.signatures.emplace_back();
    const ByteView raw = in.raw(signature.size());
    std::copy(raw.begin(), raw.end(), signature.begin());
  }
  in.finish();
  return out;
}

bool verify_approval(const Approval& approval, const std::vector<net::SigningKey>& keys) {
  if (approval.signatures.size() != keys.size()) return false;
  if (digest_of(approval.proposal) != approval.digest) return false;
  const Bytes text = signed_text(approval.session, approval.digest);
  for (size_t j = 0; j < keys.size(); ++j) {
    if (!net::verify(keys[j], kDomain, text, approval.signatures[j])) return false;
  }
  return true;
}

}  // namespace flexroom::agreement
