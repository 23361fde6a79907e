#include "store/audit_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "agreement/member_statements.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"
#include "store/log_head.h"
#include "store/log_verifier.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

using agreement::ChangeBody;
using agreement::Configuration;
using agreement::MemberId;
using agreement::NoteBody;
using agreement::RejectBody;
using agreement::ResultBody;
using agreement::StartBody;
using agreement::Statement;
using agreement::StatementKind;

constexpr std::string_view kPlace = "audit log";
constexpr std::string_view kHeadKind = "log head";
constexpr std::string_view kShownKind = "log shown";  // room -> incarnation that others saw of it
constexpr const char* kOnceLost = "once.db was lost";
constexpr std::string_view kBehindRemedy =
    "restore the newest state.db; if its last entries are lost for good, `flexroom peer accept` "
    "begins a new log that says so";

/// exchange_heads() made sure of it when the session began; the disk is read again.
Configuration found(std::optional<Configuration> configuration, size_t members) {
  if (configuration && configuration->members.size() >= members) return std::move(*configuration);
  throw InputError(kPlace, "the entry with the room's configuration is missing", kBehindRemedy);
}

ResultBody result_of(const LogEntry& entry) {
  const auto outcome = outcome_of(entry.outcome);
  FLEXROOM_ASSERT(outcome.has_value());
  ResultBody out;
  out.proposal = entry.proposal;
  out.run = entry.run;
  out.outcome = *outcome;
  out.status = entry.status;
  out.text = entry.text.substr(0, agreement::kMaxNoteBytes);
  return out;
}

std::string entry_name(size_t index) { return fmt::format("audit log entry {}", index); }

}  // namespace

AuditLog::AuditLog(SealedDb& db, OnceDb& once, const net::Identity& identity, const Digest& room,
                   const MemberId& self)
    : db_(db),
      once_(once),
      identity_(identity),
      room_(room),
      self_(self),
      kind_(rows_of_room("statement", room)),
      peer_kind_(rows_of_room("log head of", room)) {}

Bytes AuditLog::id_of(uint32_t incarnation, uint64_t number) const {
  return Writer().raw(self_).u32(incarnation).u64(number).take();
}

std::optional<Statement> AuditLog::statement(uint32_t incarnation, uint64_t number) {
  const auto row = db_.get(kind_, id_of(incarnation, number));
  if (!row) return std::nullopt;
  return Statement::decode(row->meta, kPlace);
}

std::optional<AuditLog::Head> AuditLog::head_here() {
  const auto row = db_.get(kHeadKind, room_);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "state.db, where the log ends");
  Head head;
  head.last = read_head(in);
  head.change = read_head(in);
  in.finish();
  return head;
}

// The two files must say the same of it. state.db is written first: one entry more there than in
// once.db is a process that was killed in between.
AuditLog::End AuditLog::end() {
  const auto here = head_here();
  const auto once = once_.log_head(room_);
  if (!once && !here) {
    // Both files are new. What the others saw of a log of before has its numbers.
    End out;
    if (const auto shown = shown_of_self()) out.head.last.incarnation = *shown + 1;
    return out;
  }
  if (once && (!here || here->last.incarnation < once->incarnation ||
               (here->last.incarnation == once->incarnation && here->last.number < once->number))) {
    throw InputError(kPlace,
                     fmt::format("state.db is older than once.db: its log ends at entry {}, and {} "
                                 "were signed",
                                 here ? here->last.number : 0, once->number),
                     kBehindRemedy);
  }
  if (once && here->last == *once) return {*here, false};
  const auto last = statement(here->last.incarnation, here->last.number);
  // Without once.db's word a log of one entry is a process that was killed behind its first one,
  // or a once.db that was lost.
  const bool begins = here->last.number == 1 &&
                      (once ? here->last.incarnation > once->incarnation : !once_.was_lost());
  const bool one_more = once && here->last.incarnation == once->incarnation &&
                        here->last.number == once->number + 1 && last &&
                        last->previous == (once->number == 0 ? Digest{} : once->digest);
  if (begins || one_more) return {*here, false};
  if (!once) return {*here, true};
  throw InputError(kPlace,
                   fmt::format("state.db and once.db are of different times: entry {} here is not "
                               "the one that was signed",
                               here->last.number),
                   kBehindRemedy);
}

