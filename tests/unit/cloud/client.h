#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "cloud/certificates.h"
#include "cloud/sandbox.h"
#include "cloud/sigv4.h"

namespace flexroom::cloud::test {

/// A sandbox in a folder of its own, removed at the end.
struct Fixture {
  explicit Fixture(SandboxOptions options = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "flexroom-cloud-XXXXXX").string();
    dir = ::mkdtemp(name.data());
    options.state_dir = dir / "state";
    options.quiet = true;
    sandbox = std::make_unique<Sandbox>(options);
    sandbox->start();
  }
  ~Fixture() {
    sandbox.reset();
    std::filesystem::remove_all(dir);
  }
  std::filesystem::path dir;
  std::unique_ptr<Sandbox> sandbox;
};

/// Why instances are not apart from this machine here; empty if they are.
inline std::string why_not_apart(const Sandbox& sandbox) {
  if (sandbox.isolation() == VmIsolation::kNamespaces) return "";
  const std::string needs =
      "an instance with a user id and namespaces of its own takes root: ids of others cannot be "
      "had in a user namespace without entries in /etc/subuid";
  return ::geteuid() != 0 ? needs + "; this is user " + std::to_string(::geteuid())
                          : needs +
                                ", and the mount, pid, uts, ipc and net namespaces that this "
                                "container refuses (CAP_SYS_ADMIN)";
}

