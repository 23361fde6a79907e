#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "agent/sealed_reply.h"
#include "base/codec.h"
#include "base/error.h"
#include "net/party.h"
#include "support/test_service.h"

// What the copy of a ConnectionRig says of its run.

namespace flexroom::support {

struct MemberReport {
  bool replied = false;
  int status = 0;
  bool released = false;
  bool unknown = false;
  std::string unknown_why, received, body, unconfirmed;
  std::optional<AbortCode> code;
  std::string where, detail;
  bool kept = false;               // the connection, behind this answer
  bool stood = false;              // and before the next request was laid out
  std::vector<MemberReport> next;  // of later requests
  bool scope_restored = false;
  bool engine_ended = false;                    // arithmetic engine refused
  uint64_t half_rounds = 0;                     // of the first request
  size_t copies_before = 0, copies_behind = 0;  // of the value, with the reply and without it
  std::vector<std::string> marks;               // kinds, in order
  // of a sealed answer
  bool sealed = false, sealed_unknown = false, none = false;
  int sealed_status = 0;
  std::string failure, listed_code;
  struct Value {
    uint8_t state = 0;
    std::string text;    // opened to all
    std::string secret;  // opened here alone
    std::string share;   // of kept bits
  };
  std::vector<Value> values;
  agent::SealedLeak leak;
  std::vector<net::MessageId> sent;
  size_t sent_count(std::string_view label) const {
    return static_cast<size_t>(std::count_if(
        sent.begin(), sent.end(), [&](const net::MessageId& m) { return m.label == label; }));
  }
  AbortClass abort_class() const { return flexroom::abort_class(code.value()); }
};
struct ConnectionReport {
  bool ended = false;  // the copy did not crash
  std::vector<MemberReport> members;
  TestService::Seen seen;
  /// The value that all members together kept as item k.
  std::string kept(size_t k) const { return kept_of(members, k); }
  /// The same of later request `next`.
  std::string kept_next(size_t next, size_t k) const {
    std::vector<MemberReport> of;
    for (const MemberReport& member : members) of.push_back(member.next.at(next));
    return kept_of(of, k);
  }
  static std::string kept_of(const std::vector<MemberReport>& of, size_t k) {
    std::string out;
    for (const MemberReport& member : of) {
      const std::string& share = member.values.at(k).share;
      out.resize(share.size());
      for (size_t t = 0; t < out.size(); ++t) out[t] = static_cast<char>(out[t] ^ share[t]);
    }
    return out;
  }
};

inline void write_sealed(const MemberReport& r, Writer& out) {
  out.u8(r.sealed).u8(r.sealed_unknown).u8(r.none).u32(static_cast<uint32_t>(r.sealed_status));
  out.field(as_bytes(r.failure)).field(as_bytes(r.listed_code));
  out.u32(static_cast<uint32_t>(r.values.size()));
  for (const auto& value : r.values) {
    out.u8(value.state).field(as_bytes(value.text)).field(as_bytes(value.secret));
    out.field(as_bytes(value.share));
  }
  static_assert(std::is_trivially_copyable_v<agent::SealedLeak>);
  out.field(ByteView(reinterpret_cast<const uint8_t*>(&r.leak), sizeof r.leak));
}
inline void write_member(const MemberReport& r, Writer& out) {
  out.u8(r.replied).u32(static_cast<uint32_t>(r.status)).u8(r.released).u8(r.unknown);
  for (const std::string* text : {&r.unknown_why, &r.received, &r.body, &r.unconfirmed}) {
    out.field(as_bytes(*text));
  }
  out.u8(r.code.has_value()).u8(r.code ? static_cast<uint8_t>(*r.code) : uint8_t{0});
  out.field(as_bytes(r.where)).field(as_bytes(r.detail));
  out.u8(r.scope_restored).u8(r.engine_ended).u8(r.kept).u8(r.stood);
  out.u64(r.half_rounds).u64(r.copies_before).u64(r.copies_behind);
  write_sealed(r, out);
  out.u32(static_cast<uint32_t>(r.marks.size()));
  for (const std::string& kind : r.marks) out.field(as_bytes(kind));
  out.u32(static_cast<uint32_t>(r.sent.size()));
  for (const net::MessageId& m : r.sent) {
    out.u32(m.sender).u32(m.receiver).field(as_bytes(m.label)).u64(m.index).u64(m.bytes);
  }
  out.u32(static_cast<uint32_t>(r.next.size()));
  for (const MemberReport& next : r.next) write_member(next, out);
}

inline Bytes write_report(const TestService::Seen& seen, const std::vector<MemberReport>& reports) {
  Writer out;
  out.u8(seen.hello)
      .u8(seen.retried)
      .u8(seen.finished)
      .u8(seen.no_certificate)
      .u64(seen.stream)
      .field(as_bytes(seen.request));
  out.field(seen.alert).u8(seen.alert_in_clear).u8(seen.looked_within);
  out.u32(static_cast<uint32_t>(seen.requests.size()));
  for (const std::string& request : seen.requests) out.field(as_bytes(request));
  out.u32(static_cast<uint32_t>(seen.record_bytes.size()));
  for (const size_t bytes : seen.record_bytes) out.u64(bytes);
  for (const MemberReport& r : reports) write_member(r, out);
  return out.take();
}

inline void parse_sealed(Reader& in, MemberReport& r) {
  const auto text = [&] { return to_text(in.field(1 << 20)); };
  r.sealed = in.u8() != 0;
  r.sealed_unknown = in.u8() != 0;
  r.none = in.u8() != 0;
  r.sealed_status = static_cast<int>(in.u32());
  r.failure = text();
  r.listed_code = text();
  for (uint32_t k = in.u32(); k > 0; --k) {
    MemberReport::Value& value = r.values.emplace_back();
    value.state = in.u8();
    value.text = text();
    value.secret = text();
    value.share = text();
  }
  const ByteView leak = in.field(sizeof r.leak);
  std::memcpy(&r.leak, leak.data(), leak.size());
}

inline void parse_member(Reader& in, MemberReport& r) {
  const auto text = [&] { return to_text(in.field(1 << 26)); };
  r.replied = in.u8() != 0;
  r.status = static_cast<int>(in.u32());
  r.released = in.u8() != 0;
  r.unknown = in.u8() != 0;
  for (std::string* out : {&r.unknown_why, &r.received, &r.body, &r.unconfirmed}) *out = text();
  const bool aborted = in.u8() != 0;
  const auto code = static_cast<AbortCode>(in.u8());
  if (aborted) r.code = code;
  r.where = text();
  r.detail = text();
  r.scope_restored = in.u8() != 0;
  r.engine_ended = in.u8() != 0;
  r.kept = in.u8() != 0;
  r.stood = in.u8() != 0;
  r.half_rounds = in.u64();
  r.copies_before = in.u64();
  r.copies_behind = in.u64();
  parse_sealed(in, r);
  for (uint32_t k = in.u32(); k > 0; --k) r.marks.push_back(text());
  for (uint32_t k = in.u32(); k > 0; --k) {
    net::MessageId m;
    m.sender = static_cast<PartyId>(in.u32());
    m.receiver = static_cast<PartyId>(in.u32());
    m.label = text();
    m.index = static_cast<size_t>(in.u64());
    m.bytes = static_cast<size_t>(in.u64());
    r.sent.push_back(m);
  }
  for (uint32_t k = in.u32(); k > 0; --k) parse_member(in, r.next.emplace_back());
}

inline void parse_report(ByteView bytes, ConnectionReport& report) {
  Reader in(bytes, "report", 0);
  const auto text = [&] { return to_text(in.field(1 << 26)); };
  report.seen.hello = in.u8() != 0;
  report.seen.retried = in.u8() != 0;
  report.seen.finished = in.u8() != 0;
  report.seen.no_certificate = in.u8() != 0;
  report.seen.stream = in.u64();
  report.seen.request = text();
  report.seen.alert = to_bytes(text());
  report.seen.alert_in_clear = in.u8() != 0;
  report.seen.looked_within = in.u8() != 0;
  for (uint32_t k = in.u32(); k > 0; --k) report.seen.requests.push_back(text());
  for (uint32_t k = in.u32(); k > 0; --k) report.seen.record_bytes.push_back(in.u64());
  for (MemberReport& r : report.members) parse_member(in, r);
}

}  // namespace flexroom::support
