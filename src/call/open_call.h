#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "call/recipe.h"
#include "config/config.h"
#include "http/sigv4.h"
#include "store/secret_store.h"

namespace flexroom {

/// A slot of a call and where it stands.
struct CallSlot {
  http::Slot slot;
  size_t offset = 0;     // of its first encoded byte in the request
  std::string position;  // as in a purpose
};

/// A recipe with its arguments filled in, validated.
struct OpenCall {
  http::Template request;
  std::string method;
  size_t bytes = 0;
  std::optional<size_t> signature_offset;
  std::optional<http::SigV4Plan> signing;
  std::vector<CallSlot> slots;           // all but the signature, ascending
  std::optional<size_t> hidden_body_at;  // the signed hash of the body from here is computed in MPC
  std::string address;                   // "POST https://host/path"
  Bytes text() const;                    // zeros in place of slots
};
/// `given` NAME=VALUE; `date_time` as X-Amz-Date. Throws InputError.
///
/// Open mode is for answers without secrets (tls-in-mpc.md §4.6, R2-3). A signed recipe may make
/// only the actions of is_open_action(); it may have no slot in a signed header, and slots in its
/// body only behind a nonce in or before the first secret block (§6.2).
OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time);

/// "service:Action" pairs whose answers hold no secret of the account or the request.
bool is_open_action(std::string_view service, std::string_view action);

/// R2-3: a call with slots must stand in the provider's open_calls. Throws InputError.
void check_open_call(const OpenCall& call, const Provider& provider);

/// §5.1: the secret has the slot's length, a class inside the slot's, and a purpose that is this
/// call and position. Throws InputError.
void check_secret_slot(const OpenCall& call, const CallSlot& slot, const store::RecordMeta& secret);
/// A secret with purposes stands where they say and signs nothing. Throws InputError.
void check_signing_secret(const store::RecordMeta& secret);

}  // namespace flexroom