/// Sends bytes over a verified TLS connection to `host` and reads until the sandbox closes.
inline std::string exchange(const Sandbox& sandbox, const std::string& host,
                            const std::string& bytes) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(sandbox.port());
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval timeout{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  std::string out;
  const Handle<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_load_verify_file(context.get(), sandbox.ca_file().c_str());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  Handle<SSL> ssl(SSL_new(context.get()));
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  SSL_set1_host(ssl.get(), host.c_str());
  if (::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 &&
      SSL_set_fd(ssl.get(), fd) == 1 && SSL_connect(ssl.get()) == 1) {
    SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
    char buffer[16384];
    for (int n; (n = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;) {
      out.append(buffer, static_cast<size_t>(n));
    }
  } else {
    out = "TLS failed";
  }
  ssl.reset();
  ::close(fd);
  return out;
}

struct CallOptions {
  std::time_t time = std::time(nullptr);
  std::string secret;        // another than the account's
  std::string payload_hash;  // another than the body's
  Pairs headers;             // further ones, signed
};

/// A signed request as text; header form.
inline std::string signed_request(const AccountKey& key, Service service, Request request,
                                  const CallOptions& options = {}) {
  const std::string hash =
      options.payload_hash.empty() ? to_hex(sha256(as_bytes(request.body))) : options.payload_hash;
  const std::string date = amz_date(options.time);
  request.headers.emplace_back("x-amz-date", date);
  if (service == Service::kS3) request.headers.emplace_back("x-amz-content-sha256", hash);
  for (const auto& header : options.headers) request.headers.push_back(header);
  std::vector<std::string> names;
  for (const auto& [name, value] : request.headers) names.push_back(lower(name));
  std::sort(names.begin(), names.end());
  const CredentialScope scope{key.access_key_id, date.substr(0, 8), "us-east-1",
                              std::string(to_string(service)), "aws4_request"};
  const std::string canonical = canonical_request(request, names, hash, path_rules(service));
  const std::string secret = options.secret.empty() ? key.secret_access_key : options.secret;
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ";") + name;
  std::string text = request.method + " " + request.path +
                     (request.query.empty() ? "" : "?" + request.query) + " HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
  text += "Authorization: AWS4-HMAC-SHA256 Credential=" + key.access_key_id + "/" + scope.scope() +
          ", SignedHeaders=" + joined + ", Signature=" +
          signature(signing_key(secret, scope), string_to_sign(date, scope, canonical)) + "\r\n";
  text += "Connection: close\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

/// POST of a query-API call; the raw response.
inline std::string query_call(const Sandbox& sandbox, const AccountKey& key, Service service,
                              const std::string& host, const std::string& form,
                              const CallOptions& options = {}) {
  Request request{"POST",
                  "/",
                  "",
                  {{"host", host}, {"content-type", "application/x-www-form-urlencoded"}},
                  form};
  return exchange(sandbox, host, signed_request(key, service, request, options));
}

inline std::string s3_call(const Sandbox& sandbox, const AccountKey& key, const std::string& method,
                           const std::string& host, const std::string& path,
                           const std::string& body = "", const CallOptions& options = {}) {
  const Request request{method, path, "", {{"host", host}}, body};
  return exchange(sandbox, host, signed_request(key, Service::kS3, request, options));
}

/// https://host/path?... signed for `expires` seconds from `time`.
inline std::string presigned_target(const AccountKey& key, const std::string& method,
                                    const std::string& host, const std::string& path, int expires,
                                    std::time_t time = std::time(nullptr)) {
  const std::string date = amz_date(time);
  const CredentialScope scope{key.access_key_id, date.substr(0, 8), "us-east-1", "s3",
                              "aws4_request"};
  Request request{method, path, "", {{"host", host}}, ""};
  request.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" +
                  percent_encode(key.access_key_id + "/" + scope.scope(), false) +
                  "&X-Amz-Date=" + date + "&X-Amz-Expires=" + std::to_string(expires) +
                  "&X-Amz-SignedHeaders=host";
  const std::string canonical =
      canonical_request(request, {"host"}, "UNSIGNED-PAYLOAD", path_rules(Service::kS3));
  return path + "?" + request.query + "&X-Amz-Signature=" +
         signature(signing_key(key.secret_access_key, scope),
                   string_to_sign(date, scope, canonical));
}

inline std::string element(const std::string& xml, const std::string& name) {
  const size_t begin = xml.find("<" + name + ">");
  if (begin == std::string::npos) return "";
  const size_t at = begin + name.size() + 2;
  return xml.substr(at, xml.find("<", at) - at);
}

/// Output of a shell command, both streams.
inline std::string run(const std::string& command) {
  FILE* pipe = ::popen(("( " + command + " ) 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  ::pclose(pipe);
  return out;
}

inline constexpr const char* kEc2 = "ec2.us-east-1.amazonaws.com";
inline constexpr const char* kIam = "iam.amazonaws.com";

inline std::string run_form(const std::string& script, const std::string& more = "") {
  return "Action=RunInstances&Version=2016-11-15&ImageId=ami-0123456789abcdef0&InstanceType="
         "t3.large&MinCount=1&MaxCount=1&UserData=" +
         percent_encode(base64(as_bytes(script)), false) + more;
}

/// Waits until the instance is in that state; its console then.
inline std::string wait_for(const Sandbox& sandbox, const AccountKey& key,
                            const std::string& instance, const std::string& state) {
  bool reached = false;
  for (int i = 0; i < 1200 && !reached; ++i) {
    if (i != 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::string text = query_call(sandbox, key, Service::kEc2, kEc2,
                                        "Action=DescribeInstances&InstanceId.1=" + instance);
    reached = text.find("<name>" + state + "</name>") != std::string::npos;
    // An instance that has ended some other way will not come to that state any more.
    if (!reached && text.find("<code>Server.InternalError</code>") != std::string::npos) break;
  }
  const std::string output = query_call(sandbox, key, Service::kEc2, kEc2,
                                        "Action=GetConsoleOutput&InstanceId=" + instance);
  return (reached ? "" : "the instance never was " + state + ": ") +
         to_text(base64_decode(element(output, "output")).value_or(Bytes{}));
}

/// The console of a new instance with that script, once it has shut itself down.
inline std::string console_of(const Sandbox& sandbox, const AccountKey& key,
                              const std::string& script, const std::string& more = "") {
  const std::string started =
      query_call(sandbox, key, Service::kEc2, kEc2,
                 run_form(script, "&InstanceInitiatedShutdownBehavior=terminate" + more));
  const std::string id = element(started, "instanceId");
  if (id.empty()) return started;
  return wait_for(sandbox, key, id, "terminated");
}

}  // namespace flexroom::cloud::test
