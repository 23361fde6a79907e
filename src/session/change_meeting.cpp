#include "session/change_meeting.h"

#include <fmt/core.h>

#include <algorithm>

#include "net/tcp_mesh.h"
#include "session/member_session.h"
#include "session/room_terms.h"

// Who meets for a change of members, and what they find under way (members.md §4.3, H0).

namespace flexroom::session {

using agreement::ChangeStart;
using agreement::Configuration;

namespace {

constexpr std::string_view kStart = "change/start";

std::string address_text(const Endpoint& at) { return fmt::format("{}:{}", at.host, at.port); }

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

/// Which member of before an entry of the room of then is: its certificate's, else its name's,
/// which has a new key and certificate then; nobody's: one that joins.
std::optional<size_t> member_of_before(const RoomConfig& now, const RoomConfig& next,
                                       const MemberEntry& entry) {
  for (size_t i = 0; i < now.members.size(); ++i) {
    if (now.members[i].certificate_sha256 == entry.certificate_sha256) return i;
  }
  for (size_t i = 0; i < now.members.size(); ++i) {
    if (now.members[i].name != entry.name) continue;
    const bool renamed = std::any_of(next.members.begin(), next.members.end(), [&](const auto& m) {
      return m.certificate_sha256 == now.members[i].certificate_sha256;
    });
    if (!renamed) return i;
  }
  return std::nullopt;
}

std::optional<size_t> own_entry(const RoomConfig& room, const net::Identity& identity,
                                const std::string& name) {
  const std::string own = to_hex(identity.fingerprint());
  for (size_t i = 0; i < room.members.size(); ++i) {
    if (room.members[i].certificate_sha256 == own) return i;
  }
  for (size_t i = 0; i < room.members.size(); ++i) {
    if (room.members[i].name == name) return i;
  }
  return std::nullopt;
}

std::string difference_to(const RoomConfig& room, const Configuration& c) {
  if (room.profile != c.profile) {
    return fmt::format("profile {} here, {} there", room.profile, c.profile);
  }
  std::vector<std::string> here, there;
  for (const MemberEntry& m : room.members) here.push_back(m.name);
  for (const auto& m : c.members) there.push_back(m.name);
  if (here != there) return fmt::format("members {} here, {} there", listed(here), listed(there));
  for (size_t i = 0; i < here.size(); ++i) {
    const MemberEntry& m = room.members[i];
    if (m.certificate() != c.members[i].certificate) {
      return fmt::format("certificate of {}: {} here, {} there", m.name, m.certificate_sha256,
                         to_hex(c.members[i].certificate));
    }
    if (address_text(m.address) != c.members[i].address) {
      return fmt::format("address of {}: {} here, {} there", m.name, address_text(m.address),
                         c.members[i].address);
    }
  }
  const auto courier = c.couriers.empty() ? std::nullopt : c.index_of(c.couriers.front());
  if (courier && room.courier != c.members[*courier].name) {
    return fmt::format("courier {} here, {} there", room.courier, c.members[*courier].name);
  }
  return "";
}

std::vector<std::string> RoomChange::meeting_addresses() const {
  std::vector<std::string> out;
  const auto then = [&](const MemberEntry& entry) {
    for (const MemberEntry& m : wish_->next.members) {
      const auto was = member_of_before(now_, wish_->next, m);
      if (was && now_.members[*was].name == entry.name) return address_text(m.address);
    }
    return address_text(entry.address);
  };
  for (const MemberEntry& m : now_.members) out.push_back(then(m));
  for (const MemberEntry& m : wish_->next.members) {
    if (!member_of_before(now_, wish_->next, m)) out.push_back(address_text(m.address));
  }
  return out;
}

// Who meets: U, or the members of S or T alone. By the attempt that is here, else by what is
// wished.
RoomConfig RoomChange::meeting_room() const {
  RoomConfig out = now_;
  out.members.clear();
  if (attempt_) {
    for (size_t i = 0; i < sets_.all.size(); ++i) {
      const auto& m = sets_.all[i];
      if (options_.mode == ChangeMode::kGoOn && sets_.leaves(m.id)) continue;
      if (options_.mode == ChangeMode::kBack && sets_.joins(m.id)) continue;
      MemberEntry entry;
      entry.name = m.name;
      entry.address = parse_endpoint(attempt_->addresses.at(i), "the change");
      entry.certificate_sha256 = to_hex(m.certificate);
      out.members.push_back(std::move(entry));
    }
    return out;
  }
  const std::vector<std::string> addresses = meeting_addresses();
  size_t at = 0;
  for (const MemberEntry& m : now_.members) {
    MemberEntry entry = m;
    for (const MemberEntry& then : wish_->next.members) {
      const auto was = member_of_before(now_, wish_->next, then);
      if (was && now_.members[*was].name == m.name) entry = then;
    }
    entry.address = parse_endpoint(addresses[at++], "the change");
    out.members.push_back(std::move(entry));
  }
  for (const MemberEntry& m : wish_->next.members) {
    if (!member_of_before(now_, wish_->next, m)) out.members.push_back(m);
  }
  return out;
}

void RoomChange::meet() {
  const RoomConfig room = meeting_room();
  const auto own = own_entry(room, state_.identity(), state_.member().name);
  if (!own) {
    throw InputError("room change",
                     "does not concern this member: it is neither in the room nor to "
                     "be in it",
                     "compare its certificate with the entries of room.toml");
  }
  MemberConfig member = state_.member();
  member.name = room.members[*own].name;
  // A member that moves is met where it will be.
  net::MeshConfig config = mesh_of(room, member, options_.cancel, options_.note);
  config.pair_keys = &state_.pair_keys();
  std::unique_ptr<net::TcpMesh> mesh = net::TcpMesh::join(config, state_.identity());
  keys_.clear();
  names_.clear();
  for (PartyId i = 0; i < room.members.size(); ++i) {
    keys_.push_back(mesh->signing_key(i));
    names_.push_back(room.members[i].name);
  }
  party_ = std::make_unique<net::Party>(std::move(mesh), Prg::from_system());
  if (options_.connected) options_.connected(*party_);
  std::vector<Term> terms = {{"command", std::string(kRoomChange)}};
  for (Term& term : format_terms()) terms.push_back(std::move(term));
  agree_on_terms(*party_, room, terms);
}

void RoomChange::hello() {
  Meeting::Said own;
  if (state_.founded() || attempt_) own.rid = rid();
  own.mid = self_;
  own.mode = options_.mode;
  Prg::from_system().fill(own.nonce);
  if (state_.founded()) {
    const auto c = state_.log().configuration();
    if (!c) {
      throw InputError("room " + now_.name, "has no configuration that all members signed",
                       "run `flexroom init` with all members first");
    }
    own.number = c->number;
    own.configuration = c->digest();
  }
  if (attempt_) {
    own.has_attempt = true;
    own.attempt = id_;
    own.place = standing().place;
    own.complete = attempt_->complete;
  }
  const std::vector<Bytes> all = party_->exchange(kChangeHello, own.encode());
  party_->echo(kChangeHello, AbortCode::kDisagreement);
  meeting_ = std::make_unique<Meeting>();
  for (PartyId j = 0; j < all.size(); ++j) {
    meeting_->said.push_back(Meeting::Said::decode(all[j], j));
    const Meeting::Said& said = meeting_->said.back();
    if (said.mode != options_.mode) {
      throw ProtocolAbort(AbortCode::kDisagreement, kRoomChange,
                          "runs it with other flags: --go-on and --back at all who meet, or at "
                          "none",
                          j);
    }
    if (said.rid != store::RoomId{} && own.rid != store::RoomId{} && said.rid != own.rid) {
      throw ProtocolAbort(AbortCode::kDisagreement, kRoomChange, "knows another room of this name",
                          j);
    }
    if (!said.is_under_way()) continue;
    if (meeting_->under_way && *meeting_->under_way != said.attempt) {
      throw ProtocolAbort(AbortCode::kDisagreement, kRoomChange,
                          "is in another change than this member or a third one: a state.db is not "
                          "the newest",
                          j);
    }
    meeting_->under_way = said.attempt;
  }
}

// A change that others are in: its START proves it, whoever shows it.
void RoomChange::take_over_attempt() {
  const Bytes mine = attempt_ && id_ == *meeting_->under_way ? attempt_->start.encode() : Bytes();
  for (const PartyId j : party_->peers()) party_->send(j, kStart, mine);
  std::optional<ChangeStart> found;
  for (const PartyId j : party_->peers()) {
    const Bytes theirs = party_->receive_up_to(j, kStart, agreement::kMaxStatementBytes);
    if (!mine.empty() || found || theirs.empty()) continue;
    try {
      ChangeStart start = ChangeStart::decode(theirs, "the change");
      start.verify("the change");
      if (start.attempt() == *meeting_->under_way) found = std::move(start);
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, kStart, error.problem(), j);
    }
  }
  if (!mine.empty()) return;
  if (!found) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, kStart,
                        "nobody shows the change that a member says it is in");
  }
  if (state_.founded() && found->before.room != state_.rid()) {
    throw ProtocolAbort(AbortCode::kDisagreement, kStart, "a change of another room is shown");
  }
  store::ChangeStore::Attempt other;
  other.start = std::move(*found);
  enter_attempt(other);
}

}  // namespace flexroom::session
