#include <fmt/core.h>

#include <csignal>

#include "base/codec.h"
#include "bench/bench.h"
#include "cli/commands.h"
#include "cli/joined.h"
#include "cloud/sandbox.h"

namespace flexroom::cli {

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
      joined.session().fill_pool(fill - before.triples);
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
  bench::BenchOptions options;
  options.json = out.json();
  options.quick = quick;
  options.progress = [&out](std::string_view phase, double fraction) {
    out.progress(phase, static_cast<uint64_t>(1000 * fraction), 1000);
  };
  const bench::BenchReport report = bench::run_bench(options);
  if (out.json()) {
    out.result(nlohmann::json::parse(bench::bench_json(report)));
  } else {
    out.line(bench::bench_table(report));
  }
  return kOk;
}

}  // namespace flexroom::cli
