#pragma once

#include <memory>
#include <vector>

#include "agent/context.h"
#include "agent/reply.h"
#include "agent/sealed_plan.h"
#include "agent/server_bytes.h"
#include "agent/views.h"
#include "tls/handshake.h"
#include "tls/open_response.h"
#include "tls/receive_mode.h"

namespace flexroom::agent {

using tls::ReceiveMode;

/// Of one answer; agreed by all members.
struct ReadTerms {
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  size_t num_members = 0;                // kSealed
  size_t max_answer = http::kMaxAnswer;  // bytes of the body
  /// R2-5: only close_notify or the service's FIN ends an answer, silence does not.
  bool await_close = false;
  bool no_secret = false;                    // R2-6: HTTP/1.0 and close-delimited answers accepted
  std::shared_ptr<const SealedPlan> sealed;  // kSealed: what becomes of the answer
  std::vector<std::shared_ptr<const SealedPlan>> later;  // and of those behind it (§4.9)
  size_t requests = 1;                                   // of the connection, as far as known
  RequestsToCome to_come;                                // and those that are not
  bool leaves_over = false;  // what is prepared and not needed goes to the next answer

  /// What answers within these terms may take, chunks, headers and small records included.
  tls::ApplicationLimit limit() const;
};

/// A request that was released, and where its answer comes from.
struct Released {
  const Views& views;
  const tls::HashValue& h2;
  PartyId courier = 1;
  const Block& delta;
  tls::ClientHandshake& machine;
  ServerBytes& server;
  uint64_t request_offset = 0;  // bytes of the service that were there
  bool head = false;            // the request was a HEAD
  std::function<void(std::string_view phase)> begin;
};

/// The members' half of the receiving direction. make_read_direction() makes the one of a mode.
///
/// Order      prepare() before the service is contacted; take() when the request circuit ran;
///            read() once a request, when it was released, confirm() behind each; or, where all
///            requests are sent first, read_all() once
class ReadDirection {
 public:
  virtual ~ReadDirection() = default;
  ReadDirection() = default;
  ReadDirection(const ReadDirection&) = delete;
  ReadDirection& operator=(const ReadDirection&) = delete;

  /// Offline: what reading will need. `context` outlives the object.
  virtual void prepare(const Context& /* context */) {}
  virtual uint64_t num_ands() const { return 0; }
  /// Of the next answer of ReadTerms::to_come, behind the one before it.
  virtual void prepare_next(std::shared_ptr<const SealedPlan> plan);
  /// Ids of what reading the next answer may start.
  virtual void add_ids(std::vector<Digest>& /* out */) const {}
  /// Takes what the request circuit kept for this direction.
  virtual void take(const mpc::Program& program, boolean::Outputs& outputs) = 0;
  /// The answer. What the service does ends in the reply; what a member does, aborts.
  virtual Reply read(const Released& request) = 0;
  /// The answers to several requests, in their order; `heads`: which of them were a HEAD.
  /// `request.request_offset` is that of all: nothing of the service was taken between them.
  virtual std::vector<Reply> read_all(const Released& request, const std::vector<bool>& heads);
  /// All members passed all checks of the circuits that read() ran (boolean-engine.md §7.5).
  virtual void confirm() {}
  virtual void erase() = 0;
};

/// Throws InputError where the mode and the rest of the terms do not go together.
std::unique_ptr<ReadDirection> make_read_direction(ReceiveMode mode, const ReadTerms& terms);

}  // namespace flexroom::agent
