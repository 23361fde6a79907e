#include "base/error.h"

#include <cstdio>

namespace flexroom {

AbortClass abort_class(AbortCode code) {
  if (code <= AbortCode::kTooManyUnfinished) return AbortClass::kRefuse;
  if (code <= AbortCode::kCancelled) return AbortClass::kNetwork;
  if (code <= AbortCode::kFpRange) return AbortClass::kFpCheat;
  return AbortClass::kBooleanCheat;
}

std::string_view to_string(AbortCode code) {
  switch (code) {
    case AbortCode::kDisagreement:
      return "members disagree";
    case AbortCode::kRefusedByRule:
      return "refused by a rule";
    case AbortCode::kEpochBurned:
      return "epoch is burned";
    case AbortCode::kTooManyUnfinished:
      return "too many unfinished batches";
    case AbortCode::kPeerLost:
      return "connection to a member lost";
    case AbortCode::kTimeout:
      return "timeout";
    case AbortCode::kBadFrame:
      return "malformed message";
    case AbortCode::kUnexpectedMessage:
      return "unexpected message";
    case AbortCode::kViewMismatch:
      return "members saw different bytes of the service";
    case AbortCode::kServer:
      return "service misbehaved";
    case AbortCode::kCancelled:
      return "cancelled";
    case AbortCode::kFpMac:
      return "F_p MAC check failed";
    case AbortCode::kFpAuth:
      return "F_p authentication check failed";
    case AbortCode::kFpSacrifice:
      return "F_p sacrifice failed";
    case AbortCode::kFpProof:
      return "F_p proof failed";
    case AbortCode::kFpKeyShare:
      return "public share check failed";
    case AbortCode::kFpRange:
      return "range check failed";
    case AbortCode::kBaseOt:
      return "base OT check failed";
    case AbortCode::kPprf:
      return "puncturable PRF check failed";
    case AbortCode::kRowCheck:
      return "COT row check failed";
    case AbortCode::kBitConsistency:
      return "bit consistency check failed";
    case AbortCode::kDeltaConsistency:
      return "global key consistency check failed";
    case AbortCode::kCoin:
      return "coin toss failed";
    case AbortCode::kEcho:
      return "broadcast differed";
    case AbortCode::kMac:
      return "MAC check failed";
    case AbortCode::kZeroTest:
      return "zero test failed";
    case AbortCode::kSacrifice:
      return "sacrifice failed";
    case AbortCode::kLabelProof:
      return "label proof failed";
    case AbortCode::kCProof:
      return "c-proof failed";
    case AbortCode::kBitProof:
      return "bit proof failed";
    case AbortCode::kReuse:
      return "single-use material used twice";
    case AbortCode::kRowTag:
      return "rows of a secret do not fit their tag";
  }
  return "unknown";
}

std::string_view to_string(AbortClass abort_class) {
  switch (abort_class) {
    case AbortClass::kRefuse:
      return "refuse";
    case AbortClass::kNetwork:
      return "network";
    case AbortClass::kFpCheat:
      return "F_p cheat";
    case AbortClass::kBooleanCheat:
      return "boolean cheat";
  }
  return "unknown";
}

namespace {

std::string abort_text(AbortCode code, std::string_view operation, std::string_view detail,
                       std::optional<PartyId> peer) {
  std::string text(to_string(code));
  text.append(" (").append(operation);
  if (peer) text.append(", member ").append(std::to_string(*peer + 1));
  text.append("): ").append(detail);
  return text;
}

std::string input_text(std::string_view place, std::string_view problem, std::string_view remedy) {
  std::string text(place);
  text.append(": ").append(problem);
  if (!remedy.empty()) text.append("\n  remedy: ").append(remedy);
  return text;
}

}  // namespace

ProtocolAbort::ProtocolAbort(AbortCode code, std::string_view operation, std::string_view detail,
                             std::optional<PartyId> peer)
    : std::runtime_error(abort_text(code, operation, detail, peer)),
      code_(code),
      peer_(peer),
      operation_(operation),
      detail_(detail) {}

InputError::InputError(std::string_view place, std::string_view problem, std::string_view remedy)
    : std::runtime_error(input_text(place, problem, remedy)),
      place_(place),
      problem_(problem),
      remedy_(remedy) {}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "flexroom: internal error, %s:%d: %s does not hold\n", file, line,
               expression);
  std::abort();
}

}  // namespace flexroom
