#include "store/log_entry.h"

namespace flexroom::store {

std::optional<agreement::Outcome> outcome_of(LogOutcome outcome) {
  switch (outcome) {
    case LogOutcome::kDone:
      return agreement::Outcome::kDone;
    case LogOutcome::kNothingHappened:
      return agreement::Outcome::kNothingHappened;
    case LogOutcome::kEffectMayHaveHappened:
      return agreement::Outcome::kEffectMayHaveHappened;
    case LogOutcome::kFailed:
      return agreement::Outcome::kFailed;
    case LogOutcome::kApproved:
    case LogOutcome::kRefused:
    case LogOutcome::kNote:
    case LogOutcome::kChange:
    case LogOutcome::kConsent:
    case LogOutcome::kRule:
      break;
  }
  return std::nullopt;
}

LogOutcome log_outcome_of(agreement::Outcome outcome) {
  switch (outcome) {
    case agreement::Outcome::kDone:
      return LogOutcome::kDone;
    case agreement::Outcome::kNothingHappened:
      return LogOutcome::kNothingHappened;
    case agreement::Outcome::kEffectMayHaveHappened:
      return LogOutcome::kEffectMayHaveHappened;
    case agreement::Outcome::kFailed:
      return LogOutcome::kFailed;
  }
  return LogOutcome::kEffectMayHaveHappened;
}

std::string_view to_string(LogOutcome outcome) {
  switch (outcome) {
    case LogOutcome::kApproved:
      return "approved";
    case LogOutcome::kRefused:
      return "refused";
    case LogOutcome::kNote:
      return "note";
    case LogOutcome::kChange:
      return "configuration";
    case LogOutcome::kConsent:
      return "this member's approval";
    case LogOutcome::kRule:
      return "people";
    case LogOutcome::kDone:
    case LogOutcome::kNothingHappened:
    case LogOutcome::kEffectMayHaveHappened:
    case LogOutcome::kFailed:
      break;
  }
  return agreement::to_string(*outcome_of(outcome));
}

}  // namespace flexroom::store
