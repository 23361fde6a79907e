#include "cloud/metadata.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxTokens = 64;
constexpr long kMaxTokenSeconds = 21600;

Response text(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers = {{"Content-Type", "text/plain"}, {"Server", "EC2ws"}};
  response.body = std::move(body);
  return response;
}

ServerOptions server_options() {
  ServerOptions options;
  options.max_connections = 32;
  options.limits.body_bytes = 4096;
  return options;
}

}  // namespace

std::optional<uid_t> peer_uid(int fd) {
  sockaddr_in peer{};
  sockaddr_in local{};
  socklen_t length = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return std::nullopt;
  length = sizeof local;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return std::nullopt;
  // The table shows addresses as the machine's 32-bit words, ports in host order.
  const auto format = [](const sockaddr_in& name) {
    char out[16];
    std::snprintf(out, sizeof out, "%08X:%04X", name.sin_addr.s_addr, ntohs(name.sin_port));
    return std::string(out);
  };
  const std::string from = format(peer), to = format(local);
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string slot, source, target, state, queues, timer, retransmits;
    uid_t uid = 0;
    if (fields >> slot >> source >> target >> state >> queues >> timer >> retransmits >> uid &&
        source == from && target == to) {
      return uid;
    }
  }
  return std::nullopt;
}

MetadataService::MetadataService(MetadataFacts facts, uid_t uid,
                                 std::function<SessionKey()> new_credentials)
    : facts_(std::move(facts)),
      uid_(uid),
      new_credentials_(std::move(new_credentials)),
      server_(server_options(), [this](const Request& request, int fd) {
        return std::optional(handle(request, fd));
      }) {}

std::string MetadataService::listen(const std::string& address) {
  uint16_t port = server_.listen(address, 80);
  if (port == 0) port = server_.listen(address, 0);
  return port == 0 ? "" : "http://" + address + ":" + std::to_string(port);
}

bool MetadataService::adopt(Fd listener) {
  alone_ = true;
  return server_.adopt(std::move(listener));
}

Response MetadataService::handle(const Request& request, int fd) {
  if (!alone_ && peer_uid(fd) != uid_) return text(403, "not this instance\n");
  try {
    return answer(request);
  } catch (const std::exception&) {  // no credentials can be made
    return text(500, "");
  }
}

Response MetadataService::answer(const Request& request) {
  const bool wants_token = request.path == "/latest/api/token";
  if (wants_token) {
    if (request.method != "PUT") return text(405, "");
    return new_token(request);
  }
  if (request.method != "GET") return text(405, "");
  if (!token_valid(request.header("x-aws-ec2-metadata-token").value_or(""))) return text(401, "");
  return read(request.path);
}

Response MetadataService::new_token(const Request& request) {
  // As at the provider: a request that came through a proxy gets no token.
  if (request.header("x-forwarded-for")) return text(403, "");
  const std::string ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds").value_or("");
  const bool digits =
      !ttl.empty() && ttl.size() < 6 && ttl.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stol(ttl) < 1 || std::stol(ttl) > kMaxTokenSeconds) return text(400, "");
  const std::time_t now = std::time(nullptr);
  const std::lock_guard lock(mutex_);
  std::erase_if(tokens_, [&](const auto& item) { return item.second < now; });
  if (tokens_.size() >= kMaxTokens) tokens_.erase(tokens_.begin());
  const std::string token =
      random_text(56, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
  tokens_[token] = now + std::stol(ttl);
  Response response = text(200, token);
  response.headers.emplace_back("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl);
  return response;
}

bool MetadataService::token_valid(const std::string& token) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(token);
  return found != tokens_.end() && found->second >= std::time(nullptr);
}

Response MetadataService::credentials() {
  const std::lock_guard lock(mutex_);
  const std::time_t now = std::time(nullptr);
  if (key_.expires < now + 300) key_ = new_credentials_();
  const nlohmann::ordered_json json = {{"Code", "Success"},
                                       {"LastUpdated", iso_date(now)},
                                       {"Type", "AWS-HMAC"},
                                       {"AccessKeyId", key_.id},
                                       {"SecretAccessKey", key_.secret},
                                       {"Token", key_.token},
                                       {"Expiration", iso_date(key_.expires)}};
  return text(200, json_text(json, 2));
}

Response MetadataService::read(const std::string& path) {
  static constexpr std::string_view kCredentials = "/latest/meta-data/iam/security-credentials/";
  static constexpr std::string_view kMeta = "/latest/meta-data/";
  if (!facts_.role.empty()) {
    if (path == kCredentials || path == kCredentials.substr(0, kCredentials.size() - 1)) {
      return text(200, facts_.role);
    }
    if (path == std::string(kCredentials) + facts_.role) return credentials();
    if (path == "/latest/meta-data/iam/info") {
      return text(200, json_text(nlohmann::ordered_json{{"Code", "Success"},
                                                        {"InstanceProfileArn", facts_.profile_arn},
                                                        {"InstanceProfileId", facts_.profile_id}},
                                 2));
    }
  }
  if (path == "/latest/user-data") {
    return facts_.user_data.empty() ? text(404, "") : text(200, facts_.user_data);
  }
  if (path == "/latest/dynamic/instance-identity/document") {
    return text(200, json_text(nlohmann::ordered_json{{"accountId", facts_.account_id},
                                                      {"architecture", "x86_64"},
                                                      {"availabilityZone", facts_.region + "a"},
                                                      {"imageId", facts_.image_id},
                                                      {"instanceId", facts_.instance_id},
                                                      {"instanceType", facts_.instance_type},
                                                      {"pendingTime", iso_date(facts_.launched)},
                                                      {"privateIp", facts_.private_ip},
                                                      {"region", facts_.region},
                                                      {"version", "2017-09-30"}},
                               2));
  }
  const std::map<std::string, std::string> items = {
      {"ami-id", facts_.image_id},
      {"hostname", facts_.hostname},
      {"instance-id", facts_.instance_id},
      {"instance-type", facts_.instance_type},
      {"local-hostname", facts_.hostname},
      {"local-ipv4", facts_.private_ip},
      {"placement/availability-zone", facts_.region + "a"},
      {"placement/region", facts_.region},
      {"services/domain", "amazonaws.com"},
  };
  if (path == kMeta || path == kMeta.substr(0, kMeta.size() - 1)) {
    return text(200,
                "ami-id\nhostname\niam/\ninstance-id\ninstance-type\nlocal-hostname\n"
                "local-ipv4\nplacement/\nservices/");
  }
  if (path.starts_with(kMeta)) {
    const auto found = items.find(path.substr(kMeta.size()));
    if (found != items.end()) return text(200, found->second);
  }
  return text(404, "");
}

}  // namespace flexroom::cloud
