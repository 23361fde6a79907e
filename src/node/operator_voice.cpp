#include "node/operator_voice.h"

#include "base/codec.h"
#include "base/error.h"
#include "base/prg.h"
#include "node/http_request.h"
#include "store/row_reader.h"

namespace flexroom::node {
namespace {

constexpr std::string_view kDomain = "flexroom/operator/1";

bool is_voice(agreement::StatementKind kind) {
  using Kind = agreement::StatementKind;
  return kind == Kind::kApprove || kind == Kind::kReject || kind == Kind::kWithdraw;
}

}  // namespace

Bytes OperatorStatement::encode() const {
  Writer out;
  out.raw(room).raw(member).u8(static_cast<uint8_t>(kind)).raw(what).raw(terms);
  out.u64(window.first).u64(window.last).field(reason).raw(ticket);
  return out.take();
}

OperatorStatement OperatorStatement::decode(ByteView bytes, std::string_view place) {
  OperatorStatement out;
  try {
    Reader in(bytes, place);
    const auto copy = [&](auto& to) {
      const ByteView raw = in.raw(to.size());
      std::copy(raw.begin(), raw.end(), to.begin());
    };
    copy(out.room);
    copy(out.member);
    out.kind = static_cast<agreement::StatementKind>(in.u8());
    copy(out.what);
    copy(out.terms);
    out.window.first = in.u64();
    out.window.last = in.u64();
    out.reason = to_text(in.field(agreement::kMaxReasonBytes));
    copy(out.ticket);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  if (!is_voice(out.kind)) throw InputError(place, "is of a kind that nobody signs so");
  return out;
}

net::Signature OperatorStatement::sign(const net::Identity& identity) const {
  return identity.sign(kDomain, encode());
}

bool OperatorStatement::verify(const net::SigningKey& key, const net::Signature& signature) const {
  return net::verify(key, kDomain, encode(), signature);
}

OperatorStatement OperatorTickets::issue(OperatorStatement statement, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(open_, [&](const auto& one) { return one.second <= now; });
  if (open_.size() >= kMostOpen)
    throw HttpError(429, "too many questions are open", "wait a while");
  Prg prg = Prg::from_system();
  prg.fill(statement.ticket);
  open_.emplace(statement.encode(), now + kLife);
  return statement;
}

bool OperatorTickets::take(ByteView statement, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(Bytes(statement.begin(), statement.end()));
  if (found == open_.end()) return false;
  const bool good = found->second > now;
  open_.erase(found);
  return good;
}

}  // namespace flexroom::node
