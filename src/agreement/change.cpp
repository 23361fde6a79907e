#include "agreement/change.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

using Member = Configuration::Member;

bool contains(const std::vector<MemberId>& list, const MemberId& id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

const Member* find(const Configuration& in, const MemberId& id) {
  const auto at = in.index_of(id);
  return at ? &in.members[*at] : nullptr;
}

std::string name_in(const Configuration& in, const MemberId& id) {
  const Member* const member = find(in, id);
  return member != nullptr ? member->name : to_hex(id);
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::vector<std::string> names_of(const Configuration& in, const std::vector<MemberId>& ids) {
  std::vector<std::string> out;
  for (const MemberId& id : ids) out.push_back(name_in(in, id));
  return out;
}

std::vector<std::string> couriers_of(const Configuration& in) { return names_of(in, in.couriers); }

/// All of it, so that equal texts are equal configurations to the eye as well.
std::string text_of(const Configuration& c) {
  std::string out =
      fmt::format("room {}, configuration {}, profile {}\n", c.name, c.number, c.profile);
  for (const Member& m : c.members) {
    out += fmt::format("member {} at {}\n  id {}\n  key {}\n  certificate {}\n", m.name, m.address,
                       to_hex(m.id), to_hex(m.key), to_hex(m.certificate));
  }
  out += fmt::format("courier {}\n", listed(couriers_of(c)));
  for (const Configuration::Provider& p : c.providers) {
    out += fmt::format("provider {}\n", p.name);
    for (const std::string& host : p.hosts) out += fmt::format("  host {}\n", host);
    for (const std::string& one : p.settings) out += fmt::format("  setting {}\n", one);
    for (const std::string& call : p.open_calls) out += fmt::format("  open call {}\n", call);
  }
  if (!c.quotas.empty()) out += fmt::format("quotas {}\n", c.quotas);
  return out;
}

/// What is said to the people, of members.md §1.3.
std::string meaning(const Configuration& before, const Configuration& next,
                    const ChangeSets& sets) {
  const std::string stayers = listed(names_of(next, sets.stay));
  std::string out;
  for (const MemberId& id : sets.join) {
    const std::string name = name_in(next, id);
    out += fmt::format(
        "From then on {0} is needed for everything, as each of you is. If it disappears, also in "
        "the middle of joining, the secrets are lost.\n"
        "{0}: you rely on one of {1} telling the truth about what you receive.\n",
        name, listed(names_of(before, [&] {
          std::vector<MemberId> all = sets.stay;
          all.insert(all.end(), sets.leave.begin(), sets.leave.end());
          return all;
        }())));
    for (const MemberId& gone : sets.leave) {
      out += fmt::format(
          "{}: as long as {} has not signed off you also rely on one of {} having closed the old "
          "room.\n",
          name, name_in(before, gone), stayers);
    }
  }
  for (const MemberId& id : sets.leave) {
    const std::string name = name_in(before, id);
    std::vector<MemberId> all;
    for (const Member& m : before.members) all.push_back(m.id);
    out += fmt::format(
        "{0} keeps what it has copied. It opens nothing as long as one of {1} has been honest and "
        "deletes its old backups. If copies of ALL of {2} come together, they are the secrets: "
        "make them anew at the provider.\n"
        "{0}: from the moment you press enter the new members can hold the secrets without you, "
        "also if the change is not completed.\n",
        name, stayers, listed(names_of(before, all)));
  }
  out +=
      "Nothing else runs in the room until the change is complete or taken back at all members.\n";
  if (needs_rows(before, next)) {
    out +=
        "Make a new backup of state.db afterwards. Older ones no longer restore anything, and "
        "together with a copy of each other member they open the secrets: delete them.\n";
  }
  return out;
}

template <typename T, typename Read>
T decode_body(ByteView body, std::string_view place, const Read& read) {
  T out;
  try {
    Reader in(body, place);
    read(in, out);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  return out;
}

}  // namespace

bool ChangeSets::stays(const MemberId& id) const { return contains(stay, id); }
bool ChangeSets::joins(const MemberId& id) const { return contains(join, id); }
bool ChangeSets::leaves(const MemberId& id) const { return contains(leave, id); }

std::optional<size_t> ChangeSets::index_of(const MemberId& id) const {
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].id == id) return i;
  }
  return std::nullopt;
}

std::vector<net::SigningKey> ChangeSets::keys() const {
  std::vector<net::SigningKey> out;
  for (const Member& member : all) out.push_back(member.key);
  return out;
}

ChangeSets change_sets(const Configuration& before, const Configuration& next) {
  ChangeSets out;
  for (const Member& member : before.members) {
    const Member* const then = find(next, member.id);
    (then != nullptr ? out.stay : out.leave).push_back(member.id);
    out.all.push_back(then != nullptr ? *then : member);
  }
  for (const Member& member : next.members) {
    if (find(before, member.id) != nullptr) continue;
    out.join.push_back(member.id);
    out.all.push_back(member);
  }
  return out;
}

bool needs_rows(const Configuration& before, const Configuration& next) {
  const auto same = [](const Member& a, const Member& b) {
    return a.id == b.id && a.key == b.key && a.certificate == b.certificate;
  };
  return !std::equal(before.members.begin(), before.members.end(), next.members.begin(),
                     next.members.end(), same);
}

