#pragma once

namespace flexroom {

/// Of this library and its programs. Members compare it (`flexroom doctor --with-members`); what
/// must be equal for a session is the number of the protocol.
inline constexpr const char* kVersion = "0.1.0";

}  // namespace flexroom
