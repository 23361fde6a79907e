#include "cloud/sandbox.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "cloud/accounts.h"
#include "cloud/certificates.h"
#include "cloud/ec2.h"
#include "cloud/faults.h"
#include "cloud/json_text.h"
#include "cloud/s3.h"
#include "cloud/sagemaker.h"
#include "cloud/server.h"
#include "cloud/token_api.h"
#include "cloud/vm_host.h"
#include "cloud/web_hosts.h"

namespace flexroom::cloud {

namespace {

constexpr const char* kRegion = "us-east-1";
constexpr unsigned kMaxSandboxes = 100;  // of one machine
constexpr size_t kMaxObjectBytes = 256u << 20;
constexpr size_t kMaxCallBytes = 1u << 20;

/// The names that stand in every VM's hosts file and in endpoints.json; buckets come on top.
const std::vector<std::pair<std::string, Service>>& service_hosts() {
  static const std::vector<std::pair<std::string, Service>> kHosts = {
      {"ec2.us-east-1.amazonaws.com", Service::kEc2},
      {"iam.amazonaws.com", Service::kIam},
      {"sts.amazonaws.com", Service::kSts},
      {"sts.us-east-1.amazonaws.com", Service::kSts},
      {"ssm.us-east-1.amazonaws.com", Service::kSsm},
      {"s3.us-east-1.amazonaws.com", Service::kS3},
      {"s3.amazonaws.com", Service::kS3},
      {"api.sagemaker.us-east-1.amazonaws.com", Service::kSageMaker},
      {"servicequotas.us-east-1.amazonaws.com", Service::kServiceQuotas},
      {"support.us-east-1.amazonaws.com", Service::kSupport},
      {TokenApi::kHost, Service::kTokenApi},
      {Mail::kHost, Service::kMail},
      {Signup::kHost, Service::kSignup},
      {Signin::kHost, Service::kSignin},
      {Console::kHost, Service::kConsole},
      {Shop::kHost, Service::kShop},
      {WebHosts::kAdminHost, Service::kAdmin},
  };
  return kHosts;
}

std::optional<Service> service_of_host(const std::string& host) {
  for (const auto& [name, service] : service_hosts()) {
    if (name == host) return service;
  }
  if (bucket_of_host(host, kRegion)) return Service::kS3;
  return std::nullopt;
}

bool is_local(const std::string& host) {
  if (host == "localhost" || host == "127.0.0.1") return true;
  // A name that is served goes into a certificate: digits and dots alone.
  return host.starts_with("127.83.") && host.size() <= 15 &&
         host.find_first_not_of("0123456789.") == std::string::npos;
}

std::filesystem::path prepared(const std::filesystem::path& dir) {
  if (dir.empty()) throw InputError("state folder", "is not given", "name a folder");
  std::filesystem::create_directories(dir);
  if (::chmod(dir.c_str(), 0700) != 0) {
    throw InputError(dir.string(), "does not belong to you", "choose another state folder");
  }
  return std::filesystem::canonical(dir);
}

/// Uniform in [0, 1).
double random_unit() {
  uint32_t word = 0;
  FLEXROOM_ASSERT(RAND_bytes(reinterpret_cast<uint8_t*>(&word), sizeof word) == 1);
  return word / 4294967296.0;
}

}  // namespace

namespace {

/// Throws for what cannot work, before anything is made.
SandboxOptions checked(SandboxOptions options) {
  if (options.fail_rate < 0 || options.fail_rate > 1) {
    throw InputError("fail rate", "is not between 0 and 1");
  }
  if (options.admin_access_key.empty() != options.admin_secret_key.empty()) {
    throw InputError("administrator's key", "is half given", "give the id and the secret");
  }
  WebHosts::check(options);
  return options;
}

}  // namespace

struct Sandbox::Impl {
  explicit Impl(SandboxOptions given)
      : options(checked(std::move(given))),
        state_dir(prepared(options.state_dir)),
        certificates(state_dir, options.key_type),
        directory(state_dir),
        token_api(state_dir),
        web(state_dir, directory, faults, options, kRegion) {
    faults.set(options.faults);
    bool first = true;
    for (const auto& name : options.account_names) {
      const bool with_key = first && !options.admin_access_key.empty();
      first = false;
      if (directory.has_account(name)) continue;
      directory.create_account(name, with_key ? options.admin_access_key : "",
                               with_key ? options.admin_secret_key : "");
    }
    tls = certificates.server_context(options.groups, [](const std::string& host) {
      return is_local(host) || service_of_host(host).has_value();
    });
  }

  ServerOptions server_options() const {
    ServerOptions out;
    out.tls = tls.get();
    out.body_limit = [this](const Request& request) {
      if (service_for(request) != Service::kS3) return kMaxCallBytes;
      // Nobody without a key makes us hold an object.
      const auto scope = claimed_scope(request);
      return scope && directory.find_key(scope->access_key) ? kMaxObjectBytes : kMaxCallBytes;
    };
    return out;
  }

