#pragma once

#include "call/open_call.h"
#include "config/config.h"
#include "flow/executor.h"
#include "flow/request.h"
#include "room/flow_answer.h"

namespace flexroom::room {

/// The boot script of a job in the place of an argument of the flow (operations.md (d), classic):
/// as run-script's own request has it, members' private bytes and a nonce as slots.
struct BootScript {
  std::string argument;  // of the flow, public: text() is its value
  http::Base64Text user_data;
  /// In base64; letters in the place of what is not public.
  std::string text() const;
  /// Of a Filling; outlived by this.
  std::function<const http::Base64Text*(const flow::SlotUse&)> filling() const;
};

/// The request of a step, filled and judged like every other request (call/open_call.h), and held
/// to what the file says of it: the host is the provider's, every secret stands exactly where the
/// purposes that the loader checked say. Private bytes of a boot script stand where no answer
/// repeats them (tls-in-mpc.md R2-3), as those of run-script do. Throws InputError at the step.
OpenCall step_call(const RoomConfig& room, const flow::Flow& flow, const flow::Step& step,
                   const flow::Filling& filling);

/// What stands in the slot of an input: the private value of whoever gives it; of `room:PREFIX` a
/// value that a store has, as a placeholder. Nothing for a name that is no input.
std::optional<flow::Filling::Secret> input_of(const flow::Flow& flow, const flow::SlotUse& use,
                                              const std::map<std::string, std::string>& arguments);

/// `{{KEY as totp next}}`: the code of the step behind the agreed one.
inline bool is_next_code(const flow::SlotUse& use) { return use.function == "totp next"; }

/// Something that stands in the place of each value: of one that the file tells of its greatest
/// length, else one byte.
flow::Filling placeholders(const flow::Flow& flow,
                           const std::map<std::string, std::string>& arguments,
                           const BootScript* script = nullptr);

/// Of the answer to such a request, whose texts stand for themselves.
AnswerTerms placeholder_terms(const OpenCall& call,
                              std::function<PartyId(const std::string&)> member);

/// Bytes of what `filling` has one byte for: as many as were opened at most, of values of the room
/// that the file does not tell `of_room`.
size_t unknown_bytes(const flow::Flow& flow, const flow::Step& step, const flow::Filling& filling,
                     const std::map<std::string, std::string>& arguments, size_t of_room);

/// Bytes that the request of the step has at most, as far as the file tells: values of the room of
/// which it does not tell count as 256.
size_t longest_request(const RoomConfig& room, const flow::Flow& flow, const flow::Step& step,
                       const std::map<std::string, std::string>& arguments,
                       const BootScript* script = nullptr);

/// A secret as its slot takes it: itself, a JWE of it of that length, or six digits of which it is
/// the key (up to 64 bytes).
flow::Filling::Secret in_slot(const flow::SlotUse& use, const flow::Filling::Secret& value,
                              uint32_t jwe_length);

/// Everything of the flow that no run can do yet is refused here, by name, before any member or
/// service is contacted: JWEs and codes of a member's own input, of an open answer what is
/// neither JSON nor XML, suites that sealed answers do not have.
/// What is left is laid out once with something in the place of every value, so that what the
/// request or the answer part would be refused for later is refused now. Whoever is asked, gives an
/// input or is told a value is a member.
///
/// Errors  InputError at the step, naming the kind
void require_bound(const RoomConfig& room, const flow::Flow& flow,
                   const std::map<std::string, std::string>& arguments,
                   const BootScript* script = nullptr);

/// An open answer is to a request without secrets, but for the private bytes of a boot script.
/// Throws InputError at the step.
void require_open(const flow::Step& step, const OpenCall& call);

}  // namespace flexroom::room
