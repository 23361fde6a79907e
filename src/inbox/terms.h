#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/configuration.h"
#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "inbox/schedule.h"

// What a proposal that waits says beside its request: who proposes, what, with which arguments,
// secrets and inputs, when and how often (members.md §6.1). It stands in the canonical fields of
// agreement::Proposal, first, and is read from them; there is no other copy of it.

namespace flexroom::inbox {

using agreement::MemberId;

/// A secret as a proposal names it.
struct NamedSecret {
  std::string name;
  std::array<uint8_t, 16> record{};
  uint32_t version = 0;   // when it was proposed
  bool newest = false;    // also a later one, if a run of this very proposal made it
  bool replaces = false;  // a run makes a version of it: no other run of it goes on meanwhile
  Digest provenance{};    // of that version: the proposal that made it
  bool operator==(const NamedSecret&) const = default;
};

/// What a member must give before the proposal is complete.
struct WantedInput {
  MemberId member{};
  std::string slot;
  std::string value_class;  // of the private part; empty: there is none
  /// What the public part looks like: '*' stands for any printable characters, everything else for
  /// itself. Empty: no public part.
  std::string pattern;
  /// Of a link: query parameters that its owner may give anew for each run, length equal.
  std::vector<std::string> renewable;
  bool operator==(const WantedInput&) const = default;
};

struct Terms {
  static constexpr size_t kMaxArguments = 256, kMaxSecrets = 64, kMaxInputs = 64;
  static constexpr uint64_t kMaxWindow = uint64_t{366} * 86400;

  MemberId proposer{};
  /// SHA-256 of the recipe, flow, list or script; zeros for a proposal of kind "change" or
  /// "secret", whose own fields say everything.
  Digest definition{};
  std::map<std::string, std::string> arguments;
  std::vector<NamedSecret> secrets;  // by name
  std::vector<WantedInput> inputs;   // in the order of CONF's members, then of slots
  std::vector<MemberId> couriers;    // in order of preference; empty: the room's
  Window window;
  Repetition repetition;
  /// Whether a step of unknown outcome may be done again under its idempotency token.
  bool again = false;

  /// Adds the fields, under one heading. They must be the first of the proposal. Throws InputError
  /// beyond the limits.
  void add_to(agreement::Proposal& proposal) const;
  /// The terms of a proposal: refuses what add_to() would not have written. Throws InputError at
  /// `place`.
  static Terms read(const agreement::Proposal& proposal, std::string_view place);

  /// What an APPROVE binds: RO("versions", ..). Of terms that read() or add_to() took it does not
  /// throw.
  Digest versions() const;
  bool operator==(const Terms&) const = default;
};

/// '*' of `pattern` against any printable ASCII; linear in the lengths.
bool fits_pattern(std::string_view pattern, std::string_view text);

/// A link given anew for a run (members.md §6.1): `now` has the scheme, host, port, path and query
/// of `before` but for the values of the `renewable` parameters, which are as long as before.
/// Throws InputError at `place` naming what differs (M35).
void check_renewed(std::string_view before, std::string_view now,
                   const std::vector<std::string>& renewable, std::string_view place);

}  // namespace flexroom::inbox
