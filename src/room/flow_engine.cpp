#include "room/flow_engine.h"

#include <fmt/core.h>

#include "agent/decoded_values.h"
#include "agent/drawn_values.h"
#include "agent/phases.h"
#include "agent/sealed_read_direction.h"
#include "agreement/time.h"
#include "base/display.h"
#include "call/provider_connection.h"
#include "call/recipe_call.h"
#include "call/run_script.h"
#include "flow/accounts.h"
#include "room/agreed_call.h"
#include "room/client_metadata.h"
#include "room/failure.h"
#include "room/flow_cost.h"
#include "room/flow_request.h"
#include "room/service_probe.h"
#include "room/slots.h"
#include "session/totp_step.h"

namespace flexroom::room {
namespace {

using flow::SlotUse;
using flow::StepCall;

agent::Sampler sampler_of(const flow::Birth& birth) {
  using Alphabet = agent::Sampler::Alphabet;
  agent::Sampler out;
  out.length = birth.bytes() - static_cast<uint32_t>(birth.suffix.size());
  out.suffix = birth.suffix;
  if (!birth.alphabet) {
    out.alphabet = Alphabet::kList;
    out.list = birth.entries;
    return out;
  }
  switch (*birth.alphabet) {
    case flow::ValueClass::kHex:
      out.alphabet = Alphabet::kHex;
      return out;
    case flow::ValueClass::kBase32:
      out.alphabet = Alphabet::kBase32;
      return out;
    case flow::ValueClass::kBase64Url:
      out.alphabet = Alphabet::kBase64Url;
      return out;
    default:
      FLEXROOM_ASSERT(*birth.alphabet == flow::ValueClass::kDigits);
      out.alphabet = Alphabet::kDigits;
      return out;
  }
}

/// Of one attempt of one step in one run, whichever session makes it.
Digest release_of(const StepCall& call) {
  return RandomOracle("flow release", RoScope{})
      .field(call.run)
      .field(call.step.name)
      .field(uint64_t{call.attempt})
      .digest();
}

std::string public_value(const StepCall& call, const std::string& name) {
  if (name == "run") return call.run;
  if (name == "room") return call.room;
  if (name == "idempotency") return call.idempotency;
  if (name == "client-metadata") return client_metadata(release_of(call));
  if (const auto it = call.arguments.find(name); it != call.arguments.end()) return it->second;
  const auto stored = call.value(name);
  if (!stored || !stored->meta.is_public) {
    throw InputError(call.step.place, fmt::format("{} is no public value here", name));
  }
  return std::string(as_text(stored->bytes.reveal()));
}

bool is_public(const StepCall& call, const std::string& name) {
  if (flow::is_built_in(name) || call.arguments.contains(name)) return true;
  const auto stored = call.value(name);
  return stored && stored->meta.is_public;
}

/// A member gives it, and no store has it.
bool is_private(const StepCall& call, const std::string& name) {
  const auto it = call.flow.inputs.find(name);
  return it != call.flow.inputs.end() && flow::is_of_member(it->second, call.arguments);
}

/// A text of the file with public values in the place of its {{NAME}}s.
std::string filled(const StepCall& call, std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t open = std::min(text.find("{{", at), text.size());
    out += text.substr(at, open - at);
    if (open == text.size()) break;
    const size_t close = text.find("}}", open);
    FLEXROOM_ASSERT(close != std::string_view::npos);
    out += public_value(call, std::string(text.substr(open + 2, close - open - 2)));
    at = close + 2;
  }
  return out;
}

/// It goes where it was kept for: the hosts of one provider (operations.md (a)).
void require_provider(const StepCall& call, const flow::ValueMeta& value) {
  if (value.provider == call.flow.provider) return;
  throw InputError(call.step.place,
                   fmt::format("{} as it is stored is for provider '{}', the flow is for '{}'",
                               value.name, display(value.provider), call.flow.provider),
                   "a secret goes to the hosts of one provider only");
}

/// The secrets of a request, by slot: each is stored, and may stand there.
std::map<std::string, flow::StoredValue> secrets_of(const StepCall& call) {
  std::map<std::string, flow::StoredValue> out;
  for (const SlotUse& use : call.step.slots) {
    if (is_public(call, use.name) || is_private(call, use.name)) continue;
    auto stored = call.value(use.name);
    if (!stored) throw InputError(call.step.place, fmt::format("{} is not there", use.name));
    require_provider(call, stored->meta);
    if (!flow::allows(stored->meta.purposes, call.step, use)) {
      throw InputError(call.step.place,
                       fmt::format("{} as it is stored may not stand at `{} {}`", use.name,
                                   call.step.address, use.position),
                       "a value goes only where its purposes say, which all members approved when "
                       "it was made");
    }
    out.emplace(use.slot, std::move(*stored));
  }
  return out;
}

flow::Filling filling_of(const StepCall& call,
                         const std::map<std::string, flow::StoredValue>& secrets,
                         const FlowJwes& jwes, const BootScript* script,
                         const std::string& date_time) {
  flow::Filling out;
  if (script != nullptr) out.script = script->filling();
  if (!call.step.sign_service.empty()) {
    out.access_key_id = public_value(call, call.flow.key + "/id");
    out.date_time = date_time;
  }
  out.public_text = [&call](const SlotUse& use) { return public_value(call, use.name); };
  out.secret = [&](const SlotUse& use) -> std::optional<flow::Filling::Secret> {
    if (is_private(call, use.name)) return input_of(call.flow, use, call.arguments);
    const auto it = secrets.find(use.slot);
    if (it == secrets.end()) return std::nullopt;
    const uint32_t length = length_of(it->second);
    return in_slot(use, {length, flow::char_class_of(it->second.meta.value_class)},
                   use.is_jwe() ? jwes.length(use, length) : 0);
  };
  return out;
}

/// The event `ok` of operations.md (c); a 408 is no answer.
bool is_accepted(const flow::Step& step, const flow::StepAnswer& answer) {
  return step.is_ok(answer.status) && answer.status != 408 && !answer.none &&
         answer.failure.empty();
}

}  // namespace

