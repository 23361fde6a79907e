#include <fmt/core.h>

#include <unistd.h>

#include <filesystem>

#include "base/codec.h"
#include "bench/bench.h"
#include "cli/commands.h"
#include "cli/joined.h"

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

int sandbox(const std::vector<std::string>& arguments, bool json) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::string program = (self.parent_path() / "flexroom-sandbox").string();
  std::vector<std::string> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (json) all.emplace_back("--json");
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw InputError(program, "cannot be started",
                   "it belongs beside flexroom: build or install both");
}

int bench(Output& out, bool quick, const std::string& plot) {
  bench::BenchOptions options;
  options.quick = quick;
  options.plot = plot;
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
