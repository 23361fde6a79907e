#pragma once

#include <string_view>

/// Names of the phases of a connection and of what is made for it: what a Timeline shows, what the
/// estimate of the time that is left goes by (room/agreed_call.cpp) and what the bench adds up. One
/// place, so that a name that is looked for is a name that is given.
namespace flexroom::agent::phase {

inline constexpr std::string_view kTriples = "make AND triples";
inline constexpr std::string_view kSigningKey = "signing key";
inline constexpr std::string_view kSlots = "slots";
inline constexpr std::string_view kToken = "token";
inline constexpr std::string_view kPowers = "powers for the tag";
inline constexpr std::string_view kGarble = "garble handshake and request circuits";
inline constexpr std::string_view kGarbleRequest = "garble request circuit";  // of a later request
inline constexpr std::string_view kGarbleAnswer = "garble answer circuits";   // sealed
inline constexpr std::string_view kAgree = "agree";
inline constexpr std::string_view kServerHello = "server hello";
inline constexpr std::string_view kEcdhe = "ECDHE";
inline constexpr std::string_view kHandshakeKeys = "handshake keys";
inline constexpr std::string_view kServerFlight = "server flight";
inline constexpr std::string_view kRequest = "request keys and ciphertext";
inline constexpr std::string_view kTagAndSend = "tag and send";
inline constexpr std::string_view kAnswer = "wait for the answer";
inline constexpr std::string_view kAnswerKeys = "answer keys";      // sealed
inline constexpr std::string_view kReadAnswer = "read the answer";  // sealed
inline constexpr std::string_view kOpenAnswer = "open the answer";
inline constexpr std::string_view kConfirm = "confirm";

}  // namespace flexroom::agent::phase
