#pragma once

#include <vector>

#include "agent/secret_text.h"
#include "call/links.h"
#include "config/config.h"

namespace flexroom {

/// The boot loader (the VM's user data): fetches the loader (call/loader.h) behind the private link
/// of the member that carries it, checks that it is the agreed one (its SHA-256 stands here) and
/// runs it with the members' keys; a machine that cannot get it after a hundred tries stops. Short,
/// because every byte of it is encrypted inside MPC; private parts come last, all of them inside
/// single quotes.
agent::ScriptWriter boot_loader(const JobConfig& job, const std::vector<PublicLinks>& links);

}  // namespace flexroom
