#pragma once

#include <atomic>
#include <string>

#include "config/config.h"

namespace flexroom {

/// The text of the job's script, so that whoever approves sees it: the local copy that the job
/// names, else what lies at script.url now, fetched by this member alone over HTTPS without any
/// secret (with the rules of the provider that serves the host, if one does). Either way it has the
/// agreed SHA-256 and no lines that end in CR LF, so all members see one text (product.md §4).
/// Throws InputError naming script.url and the remedy, ProtocolAbort(kCancelled) once `cancel` is
/// set.
std::string agreed_script(const JobConfig& job, const RoomConfig& room,
                          const std::atomic<bool>* cancel);

}  // namespace flexroom
