#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace flexroom::bench {

/// A key of an account of the sandbox.
struct SandboxKey {
  std::string account_id, access_key_id, secret_access_key;
};

/// The sandbox cloud (flexroom-sandbox, which lies beside this program) as a process of its own for
/// as long as the object lives.
class SandboxProcess {
 public:
  /// Starts it with its state in `dir` and waits until it listens. Throws InputError if it cannot
  /// be started.
  /// `more`: of its command line.
  explicit SandboxProcess(const std::filesystem::path& dir,
                          const std::vector<std::string>& more = {});
  ~SandboxProcess();
  SandboxProcess(const SandboxProcess&) = delete;
  SandboxProcess& operator=(const SandboxProcess&) = delete;

  uint16_t port() const { return port_; }
  const std::filesystem::path& ca_file() const { return ca_file_; }
  /// The administrator's key of an account that it makes at its start ("joint", "hospital-a", ..).
  SandboxKey key(const std::string& account) const;

 private:
  std::filesystem::path dir_, ca_file_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace flexroom::bench
