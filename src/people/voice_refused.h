#pragma once

#include <string_view>

#include "base/error.h"

namespace flexroom::people {

/// The check of members.md 7.3 that a signature did not pass, each with its attack.
enum class VoiceCheck : uint8_t {
  kForm,          // bytes that are no st, clientDataJSON, authenticatorData, key
  kTicket,        // not a statement that this node made for a view, too late, or taken already
  kUnknownKey,    // nobody enrolled it
  kSignature,     // not under the enrolled key
  kType,          // a registration in place of an assertion, or the other way round
  kChallenge,     // signed for other words
  kOrigin,        // asked for by another page or program
  kFramed,        // asked for in a frame of another page
  kRelyingParty,  // a credential asked for another relying party
  kPresence,      // nobody touched it
  kVerification,  // touched without PIN: a key found on a desk
  kPerson,        // a key of somebody else
  kRole,          // not hers
  kRule,          // under a rule that is not the newest
  kCounter,       // an authenticator's counter went back or stood still: a copy, or two at once
  kMatter         // about something else than what is asked
};
std::string_view to_string(VoiceCheck check);

/// A signature of a person that does not count; says whose and why, for her and for the
/// administrators. Place is "signature of ann" or the file it came from.
class VoiceRefused : public InputError {
 public:
  VoiceRefused(VoiceCheck check, std::string_view place, std::string_view problem,
               std::string_view remedy = "")
      : InputError(place, problem, remedy), check_(check) {}
  VoiceCheck check() const { return check_; }

 private:
  VoiceCheck check_;
};

}  // namespace flexroom::people