// Part of a transaction.
Statement AuditLog::put(Head& head, Kind kind, Bytes body, uint64_t unix_seconds) {
  Statement s;
  s.room = room_;
  s.author = self_;
  s.incarnation = head.last.incarnation;
  s.number = head.last.number + 1;
  s.previous = head.last.number == 0 ? Digest{} : head.last.digest;
  s.time = unix_seconds;
  s.kind = kind;
  s.body = std::move(body);
  s.sign(identity_);
  db_.put(kind_, id_of(s.incarnation, s.number), s.encode(), {});
  head.last = {s.incarnation, s.number, s.digest()};
  if (kind == Kind::kChange) head.change = head.last;
  return s;
}

// Part of a transaction. A chain of its own, which begins with the configuration in force; where
// that does not know our key, the next session gives one.
void AuditLog::begin_again(Head& head, uint32_t after, const std::string& why) {
  const auto change = change_of(head);
  const uint64_t before = head.last.number;
  head = {};
  head.last.incarnation = std::max(after, shown_of_self().value_or(0)) + 1;
  if (!change || !signs_in(change->configuration)) return;
  (void)put(head, Kind::kChange, change->encode(), now_seconds());
  NoteBody note;
  note.text = fmt::format("a new log begins here: {}; {} entries of the one before were signed",
                          why, before);
  (void)put(head, Kind::kNote, note.encode(), now_seconds());
}

void AuditLog::put_head_row(const Head& head) {
  Writer out;
  put_head(put_head(out, head.last), head.change);
  db_.put(kHeadKind, room_, out.bytes(), {});
}

Statement AuditLog::write(Kind kind, Bytes body, uint64_t unix_seconds,
                          const std::function<void()>& change,
                          const std::function<void(const Statement&)>& with) {
  Statement written;
  OnceDb::LogHead last;
  db_.transaction([&] {
    if (change) change();
    End now = end();
    if (now.once_lost) begin_again(now.head, now.head.last.incarnation, kOnceLost);
    written = put(now.head, kind, std::move(body), unix_seconds);
    put_head_row(now.head);
    if (with) with(written);
    last = now.head.last;
  });
  once_.set_log_head(room_, last);
  return written;
}

Statement AuditLog::append_statement(Kind kind, Bytes body, uint64_t unix_seconds,
                                     const std::function<void(const Statement&)>& with) {
  return write(kind, std::move(body), unix_seconds, nullptr, with);
}

void AuditLog::take_back(const Statement& s, const std::vector<net::SigningKey>& keys) {
  const auto fail = [](std::string_view problem) { throw InputError(kPlace, problem); };
  Head head = head_here().value_or(Head{});
  const bool begins =
      s.number == 1 && (head.last.number == 0 || s.incarnation > head.last.incarnation);
  const bool next = s.incarnation == head.last.incarnation && s.number == head.last.number + 1;
  if (s.room != room_ || s.author != self_) fail("an entry that comes back is of another log");
  if (!begins && !next) fail("an entry that comes back is not the next one");
  if (s.previous != (begins ? Digest{} : head.last.digest)) {
    fail("an entry that comes back does not follow from the one before");
  }
  // A key of before that of the last entry here was replaced: whoever has it says nothing.
  auto first = keys.begin();
  if (const auto newest = newest_statement(head)) {
    const auto its =
        std::find_if(first, keys.end(), [&](const auto& k) { return newest->verify(k); });
    if (its != keys.end()) first = its;
  }
  if (std::none_of(first, keys.end(), [&](const auto& key) { return s.verify(key); })) {
    fail("an entry that comes back is not signed by this member");
  }
  db_.put(kind_, id_of(s.incarnation, s.number), s.encode(), {});
  head.last = {s.incarnation, s.number, s.digest()};
  if (s.kind == Kind::kChange) head.change = head.last;
  put_head_row(head);
}

void AuditLog::take_back_older(const Statement& s, const Digest& previous,
                               const std::vector<net::SigningKey>& keys) {
  const auto fail = [](std::string_view problem) { throw InputError(kPlace, problem); };
  const auto head = head_here();
  if (s.room != room_ || s.author != self_) fail("an entry that comes back is of another log");
  if (!head || s.incarnation >= head->last.incarnation) {
    fail("an entry that comes back is not of an earlier log");
  }
  if (s.previous != previous) fail("an entry that comes back does not follow from the one before");
  if (std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return s.verify(key); })) {
    fail("an entry that comes back is not signed by this member");
  }
  db_.put(kind_, id_of(s.incarnation, s.number), s.encode(), {});
}

