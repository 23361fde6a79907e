#pragma once

#include <optional>

#include "http/request_model.h"

namespace flexroom::http {

/// Where a private text may stand in a program that a machine runs (tls-in-mpc.md §5.2, script
/// context): in `'https://public.host/...'`, single quotes of a shell, class shell-url. A random
/// slot of class hex may stand in a comment too.
///
/// The text is read as sh and bash read it, quote by quote from its first line, which names one of
/// the two; what cannot be read for sure (here-documents, backquotes, $'..', quotes in ${..},
/// `case` in $(..), `alias`, quotes that stay open) is refused. `kOwnScript`: the boot loader of
/// this program, in which quotes are enough, and a nonce may be a word. Throws InputError.
void check_script(const RequestText& script, std::string_view place,
                  ScriptSource source = ScriptSource::kRecipe);

/// Parameters that carry code, by service (one table, script_rule.cpp): no slot stands there but in
/// a script that passes check_script(), whatever encodings are around it. Any other value in which
/// base64 slots stand beside public text is taken for a script too. Throws InputError.
void check_code_parameters(const RequestModel& request,
                           ScriptSource source = ScriptSource::kRecipe);

/// The program in a parameter that carries one in base64 (user data), as people read it. Nothing of
/// another parameter, or one that is no base64 for every reader.
std::optional<RequestText> program_in(const RequestModel& request, const Parameter& parameter);

}  // namespace flexroom::http
