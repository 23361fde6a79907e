#pragma once

#include <string>
#include <vector>

#include "agreement/proposal.h"
#include "call/open_call.h"

namespace flexroom {

/// A field of a form body whose value is not known yet when a plan is shown; `why` says on what it
/// waits.
struct NotYet {
  std::string field;
  std::string why;
};

/// The request byte for byte as it leaves: its public bytes, and a slot for everything that is
/// filled in later: stored secrets, members' private values, nonces, the signature, the dates. The
/// parts are together as long as the request. No private value enters, only its length and class.
std::vector<agreement::RequestPart> request_as_it_leaves(const OpenCall& call,
                                                         const CallSecrets& secrets,
                                                         const std::vector<NotYet>& unknown = {});

/// What approvers see of a request (product.md §3), as sections of a proposal: the request itself,
/// its decoded parameters, its slots, and the secrets that are used with their purposes. The one
/// writer for call, get and run-script.
void add_request(agreement::Proposal& proposal, const OpenCall& call, const CallSecrets& secrets,
                 const std::vector<NotYet>& unknown = {});

/// Whose value a slot takes, its class, length and encoding.
std::string describe_slot(const http::Slot& slot, const CallSecrets& secrets);

}  // namespace flexroom
