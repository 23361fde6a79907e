#include <fmt/core.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/codec.h"
#include "cli/commands.h"
#include "cli/joined.h"
#include "cloud/sandbox.h"
#include "flexroom/fetch.h"
#include "flexroom/recipe.h"
#include "flexroom/run_script.h"
#include "http/template.h"
#include "http/url.h"
#include "net/tcp_stream.h"
#include "session/bench.h"
#include "session/signing_keys.h"

namespace flexroom::cli {
namespace {

arith::Group group_of(const Provider& provider) {
  return provider.group == "p256" ? arith::Group::kP256 : arith::Group::kX25519;
}

agent::ConnectionConfig connection_config(const RoomConfig& room, const Provider& provider,
                                          const std::string& host, const Digest& proposal) {
  agent::ConnectionConfig config;
  config.host = host;
  config.group = group_of(provider);
  config.courier = room.courier_id();
  tls::TrustStore trust =
      provider.ca_file ? tls::TrustStore::from_files({provider.ca_file->string()}, provider.name)
                       : tls::TrustStore::system();
  config.handshake = tls::handshake_config(
      {host, std::move(trust), [] { return std::chrono::system_clock::now(); }, std::nullopt});
  config.policy = proposal;
  return config;
}

agent::ServerBytes::Connect connector(const RoomConfig& room, const Provider& provider,
                                      const std::string& host, uint16_t port) {
  const Endpoint target = provider.resolve(host, port);
  return [target, timeout = room.timeout] {
    return net::connect_tcp(target.host, target.port, timeout);
  };
}

void put_link(Writer& writer, const PublicLink& link) {
  writer.field(link.public_prefix)
      .u32(link.path_bytes)
      .field(link.public_query)
      .u32(link.tail_bytes);
}
PublicLink read_link(Reader& reader) {
  PublicLink link;
  link.public_prefix = to_text(reader.field(512));
  link.path_bytes = reader.u32();
  link.public_query = to_text(reader.field(2048));
  link.tail_bytes = reader.u32();
  return link;
}

/// Every member tells the others the public part of its links.
std::vector<PublicLinks> exchange_links(net::Party& party, const RoomConfig& room,
                                        const PublicLinks& own) {
  Writer message;
  put_link(message, own.data);
  put_link(message, own.result);
  party.echo("run/before links");  // earlier equivocation is a cheat, not a disagreement
  party.broadcast("run/links", message.bytes());
  std::vector<PublicLinks> all(party.num_parties());
  all[party.id()] = own;
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_broadcast_up_to(j, "run/links", 8192);
    Reader reader(bytes, "run/links", j);
    all[j].data = read_link(reader);
    all[j].result = read_link(reader);
    reader.finish();
    try {
      check_public_links(all[j], room.members[j].name);
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "run/links", error.problem(), j);
    }
  }
  party.echo("run/links", AbortCode::kDisagreement);
  return all;
}

/// Text of the service for a terminal: nothing but printable ASCII, bounded.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 1000)) out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return out;
}

