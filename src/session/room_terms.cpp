#include "session/room_terms.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "agreement/proposal.h"
#include "agreement/statement.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"

namespace flexroom::session {
namespace {

constexpr std::string_view kNothing = "(nothing)";
/// Of a term that only members with another value than its default name.
std::string unsaid(std::string_view name) {
  return name.starts_with("client_auth of ") ? "refuse" : std::string(kNothing);
}

constexpr std::string_view kFormsOf = "forms that are read of ";
constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr size_t kMaxField = size_t{1} << 16;
constexpr uint32_t kMaxTerms = 10'000;  // secrets and providers of a room, each with a few

Bytes encode(const std::vector<Term>& terms) {
  Writer out;
  out.u32(static_cast<uint32_t>(terms.size()));
  for (const Term& term : terms) out.field(term.name).field(term.value);
  return out.take();
}

std::vector<Term> decode(ByteView bytes, std::string_view label, PartyId from) {
  Reader in(bytes, label, from);
  std::vector<Term> out;
  const uint32_t count = in.u32();
  if (count > kMaxTerms) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                        fmt::format("{} terms, at most {} are expected", count, kMaxTerms), from);
  }
  std::set<std::string> names;
  for (uint32_t k = 0; k < count; ++k) {
    Term term;
    term.name = to_text(in.field(kMaxField));
    term.value = to_text(in.field(kMaxField));
    if (!names.insert(term.name).second) {
      throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                          fmt::format("names {} twice", display_short(term.name)), from);
    }
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

[[noreturn]] void differ(const TermDifference& one, const std::string& member) {
  throw ProtocolAbort(AbortCode::kDisagreement, "terms",
                      fmt::format("members differ in {}\n  here:  {}\n  {}: {}\n  {}",
                                  display_short(one.name), around(one.here, one.there), member,
                                  around(one.there, one.here), term_remedy(one.name)),
                      one.member);
}

const Term* find(const std::vector<Term>& terms, const std::string& name) {
  const auto found =
      std::find_if(terms.begin(), terms.end(), [&](const Term& term) { return term.name == name; });
  return found == terms.end() ? nullptr : &*found;
}

}  // namespace

namespace {

/// Of the provider only what is not as a program of before has it, of a host that has an entry all.
void add_traffic(const TrafficTerms& traffic, const std::string& host, std::vector<Term>& out) {
  const std::string of = host.empty() ? "" : " " + host;
  if (!host.empty() || !traffic.cover.empty()) out.push_back({"cover" + of, traffic.cover});
  if (!host.empty() || traffic.pad != tls::Padding::kNone) {
    out.push_back({"pad" + of, std::string(tls::to_string(traffic.pad))});
  }
  if (!host.empty() || traffic.period) out.push_back({"slots" + of, traffic.slots_text()});
}

}  // namespace

std::vector<Term> provider_terms(const Provider& provider) {
  const TlsTerms& tls = provider.tls;
  std::vector<Term> out = {{"await_close", tls.await_close ? "true" : "false"},
                           {"groups", to_string(provider.groups)}};
  for (const auto& [host, groups] : provider.host_groups) {
    out.push_back({"groups " + host, to_string(groups)});
  }
  // Only where somebody says so, as of mailboxes: a program of before knows none of them.
  if (tls.client_auth != tls::ClientAuth::kRefuse) {
    out.push_back({"client_auth", std::string(to_string(tls.client_auth))});
  }
  for (const auto& [host, auth] : provider.host_client_auth) {
    out.push_back({"client_auth " + host, std::string(to_string(auth))});
  }
  if (provider.mailbox) out.push_back({"mailbox", "true"});
  for (const auto& [host, yes] : provider.host_mailbox) {
    out.push_back({"mailbox " + host, yes ? "true" : "false"});
  }
  out.push_back({"max_answer", std::to_string(tls.max_answer)});
  out.push_back({"receive", std::string(to_string(tls.receive))});
  out.push_back({"suite", std::string(tls.suite->setting)});
  for (const auto& [host, suite] : provider.host_suite) {
    out.push_back({"suite " + host, std::string(suite->setting)});
  }
  add_traffic(provider.traffic, "", out);
  for (const auto& [host, traffic] : provider.host_traffic) add_traffic(traffic, host, out);
  std::sort(out.begin(), out.end(), [](const Term& a, const Term& b) { return a.name < b.name; });
  return out;
}

