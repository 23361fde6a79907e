#pragma once

#include <filesystem>
#include <mutex>

#include "cloud/bearer.h"
#include "cloud/console.h"
#include "cloud/faults.h"
#include "cloud/people.h"
#include "cloud/sandbox.h"
#include "cloud/service_quotas.h"
#include "cloud/shop.h"
#include "cloud/signin.h"
#include "cloud/signup.h"
#include "cloud/support.h"
#include "cloud/web.h"

namespace flexroom::cloud {

/// The hosts of a sign-up, each a service of its own, and the one by which a test steers them:
/// admin.flexroom.example, behind a token (STATE/admin-token, 0600). GET /seen: what the hosts saw
/// and gave; GET and POST /settings; POST /faults; POST /mails; as the desks' people: POST /words
/// and /quotas. Thread-safe.
class WebHosts {
 public:
  static constexpr const char* kAdminHost = "admin.flexroom.example";

  /// Throws InputError for options that cannot work; nothing is made.
  static void check(const SandboxOptions& options);
  WebHosts(const std::filesystem::path& state_dir, Directory& directory, Faults& faults,
           const SandboxOptions& options, const std::string& region);
  /// Throws ApiError. `service`: one of these hosts' (is_web).
  Response handle(Service service, const Request& request, std::time_t now);
  /// What the desks do by themselves by then is done.
  void settle(std::time_t now);
  /// The desks, which share the accounts and the mails: kServiceQuotas and kSupport. Throws
  /// ApiError.
  Response handle_desk(Service service, const Request& request, const Caller& caller,
                       std::time_t now);

 private:
  Response steer(const Request& request);
  bool command(const std::string& page, const nlohmann::json& body);
  void apply_lags();
  void begin(std::time_t now);

  Directory& directory_;
  Faults& faults_;
  Sightings sightings_;
  BearerToken admin_;
  std::mutex mutex_;  // of all below
  WebCore core_;
  Signup signup_;
  Signin signin_;
  Console console_;
  Shop shop_;
  Support support_;
  ServiceQuotas quotas_;
};

}  // namespace flexroom::cloud
