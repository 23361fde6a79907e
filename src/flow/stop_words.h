#pragma once

#include <string>

namespace flexroom::flow {

/// A named failure of an answer (tls-in-mpc.md §5.6) as an operator is told it: its name, and what
/// it means for a few that a service or a file alone is the cause of. Of the name only: nothing of
/// the answer goes into it.
std::string words_of_failure(const std::string& failure);
/// The same of a status that ends a run without a rule (operations.md (c)): a redirect, 429.
std::string words_of_event(const std::string& event);

}  // namespace flexroom::flow
