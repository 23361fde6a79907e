#pragma once

#include <string>

#include "call/aws_services.h"
#include "http/request_model.h"

namespace flexroom {

/// What a request asks a service to do, read from its model: the name that approvers see and that
/// allow-lists judge.
struct CallAction {
  const AwsService* service = nullptr;  // of AWS; else nothing
  std::string name;                     // "RunInstances"; with a service only
  /// "ec2:RunInstances", or "POST https://host/path" of a service that is none of AWS.
  std::string text;
};

/// The service follows from the host. Throws InputError where the action of an AWS request with
/// slots cannot be told for sure: a service that is not in the table, an Action in query and body,
/// none, one that is not plain text, another type of body than the service reads, X-Amz-Target
/// beside Action, a second signature or a session token anywhere but in the headers of the first.
/// `sealed`: nobody reads the answer, so that the token may stand there.
CallAction action_of(const http::RequestModel& request, bool sealed = false);

/// R2-3: the answer of this action, errors included, holds no secret of the account. Only actions
/// of AWS are on the list; `request` is asked for conditions (a parameter that is public by name).
bool is_open_action(const CallAction& action, const http::RequestModel& request);

/// A slot of an open action that its answers and errors do not repeat, known to us: "form UserData"
/// of ec2:RunInstances.
bool is_silent_position(const CallAction& action, std::string_view position);

/// One entry of `open_calls` in room.toml: an action and a position that its answers, errors
/// included, do not repeat.
///
///   METHOD https://host/path POSITION   '*' for a whole segment of the path; no host of AWS
///   HOST SERVICE:ACTION POSITION        of AWS
///
///   POST https://llm.example.com/v1/chat/completions header authorization
///   ec2.us-east-1.amazonaws.com ec2:CreateTags form Tag.1.Value
/// Throws InputError if the entry is none.
bool opens(std::string_view entry, const CallAction& action, const http::RequestModel& request,
           std::string_view position, std::string_view place);
/// The entry that would open it.
std::string open_call_entry(const CallAction& action, const http::RequestModel& request,
                            std::string_view position);

}  // namespace flexroom
