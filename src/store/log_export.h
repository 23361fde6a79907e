#pragma once

#include <string>
#include <utility>
#include <vector>

#include "store/audit_log.h"

namespace flexroom::store {

/// One line of JSON for an auditor: the statement's bytes in base64, which alone are evidence, and
/// beside them what they say (docs/log-format.md).
/// `more`: keys beside them, with their texts (opened evidence).
std::string export_line(const AuditLog::Stored& stored,
                        const std::vector<std::pair<std::string, std::string>>& more = {});

/// All that one entry says, for a person: of an approval the text that was approved, rendered from
/// the bytes that were signed; of a configuration its members; signatures are verified already.
std::string entry_text(const AuditLog::Stored& stored);

}  // namespace flexroom::store
