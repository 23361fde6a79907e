#pragma once

#include <optional>

#include "http/request_model.h"

namespace flexroom::http {

/// Parameters that carry code, or name what a machine runs, by service (one table,
/// code_parameters.cpp; tls-in-mpc.md §5.2): no slot stands there but in a script that
/// check_script() passes, whatever encodings are around it. A value is judged by its own name, by
/// that of what it is in, and by a public value beside any of them that names it so
/// (`{"key": "user-data", "value": ..}`). Any other value in which base64 slots stand beside public
/// text is taken for a script too. Throws InputError.
void check_code_parameters(const RequestModel& request,
                           ScriptSource source = ScriptSource::kRecipe);

/// The program in a parameter that carries one in base64 (user data), as people read it. Nothing of
/// another parameter, or one that is no base64 for every reader.
std::optional<RequestText> program_in(const RequestModel& request, const Parameter& parameter);

}  // namespace flexroom::http
