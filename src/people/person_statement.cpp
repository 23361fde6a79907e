#include "people/person_statement.h"

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"
#include "config/config.h"

namespace flexroom::people {

using agreement::StatementKind;

Role role_for(StatementKind kind) {
  switch (kind) {
    case StatementKind::kApprove:
    case StatementKind::kReject:
    case StatementKind::kWithdraw:
      return Role::kApprove;
    case StatementKind::kRule:
      return Role::kAdminister;
    default:
      throw InputError("statement of a person", "is of a kind that no person signs");
  }
}

Bytes PersonStatement::encode() const {
  Writer out;
  out.raw(room).raw(member).field(person).u8(static_cast<uint8_t>(role)).u32(rule_version);
  out.u8(static_cast<uint8_t>(kind)).raw(what).raw(terms).raw(versions);
  out.u64(not_before).u64(not_after).raw(ticket);
  return out.take();
}

PersonStatement PersonStatement::decode(ByteView bytes, std::string_view place) {
  constexpr size_t kMaxName = 64;
  PersonStatement out;
  uint8_t role = 0, kind = 0;
  try {
    Reader in(bytes, place);
    out.room = in.digest();
    out.member = read_array<16>(in);
    out.person = to_text(in.field(kMaxName));
    role = in.u8();
    out.rule_version = in.u32();
    kind = in.u8();
    out.what = in.digest();
    out.terms = in.digest();
    out.versions = in.digest();
    out.not_before = in.u64();
    out.not_after = in.u64();
    out.ticket = read_array<16>(in);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  if (!is_name(out.person)) throw InputError(place, "is of nobody that a rule could name");
  if (kind == 0 || kind > static_cast<uint8_t>(StatementKind::kChange)) {
    throw InputError(place, "is of an unknown kind", "a newer program wrote it");
  }
  out.kind = static_cast<StatementKind>(kind);
  if (role != static_cast<uint8_t>(role_for(out.kind))) {
    throw InputError(place, "is of a role that does not go with its kind");
  }
  out.role = static_cast<Role>(role);
  const bool rule = out.kind == StatementKind::kRule;
  if (out.not_after < out.not_before ||
      (rule && (out.terms != Digest{} || out.versions != Digest{} || out.not_after != 0))) {
    throw InputError(place, rule ? "is of a rule and has terms, versions or a window"
                                 : "is for a window of no time");
  }
  return out;
}

bool PersonStatement::same_matter(const PersonStatement& other) const {
  PersonStatement a = *this, b = other;
  a.person = b.person = "";
  a.ticket = b.ticket = {};
  return a == b;
}

Digest challenge_of(ByteView st) {
  return RandomOracle(kPersonDomain, RoScope{}).field(st).digest();
}

Digest reason_digest(std::string_view reason) {
  return RandomOracle("reason", RoScope{}).field(as_bytes(reason)).digest();
}

}  // namespace flexroom::people