void AuditLog::settle_head() {
  const auto here = head_here();
  const auto once = once_.log_head(room_);
  if (!here || !once) return;  // without once.db's another incarnation begins
  const auto rank = [](const OnceDb::LogHead& h) { return std::pair(h.incarnation, h.number); };
  if (rank(*once) < rank(here->last)) once_.set_log_head(room_, here->last);
}

std::optional<OnceDb::LogHead> AuditLog::last() {
  const auto here = head_here();
  if (!here || here->last.number == 0) return std::nullopt;
  return here->last;
}

bool AuditLog::is_whole() {
  try {
    (void)end();
    return true;
  } catch (const InputError&) {
    return false;
  }
}

std::optional<Bytes> AuditLog::signed_bytes(uint32_t incarnation, uint64_t number) {
  const auto row = db_.get(kind_, id_of(incarnation, number));
  if (!row) return std::nullopt;
  return row->meta;
}

std::optional<ChangeBody> AuditLog::change_of(const Head& head) {
  if (head.change.number == 0) return std::nullopt;
  const auto s = statement(head.change.incarnation, head.change.number);
  if (!s || s->kind != Kind::kChange) {
    throw InputError(kPlace, "the entry with the room's configuration is missing", kBehindRemedy);
  }
  return ChangeBody::decode(s->body, kPlace);
}

bool AuditLog::signs_in(const Configuration& configuration) const {
  const auto own = configuration.index_of(self_);
  return own && configuration.members[*own].key == identity_.signing_key();
}

std::optional<Configuration> AuditLog::configuration() {
  const auto head = head_here();
  if (!head) return std::nullopt;
  auto change = change_of(*head);
  if (!change) return std::nullopt;
  return std::move(change->configuration);
}

void AuditLog::append(net::Party& party, const LogEntry& entry) {
  const Configuration configuration = found(this->configuration(), party.num_parties());
  ResultBody body = result_of(entry);
  if (body.run == Digest{}) body.run = party.scope().sid;
  body.session = party.scope().sid;
  body.place = party.next_counter("log");
  const Bytes text = body.joint_text(room_, entry.unix_seconds);
  const Digest digest = sha256(text);
  Bytes message(digest.begin(), digest.end());
  flexroom::append(message, ByteView(agreement::sign_result(identity_, text)));
  const std::vector<Bytes> all = party.exchange("log/entry", message);
  for (PartyId j = 0; j < party.num_parties(); ++j) {
    Reader in(all[j], "log/entry", j);
    if (in.digest() != digest) {
      throw ProtocolAbort(AbortCode::kDisagreement, "log", "members log different entries", j);
    }
    const auto& signature = body.signatures.emplace_back(read_array<sizeof(net::Signature)>(in));
    if (!agreement::verify_result(configuration.members[j].key, text, signature)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "log", "wrong signature", j);
    }
  }
  (void)write(Kind::kResult, body.encode(), entry.unix_seconds);
  once_.close_run(body.run);
}

void AuditLog::append_alone(const LogEntry& entry) {
  if (entry.outcome == LogOutcome::kApproved) {
    FLEXROOM_ASSERT(entry.approval.has_value());
    const auto configuration = this->configuration();
    if (!configuration) {
      throw InputError(kPlace, "holds no configuration of the room", "run `flexroom init` first");
    }
    StartBody body{configuration->digest(), *entry.approval};
    OnceDb::OpenRun run;
    run.session = entry.approval->session;
    run.room = room_;
    run.proposal = entry.approval->digest;
    run.what = entry.text;
    once_.open_run(run);
    (void)write(Kind::kStart, body.encode(), entry.unix_seconds);
  } else if (entry.outcome == LogOutcome::kNote) {
    NoteBody body;
    body.proposal = entry.proposal;
    body.text = entry.text;
    (void)write(Kind::kNote, body.encode(), entry.unix_seconds);
  } else {
    (void)write(Kind::kResult, result_of(entry).encode(), entry.unix_seconds);
    once_.close_run(entry.run);
  }
}

