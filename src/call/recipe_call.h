#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/connection.h"
#include "agent/signing_key.h"
#include "agent/slot_circuit.h"
#include "call/open_call.h"

namespace flexroom {

/// The circuits of a call, made without any other party: shown in the plan and used by the call.
struct RecipeLayout {
  std::optional<agent::SlotCircuit> slots;  // if there are any
  agent::RequestPlan plan;
  std::shared_ptr<const mpc::Program> request;
};
/// `member_id` finds a member by its name and throws InputError for a name that is none.
std::shared_ptr<const RecipeLayout> lay_out_recipe(
    const OpenCall& call, const std::function<PartyId(const std::string&)>& member_id);

struct RecipeCost {
  uint64_t slot_ands = 0;
  uint64_t handshake_ands = 0;
  uint64_t request_ands = 0;
  uint64_t signing_key_ands = 0;  // 0 when it is in the store
  uint64_t total() const { return slot_ands + handshake_ands + request_ands + signing_key_ands; }
};
RecipeCost recipe_cost(const OpenCall& call, const RecipeLayout& layout, arith::Group group,
                       size_t num_members);

/// One call of a recipe (tls-in-mpc.md §5, §6.2): prepare() encodes and checks the slots and does
/// all preprocessing, and contacts nobody; call() makes the one request.
class RecipeCall {
 public:
  /// `proposal` is what every member signed; it is part of the request's id.
  RecipeCall(agent::Context context, const OpenCall& call, agent::ConnectionConfig connection,
             std::shared_ptr<const RecipeLayout> layout, const Digest& proposal);
  ~RecipeCall();
  RecipeCall(const RecipeCall&) = delete;
  RecipeCall& operator=(const RecipeCall&) = delete;

  /// `key` if the call is signed. Throws ProtocolAbort(kRefusedByRule) naming a member whose
  /// private value has a byte outside its class.
  void prepare(const agent::SlotValues& values, std::optional<agent::SigningKey> key,
               agent::Timeline& timeline);
  agent::Reply call(const agent::ServerBytes::Connect& connect, agent::Timeline& timeline);

  bool released() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom
