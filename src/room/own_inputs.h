#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "call/links.h"
#include "call/recipe.h"
#include "config/config.h"
#include "session/member_state.h"

// What this member gives for the slots of proposals that wait (members.md §6.1): the public part
// goes to all in its INPUT, the private part stays here, sealed in state.db, under a commitment.

namespace flexroom::room {

/// Slot and class of a member's links of run-script.
inline constexpr std::string_view kLinksInput = "links", kLinksClass = "links";

/// One input of this member, whole.
struct OwnInput {
  std::string slot;
  Bytes public_part;
  std::array<uint8_t, 16> nonce{};
  SecretBytes value;  // the private part
  Digest commitment() const;
};

/// Of a links.toml's text: its links are looked at, and the key that seals them is drawn. Throws
/// InputError.
OwnInput input_of_links(session::MemberState& state, std::string_view text, const JobConfig& job);
/// A private value for a slot of a recipe. Throws InputError; never shows a value.
OwnInput input_of_slot(const session::MemberState& state, const Recipe& recipe,
                       const std::string& slot, std::string_view text);

/// The private part of an input for links.
struct StoredLinks {
  LinksConfig links;
  SecretBytes key;
  OwnLinks own(std::string_view place) const { return {links, place, key.clone()}; }
};
/// `place` for messages. Throws InputError.
StoredLinks stored_links(const OwnInput& input, const std::string& place);

/// Private parts that are kept here, by proposal and slot.
class OwnInputs {
 public:
  explicit OwnInputs(session::MemberState& state);
  /// Before its INPUT is signed; in place of one that was not. Durable.
  void put(const Digest& proposal, const OwnInput& input);
  /// The one whose commitment stands in the INPUT. Throws InputError, with whose it is and what to
  /// do, where it is not here (M35).
  OwnInput get(const Digest& proposal, const std::string& slot, const Digest& commitment);
  /// Proposals of which there is one.
  std::vector<Digest> proposals();
  void forget(const Digest& proposal);

 private:
  session::MemberState& state_;
  const std::string kind_;
};

}  // namespace flexroom::room
