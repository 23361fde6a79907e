#include "base/error.h"

#include <cstdio>
#include <iterator>
#include <utility>

namespace flexroom {
namespace {

/// In the order of the codes.
constexpr std::pair<AbortCode, std::string_view> kCodeNames[] = {
    {AbortCode::kDisagreement, "members disagree"},
    {AbortCode::kRefusedByRule, "refused by a rule"},
    {AbortCode::kEpochBurned, "epoch is burned"},
    {AbortCode::kTooManyUnfinished, "too many unfinished batches"},
    {AbortCode::kPeerLost, "connection to a member lost"},
    {AbortCode::kTimeout, "timeout"},
    {AbortCode::kBadFrame, "malformed message"},
    {AbortCode::kUnexpectedMessage, "unexpected message"},
    {AbortCode::kViewMismatch, "members saw different bytes of the service"},
    {AbortCode::kServer, "service misbehaved"},
    {AbortCode::kCancelled, "cancelled"},
    {AbortCode::kFpMac, "F_p MAC check failed"},
    {AbortCode::kFpAuth, "F_p authentication check failed"},
    {AbortCode::kFpSacrifice, "F_p sacrifice failed"},
    {AbortCode::kFpProof, "F_p proof failed"},
    {AbortCode::kFpKeyShare, "public share check failed"},
    {AbortCode::kFpRange, "range check failed"},
    {AbortCode::kBaseOt, "base OT check failed"},
    {AbortCode::kPprf, "puncturable PRF check failed"},
    {AbortCode::kRowCheck, "COT row check failed"},
    {AbortCode::kBitConsistency, "bit consistency check failed"},
    {AbortCode::kDeltaConsistency, "global key consistency check failed"},
    {AbortCode::kCoin, "coin toss failed"},
    {AbortCode::kEcho, "broadcast differed"},
    {AbortCode::kMac, "MAC check failed"},
    {AbortCode::kZeroTest, "zero test failed"},
    {AbortCode::kSacrifice, "sacrifice failed"},
    {AbortCode::kLabelProof, "label proof failed"},
    {AbortCode::kCProof, "c-proof failed"},
    {AbortCode::kBitProof, "bit proof failed"},
    {AbortCode::kReuse, "single-use material used twice"},
    {AbortCode::kRowTag, "rows of a secret do not fit their tag"},
};

constexpr bool every_code_is_named() {
  for (size_t at = 0; at < std::size(kCodeNames); ++at) {
    if (static_cast<size_t>(kCodeNames[at].first) != at) return false;
  }
  return std::size(kCodeNames) == static_cast<size_t>(AbortCode::kRowTag) + 1;
}
static_assert(every_code_is_named());

}  // namespace

AbortClass abort_class(AbortCode code) {
  if (code <= AbortCode::kTooManyUnfinished) return AbortClass::kRefuse;
  if (code <= AbortCode::kCancelled) return AbortClass::kNetwork;
  if (code <= AbortCode::kFpRange) return AbortClass::kFpCheat;
  return AbortClass::kBooleanCheat;
}

std::string_view to_string(AbortCode code) {
  const auto at = static_cast<size_t>(code);
  return at < std::size(kCodeNames) ? kCodeNames[at].second : "unknown";
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
