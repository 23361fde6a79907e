#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "node/core.h"
#include "node/http_request.h"

// What the routes read from a body, and the parts of their answers that have files of their own.

namespace flexroom::node {

/// An object with these keys and no others. Throws HttpError 400, as all here.
nlohmann::json body_of(const HttpRequest& request, std::initializer_list<const char*> keys);
std::string text_of(const nlohmann::json& object, const char* key, const char* fallback = nullptr);

/// What would run, of the body of POST /v1/proposals.
room::Waiting waiting_of_body(const nlohmann::json& body);
/// The end of a run's machine is a call like any other; it is written by what is known here.
inline constexpr std::string_view kStop = "stop";
room::Waiting waiting_stop(const Core::Open& open, const nlohmann::json& body);
/// What the members gave for the slots of a proposal.
nlohmann::json inputs_of(const Core::Open& open, const inbox::Item& item, const Core& core);

}  // namespace flexroom::node
