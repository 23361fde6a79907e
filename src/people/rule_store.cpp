#include "people/rule_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/codec.h"
#include "base/error.h"
#include "people/voice_refused.h"
#include "store/room_store.h"
#include "store/row_reader.h"

namespace flexroom::people {
namespace {

constexpr std::string_view kOfRule = "rule of this member's people";
constexpr std::string_view kRow = "state.db, the rule of this member's people";
constexpr std::string_view kOnceRow = "once.db, the rule of this member's people";
constexpr std::string_view kMarkKind = "people rule", kCountKind = "people count",
                           kPendingKind = "people pending";
constexpr std::string_view kRestore =
    "restore the newest state.db; if the change is lost for good, `flexroom people reset`";
constexpr size_t kMaxStatements = Rule::kMaxPersons, kMaxStatementBytes = 512;

Bytes version_id(uint32_t version) { return Writer().u32(version).take(); }

StoredRule decode_row(ByteView meta) {
  store::RowReader in(meta, kRow);
  StoredRule out;
  out.rule = Rule::decode(in.field(Rule::kMaxBytes), kRow);
  out.evidence = Evidence::decode(in.field(Evidence::kMaxBytes), kRow);
  out.time = in.u64();
  in.finish();
  return out;
}

bool by_root(const Rule& rule) { return rule.version == 1 || rule.reset; }

agreement::RuleBody body_of(const Rule& rule, const Evidence& evidence) {
  return {rule.version, rule.digest(), rule.previous, rule.reset,
          by_root(rule) ? Digest{} : evidence.commitment()};
}

}  // namespace

RuleStore::RuleStore(store::SealedDb& db, store::OnceDb& once, const Digest& room,
                     const agreement::MemberId& self)
    : db_(db),
      once_(once),
      room_(room),
      self_(self),
      kind_(store::rows_of_room("people", room)),
      evidence_kind_(store::rows_of_room("evidence", room)) {}

std::optional<RuleStore::Mark> RuleStore::mark() {
  const auto row = once_.rows().get(kMarkKind, room_);
  if (!row) return std::nullopt;
  store::RowReader in(row->meta, kOnceRow);
  Mark out;
  out.version = in.u32();
  out.digest = in.digest();
  in.finish();
  return out;
}

void RuleStore::set_mark(const Mark& mark) {
  once_.rows().put(kMarkKind, room_, Writer().u32(mark.version).raw(mark.digest).take(), {});
}

std::optional<StoredRule> RuleStore::version(uint32_t version) {
  const auto row = db_.get(kind_, version_id(version));
  if (!row) return std::nullopt;
  StoredRule out = decode_row(row->meta);
  if (out.rule.version != version || out.rule.room != room_ || out.rule.member != self_) {
    throw store::damaged_row(kRow, "it lies at another's place");
  }
  return out;
}

std::vector<StoredRule> RuleStore::all() {
  std::vector<StoredRule> out;
  for (const Bytes& id : db_.ids(kind_)) {
    store::RowReader in(id, kRow);
    out.push_back(*version(in.u32()));
  }
  return out;
}

uint32_t RuleStore::newest_reset(uint32_t version) {
  uint32_t out = 0;
  for (const StoredRule& one : all()) {
    if (one.rule.reset && one.rule.version <= version) out = std::max(out, one.rule.version);
  }
  return out;
}

std::optional<StoredRule> RuleStore::newest_here() {
  const auto ids = db_.ids(kind_);
  if (ids.empty()) return std::nullopt;
  store::RowReader in(ids.back(), kRow);
  return version(in.u32());
}

// state.db is written first, in one step with the log's entry: one version more there than in
// once.db is a process that was killed in between.
std::optional<StoredRule> RuleStore::current() {
  auto newest = newest_here();
  const auto marked = mark();
  if (!marked && !newest) return std::nullopt;
  const uint32_t here = newest ? newest->rule.version : 0;
  if (marked && here < marked->version) {
    throw InputError(kOfRule,
                     fmt::format("state.db is older than once.db: version {} is here, and {} held",
                                 here, marked->version),
                     std::string(kRestore));
  }
  const Digest digest = newest->rule.digest();
  if (marked && here == marked->version && digest == marked->digest) return newest;
  const bool one_more =
      !marked || (here == marked->version + 1 && newest->rule.previous == marked->digest);
  if (!one_more) {
    throw InputError(kOfRule, "state.db and once.db are of different times", std::string(kRestore));
  }
  set_mark({here, digest});
  return newest;
}

void RuleStore::write(store::AuditLog& log, const Rule& rule, const Evidence& evidence) {
  const agreement::RuleBody body = body_of(rule, evidence);
  log.append_rule(body, [&] {
    Writer out;
    out.field(rule.encode()).field(evidence.encode());
    out.u64(static_cast<uint64_t>(std::time(nullptr)));
    db_.put(kind_, version_id(rule.version), out.bytes(), {});
    db_.remove(kPendingKind, room_);
  });
  set_mark({rule.version, body.digest});
}

void RuleStore::begin(store::AuditLog& log, Rule rule) {
  if (newest_here() || mark()) {
    throw InputError("people init", "this member has people already",
                     "`flexroom people propose` changes the rule");
  }
  rule.room = room_;
  rule.member = self_;
  rule.version = 1;
  rule.previous = {};
  rule.reset = false;
  write(log, rule, {});
}

void RuleStore::apply(store::AuditLog& log, const Rule& next, const Evidence& evidence,
                      const std::vector<RelyingParty>& parties, Counters counters) {
  const auto before = current();
  if (!before) {
    throw InputError(kOfRule, "there is none that this one could follow",
                     "`flexroom people init` makes the first one");
  }
  if (next.reset) throw InputError(kOfRule, "is a reset, which no people sign");
  (void)verify_evidence(body_of(next, evidence), evidence, next, &before->rule, parties, kOfRule);
  once_.rows().transaction([&] {
    for (const Voice& voice : evidence.voices) {
      if (counters == Counters::kWereCounted) return;
      count(*before->rule.holder(voice.key_id).key,
            verify_voice(before->rule, voice, parties).sign_count);
    }
  });
  write(log, next, evidence);
}

void RuleStore::reset(store::AuditLog& log, Rule rule) {
  const auto newest = newest_here();
  const auto marked = mark();
  if (!newest && !marked) {
    throw InputError("people reset", "this member has no people yet", "`flexroom people init`");
  }
  const bool here = newest && (!marked || newest->rule.version > marked->version);
  rule.room = room_;
  rule.member = self_;
  rule.version = 1 + (here ? newest->rule.version : marked->version);
  rule.previous = here ? newest->rule.digest() : marked->digest;
  rule.reset = true;
  write(log, rule, {});
}

void RuleStore::put_pending(const Pending& pending) {
  Writer out;
  out.field(pending.next.encode()).u64(pending.until);
  out.u32(static_cast<uint32_t>(pending.statements.size()));
  for (const Bytes& st : pending.statements) out.field(st);
  db_.put(kPendingKind, room_, out.bytes(), {});
}

std::optional<RuleStore::Pending> RuleStore::pending(uint64_t now) {
  const auto row = db_.get(kPendingKind, room_);
  if (!row) return std::nullopt;
  store::RowReader in(row->meta, "state.db, a change of people");
  Pending out;
  out.next = Rule::decode(in.field(Rule::kMaxBytes), "state.db, a change of people");
  out.until = in.u64();
  const uint32_t count = in.u32();
  if (count > kMaxStatements)
    throw store::damaged_row("state.db, a change of people", "its length");
  for (uint32_t i = 0; i < count; ++i) {
    const ByteView st = in.field(kMaxStatementBytes);
    out.statements.emplace_back(st.begin(), st.end());
  }
  in.finish();
  const auto before = current();
  if (now >= out.until || now + kPendingLife < out.until) return std::nullopt;
  if (!before || !before->rule.is_followed_by(out.next)) return std::nullopt;
  return out;
}

void RuleStore::put_evidence(const Evidence& evidence) {
  db_.put(evidence_kind_, evidence.commitment(), evidence.encode(), {});
}

std::optional<Evidence> RuleStore::evidence(const Digest& commitment) {
  const auto row = db_.get(evidence_kind_, commitment);
  if (!row) return std::nullopt;
  return Evidence::decode(row->meta, "state.db, evidence of an approval");
}

void RuleStore::count(const Key& key, uint32_t sign_count) {
  if (!key.is_webauthn()) return;
  const Digest id = RandomOracle("credential", RoScope{}).field(key.credential).digest();
  once_.rows().transaction([&] {
    uint32_t last = 0;
    if (const auto row = once_.rows().get(kCountKind, id)) {
      store::RowReader in(row->meta, "once.db, the counter of a security key");
      last = in.u32();
      in.finish();
    }
    if (sign_count == 0 && last == 0) return;
    if (sign_count <= last) {
      throw VoiceRefused(
          VoiceCheck::kCounter, "signature of a security key",
          fmt::format("has counter {}, and {} was seen: a copy of the key is in use, "
                      "or two signatures came in another order than they were made",
                      sign_count, last),
          "sign again; if that happens more than once, tell the administrators");
    }
    once_.rows().put(kCountKind, id, Writer().u32(sign_count).take(), {});
  });
}

}  // namespace flexroom::people
