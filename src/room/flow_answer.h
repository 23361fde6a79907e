#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/reply.h"
#include "agent/sealed_plan.h"
#include "agent/sealed_reply.h"
#include "flow/executor.h"
#include "http/response.h"
#include "http/select.h"

namespace flexroom::room {

/// What the answer part of a step means in one release.
struct AnswerTerms {
  std::string host, path;  // of the request as it leaves: cookies without their own
  int64_t time = 0;        // agreed
  /// A text of the file with its {{NAME}}s filled in.
  std::function<std::string(std::string_view text)> fill;
  /// Under `!=`: what the opened name may not be, none, one or two texts.
  std::function<std::vector<std::string>(std::string_view name)> excluded;
  /// A member's id by its name; throws for a name that is none.
  std::function<PartyId(const std::string& name)> member;
};

/// The answer part of a step (operations.md (a)) as what a sealed connection does with the answer:
/// keeps, then what is opened, then the tests, in the order of the file. The step is one that
/// require_bound() lets through.
agent::SealedPlan sealed_plan(const flow::Step& step, const AnswerTerms& terms);
/// What the answers to these steps may take of a connection, whatever their terms (bytes of their
/// requests are left to the caller).
agent::RequestsToCome answers_to(const std::vector<const flow::Step*>& steps);

/// The path of a `json` or `json-number` selector, the step's `item` on the way.
std::vector<http::JsonStep> json_path(const flow::Step& step, const flow::Selector& at,
                                      const AnswerTerms& terms);
/// The path to the step's `item` itself.
std::vector<http::JsonStep> item_path(const flow::Step& step, const AnswerTerms& terms);

/// The same of an open answer, which every member has whole (tls-in-mpc.md §4.6 R2): selected by
/// the rules of the sealed one, over JSON and XML (http/select.h), failures with the same names.
flow::StepAnswer open_answer(const flow::Step& step, const http::Response& response,
                             const AnswerTerms& terms);

/// What an open answer told where no step is committed with it: the whole of one that not all
/// members confirmed, what came of one that is not whole. Empty: nothing, or it was sealed.
http::PartialAnswer learnt_of(const agent::Reply& reply);

/// What was opened to this member alone, by name: stored nowhere, told once.
using TellAlone = std::function<void(const std::string& name, ByteView text)>;
/// In place of the texts of keeps with `decode` what they stand for; false where one is none.
using DecodeValues =
    std::function<bool(const flow::Step& step, std::map<std::string, prep::AuthBits>& values)>;
using StoreValues = std::function<std::map<std::string, flow::NewSecret>(
    std::map<std::string, prep::AuthBits> values)>;

/// The answer as the run's machine takes it; `store` gives what is kept fresh rows. A failure has
/// the name of tls-in-mpc.md §5.6, of a test the name that the file gives it. An answer that is
/// none, or whose values are void (boolean-engine.md §7.5), has status 0: nothing is stored. `tell`
/// hears of values for this member before anything is stored: whatever comes then, they are known.
flow::StepAnswer sealed_answer(const flow::Step& step, agent::SealedReply&& reply,
                               const StoreValues& store, const TellAlone& tell,
                               const DecodeValues& decode = nullptr);

}  // namespace flexroom::room
