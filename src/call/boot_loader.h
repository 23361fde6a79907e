#pragma once

#include <chrono>
#include <vector>

#include "agent/secret_text.h"
#include "call/links.h"
#include "config/config.h"

namespace flexroom {

/// How often the machine asks for the loader, how long one try takes at most, and the pause behind
/// it: 5 minutes at least where each try fails at once, kLoaderWindow at most.
inline constexpr int kLoaderTries = 100;
inline constexpr std::chrono::seconds kLoaderTryMost{60}, kLoaderPause{3};
inline constexpr std::chrono::seconds kLoaderWindow =
    kLoaderTries * (kLoaderTryMost + kLoaderPause);

/// The boot loader (the VM's user data): fetches the loader (call/loader.h) behind the private link
/// of the member that carries it, checks that it is the agreed one (its SHA-256 stands here) and
/// runs it with the members' keys; a machine that cannot get it after a hundred tries stops. Short,
/// because every byte of it is encrypted inside MPC; private parts come last, all of them inside
/// single quotes.
agent::ScriptWriter boot_loader(const JobConfig& job, const std::vector<PublicLinks>& links);

}  // namespace flexroom