Digest step_policy(const StepCall& call, const Digest& approved,
                   const std::map<std::string, flow::StoredValue>& secrets) {
  RandomOracle out("flow step", RoScope{});
  out.field(approved).field(call.flow.digest).field(call.run).field(call.step.name);
  out.field(uint64_t{call.attempt}).field(uint64_t{secrets.size()});
  for (const auto& [slot, value] : secrets) {
    out.field(slot).field(uint64_t{value.meta.version}).field(value.meta.tag);
  }
  // What `!=` excludes: nothing is released where members would pick another element.
  for (const flow::Filter& filter :
       call.step.item ? call.step.item->filters : std::vector<flow::Filter>()) {
    if (filter.equal) continue;
    const std::vector<std::string> texts =
        call.excluded(flow::names_in(filter.value).value().front());
    out.field(uint64_t{texts.size()});
    for (const std::string& text : texts) out.field(text);
  }
  if (call.step.sign_service.empty()) return out.digest();
  const auto key = call.value(call.flow.key + "/secret");
  if (!key) throw InputError(call.step.place, "the key that signs is not there");
  out.field(uint64_t{key->meta.version}).field(key->meta.tag);
  return out.digest();
}

FlowEngine::FlowEngine(Joined& joined, agent::Timeline& timeline,
                       std::map<std::string, SecretBytes> inputs)
    : joined_(joined),
      timeline_(timeline),
      values_(joined.session()),
      signing_(joined, values_),
      connections_(joined.session().party()),
      inputs_(std::move(inputs)) {
  joined.session().expect_more_triples();
}

std::map<std::string, flow::NewSecret> FlowEngine::draw(const flow::Flow& flow,
                                                        const flow::RunId& run) {
  (void)run;
  timeline_.begin("draw secrets");
  session::MemberSession& session = joined_.session();
  std::vector<agent::Sampler> samplers;
  std::vector<std::string> names;
  for (const auto& [name, birth] : flow.born) {
    samplers.push_back(sampler_of(birth));
    names.push_back(name);
  }
  std::vector<prep::AuthBits> drawn = agent::draw_values(
      session.party(), session.source(), session.engine(), agent::build_draw_circuit(samplers));
  std::map<std::string, prep::AuthBits> values;
  for (size_t k = 0; k < names.size(); ++k) {
    FLEXROOM_ASSERT(drawn[k].size() == size_t{8} * flow.born.at(names[k]).bytes());
    values[names[k]] = std::move(drawn[k]);
  }
  // From here on they may be stored, whatever becomes of this process.
  session.state().once().run_released(session.party().scope().sid);
  return values_.store(std::move(values));
}

