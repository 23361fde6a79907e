#pragma once

namespace flexroom {

/// For a program that is a member and little else, as the command line is: its memory is in no core
/// dump and no other process of this user reads it, and what preprocessing frees is kept for the
/// next batch, in huge pages where the system has them. Changes the whole process for good, the
/// allocator included: call it once, first, while there is one thread. Whoever does not computes the
/// same, more slowly, and guards its memory itself.
///
/// Returns whether the first half is in force; the second cannot fail.
bool prepare_process();

}  // namespace flexroom
