#include "people/voice_refused.h"

namespace flexroom::people {

std::string_view to_string(VoiceCheck check) {
  switch (check) {
    case VoiceCheck::kForm:
      return "form";
    case VoiceCheck::kTicket:
      return "ticket";
    case VoiceCheck::kUnknownKey:
      return "unknown key";
    case VoiceCheck::kSignature:
      return "signature";
    case VoiceCheck::kType:
      return "type";
    case VoiceCheck::kChallenge:
      return "challenge";
    case VoiceCheck::kOrigin:
      return "origin";
    case VoiceCheck::kFramed:
      return "framed";
    case VoiceCheck::kRelyingParty:
      return "relying party";
    case VoiceCheck::kPresence:
      return "presence";
    case VoiceCheck::kVerification:
      return "verification";
    case VoiceCheck::kPerson:
      return "person";
    case VoiceCheck::kRole:
      return "role";
    case VoiceCheck::kRule:
      return "rule";
    case VoiceCheck::kCounter:
      return "counter";
    case VoiceCheck::kMatter:
      return "matter";
  }
  return "?";
}

}  // namespace flexroom::people