/// Values by slot, loaded, and what this member gives; JWEs are made of theirs, before anything
/// that could be sent is laid out.
agent::SlotValues FlowEngine::take_secrets(const StepCall& call,
                                           const std::map<std::string, flow::StoredValue>& secrets,
                                           const OpenCall& request, FlowJwes& jwes) {
  timeline_.begin("load secrets");
  std::vector<const flow::StoredValue*> used;
  std::map<std::string, uint32_t> lengths;
  for (const auto& [slot, value] : secrets) {
    used.push_back(&value);
    lengths[slot] = length_of(value);
  }
  values_.load(used);
  agent::SlotValues out;
  if (!request.base64.empty()) {
    const PartyId self = joined_.session().party().id();
    out.own = own_slots(request, joined_.members()[self], own_script_);
  }
  for (const auto& [slot, value] : secrets) out.secrets[slot] = &values_.bits(value);
  for (const SlotUse& use : call.step.slots) {
    const auto own = inputs_.find(use.name);
    if (own == inputs_.end()) continue;
    out.own.emplace(use.slot, SecretBytes::copy_of(own->second.reveal()));
  }
  if (jwes.empty()) return out;
  session::MemberSession& session = joined_.session();
  const uint64_t ands = jwes.num_ands(lengths, session.party().num_parties());
  for (const auto& [name, digest] : jwes.keys()) {
    joined_.note(fmt::format("encrypted under {}, key {}", name, digest));
  }
  timeline_.begin(agent::phase::kTriples, session.triples_to_make(ands));
  session.reserve_triples(ands);
  timeline_.begin(kEncryptPhase, ands);
  jwes.make(session.context(), out.secrets);
  out.jwes = jwes.texts();
  return out;
}

/// The number of the codes of this request, used once a key for ever.
uint64_t FlowEngine::code_step(const std::map<std::string, flow::StoredValue>& secrets,
                               const OpenCall& request) {
  std::vector<session::TotpKey> keys;
  for (const CallSlot& slot : request.slots) {
    if (slot.slot.source != http::SlotSource::kTotp) continue;
    keys.push_back(session::totp_key(secrets.at(slot.slot.name).record.value(), slot.next_code));
  }
  return session::agree_on_totp_step(joined_.session(), keys,
                                     [this] { joined_.throw_if_cancelled(); });
}

/// The triples of the whole step, and the key of a signed one.
std::optional<DatedKey> FlowEngine::take_key(const StepCall& call, const OpenCall& request,
                                             const CallCost& cost,
                                             const agent::ConnectionConfig& config, bool is_first) {
  uint64_t answer = 0;
  if (config.sealed != nullptr) {
    const size_t n = joined_.state().room().members.size();
    answer = is_first ? agent::sealed_answer_triples(*config.sealed, *config.suite, n,
                                                     config.to_come, &left_over_)
                      : agent::next_answer_triples(*config.sealed, *config.suite, &left_over_);
  }
  const auto make_all = [&](uint64_t key_ands) {
    make_triples(joined_, timeline_,
                 {key_ands, agent::phase::kSlots, cost.slot_ands, cost.handshake_ands,
                  cost.request_ands, request.bytes, answer});
    if (key_ands > 0) timeline_.begin(agent::phase::kSigningKey, key_ands);
  };
  if (!request.sign) {
    make_all(0);
    return std::nullopt;
  }
  timeline_.begin("look for a signing key");
  return signing_.key(call, make_all);
}

/// operations.md (a) `decode`: once, before anything is stored.
bool FlowEngine::decode(const flow::Step& step, std::map<std::string, prep::AuthBits>& values) {
  std::vector<agent::EncodedValue> texts;
  std::vector<std::string> names;
  for (const flow::Keep& keep : step.keeps) {
    const auto it = values.find(keep.name);
    if (!keep.decode || it == values.end()) continue;
    texts.push_back({*keep.decode, &it->second});
    names.push_back(keep.name);
  }
  if (texts.empty()) return true;
  session::MemberSession& session = joined_.session();
  auto decoded = agent::decode_values(session.party(), session.engine(), texts);
  if (!decoded) return false;
  for (size_t k = 0; k < names.size(); ++k) values[names[k]] = std::move((*decoded)[k]);
  return true;
}