  static std::optional<Service> service_for(const Request& request) {
    const std::string host = request.host();
    if (const auto service = service_of_host(host)) return service;
    if (!is_local(host)) return std::nullopt;
    // One address for all: the signature says which service is meant; without one it can only be
    // the reading of a public object.
    return service_of_signature(request).value_or(Service::kS3);
  }

  void bind_for_vms() {
    VmNetwork& net = network;
    net.cloud_port = port;
    for (unsigned k = 1; k <= kMaxSandboxes && !net.has_443; ++k) {
      net.index = k;
      net.cloud_address = fmt::format("127.83.{}.1", k);
      net.has_443 = server->listen(net.cloud_address, 443) != 0;
    }
    if (!net.has_443) {
      net.index = static_cast<unsigned>(::getpid()) % kMaxSandboxes + 1;
      net.cloud_address = fmt::format("127.83.{}.1", net.index);
    }
    net.serve = [this](Fd listener) { return server->adopt(std::move(listener)); };
    net.release = [this](int listener) { server->release(listener); };
  }

  void write_endpoints() const {
    auto hosts = nlohmann::json::array();
    for (const auto& [name, service] : service_hosts()) hosts.push_back(name);
    for (const char* suffix : {"*.s3.us-east-1.amazonaws.com", "*.s3.amazonaws.com"}) {
      hosts.push_back(suffix);
    }
    const nlohmann::ordered_json json = {
        {"port", port},
        {"address", "127.0.0.1"},
        {"ca", certificates.ca_file().string()},
        {"hosts", hosts},
        {"region", kRegion},
        {"vm_address", network.has_443 ? network.cloud_address + ":443" : ""}};
    const auto path = state_dir / "endpoints.json";
    write_private_file(path, json_text(json, 1) + "\n");
  }

  std::optional<Response> handle(const Request& request) {
    // A request may arrive as soon as the port is open, a little before the services are.
    if (!ready) ready.wait(false);
    const Fault fault = faults.next(request);
    std::this_thread::sleep_for(options.latency + fault.late);
    const auto service = service_for(request);
    if (!service) {
      return Response{404,  {{"Content-Type", "text/plain"}}, "No such host here\n", false, true,
                      false};
    }
    const bool fails = options.fail_rate > 0 && random_unit() < options.fail_rate;
    const bool cut_by_chance = fails && random_unit() < 0.5;
    const bool cut = fault.cut || cut_by_chance;
    const std::string id = new_request_id(*service);
    if (fault.drop) {
      log(request, *service, "dropped");
      return std::nullopt;
    }
    Response response = answer(request, *service, id, fails && !cut_by_chance, fault);
    if (request.method == "HEAD") {
      response.head_only = true;
      response.chunked = false;
    }
    log(request, *service, cut ? "cut" : std::to_string(response.status));
    if (cut) return std::nullopt;
    add_service_headers(*service, id, response);
    spoil(fault, request, response);
    return response;
  }

  Response answer(const Request& request, Service service, const std::string& id, bool fails,
                  const Fault& fault) {
    try {
      if (fails) injected_failure(service);
      if (fault.status != 0) throw ApiError(fault.status, "InjectedFault", "As the fault says.");
      if (service == Service::kTokenApi) return token_api.handle(request);
      const std::time_t now = std::time(nullptr) + options.clock_offset.count();
      if (is_web(service)) return web.handle(service, request, now);
      const Caller caller = authenticate(request, service, directory, AuthRules{}, now);
      switch (service) {
        case Service::kEc2:
          web.settle(now);  // a quota may have been granted
          return ec2->handle(request, caller, id);
        case Service::kIam:
          return handle_iam(request, caller, directory, id);
        case Service::kSts:
          return handle_sts(request, caller, directory, id);
        case Service::kSsm:
          return handle_ssm(request, caller, directory);
        case Service::kS3:
          return s3->handle(request, caller);
        case Service::kSageMaker:
          return sagemaker->handle(request, caller);
        case Service::kServiceQuotas:
        case Service::kSupport:
          return web.handle_desk(service, request, caller, now);
        default:
          break;  // the others have no signatures
      }
    } catch (const ApiError& error) {
      if (fault.echo) {
        return render_error(service,
                            ApiError(error.status(), error.code(),
                                     error.what() + ("\n" + echo_of(request)), error.fields()),
                            id, request.path);
      }
      return render_error(service, error, id, request.path);
    } catch (const std::exception& error) {
      log(request, service, std::string("internal error: ") + error.what());
    }
    return render_error(service,
                        ApiError(500, service == Service::kIam ? "ServiceFailure" : "InternalError",
                                 "We encountered an internal error. Please try again."),
                        id, request.path);
  }

