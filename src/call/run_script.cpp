#include "call/run_script.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/secret.h"
#include "call/purpose.h"

namespace flexroom {
namespace {

constexpr std::string_view kService = "ec2";
constexpr const char* kDraftDate = "20000101T000000Z";  // replaced when the request is made

std::string between(std::string_view text, std::string_view open, std::string_view close) {
  const size_t begin = text.find(open);
  if (begin == std::string_view::npos) return {};
  const size_t end = text.find(close, begin + open.size());
  if (end == std::string_view::npos) return {};
  return std::string(text.substr(begin + open.size(), end - begin - open.size()));
}

bool is_instance_id(std::string_view text) {
  constexpr size_t kShortest = 10, kLongest = 32;  // EC2's own have 8 or 17 digits
  return text.starts_with("i-") && text.size() >= kShortest && text.size() <= kLongest &&
         text.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
}

/// An answer that says it was done and not what: it is kept, and a person must look.
[[noreturn]] void throw_no_instance(const http::Response& response) {
  http::PartialAnswer all;
  all.received = response.body;
  all.read = response;
  throw agent::UnknownOutcome("RunInstances", "the answer to RunInstances names no instance", all);
}

[[noreturn]] void throw_other_lengths() {
  throw InputError("links", "do not have the lengths that the other members were told",
                   "propose again with the links that will be used");
}

RunScriptResult read_answer(const http::Response& response) {
  RunScriptResult out;
  out.status = response.status;
  out.body = to_text(response.body);
  if (response.status == 200) {
    out.instance_id = between(out.body, "<instanceId>", "</instanceId>");
    if (!is_instance_id(out.instance_id)) throw_no_instance(response);
  } else {
    const ServiceError error = read_service_error(out.body);
    out.error_code = error.code;
    out.error_message = error.message;
  }
  return out;
}

}  // namespace

std::string instance_id_in(std::string_view answer) {
  // The mark behind it says that it is whole.
  std::string id = between(answer, "<instanceId>", "<");
  return is_instance_id(id) ? id : std::string();
}

void check_key(const JobConfig& job, const store::RecordMeta& secret) {
  if (secret.provider != job.provider) {
    throw InputError(
        fmt::format("secret '{}'", secret.name),
        fmt::format("belongs to provider '{}', the job is for '{}'", secret.provider, job.provider),
        "a secret is imported for one provider and goes to its hosts only");
  }
  check_signing_secret(secret, kService, job.region);
}

std::map<std::string, SecretBytes> own_slots(const OpenCall& call, std::string_view self,
                                             const SecretBytes& own_private) {
  const ByteView text = own_private.reveal();
  std::map<std::string, SecretBytes> out;
  size_t at = 0;
  for (const CallSlot& placed : call.slots) {
    const http::Slot& slot = placed.slot;
    if (!placed.in_base64 || slot.source != http::SlotSource::kMember || slot.from != self) {
      continue;
    }
    if (slot.length > text.size() - at) throw_other_lengths();
    out.emplace(slot.name, SecretBytes::copy_of(text.subspan(at, slot.length)));
    at += slot.length;
  }
  if (at != text.size()) throw_other_lengths();
  return out;
}

std::shared_ptr<const RunScriptLayout> lay_out_run_script(const RunScriptTerms& terms,
                                                          const ConnectionShape& shape) {
  const auto out = std::make_shared<RunScriptLayout>();
  out->call = run_instances_call(terms.job, terms.links, terms.client_token, kDraftDate);
  out->layout = lay_out_call(out->call, shape, [&](const std::string& member) {
    for (PartyId i = 0; i < terms.links.size(); ++i) {
      if (run_member(terms.links, i) == member) return i;
    }
    throw InputError("links", "are of no member called '" + member + "'");
  });
  return out;
}

struct RunScriptCall::State {
  State(agent::Context c, RunScriptTerms t, agent::ConnectionConfig config, std::string own,
        std::shared_ptr<const RunScriptLayout> l)
      : context(c),
        terms(std::move(t)),
        layout(l != nullptr ? std::move(l)
                            : lay_out_run_script(terms, shape_of(config, terms.links.size()))),
        request(
            context, layout->call,
            [this](const std::string& date_time) {
              return run_instances_call(terms.job, terms.links, terms.client_token, date_time);
            },
            bound_to(terms, std::move(config)), layout->layout, terms.proposal) {
    FLEXROOM_ASSERT(terms.links.size() == context.party.num_parties());
    const std::string self = run_member(terms.links, context.party.id());
    values.own = own_slots(layout->call, self, SecretBytes::copy_of(as_bytes(own)));
    wipe(own.data(), own.size());
  }
  static ConnectionShape shape_of(const agent::ConnectionConfig& config, size_t num_members) {
    ConnectionShape out{config.suite, config.groups, num_members};
    out.pad = config.pad;
    out.client_auth = config.client_auth;
    return out;
  }
  /// The connection goes to the host of the signed request, under the proposal (csid and views).
  static agent::ConnectionConfig bound_to(const RunScriptTerms& terms,
                                          agent::ConnectionConfig config) {
    FLEXROOM_ASSERT(config.host == ec2_host(terms.job.region));
    config.policy =
        RandomOracle("policy", RoScope{}).field(config.policy).field(terms.proposal).digest();
    return config;
  }
  agent::Context context;
  RunScriptTerms terms;
  std::shared_ptr<const RunScriptLayout> layout;
  AgreedRequest request;
  /// All hold the same answer and would make the same attempt next; the day is still the key's.
  bool agree_on_another(const RunScriptResult& refused, std::chrono::seconds wait);
  /// One attempt, and what it leaves open.
  RunScriptResult attempt(const agent::ServerBytes::Connect& connect, agent::Timeline& timeline,
                          Refusal& refusal);

