#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "agent/connection.h"
#include "agreement/approval.h"
#include "config/config.h"
#include "flexroom/session.h"
#include "room/joined.h"
#include "tls/certificate.h"

namespace flexroom::room {

/// What the log says of the answer to a call.
struct CallAnswer {
  int status = 0;
  std::string text;      // "status 403 AccessDenied"
  bool unclear = false;  // it may have been carried out all the same
};
/// Of an answer that came whole.
CallAnswer answered(const agent::Reply& reply);

/// What differs between the operations that make one request which all members agreed on. The steps
/// are taken in this order, by every member at the same time.
struct AgreedCall {
  std::string what;  // "call who-am-i": begins the line in the log
  /// The session has started; nothing is prepared.
  std::function<agreement::Proposal(agent::Timeline&)> propose;
  /// Everything before the service is contacted.
  std::function<void(const Digest& proposal, agent::Timeline&)> prepare;
  /// The request. Throws if the answer is not whole.
  std::function<CallAnswer(agent::Timeline&)> perform;
  /// Keeps what came of an answer that is not whole, and returns the file; may throw. Where it is
  /// not set, that goes to the folder answers/ of the state.
  std::function<std::filesystem::path(const http::PartialAnswer&)> keep_partial;
  /// Whether the request may have been carried out and that matters. Asked when a step failed.
  std::function<bool()> released;
  /// What the service answered to an attempt that came before the one that failed; empty: nothing.
  std::function<std::string()> refused_before;
  /// False: it holds no secret, and is as harmless as any that others send.
  bool matters = true;
};

/// Agrees, asks, prepares, calls and logs: an answer of 400 or more as failed. Returns when there
/// is an answer. A failure was told to the peers and logged when it is thrown on; as an Error with
/// Exit::kUnknown once the request was released.
void make_agreed_call(Joined& joined, const AgreedCall& call);

/// Keeps what came of an answer in the folder answers/ of the state and returns the file; `of`
/// tells the answers of one session apart. Throws InputError where it cannot be written.
std::filesystem::path keep_in_state(Joined& joined, const http::PartialAnswer& partial,
                                    const std::string& of);

/// What a call will have to do, in ANDs.
struct CallWork {
  uint64_t signing_key_ands = 0;  // 0 if the key is not derived
  std::string_view first_phase;   // of the circuit before the connection; empty if there is none
  uint64_t first_ands = 0;
  uint64_t handshake_ands = 0;
  uint64_t request_ands = 0;
  size_t request_bytes = 0;
  uint64_t answer_ands = 0;  // of a sealed one
  uint64_t ands() const {
    return signing_key_ands + first_ands + handshake_ands + request_ands + answer_ands;
  }
};
/// Told beside the summary: costs are no part of what is approved.
std::string cost_note(uint64_t ands, size_t request_bytes);
/// From here on progress is of all that. Makes the AND triples that are not in stock.
void make_triples(Joined& joined, agent::Timeline& timeline, const CallWork& work);

/// `what`: as `status` names the request, "call who-am-i".
agent::ConnectionConfig connection_config(Joined& joined, const Provider& provider,
                                          const std::string& host, const Digest& proposal,
                                          const std::string& what);
agent::ServerBytes::Connect connector(Joined& joined, const Provider& provider,
                                      const std::string& host, uint16_t port);
/// Throws kServer if the answer does not tell whether the request was carried out (§5.8).
void require_whole(const agent::Reply& reply, std::string_view what);
ServiceAnswer answer_of(const agent::Reply& reply);

}  // namespace flexroom::room