namespace {

void add_rules(const RoomConfig& room, std::vector<Term>& out) {
  // Only where it is not what members of before have: a session of theirs names none of them.
  if (room.triples != "bucket") out.push_back({"triples", room.triples});
  if (room.link != "fast") out.push_back({"link", room.link});
  if (room.mesh_pq != "prefer") out.push_back({"mesh_pq", room.mesh_pq});
  if (room.size != 0) out.push_back({"size", std::to_string(room.size)});
  if (!room.account_opener.empty()) out.push_back({"account_opened_by", room.account_opener});
  if (!room.account_root.empty()) out.push_back({"account_root", room.account_root});
}

void add_providers(const RoomConfig& room, std::vector<Term>& out) {
  std::vector<const Provider*> providers;
  std::string names;
  for (const Provider& provider : room.providers) providers.push_back(&provider);
  std::sort(providers.begin(), providers.end(),
            [](const Provider* a, const Provider* b) { return a->name < b->name; });
  for (const Provider* provider : providers) names += (names.empty() ? "" : ", ") + provider->name;
  out.push_back({"providers", names});
  for (const Provider* provider : providers) {
    for (const Term& term : provider_terms(*provider)) {
      out.push_back({term.name + " of provider " + provider->name, term.value});
    }
    std::string hosts, calls;
    for (const std::string& host : provider->hosts) hosts += (hosts.empty() ? "" : ", ") + host;
    out.push_back({"hosts of provider " + provider->name, hosts});
    for (const std::string& call : provider->open_calls)
      calls += (calls.empty() ? "" : ", ") + call;
    out.push_back({"open_calls of provider " + provider->name, calls});
  }
}

}  // namespace

std::vector<Term> room_terms(const RoomConfig& room) {
  std::vector<Term> out = {
      {"name of the room", room.name}, {"profile", room.profile}, {"courier", room.courier}};
  add_rules(room, out);
  std::string order;
  for (const MemberEntry& member : room.members) order += (order.empty() ? "" : ", ") + member.name;
  out.push_back({"members, in this order", order});
  for (const MemberEntry& member : room.members) {
    out.push_back({"certificate of " + member.name, member.certificate_sha256});
  }
  add_providers(room, out);
  return out;
}

std::vector<Term> founding_terms(const RoomConfig& room) {
  std::vector<Term> out = {{"name of the room", room.name}, {"profile", room.profile}};
  add_rules(room, out);
  out.push_back({"timeout_seconds", std::to_string(room.timeout.count())});
  add_providers(room, out);
  for (const Provider& provider : room.providers) {
    size_t rule = 0;  // a key may stand for several rules
    for (const auto& [key, value] : provider.own_keys) {
      out.push_back({fmt::format("{} {} of provider {}", key, rule++, provider.name), value});
    }
  }
  return out;
}

Bytes member_text(const RoomConfig& room, PartyId member) {
  const MemberEntry& entry = room.members.at(member);
  Writer out;
  out.field("flexroom/member/1").field(encode(founding_terms(room)));
  out.field(entry.name).field(to_string(entry.address)).field(entry.certificate());
  return out.take();
}

std::vector<Term> format_terms() {
  using agreement::Proposal;
  return {{fmt::format("{}proposals", kFormsOf),
           fmt::format("format {}, text forms 1 to {}", Proposal::kFormat, Proposal::kTextForm)},
          {fmt::format("{}statements", kFormsOf),
           fmt::format("format {}", agreement::kStatementFormat)},
          {fmt::format("{}configurations", kFormsOf),
           fmt::format("format {}", agreement::Configuration::kFormat)}};
}

std::vector<Term> meeting_terms(const std::string& command, const RoomConfig& room) {
  std::vector<Term> out = {{"command", command}};
  for (Term& term : format_terms()) out.push_back(std::move(term));
  for (Term& term : room_terms(room)) out.push_back(std::move(term));
  return out;
}

std::vector<std::vector<Term>> exchange_terms(net::Party& party, const std::vector<Term>& own,
                                              std::string_view label) {
  party.broadcast(label, encode(own));
  std::vector<std::vector<Term>> all(party.num_parties());
  all[party.id()] = own;
  for (const PartyId j : party.peers()) {
    all[j] = decode(party.receive_broadcast_up_to(j, label, kMaxBytes), label, j);
  }
  return all;
}

std::vector<TermDifference> differences(const std::vector<std::vector<Term>>& all, PartyId self) {
  std::vector<TermDifference> out;
  for (PartyId j = 0; j < all.size(); ++j) {
    for (const Term& term : all[self]) {
      const Term* const other = find(all[j], term.name);
      const std::string there = other != nullptr ? other->value : unsaid(term.name);
      if (other == nullptr || there != term.value) out.push_back({j, term.name, term.value, there});
    }
    for (const Term& term : all[j]) {
      if (find(all[self], term.name) != nullptr) continue;
      out.push_back({j, term.name, unsaid(term.name), term.value});
    }
  }
  return out;
}

std::string term_remedy(std::string_view name) {
  if (name == "command") return "run the same command at every member";
  if (name.starts_with(kFormsOf)) {
    return "use versions of flexroom that read the same forms: the newer one everywhere, or the "
           "older one; what was signed before stays readable";
  }
  if (name == kConfigurationTerm) {
    return "a change of members was not finished at one of them: run `flexroom room change` again "
           "at all of them";
  }
  return "make room.toml the same at every member";
}

void agree_on_terms(net::Party& party, const RoomConfig& room, const std::vector<Term>& own) {
  const auto different = differences(exchange_terms(party, own), party.id());
  if (!different.empty()) {
    differ(different.front(), room.members[different.front().member].name);
  }
  party.echo("session/terms", AbortCode::kDisagreement);
}

}  // namespace flexroom::session