  agent::SlotValues values;
  uint64_t key_ands = 0;
  bool unclear = false;  // an earlier attempt may have started a machine
  bool refused = false;  // this attempt is answered, and started none
  std::string refused_before;
};

RunScriptCall::RunScriptCall(agent::Context context, RunScriptTerms terms,
                             agent::ConnectionConfig connection, std::string own_private,
                             std::shared_ptr<const RunScriptLayout> layout)
    : state_(std::make_unique<State>(context, std::move(terms), std::move(connection),
                                     std::move(own_private), std::move(layout))) {}
RunScriptCall::~RunScriptCall() = default;
bool RunScriptCall::released() const {
  return state_->unclear || (state_->request.released() && !state_->refused);
}
const std::string& RunScriptCall::refused_before() const { return state_->refused_before; }
size_t RunScriptCall::request_bytes() const { return state_->layout->call.bytes; }
uint64_t RunScriptCall::num_ands() const { return state_->request.num_ands() + state_->key_ands; }

void RunScriptCall::prepare(const prep::AuthBits& secret_key, agent::Timeline& timeline) {
  State& s = *state_;
  timeline.begin("derive signing key");
  const std::string date = amz_date(agree_on_time(s.context.party)).substr(0, 8);
  agent::SigningKeyDerivation derivation(s.context.engine, secret_key);
  s.key_ands = derivation.num_ands();
  prepare(derivation.run(s.context.party, {date, s.terms.job.region, std::string(kService)}), date,
          timeline);
}

void RunScriptCall::prepare(agent::SigningKey key, const std::string& key_date,
                            agent::Timeline& timeline) {
  state_->request.prepare(state_->values, DatedKey{std::move(key), key_date}, timeline);
}

RunScriptResult RunScriptCall::State::attempt(const agent::ServerBytes::Connect& connect,
                                              agent::Timeline& timeline, Refusal& refusal) {
  const agent::Reply reply = request.call(connect, timeline);
  agent::require_answer(reply,
                        fmt::format("RunInstances with client token {}, dead 15 minutes after {}",
                                    terms.client_token, request.date_time()));
  RunScriptResult out = read_answer(reply.response);
  refusal = refusal_of(out.status, {out.error_code, out.error_message});
  unclear = unclear || refusal == Refusal::kUnclear;
  refused = refusal == Refusal::kPassing;
  out.attempts = request.attempt() + 1;
  // An answer that is neither success nor error, of something in between, denies nothing.
  out.unclear = out.instance_id.empty() && (unclear || out.status < 400);
  // The mesh has ended: the answer stands, and there is nobody to try again with.
  if (reply.unconfirmed) refusal = Refusal::kFinal;
  return out;
}

bool RunScriptCall::State::agree_on_another(const RunScriptResult& answer,
                                            std::chrono::seconds wait) {
  constexpr std::string_view kLabel = "run/again";
  net::Party& party = context.party;
  const Digest own = RandomOracle("run again", party.scope())
                         .field(terms.proposal)
                         .field(uint64_t{answer.attempts})
                         .field(static_cast<uint64_t>(answer.status))
                         .field(answer.body)
                         .digest();
  const std::vector<Bytes> all = party.exchange(kLabel, own);
  for (PartyId j = 0; j < all.size(); ++j) {
    if (all[j] == Bytes(own.begin(), own.end())) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                        "would make another attempt than we, or after another answer", j);
  }
  return request.is_day_of_key(agree_on_time(party) + wait.count());
}

RunScriptResult RunScriptCall::call(const agent::ServerBytes::Connect& connect,
                                    agent::Timeline& timeline, const BeforeAgain& again) {
  State& s = *state_;
  while (true) {
    Refusal refusal = Refusal::kFinal;
    RunScriptResult out = s.attempt(connect, timeline, refusal);
    if (!again || refusal == Refusal::kFinal || out.attempts == kMaxAttempts) return out;
    s.refused_before = answer_words(out.status, out.body);
    const std::chrono::seconds wait = wait_before_attempt(out.attempts);
    timeline.begin("wait before another attempt");
    if (!s.agree_on_another(out, wait)) return out;
    again(out, wait);
    s.request.prepare_again(timeline);
    s.refused = false;
  }
}

RunScriptCost run_script_cost(const RunScriptLayout& layout, const ConnectionShape& shape) {
  const CallCost cost = call_cost(layout.call, *layout.layout, shape);
  RunScriptCost out;
  out.payload_ands = cost.slot_ands;
  out.signing_key_ands = cost.signing_key_ands;
  out.handshake_ands = cost.handshake_ands;
  out.client_flight_ands = cost.client_flight_ands;
  out.request_ands = cost.request_ands;
  out.request_bytes = layout.call.bytes;
  return out;
}

}  // namespace flexroom
