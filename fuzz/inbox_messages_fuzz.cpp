#include <string>

#include "agreement/member_statements.h"
#include "agreement/proposal.h"
#include "agreement/statement.h"
#include "fuzz.h"
#include "inbox/rules.h"
#include "inbox/terms.h"
#include "inbox/wire.h"

// What other members' nodes send about statements, and the rules of this one (members.md §5.2, §6).
// First byte: which. Messages are accepted in one form only: what was read is written as it came.

namespace flexroom::inbox {
namespace {

template <typename Message>
void again(ByteView bytes) {
  FLEXROOM_ASSERT(Message::decode(bytes).encode() == Bytes(bytes.begin(), bytes.end()));
}

template <typename Body>
void body_again(ByteView bytes) {
  FLEXROOM_ASSERT(Body::decode(bytes, "fuzz").encode() == Bytes(bytes.begin(), bytes.end()));
}

void load(uint8_t which, ByteView bytes) {
  switch (which % 11) {
    case 0:
      return again<Heads>(bytes);
    case 1:
      return again<Wants>(bytes);
    case 2:
      return again<Bundle>(bytes);
    case 3:
      return body_again<agreement::StartSaying>(bytes);
    case 4:
      return body_again<agreement::JointStart>(bytes);
    case 5:
      return body_again<agreement::InputBody>(bytes);
    case 6:
      return body_again<agreement::ApproveBody>(bytes);
    case 7:
      return body_again<agreement::WithdrawBody>(bytes);
    case 8:
      return body_again<agreement::Statement>(bytes);
    case 9: {
      const auto proposal = agreement::Proposal::decode(bytes, "fuzz");
      const Terms terms = Terms::read(proposal, "fuzz");
      agreement::Proposal bare;
      terms.add_to(bare);
      FLEXROOM_ASSERT(Terms::read(bare, "fuzz") == terms);
      return;
    }
    default: {
      const auto rules = StandingRules::parse(to_text(bytes), "rules.toml", 1'767'571'200);
      for (const StandingRule& rule : rules.rules()) {
        FLEXROOM_ASSERT(!rule.from.empty() && rule.per_day > 0 && rule.definition != Digest{});
        FLEXROOM_ASSERT(WeeklyHours::parse(rule.hours.text(), "fuzz") == rule.hours);
      }
    }
  }
}

}  // namespace
}  // namespace flexroom::inbox

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  flexroom::fuzz::accepts(
      [&] { flexroom::inbox::load(data[0], flexroom::ByteView(data + 1, size - 1)); });
  return 0;
}
