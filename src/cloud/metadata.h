#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cloud/accounts.h"
#include "cloud/server.h"

namespace flexroom::cloud {

/// What an instance may learn about itself.
struct MetadataFacts {
  std::string instance_id, image_id, instance_type, account_id, region, private_ip, hostname;
  std::string user_data;
  std::string profile_arn, profile_id, role;  // role empty: no credentials
  std::time_t launched = 0;
};

/// The instance-metadata service of one VM, IMDSv2 only: a token by PUT first, then GETs with it.
/// It has an address of its own on loopback, and answers only sockets of user `uid`, so that
/// neither another VM nor another user of this machine can fetch its credentials.
class MetadataService {
 public:
  MetadataService(MetadataFacts facts, uid_t uid, std::function<SessionKey()> new_credentials);
  /// Returns http://address:port, or "" if nothing could be bound.
  std::string listen(const std::string& address);
  /// Serves a socket that listens inside the VM's own network, where nobody else is.
  bool adopt(Fd listener);
  void stop() { server_.stop(); }

 private:
  Response handle(const Request& request, int fd);
  Response answer(const Request& request);
  Response read(const std::string& path);
  Response new_token(const Request& request);
  bool token_valid(const std::string& token);
  Response credentials();

  MetadataFacts facts_;
  uid_t uid_;
  std::atomic<bool> alone_{false};  // only the VM reaches it
  std::function<SessionKey()> new_credentials_;
  std::mutex mutex_;
  std::map<std::string, std::time_t> tokens_;  // token -> end
  SessionKey key_;
  Server server_;  // last: its threads use the rest
};

/// The user that owns the other end of a loopback TCP connection, by /proc/net/tcp.
std::optional<uid_t> peer_uid(int fd);

}  // namespace flexroom::cloud
