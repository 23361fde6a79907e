#pragma once

#include "http/request_model.h"

namespace flexroom::http {

/// Where a private text may stand in a program that a machine runs (tls-in-mpc.md §5.2, script
/// context): in lines `name='https://public.host/...'` between the first line, which names sh or
/// bash, and the first command; class shell-url, and nothing else on the line. A random slot of
/// class hex may stand there too, alone in quotes or in a comment. So no reading of a shell's
/// quotes is needed to know what the text is for the shell.
///
/// `kOwnScript`: the boot loader of this program, whose last line alone has slots: a nonce, and
/// words in single quotes. Throws InputError.
void check_script(const RequestText& script, std::string_view place,
                  ScriptSource source = ScriptSource::kRecipe);

}  // namespace flexroom::http
