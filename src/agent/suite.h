#pragma once

#include "agent/answer_cipher.h"
#include "agent/client_flight.h"
#include "agent/write_direction.h"
#include "circuits/hash.h"
#include "tls/cipher_suite.h"

namespace flexroom::agent {

/// What a cipher suite is to the members: its circuits and its two directions. A new suite is a
/// row of the table in suite.cpp.
struct Suite {
  const tls::CipherSuite& tls;
  const circuits::HashCircuit& (*hash)();
  /// GC-A and GC-B of connection_circuits.h.
  std::shared_ptr<const mpc::Program> (*handshake_program)(const Groups& groups,
                                                           size_t num_members);
  std::shared_ptr<const mpc::Program> (*request_program)(const RequestPlan& plan,
                                                         size_t num_members);
  std::unique_ptr<WriteDirection> (*write_direction)(const Context& context,
                                                     std::span<const RequestPlan> plans,
                                                     size_t longest_to_come);
  /// Of a later request of the connection.
  std::shared_ptr<const mpc::Program> (*later_request_program)(const RequestPlan& plan,
                                                               uint64_t sequence,
                                                               size_t num_members);
  /// ANDs of the tag of a record beside those of the request circuit.
  uint64_t (*tag_ands)(size_t num_members);
  /// Bytes to each other member that what the tags of a request take costs, about, of the first one
  /// of its connection or a later one: for plans.
  double (*tag_bytes)(const RequestPlan& plan, bool is_first);
  /// Of sealed answers.
  const AnswerCipher& (*answer)();
  /// With `client_auth = "none"`: GC-CF, its object, and what its tag takes beside GC-CF.
  std::shared_ptr<const mpc::Program> (*client_flight_program)(size_t num_members);
  std::unique_ptr<ClientFlight> (*client_flight)(const Context& context);
  double (*client_flight_tag_bytes)();
  /// ANDs of both.
  uint64_t client_flight_ands(size_t num_members) const;
};

/// Throws InputError naming the suites there are.
const Suite& suite_of(const tls::CipherSuite& suite);

}  // namespace flexroom::agent
