#pragma once

#include "agent/read_direction.h"

namespace flexroom::agent {

/// Sealed mode: the answer is never opened; values are selected and kept inside (tls-in-mpc.md
/// §4.5, §4.11, §5.4-5.7). Throws InputError where there is no plan.
std::unique_ptr<ReadDirection> make_sealed_read_direction(const ReadTerms& terms);

/// AND triples that reading one answer by this plan takes, with the keys of its connection; those
/// of answers to come are counted for them alone. Without what `left_over` has for it.
uint64_t sealed_answer_triples(const SealedPlan& plan, const tls::CipherSuite& suite,
                               size_t num_members, const RequestsToCome& to_come = {},
                               const PreparedStock* left_over = nullptr);
/// Those of an answer on a connection that has its keys.
uint64_t next_answer_triples(const SealedPlan& plan, const tls::CipherSuite& suite,
                             const PreparedStock* left_over = nullptr);

}  // namespace flexroom::agent
