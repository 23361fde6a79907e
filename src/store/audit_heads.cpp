#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "store/audit_log.h"
#include "store/log_head.h"
#include "store/row_reader.h"

// What the members show each other of their logs when a session begins, and the configuration that
// all have in force then.

namespace flexroom::store {
namespace {

using agreement::ChangeBody;
using agreement::Configuration;
using agreement::MemberId;
using agreement::NoteBody;

}  // namespace

OnceDb::LogHead AuditLog::seen_of(const MemberId& member) {
  const auto row = db_.get(peer_kind_, member);
  if (!row) return {};
  RowReader in(row->meta, "state.db, where the log of a member ends");
  const OnceDb::LogHead head = read_head(in);
  in.finish();
  return head;
}

// What everybody has seen of everybody goes out before anybody says where its own log ends: who
// runs two commands at once is never taken for one that was restored.
void AuditLog::exchange_heads(net::Party& party, const Configuration& now) {
  FLEXROOM_ASSERT(now.room == room_ && now.members.size() == party.num_parties() &&
                  now.members[party.id()].id == self_);
  const auto own = change_of(end().head);
  Writer seen;
  seen.u8(own && own->configuration.same_content(now) ? 1 : 0);
  seen.raw(own ? own->configuration.digest() : Digest{});
  const size_t configuration_bytes = seen.size();
  for (const Configuration::Member& member : now.members) {
    put_head(seen, member.id == self_ ? OnceDb::LogHead{} : seen_of(member.id));
  }
  const std::vector<Bytes> all_seen = party.exchange("log/seen", seen.bytes());
  std::vector<std::vector<OnceDb::LogHead>> seen_by(all_seen.size());
  for (PartyId by = 0; by < all_seen.size(); ++by) {
    Reader in(all_seen[by], "log/seen", by);
    (void)in.raw(configuration_bytes);
    for (PartyId j = 0; j < now.members.size(); ++j) seen_by[by].push_back(read_head(in));
    const OnceDb::LogHead& of_self = seen_by[by][party.id()];
    if (of_self.number > 0) keep_shown_of_self(of_self.incarnation);
  }
  (void)begin_anew_if_once_lost();
  Writer head;
  put_head(head, end().head.last);
  const std::vector<Bytes> all_heads = party.exchange("log/head", head.bytes());
  std::vector<OnceDb::LogHead> heads;
  for (PartyId j = 0; j < all_heads.size(); ++j) {
    Reader in(all_heads[j], "log/head", j);
    heads.push_back(read_head(in));
  }
  bool settled = seen.bytes()[0] == 1;
  for (PartyId by = 0; by < all_seen.size(); ++by) {
    settled =
        settled && std::equal(all_seen[by].begin(),
                              all_seen[by].begin() + static_cast<ptrdiff_t>(configuration_bytes),
                              seen.bytes().begin());
    for (PartyId j = 0; j < heads.size(); ++j) {
      check_head(party, now, j, heads[j], by, seen_by[by][j]);
    }
  }
  if (!settled) change_configuration(party, now, own);
  for (const PartyId j : party.peers()) keep_head(now.members[j], heads[j]);
}

// Where the log of `whose` ends now, against what `by` saw of it before.
void AuditLog::check_head(net::Party& party, const Configuration& now, PartyId whose,
                          const OnceDb::LogHead& head, PartyId by,
                          const OnceDb::LogHead& seen) const {
  if (by == whose || seen.number == 0) return;
  const bool older = head.incarnation < seen.incarnation ||
                     (head.incarnation == seen.incarnation && head.number < seen.number);
  const bool other = head.incarnation == seen.incarnation && head.number == seen.number &&
                     head.digest != seen.digest;
  if (!older && !other) return;
  const std::string& name = now.members[whose].name;
  const std::string who = by == party.id() ? "we have" : now.members[by].name + " has";
  const std::string what =
      older ? fmt::format(
                  "the log of {} ends at entry {}, but {} seen entry {} of it: it was "
                  "restored from a backup, or runs twice. Restore the newest state.db "
                  "there; if the entries are lost for good, `flexroom peer accept` there "
                  "and where they were seen",
                  name, head.number, who, seen.number)
            : fmt::format(
                  "there are two entries {} of the log of {}: {} now, {} where {} seen it. "
                  "One is of a copy, or a lie; `flexroom peer accept` where it was seen, "
                  "if you know which",
                  head.number, name, to_hex(head.digest), to_hex(seen.digest), who);
  throw ProtocolAbort(AbortCode::kRefusedByRule, "log", what, whose == party.id() ? by : whose);
}

void AuditLog::keep_head(const Configuration::Member& member, const OnceDb::LogHead& head) {
  const OnceDb::LogHead before = seen_of(member.id);
  if (before.number > 0 && head.incarnation > before.incarnation) {
    NoteBody note;
    note.text = fmt::format(
        "{} began a new log: what it signed after entry {} of the one before, "
        "if anything, is lost there",
        member.name, before.number);
    (void)write(Kind::kNote, note.encode(), now_seconds());
  }
  db_.transaction([&] {
    const OnceDb::LogHead newest = seen_of(member.id);  // another session may know more
    if (std::pair(newest.incarnation, newest.number) >= std::pair(head.incarnation, head.number)) {
      return;
    }
    Writer out;
    put_head(out, head);
    db_.put(peer_kind_, member.id, out.bytes(), {});
  });
}

// One configuration in force at all members, with all their signatures in everybody's log.
void AuditLog::change_configuration(net::Party& party, const Configuration& now,
                                    const std::optional<ChangeBody>& own) {
  // The newest that any log holds. Its signatures prove it, whoever shows it.
  const Bytes mine = own ? own->encode() : Bytes();
  for (const PartyId j : party.peers()) party.send(j, "log/change", mine);
  std::optional<ChangeBody> newest = own;
  for (const PartyId j : party.peers()) {
    const Bytes theirs = party.receive_up_to(j, "log/change", agreement::kMaxStatementBytes);
    if (theirs.empty()) continue;
    ChangeBody body;
    try {
      body = ChangeBody::decode(theirs, "configuration");
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "log/change", error.problem(), j);
    }
    if (body.configuration.room != room_ || !body.verify()) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "log/change",
                          "shows a configuration of the room that not all its members signed", j);
    }
    const auto rank = [](const ChangeBody& b) {
      return std::pair(b.configuration.number, b.configuration.digest());
    };
    if (!newest || rank(*newest) < rank(body)) newest = std::move(body);
  }
  if (newest && own && newest->configuration.number == own->configuration.number &&
      newest->configuration.digest() != own->configuration.digest()) {
    throw ProtocolAbort(AbortCode::kDisagreement, "log/change",
                        fmt::format("a member shows another configuration {} than this log holds, "
                                    "signed by all",
                                    own->configuration.number));
  }
  const bool take_over = newest && signs_in(newest->configuration) &&
                         (!own || own->configuration.number < newest->configuration.number);
  if (take_over) (void)write(Kind::kChange, newest->encode(), now_seconds());
  ChangeBody next;
  next.configuration = now;
  next.configuration.number = newest ? newest->configuration.number + 1 : 0;
  next.configuration.previous = newest ? newest->configuration.digest() : Digest{};
  if (newest && newest->configuration.same_content(now)) return;
  const Digest signed_digest = next.configuration.digest();
  const std::vector<Bytes> signatures = party.exchange(
      "log/change signature", agreement::sign_configuration(identity_, signed_digest));
  for (PartyId j = 0; j < signatures.size(); ++j) {
    net::Signature& signature = next.signatures.emplace_back();
    std::copy(signatures[j].begin(), signatures[j].end(), signature.begin());
    if (!agreement::verify_configuration(now.members[j].key, signed_digest, signature)) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "log/change signature",
                          "signed another configuration of the room, or none: compare room.toml",
                          j);
    }
  }
  (void)write(Kind::kChange, next.encode(), now_seconds());
}

}  // namespace flexroom::store
