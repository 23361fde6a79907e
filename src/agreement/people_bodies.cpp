#include "agreement/people_bodies.h"

#include <algorithm>
#include <functional>

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

constexpr uint8_t kRuleForm = 1;

template <typename Body>
Body read_body(ByteView body, std::string_view place,
               const std::function<void(Reader&, Body&)>& read) {
  Body out;
  try {
    Reader in(body, place);
    read(in, out);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  return out;
}

}  // namespace

Digest versions_digest(std::vector<SecretVersion> secrets) {
  std::sort(secrets.begin(), secrets.end());
  const auto twice = std::adjacent_find(
      secrets.begin(), secrets.end(),
      [](const SecretVersion& a, const SecretVersion& b) { return a.record == b.record; });
  if (twice != secrets.end()) throw InputError("versions of secrets", "name a secret twice");
  Writer out;
  for (const SecretVersion& one : secrets) {
    out.raw(one.record).u32(one.version).raw(one.provenance);
  }
  return RandomOracle("versions", RoScope{}).field(out.bytes()).digest();
}

Bytes ApproveBody::encode() const {
  FLEXROOM_ASSERT(automatic.size() <= kMaxRuleName);
  Writer out;
  out.raw(proposal).raw(terms).raw(versions).u64(not_before).u64(not_after);
  out.u32(rule_version).field(automatic).raw(evidence);
  return out.take();
}

ApproveBody ApproveBody::decode(ByteView body, std::string_view place) {
  const auto out = read_body<ApproveBody>(body, place, [](Reader& in, ApproveBody& b) {
    b.proposal = in.digest();
    b.terms = in.digest();
    b.versions = in.digest();
    b.not_before = in.u64();
    b.not_after = in.u64();
    b.rule_version = in.u32();
    b.automatic = to_text(in.field(kMaxRuleName));
    b.evidence = in.digest();
  });
  if (out.not_after < out.not_before) throw InputError(place, "approves for a window of no time");
  return out;
}

Bytes RuleBody::encode() const {
  Writer out;
  out.u8(kRuleForm).u32(version).raw(digest).raw(previous).u8(reset ? 1 : 0).raw(evidence);
  return out.take();
}

RuleBody RuleBody::decode(ByteView body, std::string_view place) {
  const auto out = read_body<RuleBody>(body, place, [&](Reader& in, RuleBody& b) {
    if (in.u8() != kRuleForm) {
      throw InputError(place, "has a body of another form", "a newer program wrote it");
    }
    b.version = in.u32();
    b.digest = in.digest();
    b.previous = in.digest();
    const uint8_t flag = in.u8();
    if (flag > 1) throw InputError(place, "is neither a reset nor none");
    b.reset = flag == 1;
    b.evidence = in.digest();
  });
  if (out.version == 0) throw InputError(place, "is a rule without a version");
  const bool first = out.version == 1;
  if (first != (out.previous == Digest{})) {
    throw InputError(place, "names a rule before the first one, or none before another");
  }
  if (first && out.reset) throw InputError(place, "is a first rule that resets one");
  if ((first || out.reset) != (out.evidence == Digest{})) {
    throw InputError(place, first || out.reset
                                ? "is root's and has signatures of people"
                                : "is a change of the rule without signatures of people");
  }
  return out;
}

}  // namespace flexroom::agreement
