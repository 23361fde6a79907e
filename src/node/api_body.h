#pragma once

#include <nlohmann/json.hpp>

#include "node/core.h"

// What is proposed, read from a body, and the parts of answers that have files of their own.

namespace flexroom::node {

/// What would run, of the body of POST /v1/proposals.
room::Waiting waiting_of_body(const nlohmann::json& body);
/// The end of a run's machine is a call like any other; it is written by what is known here.
inline constexpr std::string_view kStop = "stop";
room::Waiting waiting_stop(const Core::Open& open, const nlohmann::json& body);
/// What the members gave for the slots of a proposal.
nlohmann::json inputs_of(const Core::Open& open, const inbox::Item& item, const Core& core);

}  // namespace flexroom::node