std::string client_token(net::Party& party) {
  const std::string hex = to_hex(party.coin("run/client token"));
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

std::string describe(const PublicLink& link) {
  return fmt::format(
      "{}({} private bytes){}{}", link.public_prefix, link.path_bytes, link.public_query,
      link.tail_bytes == 0 ? "" : fmt::format("({} private bytes)", link.tail_bytes));
}

store::Proposal run_proposal(const RoomConfig& room, const RunScriptTerms& terms,
                             const store::RecordMeta& secret, const RunScriptCost& cost) {
  store::Proposal out;
  const auto add = [&](std::string name, std::string_view value) {
    out.fields.push_back({std::move(name), to_bytes(value), false});
  };
  const JobConfig& job = terms.job;
  add("command", "run-script (lean)");
  add("room", room.name);
  add("job", job.name);
  add("provider", job.provider);
  add("call", fmt::format("RunInstances at ec2.{}.amazonaws.com", job.region));
  add("image", job.image_id);
  add("instance type", job.instance_type);
  add("instance profile", job.instance_profile.empty() ? "(none)" : job.instance_profile);
  add("script", job.script_url);
  add("script sha256", job.script_sha256);
  add("interpreter", job.interpreter);
  add("deadline", fmt::format("{} minutes", job.deadline_minutes));
  add("signed with",
      fmt::format("{} (secret {} version {})", job.access_key_id, secret.name, secret.version));
  for (size_t i = 0; i < terms.links.size(); ++i) {
    add("data of " + room.members[i].name, describe(terms.links[i].data));
    add("result of " + room.members[i].name, describe(terms.links[i].result));
  }
  add("opened to all", "the answer to RunInstances, the hash of the request body");
  add("kept", "nothing");
  add("client token", terms.client_token);
  add("cost", fmt::format("{} ANDs, request of {} bytes", cost.total(), cost.request_bytes));
  return out;
}

int follow_result(Output& out, const Provider& provider, const LinksConfig& links,
                  const JobConfig& job, const std::filesystem::path& save_as) {
  if (!links.result_get_url) {
    out.line("links.toml names no result_get_url: fetch the result yourself when the VM is done.");
    return kOk;
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(job.deadline_minutes);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < end && !cancel_flag()) {
    const FetchResult got =
        fetch(provider, *links.result_get_url, size_t{64} << 20, std::chrono::seconds(30));
    if (got.status == 200) {
      std::ofstream file(save_as, std::ios::binary);
      file.write(reinterpret_cast<const char*>(got.body.data()),
                 static_cast<std::streamsize>(got.body.size()));
      const std::string text = to_text(got.body);
      if (text.rfind("FLEXROOM-FAILED", 0) == 0) {
        out.line("The VM reports that the script failed:\n" + text);
        out.result({{"ok", false}, {"error", "the script failed"}, {"log", text}});
        return kServiceRefused;
      }
      const auto result = nlohmann::json::parse(text, nullptr, false);
      out.line(fmt::format("\nThe result of {} (saved as {}):", job.name, save_as.string()));
      if (result.is_object()) {
        for (const auto& [key, value] : result.items()) {
          if (!value.is_object()) out.line(fmt::format("  {:<20} {}", key, value.dump()));
        }
      } else {
        out.line(fmt::format("  {} bytes", got.body.size()));
      }
      out.event("result", {{"file", save_as.string()},
                           {"result", result.is_discarded() ? nlohmann::json(nullptr) : result}});
      return kOk;
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    out.progress("the script runs, waiting for the result", 0, 0);
    std::this_thread::sleep_for(waited < std::chrono::seconds(60) ? std::chrono::milliseconds(500)
                                                                  : std::chrono::seconds(5));
  }
  throw ProtocolAbort(AbortCode::kTimeout, "result", "no result came before the deadline");
}

store::Proposal call_proposal(const RoomConfig& room, const Recipe& recipe, const OpenCall& call) {
  store::Proposal out;
  const auto add = [&](std::string name, ByteView value) {
    out.fields.push_back({std::move(name), Bytes(value.begin(), value.end()), false});
  };
  add("command", as_bytes("call"));
  add("room", as_bytes(room.name));
  add("recipe", as_bytes(recipe.name));
  add("recipe sha256", recipe.digest);
  add("provider", as_bytes(recipe.provider));
  add("request to", as_bytes(recipe.host));
  add("request sha256", sha256(call.text()));
  add("first line", as_bytes(fmt::format("{} {}", call.request.method, call.request.target)));
  add("signed with", as_bytes(recipe.sign ? recipe.sign->secret : std::string("(nothing)")));
  add("opened to all", as_bytes("everything"));
  return out;
}

int print_reply(Output& out, const agent::Reply& reply, std::string_view what) {
  if (reply.unknown_outcome) {
    throw ProtocolAbort(AbortCode::kServer, what,
                        "the answer is not whole: " + *reply.unknown_outcome);
  }
  if (out.json()) {
    nlohmann::json headers = nlohmann::json::array();
    for (const auto& [name, value] : reply.response.headers) headers.push_back({name, value});
    out.result({{"ok", true},
                {"status", reply.response.status},
                {"headers", headers},
                {"body_hex", to_hex(reply.response.body)}});
  } else {
    std::fwrite(reply.response.body.data(), 1, reply.response.body.size(), stdout);
    std::fflush(stdout);
    if (reply.response.status >= 400) {
      fmt::print(stderr, "flexroom: the service answered {}\n", reply.response.status);
    }
  }
  return reply.response.status >= 400 ? kServiceRefused : kOk;
}

}  // namespace

int run_script(Output& out, const Common& common, const std::filesystem::path& job_file,
               const std::filesystem::path& links_file, bool follow) {
  const JobConfig job = JobConfig::load(job_file);
  const LinksConfig links = LinksConfig::load(links_file);
  const PrivateUrl data = split_private_url(links.data_url, links_file.string() + ": data_url");
  const PrivateUrl result =
      split_private_url(links.result_url, links_file.string() + ": result_url");
  Joined joined(out, common);
  const RoomConfig& room = joined.state().room();
  const Provider& provider = room.provider(job.provider);
  RunScriptResult answer;
  bool released = false;
  Digest proposal_digest{};
  try {
    joined.session().guard([&] {
      net::Party& party = joined.session().party();
      agent::Timeline timeline(party, [&](std::string_view phase) { out.progress(phase, 0, 0); });
      timeline.begin("agree and approve");
      joined.session().start();
      RunScriptTerms terms;
      terms.job = job;
      terms.links = exchange_links(party, room, public_part(data, result));
      terms.client_token = client_token(party);
      const store::RecordMeta secret = joined.state().secret(job.secret);
      joined.state().secrets().agree(party, {secret.id});
      const auto layout = lay_out_run_script(terms);
      const RunScriptCost cost = run_script_cost(*layout, group_of(provider), room.members.size());
      proposal_digest = joined.approve(run_proposal(room, terms, secret, cost), common.yes);
      terms.proposal = proposal_digest;
      const std::string host = fmt::format("ec2.{}.amazonaws.com", job.region);
      RunScriptCall call(joined.session().context(), terms,
                         connection_config(room, provider, host, proposal_digest),
                         private_part(data, result), layout);
      timeline.begin("make AND triples", cost.total());
      joined.session().reserve_triples(cost.total() - cost.signing_key_ands);
      timeline.begin("signing key");
      session::ObtainedKey key =
          session::obtain_signing_key(joined.session(), secret, job.region, "ec2");
      call.prepare(std::move(key.key), key.date, timeline);
      try {
        answer = call.call(connector(room, provider, host, 443), timeline);
      } catch (...) {
        released = call.released();
        throw;
      }
      timeline.end();
      joined.log_together(
          proposal_digest, store::LogOutcome::kDone,
          fmt::format("run-script {}: status {} {}", job.name, answer.status, answer.instance_id));
      out.table(timeline.phases());
    });
  } catch (const ProtocolAbort& abort) {
    joined.log_alone(
        proposal_digest,
        released ? store::LogOutcome::kEffectMayHaveHappened : store::LogOutcome::kNothingHappened,
        fmt::format("run-script {}: {}", job.name, to_string(abort.code())));
    return report(out, abort, released);
  }
  if (answer.instance_id.empty()) {
    out.line(fmt::format("The service refused: {} {}: {}", answer.status,
                         printable(answer.error_code), printable(answer.error_message)));
    out.result({{"ok", false},
                {"status", answer.status},
                {"code", answer.error_code},
                {"message", answer.error_message}});
    return kServiceRefused;
  }
  out.line(fmt::format("\nInstance {} runs the agreed script.", answer.instance_id));
  out.event("started", {{"instance_id", answer.instance_id}});
  int code = kOk;
  if (follow) {
    const std::filesystem::path results = joined.state().member().state_dir / "results";
    std::filesystem::create_directories(results);
    code = follow_result(out, provider, links, job, results / (job.name + ".json"));
  }
  out.result({{"ok", code == kOk}, {"instance_id", answer.instance_id}});
  return code;
}

int plan(Output& out, const Common& common, const std::filesystem::path& job_file,
         const std::filesystem::path& links_file) {
  const JobConfig job = JobConfig::load(job_file);
  const LinksConfig links = LinksConfig::load(links_file);
  session::MemberState state = open_state(common);
  const Provider& provider = state.room().provider(job.provider);
  const PublicLinks own = public_part(split_private_url(links.data_url, "data_url"),
                                      split_private_url(links.result_url, "result_url"));
  RunScriptTerms terms;
  terms.job = job;
  terms.links.assign(state.room().members.size(), own);  // the others' lengths are not known yet
  terms.client_token = "00000000-0000-4000-8000-000000000000";
  const RunScriptCost cost =
      run_script_cost(*lay_out_run_script(terms), group_of(provider), terms.links.size());
  const double bytes =
      static_cast<double>(cost.total()) * 84 * static_cast<double>(state.room().members.size() - 1);
  out.line(fmt::format("call         one RunInstances at ec2.{}.amazonaws.com, TLS 1.3, {}",
                       job.region, provider.group));
  out.line(
      fmt::format("leaves       a request of {} bytes: public text, each member's private link "
                  "parts, a signature made with {}",
                  cost.request_bytes, job.secret));
  out.line("opened       to all: the answer; the hash of the request body (hidden by a nonce)");
  out.line("kept         nothing");
  out.line(fmt::format("ANDs         {}: payload {}, signing key {}, handshake {}, request {}",
                       cost.total(), cost.payload_ands, cost.signing_key_ands, cost.handshake_ands,
                       cost.request_ands));
  out.line(
      fmt::format("traffic      about {:.0f} MB each way before the call, 0.3 MB during it "
                  "(others' links taken as long as yours)",
                  bytes / 1e6));
  out.result({{"ok", true},
              {"ands", cost.total()},
              {"payload_ands", cost.payload_ands},
              {"signing_key_ands", cost.signing_key_ands},
              {"handshake_ands", cost.handshake_ands},
              {"request_ands", cost.request_ands},
              {"request_bytes", cost.request_bytes},
              {"preprocessing_bytes_each_way", bytes}});
  return kOk;
}

int get_url(Output& out, const Common& common, const std::string& text,
            const std::string& provider_name) {
  const http::Url url = http::parse_url(text, "URL");
  Joined joined(out, common);
  const RoomConfig& room = joined.state().room();
  if (room.providers.empty()) {
    throw InputError(room.file.string(), "has no provider", "add [provider.NAME]");
  }
  const Provider& provider =
      provider_name.empty() ? room.providers.front() : room.provider(provider_name);
  agent::Reply reply;
  try {
    joined.session().guard([&] {
      net::Party& party = joined.session().party();
      agent::Timeline timeline(party, [&](std::string_view phase) { out.progress(phase, 0, 0); });
      timeline.begin("agree and approve");
      joined.session().start();
      const std::string request_text = fmt::format(
          "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: flexroom\r\n"
          "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
          url.target(), url.authority());
      store::Proposal proposal;
      proposal.fields = {{"command", to_bytes("get"), false},
                         {"room", to_bytes(room.name), false},
                         {"url", to_bytes(text), false},
                         {"provider", to_bytes(provider.name), false},
                         {"opened to all", to_bytes("everything"), false}};
      const Digest digest = joined.approve(proposal, common.yes);
      agent::ConnectionConfig config = connection_config(room, provider, url.host, digest);
      config.no_secret = true;
      agent::RequestPlan plan;
      plan.bytes = request_text.size();
      agent::Connection connection(joined.session().context(), config, plan);
      timeline.begin("prepare");
      connection.prepare();
      agent::Request request;
      request.text = to_bytes(request_text);
      request.id =
          RandomOracle("request", party.scope()).field(digest).field(request.text).digest();
      reply = connection.call(request, connector(room, provider, url.host, url.port), timeline);
      timeline.end();
      joined.log_together(digest, store::LogOutcome::kDone, "get " + text);
      if (out.json()) out.table(timeline.phases());
    });
  } catch (const ProtocolAbort& abort) {
    return report(out, abort, false);
  }
  return print_reply(out, reply, "get");
}

int call_recipe(Output& out, const Common& common, const std::filesystem::path& file,
                const std::map<std::string, std::string>& arguments) {
  const Recipe recipe = Recipe::load(file);
  (void)fill_recipe(recipe, arguments,
                    amz_date(0));  // everything that can be wrong, before joining
  Joined joined(out, common);
  const RoomConfig& room = joined.state().room();
  const Provider& provider = room.provider(recipe.provider);
  agent::Reply reply;
  Digest proposal_digest{};
  bool released = false;
  try {
    joined.session().guard([&] {
      net::Party& party = joined.session().party();
      agent::Timeline timeline(party, [&](std::string_view phase) { out.progress(phase, 0, 0); });
      timeline.begin("agree and approve");
      joined.session().start();
      const std::string date = amz_date(agree_on_time(party));
      const OpenCall call = fill_recipe(recipe, arguments, date);
      proposal_digest = joined.approve(call_proposal(room, recipe, call), common.yes);

      agent::Request request;
      session::ObtainedKey key;
      agent::RequestPlan plan;
      plan.bytes = call.bytes;
      plan.signature_offset = call.signature_offset;
      if (recipe.sign) {
        timeline.begin("signing key");
        const store::RecordMeta secret = joined.state().secret(recipe.sign->secret);
        joined.state().secrets().agree(party, {secret.id});
        key = session::obtain_signing_key(joined.session(), secret, recipe.sign->region,
                                          recipe.sign->service);
        request.kout_signing = &key.key.kout;
        request.signature_inner_digest = agent::signature_inner_digest(
            key.key, call.signing->string_to_sign(call.signing->body.digest));
      }
      agent::ConnectionConfig config =
          connection_config(room, provider, recipe.host, proposal_digest);
      config.no_secret = !recipe.sign;
      agent::Connection connection(joined.session().context(), config, plan);
      timeline.begin("prepare");
      connection.prepare();
      if (recipe.sign) {
        http::check_scope(*call.signing, recipe.sign->region, recipe.sign->service,
                          std::chrono::system_clock::now());
      }
      request.text = call.text();
      request.method = call.method;
      request.id = RandomOracle("request", party.scope())
                       .field(proposal_digest)
                       .field(request.text)
                       .digest();
      try {
        reply = connection.call(request, connector(room, provider, recipe.host, 443), timeline);
      } catch (...) {
        released = recipe.sign.has_value() && connection.released();
        throw;
      }
      timeline.end();
      joined.log_together(proposal_digest, store::LogOutcome::kDone,
                          fmt::format("call {}: status {}", recipe.name, reply.response.status));
      if (out.json()) out.table(timeline.phases());
    });
  } catch (const ProtocolAbort& abort) {
    joined.log_alone(
        proposal_digest,
        released ? store::LogOutcome::kEffectMayHaveHappened : store::LogOutcome::kNothingHappened,
        fmt::format("call {}: {}", recipe.name, to_string(abort.code())));
    return report(out, abort, released);
  }
  return print_reply(out, reply, recipe.name);
}

int stock(Output& out, const Common& common, uint64_t fill) {
  const auto show = [&](session::MemberState& state) {
    const session::PoolStock now =
        session::summarise(state.once().pool().on_disk(), state.room().members.size());
    out.line(fmt::format("{} AND triples in stock ({:.1f} MB), {} bits", now.triples,
                         static_cast<double>(now.bytes) / 1e6, now.bits));
    out.result({{"ok", true}, {"triples", now.triples}, {"bits", now.bits}, {"bytes", now.bytes}});
    return kOk;
  };
  if (fill == 0) {
    session::MemberState state = open_state(common);
    return show(state);
  }
  Joined joined(out, common);
  joined.session().guard([&] {
    net::Party& party = joined.session().party();
    joined.session().start();
    Writer wanted;
    wanted.u64(fill);
    for (const Bytes& other : party.exchange("stock/fill", wanted.bytes())) {
      if (other != wanted.bytes()) {
        throw ProtocolAbort(AbortCode::kDisagreement, "stock",
                            "members ask for different amounts; pass the same --fill everywhere");
      }
    }
    const session::PoolStock before = joined.session().pool().stock();
    if (before.triples < fill) {
      (void)joined.session().pool().fill(
          fill - before.triples, 0, [&out](std::string_view phase, uint64_t done, uint64_t total) {
            out.progress(phase, done, total);
          });
    }
  });
  return show(joined.state());
}

int sandbox(Output& out, const std::filesystem::path& directory, uint16_t port,
            const std::string& key_type, double fail_rate, int latency_ms) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  cloud::SandboxOptions options;
  options.state_dir = directory;
  options.port = port;
  options.key_type = key_type;
  options.fail_rate = fail_rate;
  options.latency = std::chrono::milliseconds(latency_ms);
  cloud::Sandbox sandbox(options);
  sandbox.start();
  out.line(fmt::format("sandbox cloud on 127.0.0.1:{}, CA {}\n{}; stop with Ctrl-C", sandbox.port(),
                       sandbox.ca_file().string(),
                       sandbox.isolates() ? "instances have a uid and namespaces of their own"
                                          : "not root: instances run without isolation"));
  out.result({{"ok", true},
              {"port", sandbox.port()},
              {"ca", sandbox.ca_file().string()},
              {"isolates", sandbox.isolates()}});
  int received = 0;
  sigwait(&signals, &received);
  sandbox.stop();
  return kOk;
}

int bench(Output& out, bool quick) {
  session::BenchOptions options;
  options.json = out.json();
  options.quick = quick;
  options.progress = [&out](std::string_view phase, double fraction) {
    out.progress(phase, static_cast<uint64_t>(1000 * fraction), 1000);
  };
  const session::BenchReport report = session::run_bench(options);
  if (out.json()) {
    out.result(nlohmann::json::parse(session::bench_json(report)));
  } else {
    out.line(session::bench_table(report));
  }
  return kOk;
}

}  // namespace flexroom::cli