  [[noreturn]] static void injected_failure(Service service) {
    if (is_json_rpc(service)) {
      throw ApiError(500, "InternalServerError", "An error occurred on the server side.");
    }
    switch (service) {
      case Service::kS3:
        throw ApiError(503, "SlowDown", "Please reduce your request rate.");
      case Service::kEc2:
        throw ApiError(503, "RequestLimitExceeded", "Request limit exceeded.");
      case Service::kTokenApi:
        throw ApiError(503, "overloaded", "The service is overloaded.");
      default:
        throw ApiError(503, "ServiceUnavailable", "Service is currently unavailable.");
    }
  }

  /// Method, host, path and outcome. Never the query or the body: they hold signatures.
  void log(const Request& request, Service service, const std::string& outcome) const {
    if (options.quiet) return;
    std::string path = request.path;
    for (char& c : path) c = (c < 0x20 || c > 0x7e) ? '?' : c;
    // Not fmt::print, which throws when nobody reads the log.
    std::fputs(
        fmt::format("sandbox {} {} {} {}{} {}\n", iso_date(std::time(nullptr)), to_string(service),
                    request.method, request.host(), path.substr(0, 200), outcome)
            .c_str(),
        stderr);
  }

  SandboxOptions options;
  std::filesystem::path state_dir;
  Certificates certificates;
  Directory directory;
  TokenApi token_api;
  Faults faults;
  WebHosts web;
  Handle<SSL_CTX> tls;
  VmNetwork network;
  uint16_t port = 0;
  std::unique_ptr<VmHost> vms;
  std::unique_ptr<Ec2> ec2;
  std::unique_ptr<S3> s3;
  std::unique_ptr<SageMaker> sagemaker;
  std::unique_ptr<Server> server;
  bool running = false;
  std::atomic<bool> ready{false};
};

Sandbox::Sandbox(SandboxOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Sandbox::~Sandbox() { stop(); }

void Sandbox::start() {
  Impl& self = *impl_;
  FLEXROOM_ASSERT(!self.running);
  self.server = std::make_unique<Server>(
      self.server_options(), [&self](const Request& request, int) { return self.handle(request); });
  self.port = self.server->listen("127.0.0.1", self.options.port);
  if (self.port == 0) {
    throw InputError(fmt::format("port {}", self.options.port), "cannot be listened on",
                     "choose another, or 0 for any free one");
  }
  self.bind_for_vms();
  self.vms = std::make_unique<VmHost>(VmHost::Options{self.state_dir / "vms",
                                                      self.state_dir,
                                                      self.certificates.ca_file(),
                                                      kRegion,
                                                      self.options.vm_lifetime,
                                                      self.network,
                                                      {}});
  for (const auto& [name, service] : service_hosts()) self.vms->add_host(name);
  self.ec2 = std::make_unique<Ec2>(self.directory, *self.vms, kRegion, self.options.throttled_runs);
  self.s3 = std::make_unique<S3>(
      self.directory, self.state_dir / "objects", kRegion, [&self](const std::string& bucket) {
        for (const char* suffix : {".s3.us-east-1.amazonaws.com", ".s3.amazonaws.com"}) {
          self.vms->add_host(bucket + suffix);
        }
      });
  self.sagemaker = std::make_unique<SageMaker>(self.directory, *self.vms, *self.s3, kRegion);
  self.write_endpoints();
  self.running = true;
  self.ready = true;
  self.ready.notify_all();
}

void Sandbox::stop() {
  Impl& self = *impl_;
  if (!self.running) return;
  self.running = false;
  self.server->stop();  // first: no new instances
  self.vms->stop();
  self.ec2->stop();
  self.sagemaker->stop();
}

std::optional<Response> Sandbox::respond(const Request& request) { return impl_->handle(request); }

uint16_t Sandbox::port() const { return impl_->port; }
std::filesystem::path Sandbox::ca_file() const { return impl_->certificates.ca_file(); }
VmIsolation Sandbox::isolation() const { return impl_->vms->isolation(); }

AccountKey Sandbox::create_account(const std::string& name) {
  const AccessKey key = impl_->directory.create_account(name);
  return {impl_->directory.account_of_key(key.id), key.id, key.secret};
}

AccountKey Sandbox::account(const std::string& name) const {
  std::ifstream file(impl_->state_dir / "accounts.json");
  for (const auto& entry : nlohmann::json::parse(file)) {
    if (entry.at("account") == name && entry.at("user") == name) {
      return {entry.at("account_id"), entry.at("access_key_id"), entry.at("secret_access_key")};
    }
  }
  throw InputError("account " + name, "does not exist", "see accounts.json");
}

}  // namespace flexroom::cloud
