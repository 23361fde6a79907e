#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/template.h"

namespace flexroom {

/// Where a stored secret may stand in a request (tls-in-mpc.md §5.1): method, host, path and the
/// exact position. A recipe could otherwise put a token into a field that can be read back.
///
///   METHOD https://host/path POSITION
///   POST https://llm.example.com/v1/chat/completions header authorization: Bearer {{}}
///
/// POSITION  header NAME: VALUE   the whole value of the header, `{{}}` for the slot
///           query NAME=VALUE     a parameter of the target
///           form NAME=VALUE      a field of a form body
///           json /POINTER=VALUE  a string of a JSON body, by RFC 6901 pointer ('=' is ~2)
///           body                 the whole body is the slot
/// Header names are lower case. Other slots of the same value stand there as `{{NAME}}`.

/// Checks one purpose as it is written in a secret file. Throws InputError.
void check_purpose(std::string_view purpose, std::string_view place);

/// "POST https://host/path" of a request: what an allow-list names.
std::string call_address(const http::Template& request);

/// The position of each slot of a validated request, in order of the request; "signature" for a
/// SigV4 signature. Throws InputError where no position can be named without doubt: JSON that is
/// not strict or repeats a name, form and query names that are escaped or repeated, XML.
std::vector<std::string> slot_positions(const http::Template& request);

}  // namespace flexroom
