#include "agreement/statement.h"

#include <algorithm>
#include <functional>

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kDomain = "flexroom/statement/1";
constexpr std::string_view kResultDomain = "flexroom/result/1";
constexpr uint8_t kBodyForm = 1;

// Bytes that lie here already, or that a peer sent as a whole: what is wrong with them is an input
// error at their place.
template <typename T>
T decode_as(ByteView bytes, std::string_view place, const std::function<void(Reader&, T&)>& read) {
  T out;
  try {
    Reader in(bytes, place);
    read(in, out);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  return out;
}

void expect_form(Reader& in, std::string_view place) {
  if (in.u8() != kBodyForm) {
    throw InputError(place, "has a body of another form", "a newer program wrote it");
  }
}

void put_signatures(Writer& out, const std::vector<net::Signature>& signatures) {
  out.u32(static_cast<uint32_t>(signatures.size()));
  for (const net::Signature& signature : signatures) out.raw(signature);
}

std::vector<net::Signature> read_signatures(Reader& in, std::string_view place) {
  const uint32_t count = in.u32();
  if (count > Configuration::kMaxMembers) throw InputError(place, "has too many signatures");
  std::vector<net::Signature> out(count);
  for (net::Signature& signature : out) signature = read_array<64>(in);
  return out;
}

Writer& put_result(Writer& out, const ResultBody& r) {
  return out.raw(r.proposal)
      .raw(r.run)
      .u8(static_cast<uint8_t>(r.outcome))
      .u32(r.status)
      .field(r.text)
      .raw(r.session)
      .u64(r.place);
}

std::string bounded(const std::string& text, size_t max) { return text.substr(0, max); }

}  // namespace

std::string_view to_string(StatementKind kind) {
  static constexpr std::string_view kNames[] = {
      "?",     "PROPOSE", "INPUT", "APPROVE", "REJECT", "WITHDRAW", "RULE",  "RESULT",
      "READY", "BIND",    "LEFT",  "VOID",    "OLD",    "NOTE",     "START", "CHANGE"};
  const auto index = static_cast<size_t>(kind);
  return index < std::size(kNames) ? kNames[index] : kNames[0];
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kNothingHappened:
      return "nothing happened at the provider";
    case Outcome::kEffectMayHaveHappened:
      return "aborted; a provider-side effect may have happened";
    case Outcome::kFailed:
      return "failed";
  }
  return "unknown";
}

Bytes Statement::text() const {
  Writer out;
  out.raw(room).raw(author).u32(incarnation).u64(number).raw(previous).u64(time);
  out.u8(static_cast<uint8_t>(kind)).field(body);
  return out.take();
}

Digest Statement::digest() const {
  return RandomOracle("statement", RoScope{}).field(text()).digest();
}

Bytes Statement::encode() const {
  Bytes out = text();
  append(out, signature);
  FLEXROOM_ASSERT(out.size() <= kMaxStatementBytes);
  return out;
}

Statement Statement::decode(ByteView bytes, std::string_view place) {
  if (bytes.size() > kMaxStatementBytes) throw InputError(place, "is longer than 4 MiB");
  Statement out = decode_as<Statement>(bytes, place, [&](Reader& in, Statement& s) {
    s.room = in.digest();
    s.author = read_array<16>(in);
    s.incarnation = in.u32();
    s.number = in.u64();
    s.previous = in.digest();
    s.time = in.u64();
    const uint8_t read_kind = in.u8();
    if (read_kind < static_cast<uint8_t>(StatementKind::kPropose) ||
        read_kind > static_cast<uint8_t>(StatementKind::kChange)) {
      throw InputError(place, "is a statement of unknown kind", "a newer program wrote it");
    }
    s.kind = static_cast<StatementKind>(read_kind);
    const ByteView body = in.field(kMaxStatementBytes);
    s.body.assign(body.begin(), body.end());
    s.signature = read_array<64>(in);
  });
  if (out.number == 0) throw InputError(place, "is a statement without a number");
  return out;
}

void Statement::sign(const net::Identity& identity) { signature = identity.sign(kDomain, text()); }

bool Statement::verify(const net::SigningKey& key) const {
  return net::verify(key, kDomain, text(), signature);
}

Bytes StartBody::encode() const {
  Writer out;
  out.u8(kBodyForm).raw(configuration).field(approval.encode());
  return out.take();
}

StartBody StartBody::decode(ByteView body, std::string_view place) {
  return decode_as<StartBody>(body, place, [&](Reader& in, StartBody& out) {
    expect_form(in, place);
    out.configuration = in.digest();
    out.approval = Approval::decode(in.field(kMaxStatementBytes), std::string(place));
  });
}

Bytes RejectBody::encode() const {
  Writer out;
  out.raw(proposal).field(bounded(reason, kMaxReasonBytes));
  return out.take();
}

RejectBody RejectBody::decode(ByteView body, std::string_view place) {
  return decode_as<RejectBody>(body, place, [&](Reader& in, RejectBody& out) {
    out.proposal = in.digest();
    out.reason = to_text(in.field(kMaxReasonBytes));
  });
}

Bytes ResultBody::joint_text(const Digest& room, uint64_t time) const {
  Writer out;
  out.raw(room).u64(time);
  return put_result(out, *this).take();
}

Bytes ResultBody::encode() const {
  FLEXROOM_ASSERT(text.size() <= kMaxNoteBytes);
  Writer out;
  out.u8(kBodyForm);
  put_signatures(put_result(out, *this), signatures);
  return out.take();
}

