#include "room/agreed_call.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

#include "agent/phases.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "call/provider_connection.h"
#include "call/service_error.h"
#include "net/tcp_stream.h"
#include "room/failure.h"
#include "tls/handshake.h"

namespace flexroom::room {

namespace {

// Microseconds on one core, n = 2: what counts is how they stand to each other.
constexpr double kTriple = 0.6, kGarble = 0.2, kEvaluate = 0.04;
constexpr double kPower = 200, kFixed = 20'000;  // a power of the tag's key; what is always there

}  // namespace

std::string cost_note(uint64_t ands, size_t request_bytes) {
  return fmt::format("the request has {} bytes and costs up to {} ANDs", request_bytes, ands);
}

void make_triples(Joined& joined, agent::Timeline& timeline, const CallWork& work) {
  session::MemberSession& session = joined.session();
  const auto cost = [](double each, uint64_t count) { return each * static_cast<double>(count); };
  const uint64_t missing = session.triples_to_make(work.ands());
  const auto name = [](std::string_view phase) { return std::string(phase); };
  const double key = cost(kGarble + kEvaluate, work.signing_key_ands);
  joined.expect(
      {{name(agent::phase::kTriples), cost(kTriple, missing)},
       {name(agent::phase::kSigningKey), key > 0 ? kFixed + key : 0},
       {std::string(work.first_phase), cost(kGarble, work.first_ands)},
       {name(agent::phase::kToken), kFixed},
       {name(agent::phase::kPowers), cost(kPower, work.request_bytes / 16)},
       {name(agent::phase::kGarble), cost(kGarble, work.handshake_ands + work.request_ands)},
       {name(agent::phase::kGarbleAnswer), cost(kGarble, work.answer_ands)},
       {name(agent::phase::kHandshakeKeys), cost(kEvaluate, work.handshake_ands)},
       {name(agent::phase::kRequest), cost(kEvaluate, work.request_ands)},
       {name(agent::phase::kAnswer), kFixed, true}});
  timeline.begin(agent::phase::kTriples, missing);
  session.reserve_triples(work.ands());
}

namespace {

std::vector<Phase> phases_of(const agent::Timeline& timeline) {
  std::vector<Phase> out;
  for (const auto& phase : timeline.phases()) {
    out.push_back({phase.name, phase.start_seconds, phase.seconds, phase.bytes_sent,
                   phase.half_rounds, phase.ands});
  }
  return out;
}

/// What the one who started it should know beyond the failure itself.
/// `begun`: the service may have been connected to.
void say_what_happened(Error::Fields& fields, const std::string& refused_before, bool matters,
                       bool begun) {
  if (fields.exit == Exit::kUnknown) return;
  if (!matters && begun) {
    if (fields.exit == Exit::kFailed) {
      fields.text += "\n  No secret is in this request: it can be run again.";
    }
    return;
  }
  if (!refused_before.empty()) {
    fields.text += fmt::format(
        "\n  The service had refused the request before ({}), and no further attempt was made: "
        "nothing happened there{}.",
        refused_before, fields.exit == Exit::kFailed ? ", and the call can be run again" : "");
  } else if (fields.exit == Exit::kFailed) {
    fields.text +=
        "\n  The request was not sent: nothing happened at the service, and the call can be run "
        "again.";
  }
}

}  // namespace

std::filesystem::path keep_in_state(Joined& joined, const http::PartialAnswer& partial,
                                    const std::string& of) {
  const std::filesystem::path folder = joined.state().member().state_dir / "answers";
  make_private_folder(folder);
  const std::string sid = to_hex(joined.session().party().scope().sid);
  const std::filesystem::path file = folder / (sid.substr(0, 16) + of + ".partial");
  if (write_new_file(file, partial.received)) return file;
  throw InputError(file.string(), std::string("cannot be written: ") + std::strerror(errno),
                   "free some space, or let this user write there");
}

namespace {

/// Nothing of an answer is thrown away because it is not whole.
void keep_partial(Joined& joined, const AgreedCall& call, const http::PartialAnswer& partial,
                  Error::Fields& fields) {
  if (partial.received.empty()) return;
  fields.partial_answer = to_text(partial.received);
  try {
    const std::filesystem::path file =
        call.keep_partial ? call.keep_partial(partial) : keep_in_state(joined, partial, "");
    fields.partial_file = file.string();
    fields.text += "\n  What came of the answer is kept as " + fields.partial_file + ".";
  } catch (...) {
    fields.text += fmt::format("\n  What came of the answer could not be kept: {}",
                               display_lines(words_of_caught()));
  }
}

store::LogOutcome outcome_of(const CallAnswer& answer) {
  if (answer.unclear) return store::LogOutcome::kEffectMayHaveHappened;
  return answer.status >= 400 ? store::LogOutcome::kFailed : store::LogOutcome::kDone;
}

}  // namespace

CallAnswer answered(const agent::Reply& reply) {
  const int status = reply.response.status;
  return {status, "status " + answer_words(status, as_text(reply.response.body)), false};
}

namespace {

/// Logs what failed, and says it to whoever started the call.
[[noreturn]] void end_failed(Joined& joined, const AgreedCall& call, const std::exception& error,
                             bool begun) {
  const auto* const abort = dynamic_cast<const ProtocolAbort*>(&error);
  const bool released = call.released();
  const std::string before = call.refused_before ? call.refused_before() : "";
  joined.log_failure(
      released ? store::LogOutcome::kEffectMayHaveHappened : store::LogOutcome::kNothingHappened,
      fmt::format("{}: {}{}", call.what,
                  abort != nullptr ? to_string(abort->code()) : "failed here",
                  before.empty() ? "" : "; status " + before + " before"));
  Error::Fields fields = describe(error, released, joined.members());
  say_what_happened(fields, before, call.matters, begun);
  if (const auto* const unknown = dynamic_cast<const agent::UnknownOutcome*>(&error)) {
    keep_partial(joined, call, unknown->partial(), fields);
  }
  throw Error(std::move(fields));
}

}  // namespace

void make_agreed_call(Joined& joined, const AgreedCall& call) {
  CallAnswer answer;
  std::vector<Phase> phases;
  bool begun = false;
  try {
    joined.session().guard([&] {
      net::Party& party = joined.session().party();
      agent::Timeline timeline(party,
                               [&](std::string_view phase) { joined.progress(phase, 0, 0); });
      timeline.begin("agree and approve");
      joined.start();
      const Digest proposal = joined.approve(call.propose(timeline));
      call.prepare(proposal, timeline);
      begun = true;
      answer = call.perform(timeline);
      timeline.end();
      joined.expect({});
      phases = phases_of(timeline);
    });
  } catch (const std::exception& error) {
    end_failed(joined, call, error, begun);
  } catch (...) {
    end_failed(joined, call, std::runtime_error(words_of_caught()), begun);
  }
  // The answer is here: what the others do now changes neither it nor that it came.
  joined.log_outcome(outcome_of(answer), fmt::format("{}: {}", call.what, answer.text),
                     answer.status);
  joined.tell_timeline(phases);
}

void require_whole(const agent::Reply& reply, std::string_view what) {
  agent::require_answer(reply, what);
}

agent::ConnectionConfig connection_config(Joined& joined, const Provider& provider,
                                          const std::string& host, const Digest& proposal,
                                          const std::string& what) {
  agent::ConnectionConfig config = provider_connection(provider, host);
  config.courier = joined.state().room().courier_id();
  config.policy = proposal;
  joined.connections().set_up(config, what);
  return config;
}

agent::ServerBytes::Connect connector(Joined& joined, const Provider& provider,
                                      const std::string& host, uint16_t port) {
  const Endpoint target = provider.resolve(host, port);
  net::Transport& mesh = joined.session().party().transport();
  // A courier that waits for the service notices Ctrl-C here and the end of another member.
  const auto check = [&mesh, &joined] {
    joined.throw_if_cancelled();
    mesh.check();
  };
  return [target, timeout = joined.state().room().timeout, check] {
    return net::connect_tcp(target.host, target.port, timeout, check);
  };
}

ServiceAnswer answer_of(const agent::Reply& reply) {
  return {reply.response.status, reply.response.headers, to_text(reply.response.body)};
}

}  // namespace flexroom::room
