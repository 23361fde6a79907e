#pragma once

#include <string>
#include <vector>

#include "agreement/proposal.h"

namespace flexroom {

/// What changed between two approvals of one thing.
struct ChangedSince {
  /// As agreement::diff(); empty if nothing did but what is new in every run.
  std::string text;
  /// Parts that are new in every run by their nature, and are: "client token", "sealed links" ..
  std::vector<std::string> new_each_run;
};

/// What changed since `before` was approved. Of a run-script some parts are never the same twice:
/// the client token, the members' links sealed under keys of the run, and what follows from them
/// alone (the loader's SHA-256, in the boot script too). They are named once and not shown as
/// changes, as long as nothing but their value is new: form, length, place and all text around
/// them are compared, and the loader's SHA-256 is left out only where it is that of the loader
/// shown. Works on what was signed: nothing in a proposal has to mark them.
ChangedSince changed_since(const agreement::Proposal& before, const agreement::Proposal& now);

}  // namespace flexroom
