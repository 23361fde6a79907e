#include "bench/sandbox_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"

extern char** environ;

namespace flexroom::bench {
namespace {

/// What comes before the first line end; less if the writer ends earlier.
std::string first_line(int fd) {
  std::string out;
  std::array<char, 256> buffer{};
  while (out.find('\n') == std::string::npos && out.size() < 4096) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out.append(buffer.data(), static_cast<size_t>(n));
  }
  return out;
}

}  // namespace

SandboxProcess::SandboxProcess(const std::filesystem::path& dir,
                               const std::vector<std::string>& more)
    : dir_(dir) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  std::vector<std::string> arguments = {(self.parent_path() / "flexroom-sandbox").string(), "--dir",
                                        dir.string(), "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::array<int, 2> output{-1, -1};
  if (::pipe2(output.data(), O_CLOEXEC) != 0) throw InputError("pipe", "cannot be made");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const int refused = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(output[1]);
  const std::string line = refused == 0 ? first_line(output[0]) : "";
  ::close(output[0]);
  if (refused != 0) pid_ = -1;
  const auto ready = nlohmann::json::parse(line, nullptr, false);
  if (!ready.is_object() || !ready.value("ok", false)) {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    throw InputError(arguments[0], "does not start",
                     "it belongs beside flexroom; started by hand it says why");
  }
  port_ = ready.at("port").get<uint16_t>();
  ca_file_ = ready.at("ca").get<std::string>();
}

SandboxProcess::~SandboxProcess() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

SandboxKey SandboxProcess::key(const std::string& account) const {
  std::ifstream file(dir_ / "accounts.json");
  for (const auto& entry : nlohmann::json::parse(file)) {
    if (entry.at("account") == account && entry.at("user") == account) {
      return {entry.at("account_id"), entry.at("access_key_id"), entry.at("secret_access_key")};
    }
  }
  throw InputError("account " + account, "is not there");
}

}  // namespace flexroom::bench
