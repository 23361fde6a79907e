#include "inbox/start.h"

#include <fmt/core.h>

#include <algorithm>

#include "agreement/time.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"
#include "inbox/inbox.h"

namespace flexroom::inbox {
namespace {

constexpr size_t kRounds = 2;  // the second one where members would not choose alike

std::vector<StartSaying> read_all(const std::vector<Bytes>& bytes) {
  std::vector<StartSaying> out;
  for (PartyId j = 0; j < bytes.size(); ++j) {
    try {
      out.push_back(StartSaying::decode(bytes[j], "start/saying"));
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kBadFrame, "start/saying", error.problem(), j);
    }
  }
  return out;
}

std::vector<Bytes> exchange_sayings(net::Party& party, const Bytes& own) {
  constexpr std::string_view kLabel = "start/saying";
  party.echo("start/before");
  party.broadcast(kLabel, own);
  std::vector<Bytes> out(party.num_parties());
  out[party.id()] = own;
  for (const PartyId j : party.peers()) {
    out[j] = party.receive_broadcast_up_to(j, kLabel, agreement::JointStart::kMaxSayingBytes);
  }
  party.echo(kLabel, AbortCode::kDisagreement);
  return out;
}

[[noreturn]] void differs(std::string_view what, PartyId peer) {
  throw ProtocolAbort(AbortCode::kDisagreement, "start",
                      fmt::format("has another {} than we have", what), peer);
}

/// All say the same about the run that was chosen.
void compare(const std::vector<StartSaying>& all, PartyId self) {
  const StartSaying& own = all[self];
  for (PartyId j = 0; j < all.size(); ++j) {
    const StartSaying& s = all[j];
    if (s.configuration != own.configuration) differs("configuration of the room", j);
    if (s.complete != own.complete || s.index != own.index) differs("choice of the run", j);
    if (s.statements != own.statements) differs("state of the statements about it", j);
    if (s.decision != agreement::Answer::kYes) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "start",
                          "does not take part in this run now; nothing was contacted", j);
    }
    // Of the register (members.md 4.2): idle and old run in one configuration, new in the next.
    const bool other_side = (s.place == 4) != (own.place == 4);
    if ((s.place != 0 && s.place != 3 && s.place != 4) || other_side) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "start",
                          "is in the middle of a change of the room", j);
    }
  }
}

bool all_chose(const std::vector<StartSaying>& all, const Digest& room, const Digest& run) {
  return std::all_of(all.begin(), all.end(), [&](const StartSaying& s) {
    return agreement::run_id(room, s.complete, s.index) == run;
  });
}

}  // namespace

std::optional<Digest> choose_run(
    const std::vector<StartSaying>& all,
    const std::function<bool(const Digest& run, const Digest& unresolved)>& conflicts) {
  std::optional<StartSaying::Run> best;
  if (all.empty()) return std::nullopt;
  for (StartSaying::Run run : all.front().ready) {
    const bool usable = std::all_of(all.begin(), all.end(), [&](const StartSaying& s) {
      const auto listed = std::lower_bound(
          s.ready.begin(), s.ready.end(), run.id,
          [](const StartSaying::Run& one, const Digest& id) { return one.id < id; });
      if (listed == s.ready.end() || listed->id != run.id) return false;
      run.tries = std::max(run.tries, listed->tries);
      return true;
    });
    // Only of what all have ready: what one member makes up costs nothing here.
    if (!usable || std::any_of(all.begin(), all.end(), [&](const StartSaying& s) {
          return std::any_of(s.unresolved.begin(), s.unresolved.end(),
                             [&](const Digest& open) { return conflicts(run.id, open); });
        })) {
      continue;
    }
    if (!best || std::tie(run.tries, run.id) < std::tie(best->tries, best->id)) best = run;
  }
  if (!best) return std::nullopt;
  return best->id;
}

StartSaying Inbox::saying(const StartContext& context, const std::optional<Digest>& chosen) {
  StartSaying out;
  out.configuration = configuration().digest();
  out.place = context.place;
  out.incarnation = context.incarnation;
  out.session_counter = context.session_counter;
  out.now = context.clock;
  out.unresolved = unresolved();
  const std::vector<ReadyRun> runs = ready(context.clock);
  for (const ReadyRun& run : runs) out.ready.push_back({run.id, run.tries});
  std::sort(out.ready.begin(), out.ready.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  const auto own =
      chosen ? chosen
             : choose_run({out}, [&](const Digest& a, const Digest& b) { return conflict(a, b); });
  const auto run = std::find_if(runs.begin(), runs.end(),
                                [&](const ReadyRun& r) { return own && r.id == *own; });
  if (run == runs.end()) return out;
  out.complete = run->complete;
  out.index = run->index;
  out.try_number = run->tries + 1;
  out.statements = statements_about(run->complete);
  try {
    require_startable(*run, context.clock);
    out.decision = agreement::Answer::kYes;
  } catch (const InputError&) {
    out.decision = agreement::Answer::kNotNow;
  }
  return out;
}

namespace {

/// Signatures of all over what all said.
agreement::JointStart sign_all(net::Party& party, const Inbox& inbox, std::vector<Bytes> sayings,
                               const StartSaying& own) {
  agreement::JointStart record;
  record.configuration = own.configuration;
  record.complete = own.complete;
  record.index = own.index;
  record.session = party.scope().sid;
  record.sayings = std::move(sayings);
  const Digest digest = record.digest();
  record.signatures.resize(party.num_parties());
  record.signatures[party.id()] = agreement::sign_start(inbox.identity(), record.session, digest);
  const std::vector<Bytes> all = party.exchange("start/signature", record.signatures[party.id()]);
  for (PartyId j = 0; j < all.size(); ++j) {
    Reader in(all[j], "start/signature", j);
    record.signatures[j] = read_array<sizeof(net::Signature)>(in);
    in.finish();
    if (!agreement::verify_start(inbox.configuration().members[j].key, record.session, digest,
                                 record.signatures[j])) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "start", "wrong signature", j);
    }
  }
  return record;
}

}  // namespace

Started start(net::Party& party, Inbox& inbox, const StartContext& context) {
  FLEXROOM_ASSERT(inbox.configuration().members.size() == party.num_parties());
  const Digest room = inbox.configuration().room;
  std::optional<Digest> chosen;
  std::vector<Bytes> sayings;
  std::vector<StartSaying> all;
  for (size_t round = 0;; ++round) {
    sayings = exchange_sayings(party, inbox.saying(context, chosen).encode());
    all = read_all(sayings);
    chosen =
        choose_run(all, [&](const Digest& a, const Digest& b) { return inbox.conflict(a, b); });
    if (!chosen) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "start",
                          "there is nothing to start: no run that all members have ready");
    }
    if (all_chose(all, room, *chosen) || round + 1 == kRounds) break;
  }
  compare(all, party.id());
  std::vector<uint64_t> clocks;
  for (const StartSaying& s : all) clocks.push_back(s.now);
  const StartSaying& own = all[party.id()];
  Started out;
  out.now = static_cast<uint64_t>(time_of_first(clocks, party.id()));
  out.run = {*chosen, own.complete, own.index, 0};
  for (const StartSaying& s : all) out.try_number = std::max(out.try_number, s.try_number);
  out.run.tries = out.try_number;
  try {
    inbox.check_time(out.now, context.clock);
    inbox.require_startable(out.run, out.now);
  } catch (const InputError& error) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "start", error.problem());
  }
  out.record = sign_all(party, inbox, std::move(sayings), own);
  inbox.begin(out);
  return out;
}

}  // namespace flexroom::inbox
