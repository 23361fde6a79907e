#include "store/audit_log.h"

#include <algorithm>
#include <set>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kEntryDomain = "flexroom/log entry/2";
constexpr std::string_view kHeadDomain = "flexroom/log head/2";
constexpr std::string_view kKind = "log";
constexpr size_t kMaxEntryBytes = 8 << 20;

Bytes index_bytes(uint64_t index) { return Writer().u64(index).take(); }

Digest next_head(const Digest& previous, uint64_t index, ByteView content) {
  return RandomOracle("log", RoScope{}, index).field(previous).field(content).digest();
}

net::Signature read_signature(Reader& in) {
  net::Signature signature{};
  const ByteView raw = in.raw(signature.size());
  std::copy(raw.begin(), raw.end(), signature.begin());
  return signature;
}

/// Where a joint entry belongs: one entry a place. Zeros for an entry of one member.
struct Place {
  Digest session{};
  uint64_t number = 0;
  auto operator<=>(const Place&) const = default;
};

// What is signed, and with its signatures the content of a row.
Bytes signed_text(const LogEntry& entry, bool joint, const Place& place) {
  Writer out;
  out.field(entry.encode()).u8(joint ? 1 : 0).raw(place.session).u64(place.number);
  return out.take();
}

// Row: content (signed text, signatures on it), head, own signature on the head.
Bytes content_of(ByteView text, const std::vector<net::Signature>& signatures) {
  Writer out;
  out.field(text);
  for (const net::Signature& signature : signatures) out.raw(signature);
  return out.take();
}

LogEntry decode(ByteView bytes) {
  Reader in(bytes, "log entry");
  LogEntry entry;
  entry.unix_seconds = in.u64();
  entry.proposal = in.digest();
  const uint8_t outcome = in.u8();
  if (outcome > static_cast<uint8_t>(LogOutcome::kApproved)) {
    throw InputError("audit log", "unknown outcome");
  }
  entry.outcome = static_cast<LogOutcome>(outcome);
  entry.text = to_text(in.field(kMaxEntryBytes));
  if (entry.outcome == LogOutcome::kApproved) {
    entry.approval = agreement::Approval::decode(in.field(kMaxEntryBytes), "audit log");
  }
  in.finish();
  return entry;
}

}  // namespace

std::string_view to_string(LogOutcome outcome) {
  switch (outcome) {
    case LogOutcome::kDone:
      return "done";
    case LogOutcome::kNothingHappened:
      return "nothing happened at the provider";
    case LogOutcome::kEffectMayHaveHappened:
      return "aborted; a provider-side effect may have happened";
    case LogOutcome::kApproved:
      return "approved";
  }
  return "unknown";
}

Bytes LogEntry::encode() const {
  Writer out;
  out.u64(unix_seconds).raw(proposal).u8(static_cast<uint8_t>(outcome)).field(text);
  FLEXROOM_ASSERT(approval.has_value() == (outcome == LogOutcome::kApproved));
  if (approval) out.field(approval->encode());
  return out.take();
}

AuditLog::AuditLog(SealedDb& db, const net::Identity& identity, std::vector<net::SigningKey> keys,
                   PartyId self)
    : db_(db), identity_(identity), keys_(std::move(keys)), self_(self) {}

void AuditLog::append(net::Party& party, const LogEntry& entry) {
  const Place place{party.scope().sid, party.next_counter("log")};
  const Bytes text = signed_text(entry, true, place);
  const Digest digest = sha256(text);
  Bytes message(digest.begin(), digest.end());
  flexroom::append(message, ByteView(identity_.sign(kEntryDomain, text)));
  const std::vector<Bytes> all = party.exchange("log/entry", message);
  std::vector<net::Signature> signatures;
  for (PartyId j = 0; j < party.num_parties(); ++j) {
    Reader in(all[j], "log/entry", j);
    if (in.digest() != digest) {
      throw ProtocolAbort(AbortCode::kDisagreement, "log", "members log different entries", j);
    }
    signatures.push_back(read_signature(in));
    if (!net::verify(keys_[j], kEntryDomain, text, signatures.back())) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "log", "wrong signature", j);
    }
  }
  write(content_of(text, signatures));
}

void AuditLog::append_alone(const LogEntry& entry) {
  const Bytes text = signed_text(entry, false, {});
  write(content_of(text, {identity_.sign(kEntryDomain, text)}));
}

void AuditLog::write(ByteView content) {
  db_.transaction([&] {
    const uint64_t index = db_.ids(kKind).size();
    Digest head{};
    if (index > 0) {
      const auto last = db_.get(kKind, index_bytes(index - 1));
      if (!last) throw InputError("audit log", "entries are missing", "flexroom log --verify");
      Reader in(last->meta, "log row");
      in.field(kMaxEntryBytes + 4096);
      head = in.digest();
    }
    head = next_head(head, index, content);
    Writer row;
    row.field(content).raw(head).raw(identity_.sign(kHeadDomain, head));
    db_.put(kKind, index_bytes(index), row.bytes(), {});
  });
}

std::vector<AuditLog::Stored> AuditLog::verify() {
  std::vector<Stored> out;
  std::set<Place> places;
  Digest head{};
  const std::vector<Bytes> ids = db_.ids(kKind);
  for (uint64_t index = 0; index < ids.size(); ++index) {
    const std::string place = "audit log entry " + std::to_string(index + 1);
    if (ids[index] != index_bytes(index)) throw InputError(place, "is missing");
    const auto row = db_.get(kKind, ids[index]);
    Reader in(row->meta, place);
    const ByteView content = in.field(kMaxEntryBytes + 4096);
    const Digest stored_head = in.digest();
    const net::Signature head_signature = read_signature(in);
    in.finish();
    head = next_head(head, index, content);
    if (head != stored_head) throw InputError(place, "does not follow from the one before");
    if (!net::verify(keys_[self_], kHeadDomain, head, head_signature)) {
      throw InputError(place, "the chain is not signed by this member");
    }
    Reader body(content, place);
    const ByteView text = body.field(kMaxEntryBytes);
    Reader what(text, place);
    LogEntry entry = decode(what.field(kMaxEntryBytes));
    bool joint = what.u8() != 0;
    Place where{what.digest(), what.u64()};
    what.finish();
    for (PartyId j = 0; j < keys_.size(); ++j) {
      if (!joint && j != self_) continue;
      if (!net::verify(keys_[j], kEntryDomain, text, read_signature(body))) {
        throw InputError(place, "the signature of member " + std::to_string(j + 1) + " is wrong");
      }
    }
    body.finish();
    if (joint && !places.insert(where).second) throw InputError(place, "stands twice");
    if (entry.approval) {
      if (entry.approval->digest != entry.proposal || !verify_approval(*entry.approval, keys_)) {
        throw InputError(place, "its proposal is not signed by all members");
      }
      joint = true;
    }
    out.push_back({std::move(entry), joint, head});
  }
  return out;
}

}  // namespace flexroom::store