void AuditLog::append_with(const LogEntry& note, const std::function<void()>& change) {
  FLEXROOM_ASSERT(note.outcome == LogOutcome::kNote);
  NoteBody body;
  body.proposal = note.proposal;
  body.text = note.text;
  (void)write(Kind::kNote, body.encode(), note.unix_seconds, change);
}

void AuditLog::append_approve(const agreement::ApproveBody& body,
                              const std::function<void()>& change) {
  (void)write(Kind::kApprove, body.encode(), now_seconds(), change);
}

void AuditLog::append_rule(const agreement::RuleBody& body, const std::function<void()>& change) {
  (void)write(Kind::kRule, body.encode(), now_seconds(), change);
}

Statement AuditLog::append_of_change(Kind kind, Bytes body,
                                     const std::function<void(const Statement&)>& change) {
  Statement written;
  OnceDb::LogHead last;
  db_.transaction([&] {
    End now = end();
    if (now.once_lost) begin_again(now.head, now.head.last.incarnation, kOnceLost);
    written = put(now.head, kind, std::move(body), now_seconds());
    put_head_row(now.head);
    last = now.head.last;
    if (change) change(written);
  });
  once_.set_log_head(room_, last);
  return written;
}

std::vector<ChangeBody> AuditLog::configurations() {
  std::vector<ChangeBody> out;
  for (const Bytes& id : db_.ids(kind_)) {
    const auto row = db_.get(kind_, id);
    if (!row) continue;
    const Statement s = Statement::decode(row->meta, kPlace);
    if (s.kind != Kind::kChange) continue;
    ChangeBody body = ChangeBody::decode(s.body, kPlace);
    if (!out.empty() && out.back().configuration.number >= body.configuration.number) continue;
    out.push_back(std::move(body));
  }
  return out;
}

Bytes AuditLog::refuse(const Digest& proposal, const std::string& reason) {
  RejectBody body{proposal, reason};
  return write(Kind::kReject, body.encode(), now_seconds()).encode();
}

std::string AuditLog::heard_refusal(PartyId who, const Digest& proposal, ByteView bytes) {
  const Configuration configuration = found(this->configuration(), size_t{who} + 1);
  const Configuration::Member& member = configuration.members[who];
  NoteBody note;
  note.proposal = proposal;
  std::string reason;
  try {
    const Statement refusal = Statement::decode(bytes, "refusal");
    const bool its_own = refusal.room == room_ && refusal.author == member.id &&
                         refusal.kind == Kind::kReject && refusal.verify(member.key);
    if (!its_own) throw InputError("refusal", "it is not signed by it");
    const RejectBody body = RejectBody::decode(refusal.body, "refusal");
    if (body.proposal != proposal) throw InputError("refusal", "it is about another proposal");
    reason = body.reason;
  } catch (const InputError& error) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "approval",
                        "said no, but its refusal proves nothing: " + error.problem(), who);
  }
  note.text = member.name + " said no" + (reason.empty() ? "" : ": " + reason);
  note.statement.assign(bytes.begin(), bytes.end());
  (void)write(Kind::kNote, note.encode(), now_seconds());
  return reason;
}

size_t AuditLog::settle_open_runs() {
  const std::vector<OnceDb::OpenRun> runs = once_.open_runs(room_);
  if (runs.empty()) return 0;
  const auto configuration = this->configuration();
  if (!configuration || !signs_in(*configuration)) return 0;  // in the next session
  for (const OnceDb::OpenRun& run : runs) {
    LogEntry entry;
    entry.unix_seconds = now_seconds();
    entry.proposal = run.proposal;
    entry.run = run.session;
    entry.outcome =
        run.released ? LogOutcome::kEffectMayHaveHappened : LogOutcome::kNothingHappened;
    entry.text =
        run.what + (run.released
                        ? ": the program ended after the request was released, or storing had begun"
                        : ": the program ended before anything was released or stored");
    append_alone(entry);
  }
  return runs.size();
}

void AuditLog::accept_loss(bool forked) {
  for (const Bytes& peer : db_.ids(peer_kind_)) db_.remove(peer_kind_, peer);
  try {
    const End now = end();
    if (!now.once_lost && !forked) return;
  } catch (const InputError&) {
    // What was signed and is not here is lost.
  }
  begin_again_alone(forked ? "a copy of this member signed in the one before"
                           : "the operator accepted that entries are lost");
}

