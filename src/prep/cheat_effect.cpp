#include "prep/cheat_effect.h"

namespace flexroom::prep {

CheatEffect cheat_effect(AbortCode code) {
  switch (code) {
    case AbortCode::kPprf:
    case AbortCode::kRowCheck:
    case AbortCode::kBitConsistency:
      return CheatEffect::kFullTowardsPeer;
    case AbortCode::kDeltaConsistency:
    case AbortCode::kZeroTest:
    case AbortCode::kSacrifice:
      return CheatEffect::kFullTowardsAll;
    default:
      return CheatEffect::kOneMore;
  }
}

}  // namespace flexroom::prep
