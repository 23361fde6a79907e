#include "call/run_script.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/codec.h"
#include "base/secret.h"
#include "http/sigv4.h"
#include "http/template.h"

namespace flexroom {
namespace {

constexpr size_t kSignatureChars = 64;
constexpr std::string_view kContentType = "application/x-www-form-urlencoded";
constexpr std::string_view kService = "ec2";
constexpr std::string_view kSignedHeaders = "content-type;host;x-amz-date";

std::string host_of(const JobConfig& job) {
  return fmt::format("ec2.{}.amazonaws.com", job.region);
}

/// The head of the request; its length does not depend on the date.
std::string head(const JobConfig& job, const std::string& date, size_t body_bytes,
                 size_t* signature_offset) {
  std::string text = fmt::format(
      "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nX-Amz-Date: {}\r\n"
      "Authorization: AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, SignedHeaders={}, "
      "Signature=",
      host_of(job), kContentType, date, job.access_key_id, date.substr(0, 8), job.region, kService,
      kSignedHeaders);
  *signature_offset = text.size();
  text.append(kSignatureChars, '\0');
  text += fmt::format("\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body_bytes);
  return text;
}

std::string string_to_sign(const JobConfig& job, const std::string& date, const Digest& payload) {
  const std::string canonical =
      fmt::format("POST\n/\n\ncontent-type:{}\nhost:{}\nx-amz-date:{}\n\n{}\n{}", kContentType,
                  host_of(job), date, kSignedHeaders, to_hex(payload));
  return fmt::format("AWS4-HMAC-SHA256\n{}\n{}/{}/{}/aws4_request\n{}", date, date.substr(0, 8),
                     job.region, kService, to_hex(sha256(as_bytes(canonical))));
}

/// The validator of recipes looks at this request as at any other (tls-in-mpc.md §5.2). The secret
/// base64 characters are alphanumeric by construction and stand here as 'A'.
void validate_request(const JobConfig& job, const std::string& head_text, size_t signature_offset,
                      std::string body) {
  for (char& c : body) {
    if (c == '\0') c = 'A';
  }
  http::Template request;
  request.host = host_of(job);
  request.method = "POST";
  request.target = "/";
  http::Slot signature;
  signature.name = "signature";
  signature.source = http::SlotSource::kComputed;
  signature.from = "sigv4";
  signature.char_class = http::CharClass::kHex;
  signature.length = kSignatureChars;
  request.parts = {to_bytes(head_text.substr(0, signature_offset)), signature,
                   to_bytes(head_text.substr(signature_offset + kSignatureChars) + body)};
  http::validate(request);
}

std::string between(const std::string& text, std::string_view open, std::string_view close) {
  const size_t begin = text.find(open);
  if (begin == std::string::npos) return {};
  const size_t end = text.find(close, begin + open.size());
  if (end == std::string::npos) return {};
  return text.substr(begin + open.size(), end - begin - open.size());
}

RunScriptResult read_answer(const http::Response& response) {
  RunScriptResult out;
  out.status = response.status;
  out.body = to_text(response.body);
  if (response.status == 200) {
    out.instance_id = between(out.body, "<instanceId>", "</instanceId>");
    const bool valid =
        out.instance_id.rfind("i-", 0) == 0 && out.instance_id.size() <= 32 &&
        out.instance_id.find_first_not_of("0123456789abcdef", 2) == std::string::npos;
    if (!valid) {
      throw ProtocolAbort(AbortCode::kServer, "RunInstances",
                          "the answer to RunInstances names no instance");
    }
  } else {
    out.error_code = between(out.body, "<Code>", "</Code>");
    out.error_message = between(out.body, "<Message>", "</Message>");
  }
  return out;
}

}  // namespace

struct RunScriptLayout {
  agent::SecretText body;
  agent::PayloadCircuit payload;
  agent::RequestPlan plan;
  std::shared_ptr<const mpc::Program> request;
};

std::shared_ptr<const RunScriptLayout> lay_out_run_script(const RunScriptTerms& terms) {
  const auto layout = std::make_shared<RunScriptLayout>();
  RunScriptLayout& out = *layout;
  out.body = run_instances_body(terms.job, terms.links, terms.client_token);
  out.payload = agent::build_payload_circuit(out.body);
  size_t signature_offset = 0;
  const std::string head_text =
      head(terms.job, "20000101T000000Z", out.body.text.size(), &signature_offset);
  validate_request(terms.job, head_text, signature_offset, out.body.text);
  out.plan.bytes = head_text.size() + out.body.text.size();
  out.plan.signature_offset = signature_offset;
  for (const uint32_t bit : out.payload.secret_bits) {
    out.plan.secret_bits.push_back(static_cast<uint32_t>(8 * head_text.size()) + bit);
  }
  out.request = agent::request_program(out.plan);
  return layout;
}

struct RunScriptCall::State {
  State(agent::Context c, RunScriptTerms t, agent::ConnectionConfig cfg, std::string own,
        std::shared_ptr<const RunScriptLayout> l)
      : context(c),
        terms(std::move(t)),
        config(bound_to(terms, std::move(cfg))),
        own_private(take(own)),
        layout_ptr(l != nullptr ? std::move(l) : lay_out_run_script(terms)),
        layout(*layout_ptr),
        connection(context, config, layout.plan, layout.request) {
    const size_t n = context.party.num_parties();
    FLEXROOM_ASSERT(terms.links.size() == n);
    if (own_private.size() != layout.body.member_bytes[context.party.id()]) {
      throw InputError("links", "do not have the lengths that the other members were told",
                       "propose again with the links that will be used");
    }
  }
  /// The connection goes to the host of the signed request, under the proposal (csid and views).
  static agent::ConnectionConfig bound_to(const RunScriptTerms& terms,
                                          agent::ConnectionConfig config) {
    FLEXROOM_ASSERT(config.host == host_of(terms.job));
    config.policy =
        RandomOracle("policy", RoScope{}).field(config.policy).field(terms.proposal).digest();
    return config;
  }
  static SecretBytes take(std::string& text) {
    SecretBytes out = SecretBytes::copy_of(as_bytes(text));
    wipe(text.data(), text.size());
    return out;
  }
  agent::Context context;
  RunScriptTerms terms;
  agent::ConnectionConfig config;
  SecretBytes own_private;
  std::shared_ptr<const RunScriptLayout> layout_ptr;
  const RunScriptLayout& layout;
  agent::Connection connection;
  std::unique_ptr<boolean::Instance> gc_p;
  agent::SigningKey key;
  std::string key_date;
  uint64_t key_ands = 0;
};

RunScriptCall::RunScriptCall(agent::Context context, RunScriptTerms terms,
                             agent::ConnectionConfig connection, std::string own_private,
                             std::shared_ptr<const RunScriptLayout> layout)
    : state_(std::make_unique<State>(context, std::move(terms), std::move(connection),
                                     std::move(own_private), std::move(layout))) {}
RunScriptCall::~RunScriptCall() = default;
bool RunScriptCall::released() const { return state_->connection.released(); }
size_t RunScriptCall::request_bytes() const { return state_->layout.plan.bytes; }
uint64_t RunScriptCall::num_ands() const {
  return state_->connection.num_ands() + state_->layout.payload.program->num_ands() +
         state_->key_ands;
}

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
  State& s = *state_;
  s.key = std::move(key);
  s.key_date = key_date;
  timeline.begin("garble payload circuit", s.layout.payload.program->num_ands());
  s.gc_p = agent::prepare_payload(s.context.engine, s.context.source, s.layout.payload);
  s.connection.prepare(timeline);
}

RunScriptResult RunScriptCall::call(const agent::ServerBytes::Connect& connect,
                                    agent::Timeline& timeline) {
  State& s = *state_;
  timeline.begin("payload", s.layout.payload.program->num_ands());
  const agent::Payload payload =
      agent::run_payload(s.context.party, s.context.engine, *s.gc_p, s.layout.payload,
                         as_text(s.own_private.reveal()));
  s.context.engine.confirm(*s.gc_p);
  const std::string date = amz_date(agree_on_time(s.context.party));
  if (date.substr(0, 8) != s.key_date) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "signing key",
                        "the day changed since the signing key was derived; run again");
  }
  size_t signature_offset = 0;
  agent::Request request;
  request.text =
      to_bytes(head(s.terms.job, date, s.layout.payload.public_text.size(), &signature_offset));
  append(request.text, s.layout.payload.public_text);
  request.secret = &payload.secret;
  request.kout_signing = &s.key.kout;
  request.signature_inner_digest =
      agent::signature_inner_digest(s.key, string_to_sign(s.terms.job, date, payload.hash));
  request.method = "POST";
  request.id = RandomOracle("request", s.context.party.scope())
                   .field(s.terms.proposal)
                   .field(s.terms.client_token)
                   .field(payload.hash)
                   .field(request.text)
                   .digest();
  const agent::Reply reply = s.connection.call(request, connect, timeline);
  agent::require_answer(reply, fmt::format("RunInstances, dead 15 minutes after {}", date));
  return read_answer(reply.response);
}

RunScriptCost run_script_cost(const RunScriptLayout& layout, arith::Group group,
                              size_t num_members) {
  RunScriptCost out;
  out.payload_ands = layout.payload.program->num_ands();
  out.signing_key_ands = agent::signing_key_programs().num_ands();
  out.handshake_ands = agent::handshake_program(group, num_members)->num_ands();
  out.request_ands = layout.request->num_ands();
  out.request_bytes = layout.plan.bytes;
  return out;
}

}  // namespace flexroom