bool AuditLog::begin_anew_if_once_lost() {
  try {
    if (!end().once_lost) return false;
  } catch (const InputError&) {
    return false;  // the operator's to decide
  }
  begin_again_alone(kOnceLost);
  return true;
}

void AuditLog::begin_again_alone(const std::string& why) {
  const OnceDb::LogHead once = once_.log_head(room_).value_or(OnceDb::LogHead{});
  OnceDb::LogHead last;
  db_.transaction([&] {
    Head head = head_here().value_or(Head{});
    head.last.number = std::max(head.last.number, once.number);
    begin_again(head, std::max(head.last.incarnation, once.incarnation), why);
    put_head_row(head);
    last = head.last;
  });
  once_.set_log_head(room_, last);
}

// Also of the chain before, where a new one has no entry yet: ids ascend.
std::optional<Statement> AuditLog::newest_statement(const Head& head) {
  if (head.last.number > 0) return statement(head.last.incarnation, head.last.number);
  const std::vector<Bytes> ids = db_.ids(kind_);
  const auto row = ids.empty() ? std::nullopt : db_.get(kind_, ids.back());
  if (!row) return std::nullopt;
  return Statement::decode(row->meta, kPlace);
}

std::optional<uint32_t> AuditLog::shown_of_self() {
  const auto row = db_.get(kShownKind, room_);
  if (!row) return std::nullopt;
  RowReader in(row->meta, "state.db, what others saw of the log");
  const uint32_t incarnation = in.u32();
  in.finish();
  return incarnation;
}

// A new log begins behind it. Nobody's word moves it further than members take new logs.
void AuditLog::keep_shown_of_self(uint32_t incarnation) {
  constexpr uint32_t kMostAhead = 64;
  const auto here = head_here();
  const uint32_t own = here ? here->last.incarnation : 0;
  if (incarnation < own || incarnation - own > kMostAhead) return;
  const auto before = shown_of_self();
  if (before && *before >= incarnation) return;
  db_.put(kShownKind, room_, Writer().u32(incarnation).take(), {});
}

std::vector<AuditLog::Stored> AuditLog::verify() {
  std::vector<Stored> out;
  LogVerifier verifier(room_, self_);
  for (const Bytes& id : db_.ids(kind_)) {
    const std::string place = entry_name(out.size() + 1);
    const auto row = db_.get(kind_, id);
    if (!row) throw InputError(place, "is missing");
    const Statement s = Statement::decode(row->meta, place);
    if (id != id_of(s.incarnation, s.number)) throw InputError(place, "lies at another's place");
    out.push_back(verifier.next(s, place));
  }
  const auto here = head_here();
  if (here && here->last.number > 0 && (!verifier.any() || verifier.last() != here->last)) {
    throw InputError(entry_name(out.size() + 1), "is missing: entries at the end were cut off",
                     kBehindRemedy);
  }
  (void)end();
  return out;
}

std::optional<Bytes> AuditLog::last_approved(const std::string& kind, const std::string& title) {
  const auto approved_in = [&](const std::optional<Statement>& s) -> std::optional<Bytes> {
    if (!s || s->kind != Kind::kStart || agreement::is_joint_start(s->body) ||
        agreement::ChangeStart::is(s->body)) {
      return std::nullopt;
    }
    StartBody body = StartBody::decode(s->body, kPlace);
    const auto proposal = agreement::Proposal::decode(body.approval.proposal, kPlace);
    if (proposal.kind != kind || proposal.title != title) return std::nullopt;
    return std::move(body.approval.proposal);
  };
  const auto head = head_here();
  if (!head) return std::nullopt;
  for (uint64_t number = head->last.number; number > 0; --number) {
    if (auto found = approved_in(statement(head->last.incarnation, number))) return found;
  }
  // The chains before it, where entries were lost or once.db was: newest first, as ids ascend.
  const std::vector<Bytes> ids = db_.ids(kind_);
  const Bytes newest = id_of(head->last.incarnation, 0);
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    const auto row = *id < newest ? db_.get(kind_, *id) : std::nullopt;
    if (!row) continue;
    if (auto found = approved_in(Statement::decode(row->meta, kPlace))) return found;
  }
  return std::nullopt;
}

}  // namespace flexroom::store
