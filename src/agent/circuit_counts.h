#pragma once

#include "agent/connection_circuits.h"
#include "agent/sealed_plan.h"
#include "tls/cipher_suite.h"

namespace flexroom::agent {

/// AND gates of circuits that depend on sizes, without building those of these sizes: what the
/// smallest ones have, and what each further record and block of keystream adds to them. For plans,
/// which show what every suite takes; a run reserves what its own programs say.
///
/// Precision  exact with AES; with ChaCha20 up to 2 gates a block more than are built, as constant
///            counters fold. Tags' bytes, to each other member, are about what they are
struct CircuitCount {
  uint64_t ands = 0;
  double tag_bytes = 0;  // of what tags take beside the gates
};

/// Suite::handshake_program().
uint64_t count_handshake(const tls::CipherSuite& suite, const Groups& groups, size_t num_members);

/// Suite::request_program() or later_request_program(), and the tags of its records.
CircuitCount count_request(const tls::CipherSuite& suite, const RequestPlan& plan,
                           size_t num_members, bool is_first);

/// What a padding takes more than none, in ANDs, of requests of one record whose content has `from`
/// to `to` - 1 bytes, each length as likely as the others (tls-complete.md §8.2).
struct PaddingCost {
  uint64_t mean = 0, largest = 0;
};
PaddingCost padding_cost(const tls::CipherSuite& suite, tls::Padding padding, size_t from,
                         size_t to);

/// All that is garbled for a sealed answer, of the first one of its connection with what `to_come`
/// asks of it. Of a plan without `key_updates`, as those of flows are.
CircuitCount count_answer(const tls::CipherSuite& suite, const SealedPlan& plan, size_t num_members,
                          bool is_first, const RequestsToCome& to_come = {});

}  // namespace flexroom::agent
