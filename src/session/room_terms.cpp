#include "session/room_terms.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"

namespace flexroom::session {
namespace {

constexpr std::string_view kLabel = "session/terms";
constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr size_t kMaxField = size_t{1} << 16;

Bytes encode(const std::vector<Term>& terms) {
  Writer out;
  out.u32(static_cast<uint32_t>(terms.size()));
  for (const Term& term : terms) out.field(term.name).field(term.value);
  return out.take();
}

std::vector<Term> decode(ByteView bytes, PartyId from) {
  Reader in(bytes, std::string(kLabel), from);
  std::vector<Term> out;
  const uint32_t count = in.u32();
  for (uint32_t k = 0; k < count; ++k) {
    Term term;
    term.name = to_text(in.field(kMaxField));
    term.value = to_text(in.field(kMaxField));
    out.push_back(std::move(term));
  }
  in.finish();
  return out;
}

/// Long values differ where nobody would see it: from a few characters before.
std::string around(const std::string& value, const std::string& other) {
  constexpr size_t kBefore = 20, kShown = 160;
  const size_t same = static_cast<size_t>(
      std::mismatch(value.begin(), value.end(), other.begin(), other.end()).first - value.begin());
  if (value.size() <= kShown && other.size() <= kShown) return display(value);
  const size_t begin = same > kBefore ? same - kBefore : 0;
  return (begin > 0 ? "..." : "") + display_short(value.substr(begin), kShown);
}

[[noreturn]] void differ(const std::string& name, const std::string& here, const std::string& there,
                         const std::string& member, PartyId peer) {
  const std::string remedy = name == "command" ? "run the same command at every member"
                                               : "make room.toml the same at every member";
  throw ProtocolAbort(
      AbortCode::kDisagreement, "terms",
      fmt::format("members differ in {}\n  here:  {}\n  {}: {}\n  {}", display_short(name),
                  around(here, there), member, around(there, here), remedy),
      peer);
}

}  // namespace

std::vector<Term> room_terms(const RoomConfig& room) {
  std::vector<Term> out = {
      {"name of the room", room.name}, {"profile", room.profile}, {"courier", room.courier}};
  std::string order;
  for (const MemberEntry& member : room.members) order += (order.empty() ? "" : ", ") + member.name;
  out.push_back({"members, in this order", order});
  for (const MemberEntry& member : room.members) {
    out.push_back({"certificate of " + member.name, member.certificate_sha256});
  }
  std::vector<const Provider*> providers;
  std::string names;
  for (const Provider& provider : room.providers) providers.push_back(&provider);
  std::sort(providers.begin(), providers.end(),
            [](const Provider* a, const Provider* b) { return a->name < b->name; });
  for (const Provider* provider : providers) names += (names.empty() ? "" : ", ") + provider->name;
  out.push_back({"providers", names});
  for (const Provider* provider : providers) {
    out.push_back({"group of provider " + provider->name, provider->group});
    std::string calls;
    for (const std::string& call : provider->open_calls)
      calls += (calls.empty() ? "" : ", ") + call;
    out.push_back({"open_calls of provider " + provider->name, calls});
  }
  return out;
}

void agree_on_terms(net::Party& party, const RoomConfig& room, const std::vector<Term>& own) {
  const Bytes mine = encode(own);
  party.broadcast(kLabel, mine);
  std::vector<Bytes> all(party.num_parties());
  for (const PartyId j : party.peers()) {
    all[j] = party.receive_broadcast_up_to(j, kLabel, kMaxBytes);
  }
  for (const PartyId j : party.peers()) {
    if (all[j] == mine) continue;
    const std::vector<Term> theirs = decode(all[j], j);
    for (size_t k = 0; k < std::max(own.size(), theirs.size()); ++k) {
      const Term none{"", "(nothing)"};
      const Term& a = k < own.size() ? own[k] : none;
      const Term& b = k < theirs.size() ? theirs[k] : none;
      if (a.name == b.name && a.value == b.value) continue;
      const bool same_name = a.name == b.name;
      differ(same_name ? a.name : (a.name.empty() ? b.name : a.name), a.value,
             same_name ? b.value : b.name + " = " + b.value, room.members[j].name, j);
    }
  }
  party.echo(kLabel, AbortCode::kDisagreement);
}

}  // namespace flexroom::session