/// What came, its kept values in fresh rows.
flow::StepAnswer FlowEngine::take_answer(const flow::Step& step, agent::Reply&& reply,
                                         const AnswerTerms& terms) {
  flow::StepAnswer answer;
  if (reply.sealed != nullptr) {
    timeline_.begin("store secrets");
    answer = sealed_answer(
        step, std::move(*reply.sealed),
        [this](auto values) { return values_.store(std::move(values)); },
        [this](const std::string& name, ByteView text) {
          joined_.opened_to_us(name, as_text(text));
        },
        [this](const flow::Step& of, auto& values) { return decode(of, values); });
  } else if (!reply.unknown_outcome) {
    answer = open_answer(step, reply.response, terms);
  } else {
    answer.reason = *reply.unknown_outcome;
  }
  timeline_.end();
  for (const auto& [name, text] : answer.opened) opened_[name] = text;
  return answer;
}

/// Nothing that an open answer told is thrown away because its step is not committed.
void FlowEngine::keep_learnt(const StepCall& call, const agent::Reply& reply) noexcept {
  try {
    const http::PartialAnswer learnt = learnt_of(reply);
    if (learnt.received.empty()) return;
    const std::string of = fmt::format("-{}-{}", call.step.name, call.attempt);
    learnt_ = keep_in_state(joined_, learnt, of).string();
    joined_.note("What came of the answer is kept as " + learnt_);
  } catch (...) {
    joined_.note("What came of the answer could not be kept: " + words_of_caught());
  }
}

namespace {

std::string name_of(const StepCall& call) { return call.flow.name + ": " + call.step.name; }

}  // namespace

/// How the answer comes, sealed as the step says or open to all, and what may follow on the
/// connection.
agent::ConnectionConfig FlowEngine::config_for(const StepCall& call, const OpenCall& request,
                                               const AnswerTerms& terms, const Digest& policy) {
  const RoomConfig& room = joined_.state().room();
  const std::vector<const flow::Step*> behind = connections_.behind(call.flow, call.step);
  agent::ConnectionConfig config = connection_config(joined_, room.provider(call.flow.provider),
                                                     terms.host, policy, name_of(call));
  config.no_secret = request.has_no_secret();
  if (!call.step.sealed) return config;
  config.receive = agent::ReceiveMode::kSealed;
  agent::SealedPlan plan = sealed_plan(call.step, terms);
  plan.keep_alive = !behind.empty();
  config.sealed = std::make_shared<const agent::SealedPlan>(std::move(plan));
  config.to_come = answers_to(behind);
  for (const flow::Step* const step : behind) {
    config.to_come.request_bytes =
        std::max(config.to_come.request_bytes,
                 longest_request(room, call.flow, *step, call.arguments, script_));
  }
  return config;
}

/// The connection of a step before, where it stands and has room; else nothing.
std::unique_ptr<agent::Connection> FlowEngine::connection_for(
    const flow::Step& step, size_t bytes, const agent::ConnectionConfig& config) {
  std::unique_ptr<agent::Connection> out = connections_.take(step, timeline_);
  agent::RequestPlan plan;
  plan.bytes = bytes;
  if (out != nullptr && !out->has_room_for(plan, *config.sealed)) out.reset();
  return out;
}

/// Only behind an answer that was taken (tls-in-mpc.md §4.9(1)).
void FlowEngine::hold_connection(const flow::Step& step, const agent::Reply& reply,
                                 AgreedRequest& made) {
  const bool accepted = reply.sealed != nullptr && !reply.unknown_outcome && !reply.unconfirmed &&
                        !reply.sealed->failure && !reply.sealed->none &&
                        step.is_ok(reply.sealed->status);
  if (accepted) connections_.hold(step, made.take_connection());
}

/// The request of a step, and what was computed for it.
struct FlowEngine::Laid {
  const std::map<std::string, flow::StoredValue>& secrets;  // by slot
  Digest policy{};
  FlowJwes& jwes;
  bool goes_on = false;  // another is to follow on its connection
  AgreedRequest::Dated dated;
  OpenCall request;
};