ResultBody ResultBody::decode(ByteView body, std::string_view place) {
  return decode_as<ResultBody>(body, place, [&](Reader& in, ResultBody& out) {
    expect_form(in, place);
    out.proposal = in.digest();
    out.run = in.digest();
    const uint8_t outcome = in.u8();
    if (outcome > static_cast<uint8_t>(Outcome::kFailed)) {
      throw InputError(place, "has an unknown outcome", "a newer program wrote it");
    }
    out.outcome = static_cast<Outcome>(outcome);
    out.status = in.u32();
    out.text = to_text(in.field(kMaxNoteBytes));
    out.session = in.digest();
    out.place = in.u64();
    out.signatures = read_signatures(in, place);
  });
}

net::Signature sign_result(const net::Identity& identity, ByteView joint_text) {
  return identity.sign(kResultDomain, joint_text);
}
bool verify_result(const net::SigningKey& key, ByteView joint_text,
                   const net::Signature& signature) {
  return net::verify(key, kResultDomain, joint_text, signature);
}

Bytes NoteBody::encode() const {
  Writer out;
  out.u8(kBodyForm).raw(proposal).field(bounded(text, kMaxNoteBytes)).field(statement);
  return out.take();
}

NoteBody NoteBody::decode(ByteView body, std::string_view place) {
  return decode_as<NoteBody>(body, place, [&](Reader& in, NoteBody& out) {
    expect_form(in, place);
    out.proposal = in.digest();
    out.text = to_text(in.field(kMaxNoteBytes));
    const ByteView statement = in.field(kMaxRefusalBytes);
    out.statement.assign(statement.begin(), statement.end());
  });
}

void ChangeBody::require_valid(std::string_view place) const {
  const auto fail = [&](const std::string& problem) { throw InputError(place, problem); };
  if (!start) {
    if (signatures.size() != configuration.members.size()) {
      fail("is a configuration that not all its members signed");
    }
    const Digest digest = configuration.digest();
    for (size_t i = 0; i < signatures.size(); ++i) {
      if (!verify_configuration(configuration.members[i].key, digest, signatures[i])) {
        fail("is a configuration that not all its members signed");
      }
    }
    return;
  }
  if (start->next != configuration) fail("is another configuration than that of its change");
  start->verify(place);
  const ChangeSets sets = change_sets(start->before, start->next);
  const Digest attempt = start->attempt();
  std::optional<ReadyBody> ready;
  std::vector<std::pair<MemberId, StatementKind>> said;
  for (const Statement& s : statements) {
    const auto who = sets.index_of(s.author);
    if (!who || s.room != configuration.room || !s.verify(sets.all[*who].key)) {
      fail("holds a statement that is not signed by a member of the change");
    }
    if (!said.empty() && said.back() >= std::pair(s.author, s.kind)) {
      fail("holds its statements unsorted or twice");
    }
    said.emplace_back(s.author, s.kind);
    if (s.kind == StatementKind::kReady) {
      const ReadyBody body = ReadyBody::decode(s.body, place);
      if (body.attempt != attempt) fail("holds a READY of another attempt");
      if (ready && *ready != body) fail("holds different READY of one attempt");
      ready = body;
    } else if (s.kind == StatementKind::kBind || s.kind == StatementKind::kLeft) {
      if (AttemptBody::decode(s.body, place).attempt != attempt) {
        fail("holds a statement of another attempt");
      }
    } else {
      fail("holds a statement of a kind that shows nothing");
    }
  }
  const auto require = [&](const std::vector<MemberId>& who, StatementKind kind) {
    for (const MemberId& id : who) {
      if (std::find(said.begin(), said.end(), std::pair(id, kind)) != said.end()) continue;
      fail("lacks " + std::string(to_string(kind)) + " of " + sets.all[*sets.index_of(id)].name);
    }
  };
  require(sets.stay, StatementKind::kReady);
  require(sets.join, StatementKind::kReady);
  require(sets.stay, StatementKind::kBind);
}

bool ChangeBody::verify() const {
  try {
    require_valid("configuration");
    return true;
  } catch (const InputError&) {
    return false;
  }
}

Bytes ChangeBody::encode() const {
  Writer out;
  if (start) {
    out.u8(ChangeStart::kForm).field(start->encode());
    out.u32(static_cast<uint32_t>(statements.size()));
    for (const Statement& s : statements) out.field(s.encode());
    return out.take();
  }
  out.u8(kBodyForm).field(configuration.encode());
  put_signatures(out, signatures);
  return out.take();
}

ChangeBody ChangeBody::decode(ByteView body, std::string_view place) {
  return decode_as<ChangeBody>(body, place, [&](Reader& in, ChangeBody& out) {
    if (ChangeStart::is(body)) {
      (void)in.u8();
      out.start = ChangeStart::decode(in.field(kMaxStatementBytes), place);
      out.configuration = out.start->next;
      const uint32_t count = in.u32();
      if (count > 4 * Configuration::kMaxMembers)
        throw InputError(place, "has too many statements");
      for (uint32_t k = 0; k < count; ++k) {
        out.statements.push_back(Statement::decode(in.field(kMaxStatementBytes), place));
      }
      return;
    }
    expect_form(in, place);
    out.configuration = Configuration::decode(in.field(Configuration::kMaxBytes), place);
    out.signatures = read_signatures(in, place);
  });
}

}  // namespace flexroom::agreement
