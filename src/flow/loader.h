#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/toml.h"
#include "flow/flow.h"

// The parts of the loader, in the order in which they run. Each throws InputError at the place of
// what it refuses. Not for others: load_flow() is.

namespace flexroom::flow {

struct Loading {
  Flow& flow;
  const RoomView& room;
  const Provider* entry = nullptr;      // of the flow's provider, where a room is at hand
  std::set<std::string> private_names;  // opened to one member

  /// Of a host as requests and purposes write it: with a slot in its first label, whether any
  /// name that could stand there is one. Every entry of the room is asked, not only the flow's.
  bool is_mailbox(std::string_view host) const;
  bool is_public_name(std::string_view name) const {
    return flow.arguments.contains(std::string(name)) || is_built_in(name) || flow.is_opened(name);
  }
};

[[noreturn]] void refuse(const Place& place, std::string_view problem,
                         std::string_view remedy = "");

/// Names of page keys are made by runs alone (page_keys.h).
void require_no_page_key(const Place& place, std::string_view name);

/// A list of purposes, each with one {{}}, no argument, at hosts of the flow.
std::vector<std::string> load_purposes(const Loading& in, const TomlTable& table,
                                       std::vector<std::string> fallback = {});
/// The host of a purpose; nothing for `sigv4`.
std::optional<std::string> host_of_purpose(std::string_view purpose);

/// What makes one-time codes is a key of TOTP: 1 to 64 bytes, with 128 bits of entropy, as an
/// answer that opens the code could give the key away (operations.md (a), tls-in-mpc.md §3.4(i)).
void check_code_key(const Place& place, const std::string& name, double entropy, uint32_t max);
/// The same of a value with these purposes, if one of them is a code.
void check_code_key(const Place& place, const std::string& name,
                    const std::vector<std::string>& purposes, double entropy, uint32_t max);

void load_step(Loading& in, const TomlTable& table, Step& step);
/// The request of a step: method, host, slots and their places.
void load_request(Loading& in, const TomlTable& table, Step& step);
/// No selector tests, searches or opens what another one keeps (tls-in-mpc.md §5.6).
void check_selectors(const Step& step);

/// The purposes that allow this slot, the exact one first.
std::vector<std::string> purposes_for(const Step& step, const SlotUse& use);

/// Slots: classes of their places, purposes, keys of a jwe.
void check_slots(Loading& in);
/// No member gives two of card, telephone and postal data that is not the claimant. `arguments` say
/// who gives an input; without them {{ARGUMENT}}s count as members.
void check_claimant(const Flow& flow, const std::map<std::string, std::string>& arguments,
                    const std::string& claimant);
/// Where rules lead, what is known there, what is proved.
void check_ways(Loading& in);
/// tls-in-mpc.md §5.6: the ledger's bound of one run.
std::map<std::string, unsigned> leaks_of(const Flow& flow, const KnownValues& room);

/// Of names in `uses` and `may_use` that `room` does not tell: the bits that one run could show of
/// each, if it is a secret below 128 bits.
std::map<std::string, unsigned> leaks_unless_long(const Flow& flow, const KnownValues& room);

}  // namespace flexroom::flow