/// On the connection of a step before it, or on a new one. Everything is prepared before the
/// service is contacted, or hears of this request.
agent::Reply FlowEngine::send(const StepCall& call, const Laid& laid,
                              const agent::SlotValues& slots, const AnswerTerms& terms) {
  const RoomConfig& room = joined_.state().room();
  const Provider& provider = room.provider(call.flow.provider);
  const OpenCall& request = laid.request;
  agent::ConnectionConfig config = config_for(call, request, terms, laid.policy);
  std::unique_ptr<agent::Connection> before = connection_for(call.step, request.bytes, config);
  const bool is_first = before == nullptr;
  ConnectionShape shape = connection_shape(provider, terms.host, room.members.size());
  shape.sealed = call.step.sealed;
  shape.sequence = is_first ? 0 : before->sequence();
  shape.goes_on = laid.goes_on;
  const auto layout = lay_out_call(request, shape, terms.member, slots.jwes);
  CallCost cost = call_cost(request, *layout, shape);
  cost.slot_ands += decode_ands(call.step);  // made before the release, as all the others are
  std::optional<DatedKey> key = take_key(call, request, cost, config, is_first);
  // The slots are filled then.
  const auto reserve_new = [&, sealed = config.sealed, to_come = config.to_come] {
    wait_for_slot(joined_, provider, terms.host, timeline_);
    shape.sequence = 0;
    const auto anew = lay_out_call(request, shape, terms.member, slots.jwes);
    const CallCost of = call_cost(request, *anew, shape);
    make_triples(joined_, timeline_,
                 {0, agent::phase::kSlots, 0, of.handshake_ands, of.request_ands, request.bytes,
                  agent::sealed_answer_triples(*sealed, *shape.suite, shape.num_members, to_come,
                                               &left_over_)});
  };
  const agent::Context context = joined_.session().context();
  const ReleaseJournal::Of release(releases_, context.journal, call);
  AgreedRequest made(
      {context.party, context.source, context.arith, context.engine, releases_, &left_over_},
      request, laid.dated, std::move(config), layout, laid.policy);
  if (!is_first) made.continue_on(std::move(before), reserve_new);
  // What is soon over is made behind the wait.
  const bool waits_first = request.signs_secrets || layout->has_code();
  if (is_first && waits_first) wait_for_slot(joined_, provider, terms.host, timeline_);
  made.prepare(slots, std::move(key), timeline_, [&] { return code_step(laid.secrets, request); });
  laid.jwes.retire();
  if (is_first && !waits_first) wait_for_slot(joined_, provider, terms.host, timeline_);
  agent::Reply reply = made.call(connector(joined_, provider, terms.host, 443), timeline_);
  if (!is_first && !made.went_on()) connections_.note_end(call.step);
  if (made.went_on()) joined_.connections().add_next(terms.host, name_of(call));
  if (laid.goes_on) hold_connection(call.step, reply, made);
  return reply;
}

flow::StepAnswer FlowEngine::make(const StepCall& call) {
  try {
    return make_step(call);
  } catch (...) {
    left_over_.erase();
    throw;
  }
}

flow::StepAnswer FlowEngine::make_step(const StepCall& call) {
  const RoomConfig& room = joined_.state().room();
  joined_.note(fmt::format("{}, attempt {}", call.step.name, call.attempt));
  const std::map<std::string, flow::StoredValue> secrets = secrets_of(call);
  const Digest policy = step_policy(call, approved_, secrets);
  FlowJwes jwes(call, joined_.session().party(), policy);
  const bool goes_on = !connections_.behind(call.flow, call.step).empty();
  const auto dated = [&](const std::string& date_time) {
    flow::Filling filling = filling_of(call, secrets, jwes, script_, date_time);
    filling.keeps_connection = goes_on;
    return step_call(room, call.flow, call.step, filling);
  };
  const Laid laid{secrets, policy, jwes, goes_on, dated, dated(amz_date(call.time))};
  const std::string host = laid.request.model.host;
  if (!call.step.sealed) require_open(call.step, laid.request);
  timeline_.begin("look at the service");
  if (looked_at_.insert(host).second) {
    probe_service(joined_, room.provider(call.flow.provider), host, 443);
  }
  const agent::SlotValues slots = take_secrets(call, secrets, laid.request, jwes);
  const AnswerTerms terms{
      host,          laid.request.model.path_text(),
      call.time,     [&call](std::string_view text) { return filled(call, text); },
      call.excluded, [&room](const std::string& name) { return room.member_id(name); }};
  agent::Reply reply = send(call, laid, slots, terms);
  keep_learnt(call, reply);
  if (reply.unconfirmed) {
    throw ProtocolAbort(AbortCode::kPeerLost, "confirm", *reply.unconfirmed);
  }
  flow::StepAnswer answer = take_answer(call.step, std::move(reply), terms);
  connections_.note_answer(call.step, is_accepted(call.step, answer));
  return answer;
}

}  // namespace flexroom::room
