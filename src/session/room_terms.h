#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "net/party.h"

namespace flexroom::session {

/// One thing that all members must have alike before they run anything together.
struct Term {
  std::string name;   // as in room.toml, or "command"
  std::string value;  // as an operator reads it
};

/// What members must have alike of a provider beside its hosts and open calls, sorted by name: what
/// is compared when they meet, and what the log's configuration holds (members.md 5.1).
std::vector<Term> provider_terms(const Provider& provider);

/// Of room.toml: the room, its members in order, of each provider its terms, hosts and open calls.
/// Where a provider is reached and which roots it is checked against is each member's own.
std::vector<Term> room_terms(const RoomConfig& room);

/// What the founder of a room fixes before anybody joins, so no member: its name and rules, of each
/// provider everything, also what each member may have otherwise later. Sorted by provider.
std::vector<Term> founding_terms(const RoomConfig& room);

/// What a member's four words stand for (members.md 1.1): the founding terms, and of this member
/// name, address and certificate, whose fingerprint fixes both of its keys. Nothing of another
/// member: then none of them had a say in it once the member's key was drawn, and who wants the
/// same words for another text has to find it for words that are given: 2^44 tries of a second
/// each. Of two texts that somebody may both choose (the whole room as two members see it) equal
/// words are found in 2^22.
Bytes member_text(const RoomConfig& room, PartyId member);

/// Which forms of what members sign this program reads (members.md 5.2): proposals with their text
/// forms, statements, configurations. It writes the newest of each, so all must read the same.
/// Never the program's own version.
std::vector<Term> format_terms();

/// All that members compare when they meet: the command, the forms, then room_terms().
std::vector<Term> meeting_terms(const std::string& command, const RoomConfig& room);

/// The term that says which configuration of a room that changed a member is in.
inline constexpr std::string_view kConfigurationTerm = "configuration of the room";

/// What one member has otherwise than this one.
struct TermDifference {
  PartyId member = 0;
  std::string name, here, there;  // one of the values is "(nothing)" where a term is missing
};

/// Tells all members `own` and returns theirs, by party; `label` of this one message. Everybody was
/// told the same. What a peer sends is bounded, not judged: show it with base/display.h.
std::vector<std::vector<Term>> exchange_terms(net::Party& party, const std::vector<Term>& own,
                                              std::string_view label = "session/terms");
/// In the order of this member's terms; then what only the other one has.
std::vector<TermDifference> differences(const std::vector<std::vector<Term>>& all, PartyId self);
/// What to do about a term that differs.
std::string term_remedy(std::string_view name);

/// The first thing that members say to each other. Throws kDisagreement naming the member, the
/// first term that differs and both values.
void agree_on_terms(net::Party& party, const RoomConfig& room, const std::vector<Term>& own);

}  // namespace flexroom::session
