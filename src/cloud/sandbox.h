#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cloud/message.h"
#include "cloud/vm_process.h"

namespace flexroom::cloud {

struct SandboxOptions {
  /// Made if missing (mode 0700). Afterwards holds ca.pem, endpoints.json, accounts.json (0600),
  /// api-token (0600), service-accounts.json (0600), objects/ and vms/; found again by the next
  /// start.
  std::filesystem::path state_dir;
  uint16_t port = 0;                     // on 127.0.0.1; 0: any free one
  std::string key_type = "ec";           // certificates: "ec" (P-256) or "rsa" (2048)
  std::string groups = "X25519:P-256";   // key exchange, as OpenSSL lists them
  std::chrono::milliseconds latency{0};  // added to every answer
  /// Of all calls, the share that fails: half of them with the service's 5xx before anything is
  /// done, half are carried out and the connection is cut instead of an answer.
  double fail_rate = 0;
  /// The first so many RunInstances are throttled: RequestLimitExceeded, and nothing is started.
  unsigned throttled_runs = 0;
  /// Faults by call (faults.h) and NAME=VALUE of how the hosts of a sign-up behave (web.h).
  std::vector<std::string> faults, settings;
  std::filesystem::path record;   // what those hosts see and give is also appended there
  unsigned page_key_bits = 2048;  // of the keys under which passwords are sent
  bool quiet = false;             // no log lines on stderr
  /// Key of the first account; empty: made at random.
  std::string admin_access_key, admin_secret_key;
  /// Made at start where they do not exist yet.
  std::vector<std::string> account_names = {"joint", "hospital-a", "hospital-b"};
  std::chrono::seconds vm_lifetime{7200};  // an instance is ended after that
  std::chrono::seconds clock_offset{0};    // the sandbox's clock runs that much ahead
};

struct AccountKey {
  std::string account_id, access_key_id, secret_access_key;
};

/// A small cloud on loopback for trying Flexroom out: EC2, IAM, STS, SSM and S3 behind library TLS
/// 1.3, as far as running a script needs them. It verifies every signature and policy itself and
/// refuses what the real services refuse, in their formats (docs/sandbox.md); an API behind a
/// bearer token; and a mail service, a sign-up, a sign-in and a console. Its keys, accounts and
/// machines are its own: nothing it holds is a secret of anybody.
class Sandbox {
 public:
  /// Throws InputError on options that cannot work.
  explicit Sandbox(SandboxOptions options);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// Serves in background threads from here on.
  void start();
  /// Ends connections and instances and waits for both.
  void stop();

  /// The answer to a request as it would go on the wire, without a connection; nothing: the
  /// connection would be cut. Only after start().
  std::optional<Response> respond(const Request& request);

  uint16_t port() const;
  std::filesystem::path ca_file() const;
  /// An account with one administrator; listed in accounts.json.
  AccountKey create_account(const std::string& name);
  /// The keys accounts.json lists for the account of that name's administrator.
  AccountKey account(const std::string& name) const;
  /// How far instances are apart from this machine. Only after start().
  VmIsolation isolation() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flexroom::cloud
