#include "people/evidence.h"

#include <fmt/core.h>
#include <sodium.h>

#include "base/codec.h"
#include "base/ct.h"
#include "base/error.h"
#include "base/read_array.h"
#include "people/voice_refused.h"

namespace flexroom::people {

using agreement::ApproveBody;
using agreement::RuleBody;
using agreement::StatementKind;

namespace {

constexpr size_t kMaxVoiceBytes = Voice::kMaxBytes;

// Every voice right and about `matter`, and together enough.
Shown count(const std::vector<Voice>& voices, const Rule& rule, const PersonStatement& matter,
            const std::vector<RelyingParty>& parties, std::string_view place) {
  Tally tally(rule, matter);
  Shown out;
  for (const Voice& voice : voices) {
    const VerifiedVoice verified = verify_voice(rule, voice, parties);
    tally.add(verified.st);
    out.persons.push_back(verified.st.person);
  }
  if (!tally.enough()) {
    throw InputError(place, fmt::format("has signatures of {} of its people; the rule asks for {}",
                                        tally.count(), tally.needed()));
  }
  return out;
}

}  // namespace

Evidence Evidence::of(std::vector<Voice> voices) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  Evidence out;
  randombytes_buf(out.salt.data(), out.salt.size());
  out.voices = std::move(voices);
  return out;
}

Bytes Evidence::encode() const {
  FLEXROOM_ASSERT(voices.size() <= kMaxVoices);
  Writer out;
  out.raw(salt).u32(static_cast<uint32_t>(voices.size()));
  for (const Voice& voice : voices) out.field(voice.encode());
  return out.take();
}

Evidence Evidence::decode(ByteView bytes, std::string_view place) {
  Evidence out;
  try {
    Reader in(bytes, place);
    out.salt = read_array<16>(in);
    const uint32_t voices = in.u32();
    if (voices > kMaxVoices) throw InputError(place, "has more signatures than people");
    for (uint32_t i = 0; i < voices; ++i) {
      out.voices.push_back(Voice::decode(in.field(kMaxVoiceBytes), place));
    }
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  return out;
}

Digest Evidence::commitment() const {
  return RandomOracle("evidence", RoScope{}).field(encode()).digest();
}

// An approval that was signed anew after a change of the rule keeps its voices of before: they are
// judged by the people and keys of the rule that it names now.
Shown verify_evidence(const ApproveBody& body, const Evidence& evidence, const Rule& rule,
                      uint32_t newest_reset, const std::vector<RelyingParty>& parties,
                      std::string_view place) {
  if (!ct_equal(evidence.commitment(), body.evidence)) {
    throw InputError(place, "shows other evidence than it committed to");
  }
  if (body.rule_version != rule.version) {
    throw InputError(place, "was approved under another version of the rule");
  }
  if (evidence.voices.empty()) throw InputError(place, "has no signatures of people");
  Rule as = rule;
  PersonStatement matter;
  matter.rule_version = PersonStatement::decode(evidence.voices.front().st, place).rule_version;
  as.version = matter.rule_version;
  const uint32_t since = rule.reset ? rule.version : newest_reset;
  if (as.version > rule.version || as.version < since) {
    throw InputError(place, "has signatures under a rule that does not reach to it");
  }
  matter.room = rule.room;
  matter.member = rule.member;
  matter.what = body.proposal;
  matter.terms = body.terms;
  matter.versions = body.versions;
  matter.not_before = body.not_before;
  matter.not_after = body.not_after;
  return count(evidence.voices, as, matter, parties, place);
}

Shown verify_evidence(const RuleBody& body, const Evidence& evidence, const Rule& document,
                      const Rule* before, const std::vector<RelyingParty>& parties,
                      std::string_view place) {
  const bool same = document.digest() == body.digest && document.version == body.version &&
                    document.previous == body.previous && document.reset == body.reset;
  if (!same) throw InputError(place, "shows another rule than it is about");
  if (document.version == 1 || document.reset) {
    if (!evidence.voices.empty()) throw InputError(place, "is root's and has signatures");
    return {};
  }
  if (before == nullptr || !before->is_followed_by(document)) {
    throw InputError(place, "is a rule that does not follow from the one before");
  }
  if (!ct_equal(evidence.commitment(), body.evidence)) {
    throw InputError(place, "shows other evidence than it committed to");
  }
  PersonStatement matter;
  matter.room = before->room;
  matter.member = before->member;
  matter.kind = StatementKind::kRule;
  matter.role = Role::kAdminister;
  matter.rule_version = before->version;
  matter.what = body.digest;
  return count(evidence.voices, *before, matter, parties, place);
}

std::optional<Evidence> judged_again(const Rule& now, uint32_t newest_reset,
                                     const Evidence& evidence, const std::string& proposer) {
  if (evidence.voices.empty()) return std::nullopt;
  const auto matter = PersonStatement::decode(evidence.voices.front().st, "evidence");
  if (matter.kind != StatementKind::kApprove || matter.rule_version > now.version ||
      matter.rule_version < newest_reset) {
    return std::nullopt;
  }
  Rule as = now;
  as.version = matter.rule_version;
  Tally tally(as, matter, proposer);
  std::vector<Voice> hold;
  for (const Voice& voice : evidence.voices) {
    try {
      tally.add(verify_voice(as, voice, {}).st);
      hold.push_back(voice);
    } catch (const VoiceRefused&) {
      // Of a person or key that the rule no longer has: the others may be enough.
    }
  }
  if (!tally.enough()) return std::nullopt;
  return Evidence::of(std::move(hold));
}

}  // namespace flexroom::people
