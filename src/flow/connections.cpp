#include "flow/connections.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace flexroom::flow {
namespace {

/// The file lets it be made again after a pause, as polls are.
bool may_wait(const Step& step) {
  return std::any_of(step.on.begin(), step.on.end(), [](const auto& on) {
    return on.first != "unknown" && on.second.kind == Rule::Kind::kAgain;
  });
}

/// What follows it in the file does not follow it in the run.
bool leads_elsewhere(const Step& step) {
  const Rule* const rule = step.rule("ok");
  return rule != nullptr && rule->kind != Rule::Kind::kNext;
}

/// It is used once a key and soon over: where the connection ends behind it, before the release,
/// there is none for a new one (§4.9).
bool has_one_time_code(const Step& step) {
  return std::any_of(step.slots.begin(), step.slots.end(),
                     [](const SlotUse& use) { return use.function.starts_with("totp"); });
}

// AND gates, with AES-128: the rule is of the file, whatever a room offers to its hosts.
constexpr uint64_t kHandshake = 560'000;  // operations.md (h): both GCs and the key schedule
constexpr uint64_t kHeaderByte = 41, kDecryptedByte = 320, kBlock = 5'120;
constexpr uint64_t kStatusOnly = 15'000;
/// Masks of the records that the answer to the later request may have, four.
constexpr uint64_t kAnswerToCome = 4 * 2 * kBlock;
/// Blocks beside those of the text where it is read as it comes.
constexpr uint64_t kHeaderPieces = 4 * kBlock, kBodyPieces = 12 * kBlock;

/// §4.9(4): what a kept connection asks of this answer: its header is read whatever it selects, in
/// two windows.
uint64_t cost_of_keeping(const Step& step) {
  uint64_t out = step.header_max * kHeaderByte + kHeaderPieces + kAnswerToCome;
  if (!step.reads_header()) out += step.header_max * (kDecryptedByte + kHeaderByte) - kStatusOnly;
  return step.reads_body() || step.code ? out + kBodyPieces : out;
}

/// Against the handshake of another one.
bool is_worth_keeping(const Step& step) { return cost_of_keeping(step) < kHandshake; }

/// `before`: the step whose connection the next one may go on, or null.
void share(Step*& before, Step& step) {
  if (before != nullptr && is_worth_keeping(*before) && !has_one_time_code(step)) {
    before->next_on_connection = step.name;
    step.previous_on_connection = before->name;
  }
  // What a poll would pay for it each time is more than what it saves once.
  before = may_wait(step) ? nullptr : &step;
}

void share_in(Line& line) {
  std::map<std::string, Step*> last;  // by host
  for (Step& step : line.steps) {
    if (step.asks()) {
      last.clear();
      continue;
    }
    if (may_wait(step)) {
      std::erase_if(last, [&](const auto& one) { return one.first != step.host; });
    }
    // A host of a value may be another one each time.
    if (step.sealed && step.host.find("{{") == std::string::npos) share(last[step.host], step);
    if (leads_elsewhere(step)) last.clear();
  }
}

}  // namespace

std::vector<const Step*> behind_on_connection(const Flow& flow, const Step& step) {
  std::vector<const Step*> out;
  for (const Step* next = &step; !next->next_on_connection.empty();) {
    next = flow.step(next->next_on_connection);
    FLEXROOM_ASSERT(next != nullptr);
    out.push_back(next);
  }
  return out;
}

void share_connections(Flow& flow) {
  for (Line& line : flow.lines) share_in(line);
}

}  // namespace flexroom::flow