void check_change(const Configuration& before, const Configuration& next, std::string_view place) {
  const auto fail = [&](const std::string& problem, std::string_view remedy = "") {
    throw InputError(place, problem, remedy);
  };
  if (next.room != before.room || next.number != before.number + 1 ||
      next.previous != before.digest()) {
    fail("does not follow from the configuration that is in force");
  }
  if (next.name != before.name || next.profile != before.profile) {
    fail("gives the room another name or profile", "write them as they are; a change keeps both");
  }
  if (next.same_content(before)) {
    fail("changes nothing", "write the room as it is to be");
  }
  if (next.members.size() < 2 || next.members.size() > 16) {
    fail(fmt::format("has {} members", next.members.size()), "a room has 2 to 16 members");
  }
  const ChangeSets sets = change_sets(before, next);
  if (sets.stay.empty()) {
    fail("keeps no member", "one member at least stays; for other members make another room");
  }
  for (size_t i = 0; i < next.members.size(); ++i) {
    const MemberId expected = i < sets.stay.size() ? sets.stay[i] : sets.join[i - sets.stay.size()];
    if (next.members[i].id != expected) {
      fail("lists the members in another order",
           "those who stay come first, in their order, then who joins");
    }
    for (size_t j = 0; j < i; ++j) {
      if (next.members[i].name == next.members[j].name) fail("has a name twice");
    }
  }
  // Also the key that somebody else had before: whose statements these are must never be a
  // question.
  for (const Member& member : next.members) {
    for (const Member& other : before.members) {
      if (other.id != member.id &&
          (other.key == member.key || other.certificate == member.certificate)) {
        fail(fmt::format("gives {} the key of {}", member.name, other.name));
      }
    }
  }
}

Proposal change_proposal(const Configuration& before, const Configuration& next) {
  const ChangeSets sets = change_sets(before, next);
  Proposal out;
  out.kind = "change";
  out.title = next.name;
  out.room = next.room;
  out.terms = before.terms();
  out.text("room", next.name);
  out.text("configuration", fmt::format("{} in place of {}", next.number, before.number));
  out.section("What changes");
  for (const MemberId& id : sets.join) {
    const Member& m = *find(next, id);
    out.text("joins", fmt::format("{} at {}", m.name, m.address));
  }
  for (const MemberId& id : sets.leave) out.text("leaves", name_in(before, id));
  for (const MemberId& id : sets.stay) {
    const Member& was = *find(before, id);
    const Member& is = *find(next, id);
    if (was.name != is.name) out.text("new name", fmt::format("{}, now {}", is.name, was.name));
    if (was.key != is.key || was.certificate != is.certificate) {
      out.text("new key and certificate", is.name);
    }
    // Before the first change a room's addresses were each member's own affair.
    if (was.address != is.address && !was.address.empty()) {
      out.text("new address", fmt::format("{} at {}, now {}", is.name, is.address, was.address));
    }
  }
  if (before.couriers != next.couriers) {
    out.text("new courier",
             fmt::format("{}, now {}", listed(couriers_of(next)), listed(couriers_of(before))));
  }
  if (before.providers != next.providers) out.text("providers", "others than now: see below");
  if (before.quotas != next.quotas) out.text("quotas", next.quotas);
  out.text("secrets", needs_rows(before, next) ? "handed over as new rows; the old ones are erased"
                                               : "stay as they are");
  out.text("log to who joins", "no");
  out.section("What it means");
  out.block("said to everybody", meaning(before, next, sets));
  out.section("The room then");
  out.block("configuration then", text_of(next));
  out.bytes("digest now", before.digest());
  out.bytes("digest then", next.digest());
  return out;
}

Digest ChangeStart::attempt() const {
  RandomOracle hash("attempt", RoScope{});
  hash.field(approval.digest);
  for (const Digest& nonce : nonces) hash.field(nonce);
  return hash.digest();
}

void ChangeStart::verify(std::string_view place) const {
  check_change(before, next, place);
  const ChangeSets sets = change_sets(before, next);
  if (nonces.size() != sets.all.size()) throw InputError(place, "lacks the nonce of a member");
  if (change_proposal(before, next).canonical() != approval.proposal) {
    throw InputError(place, "approves something else than this change");
  }
  if (!verify_approval(approval, sets.keys())) {
    throw InputError(place, "is a change that not all of both configurations approved");
  }
}

Bytes ChangeStart::encode() const {
  Writer out;
  out.u8(kForm).field(before.encode()).field(next.encode());
  out.u32(static_cast<uint32_t>(nonces.size()));
  for (const Digest& nonce : nonces) out.raw(nonce);
  out.field(approval.encode());
  return out.take();
}

ChangeStart ChangeStart::decode(ByteView body, std::string_view place) {
  return decode_body<ChangeStart>(body, place, [&](Reader& in, ChangeStart& out) {
    if (in.u8() != kForm) {
      throw InputError(place, "has a body of another form", "a newer program wrote it");
    }
    out.before = Configuration::decode(in.field(Configuration::kMaxBytes), place);
    out.next = Configuration::decode(in.field(Configuration::kMaxBytes), place);
    const uint32_t count = in.u32();
    if (count > 2 * Configuration::kMaxMembers) throw InputError(place, "has too many nonces");
    for (uint32_t k = 0; k < count; ++k) out.nonces.push_back(in.digest());
    out.approval = Approval::decode(in.field(Proposal::kMaxBytes + (1 << 16)), std::string(place));
  });
}

Bytes AttemptBody::encode() const { return {attempt.begin(), attempt.end()}; }

AttemptBody AttemptBody::decode(ByteView body, std::string_view place) {
  return decode_body<AttemptBody>(body, place,
                                  [](Reader& in, AttemptBody& out) { out.attempt = in.digest(); });
}

Bytes ReadyBody::encode() const { return Writer().raw(attempt).raw(metas).raw(epoch).take(); }

ReadyBody ReadyBody::decode(ByteView body, std::string_view place) {
  return decode_body<ReadyBody>(body, place, [](Reader& in, ReadyBody& out) {
    out.attempt = in.digest();
    out.metas = in.digest();
    out.epoch = in.digest();
  });
}

}  // namespace flexroom::agreement
