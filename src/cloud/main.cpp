// The sandbox cloud as a program of its own: nothing of it is in a process that holds shares.
#include <fmt/core.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/command_description.h"
#include "base/error.h"
#include "cloud/sandbox.h"

namespace flexroom::cloud {
namespace {

constexpr int kUsage = 2, kBadInput = 3;

/// What the machine lets instances be, in the words of the banner.
std::pair<std::string, std::string> describe(VmIsolation isolation) {
  switch (isolation) {
    case VmIsolation::kNamespaces:
      return {"namespaces", "instances have a user, files, processes and a network of their own"};
    case VmIsolation::kUser:
      return {"user",
              "no namespaces can be made here (CAP_SYS_ADMIN is missing): instances have a user "
              "of their own, but share files, processes and the network of this machine"};
    case VmIsolation::kNone:
      break;
  }
  return {"none", "not root: instances run as you, without isolation"};
}

int serve(const SandboxOptions& options, bool json) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Sandbox sandbox(options);
  sandbox.start();
  const auto [isolation, words] = describe(sandbox.isolation());
  const std::string ca = sandbox.ca_file().string();
  const std::string text =
      json ? nlohmann::json(
                 {{"ok", true}, {"port", sandbox.port()}, {"ca", ca}, {"isolation", isolation}})
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                 "\n"
           : fmt::format("sandbox cloud on 127.0.0.1:{}, CA {}\n{}; stop with Ctrl-C\n",
                         sandbox.port(), ca, words);
  // Nobody may be reading: that ends nothing.
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  sandbox.stop();
  return 0;
}

/// What the command line says.
struct Given {
  SandboxOptions options;
  int latency = 0;
  bool json = false;
};

void add_options(CLI::App& app, Given& given) {
  SandboxOptions& options = given.options;
  app.add_option("--dir", options.state_dir, "its state (default: ./sandbox)");
  app.add_option("--port", options.port, "on 127.0.0.1 (default: any free one)")
      ->check(CLI::Range(0, 65535));
  app.add_option("--key-type", options.key_type, "certificates: ec or rsa")
      ->check(CLI::IsMember({"ec", "rsa"}));
  app.add_option("--groups", options.groups,
                 "of the key exchange, as OpenSSL lists them (default: X25519:P-256)");
  app.add_option("--fail-rate", options.fail_rate, "share of calls that fail")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--throttle-runs", options.throttled_runs,
                 "so many RunInstances are refused as too many (RequestLimitExceeded)")
      ->check(CLI::Range(0, 1000));
  app.add_option("--latency-ms", given.latency, "added to every answer")
      ->check(CLI::Range(0, 60000));
  app.add_option("--fault", options.faults,
                 "\"METHOD HOST/PATH WHAT [xN] [after K]\": goes wrong; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--set", options.settings,
                 "NAME=VALUE: how the hosts of a sign-up behave; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--record", options.record,
                 "appends what those hosts see and give to this file, in clear");
  app.add_option("--page-key-bits", options.page_key_bits,
                 "size of the keys under which passwords are sent")
      ->check(CLI::IsMember({2048, 3072, 4096}));
  app.add_flag("--json", given.json, "one object when it is ready");
  app.footer("For example\n  flexroom sandbox --port 8443");
}

int run(int argc, char** argv) {
  Given given;
  given.options.state_dir = "sandbox";
  CLI::App app("a small cloud on loopback, to try Flexroom on (docs/sandbox.md)",
               "flexroom sandbox");
  add_options(app, given);
  if (argc == 2 && argv[1] == kDescribe) {
    std::fputs(describe_program(app).c_str(), stdout);
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool for_machines = std::any_of(argv, argv + argc, [](const char* argument) {
      return std::string_view(argument) == "--json";
    });
    if (error.get_exit_code() != 0 && for_machines) {
      const nlohmann::json last{
          {"ok", false}, {"class", "usage"}, {"error", error.what()}, {"exit", kUsage}};
      std::fputs((last.dump() + "\n").c_str(), stdout);
      return kUsage;
    }
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  given.options.latency = std::chrono::milliseconds(given.latency);
  try {
    return serve(given.options, given.json);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("flexroom sandbox: {}\n", error.what()).c_str(), stderr);
    return kBadInput;
  }
}

}  // namespace
}  // namespace flexroom::cloud

int main(int argc, char** argv) {
  (void)signal(SIGPIPE, SIG_IGN);
  return flexroom::cloud::run(argc, argv);
}
