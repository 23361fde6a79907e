#pragma once

#include <map>
#include <string>

#include "agent/jwe_attempt.h"
#include "call/recipe_call.h"
#include "flow/executor.h"

namespace flexroom::room {

/// The JWEs of one release of a step (operations.md (e)): of the key that this run opened, each
/// made once, bound to this attempt and to no other.
///
/// Use        construct; length() for the request's text; make() before the request is laid out;
///            retire() once the request holds the texts, at the latest when this goes
/// Security   request ids are made of the session, the approved step and attempt (`policy`), the
///            slot and the key, so that a mark of JweAttempt is of this release alone
class FlowJwes {
 public:
  /// Reads the keys of the step's slots. `call` outlives it. Throws InputError for a way in which
  /// nothing is encrypted, or a key that is not there; ProtocolAbort(kServer) for one that a page
  /// gave and that is none (tls-in-mpc.md §5.9(1)).
  FlowJwes(const flow::StepCall& call, const net::Party& party, const Digest& policy);

  /// Of the compact form, for a secret of so many bytes.
  uint32_t length(const flow::SlotUse& use, uint32_t secret_bytes) const;
  /// flow::page_key_digest() of each key, by the prefix of its name, to be shown.
  std::map<std::string, std::string> keys() const;
  /// ANDs of all, for the secrets' lengths by slot.
  uint64_t num_ands(const std::map<std::string, uint32_t>& secret_bytes, size_t members) const;
  /// `secrets` by slot, 8 bits a byte. Equal calls at all members. Aborts: those of JweAttempt.
  void make(const agent::Context& context,
            const std::map<std::string, const prep::AuthBits*>& secrets);
  /// What make() made, until retire().
  ReadyJwes texts() const;
  void retire() { attempts_.clear(); }
  bool empty() const { return requests_.empty(); }

 private:
  agent::JweRequest request(const std::string& slot, size_t secret_bytes) const;

  struct Wanted {
    std::string key, shown;  // PREFIX; digest
    agent::JweMethod method;
    agent::JweKey under;
    Digest id{};
  };
  std::map<std::string, Wanted> requests_;             // by slot
  std::map<std::string, agent::JweAttempt> attempts_;  // by slot
};

}  // namespace flexroom::room
