#include "cli/agreed_call.h"

#include <fmt/core.h>
#include <unistd.h>

#include "call/provider_connection.h"
#include "net/tcp_stream.h"
#include "tls/handshake.h"

namespace flexroom::cli {

namespace {

// Microseconds on one core, n = 2: what counts is how they stand to each other.
constexpr double kTriple = 0.6, kGarble = 0.2, kEvaluate = 0.04;
constexpr double kPower = 200, kFixed = 20'000;  // a power of the tag's key; what is always there

}  // namespace

void make_triples(Output& out, Joined& joined, agent::Timeline& timeline, const CallWork& work) {
  session::MemberSession& session = joined.session();
  const auto cost = [](double each, uint64_t count) { return each * static_cast<double>(count); };
  const uint64_t missing = session.triples_to_make(work.ands());
  const double key = cost(kGarble + kEvaluate, work.signing_key_ands);
  out.expect({{"make AND triples", cost(kTriple, missing)},
              {"signing key", key > 0 ? kFixed + key : 0},
              {std::string(work.first_phase), cost(kGarble, work.first_ands)},
              {"token", kFixed},
              {"garble handshake circuit", cost(kGarble, work.handshake_ands)},
              {"powers for the tag", cost(kPower, work.request_bytes / 16)},
              {"garble request circuit", cost(kGarble, work.request_ands)},
              {"handshake keys", cost(kEvaluate, work.handshake_ands)},
              {"request keys and ciphertext", cost(kEvaluate, work.request_ands)},
              {"wait for the answer", kFixed}});
  timeline.begin("make AND triples", missing);
  session.reserve_triples(work.ands());
}

int make_agreed_call(Output& out, const Common& common, Joined& joined, const AgreedCall& call) {
  std::string outcome;
  try {
    joined.session().guard([&] {
      net::Party& party = joined.session().party();
      agent::Timeline timeline(party, [&](std::string_view phase) { out.progress(phase, 0, 0); });
      timeline.begin("agree and approve");
      joined.session().start();
      const Digest proposal = joined.approve(call.propose(timeline), common.yes);
      call.prepare(proposal, timeline);
      outcome = call.perform(timeline);
      timeline.end();
      out.expect({});
      if (call.always_show_phases || out.json()) out.table(timeline.phases());
    });
  } catch (const std::exception& error) {
    const auto* const abort = dynamic_cast<const ProtocolAbort*>(&error);
    const bool released = call.released();
    joined.log_failure(
        released ? store::LogOutcome::kEffectMayHaveHappened : store::LogOutcome::kNothingHappened,
        fmt::format("{}: {}", call.what,
                    abort != nullptr ? to_string(abort->code()) : "failed here"));
    // Wrong input is its own message, unless the request is out already.
    if (abort == nullptr && !released) throw;
    return report(out, error, released);
  }
  // The answer is here: what the others do now changes neither it nor that it came.
  joined.log_outcome(store::LogOutcome::kDone, fmt::format("{}: {}", call.what, outcome));
  return kOk;
}

void require_whole(const agent::Reply& reply, std::string_view what) {
  agent::require_answer(reply, what);
}

arith::Group group_of(const Provider& provider) { return exchange_group(provider); }

agent::ConnectionConfig connection_config(const RoomConfig& room, const Provider& provider,
                                          const std::string& host, const Digest& proposal) {
  agent::ConnectionConfig config = provider_connection(provider, host);
  config.courier = room.courier_id();
  config.policy = proposal;
  return config;
}

agent::ServerBytes::Connect connector(Joined& joined, const Provider& provider,
                                      const std::string& host, uint16_t port) {
  const Endpoint target = provider.resolve(host, port);
  net::Transport& mesh = joined.session().party().transport();
  // A courier that waits for the service notices Ctrl-C here and the end of another member.
  const auto check = [&mesh] {
    throw_if_cancelled();
    mesh.check();
  };
  return [target, timeout = joined.state().room().timeout, check] {
    return net::connect_tcp(target.host, target.port, timeout, check);
  };
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 1000)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return out;
}

namespace {

/// Byte for byte, except at a terminal: there the service has no control over it.
void print_body(ByteView body) {
  std::string text = to_text(body);
  if (isatty(STDOUT_FILENO) != 0) {
    for (char& c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7f) c = '?';
    }
    if (!text.empty() && text.back() != '\n') text.push_back('\n');
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

int print_reply(Output& out, const agent::Reply& reply) {
  if (out.json()) {
    nlohmann::json headers = nlohmann::json::array();
    for (const auto& [name, value] : reply.response.headers) headers.push_back({name, value});
    out.result({{"ok", true},
                {"status", reply.response.status},
                {"headers", headers},
                {"body_hex", to_hex(reply.response.body)}});
  } else {
    print_body(reply.response.body);
    if (reply.response.status >= 400) {
      fmt::print(stderr, "flexroom: the service answered {}\n", reply.response.status);
    }
  }
  return reply.response.status >= 400 ? kServiceRefused : kOk;
}

}  // namespace flexroom::cli
