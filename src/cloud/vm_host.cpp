#include "cloud/vm_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <future>
#include <sstream>

#include "base/error.h"
#include "cloud/vm_limits.h"

namespace flexroom::cloud {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kShutdownScript = R"(#!/bin/sh
# Asks the sandbox to switch this instance off, as shutdown(8) does.
printf '%s\n' "$*" > "$(dirname "$0")/../control"
)";
constexpr const char* kPoweroffScript = R"(#!/bin/sh
printf 'now\n' > "$(dirname "$0")/../control"
)";

void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode,
                uid_t owner) {
  std::ofstream(path, std::ios::binary) << text;
  FLEXROOM_ASSERT(::chmod(path.c_str(), mode) == 0);
  if (::geteuid() == 0) FLEXROOM_ASSERT(::chown(path.c_str(), owner, owner) == 0);
}

/// "-h +720", "now", "-c": minutes until the end, -1 to cancel. As shutdown(8): one without a time.
long shutdown_minutes(const std::string& line) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word == "-c") return -1;
    if (word.starts_with("-")) continue;
    if (word == "now") return 0;
    if (word.starts_with("+")) word.erase(0, 1);
    const bool digits = word.find_first_not_of("0123456789") == std::string::npos;
    if (word.empty() || word.size() > 6 || !digits) break;  // a wall message, or HH:MM
    return std::stol(word);
  }
  return 1;
}

/// Ids that neither systemd (dynamic users, homes, containers) nor subordinate ids use.
constexpr uid_t kFirstUid = 1'900'000'000;

constexpr const char* kOwnMetadata = "http://169.254.169.254";

}  // namespace

struct VmHost::Vm {
  std::string id;
  unsigned slot = 0;
  uid_t uid = 0;
  std::filesystem::path dir;
  std::thread thread;
  std::atomic<bool> terminate{false};
  std::promise<std::string> started;  // why not; empty: it runs
  std::mutex console_mutex;
  std::string console;

  void print(std::string_view text) {
    const std::lock_guard lock(console_mutex);
    console.append(text);
    if (console.size() > kConsoleBytes) console.erase(0, console.size() - kConsoleBytes);
  }
};

/// What a running VM holds of this process.
struct VmHost::Machine {
  std::optional<VmGroup> group;
  Fd console, control;
  StartedVm started;
  int cloud_listener = -1;  // the network's to release
};

VmHost::VmHost(Options options)
    : options_(std::move(options)),
      isolation_(possible_isolation(kFirstUid + options_.network.index * kMaxVms)) {
  for (unsigned i = 0; i < kMaxVms; ++i) free_slots_.insert(i);
  std::filesystem::create_directories(options_.dir);
  // What a sandbox that was killed left mounted.
  for (const auto& entry : std::filesystem::directory_iterator(options_.dir)) {
    remove_home(entry.path());
  }
}

VmHost::~VmHost() { stop(); }

std::optional<unsigned> VmHost::acquire_slot() {
  const std::lock_guard lock(mutex_);
  if (free_slots_.empty()) return std::nullopt;
  return free_slots_.extract(free_slots_.begin()).value();
}

void VmHost::release_slot(unsigned slot) {
  const std::lock_guard lock(mutex_);
  free_slots_.insert(slot);
}

uid_t VmHost::uid(unsigned slot) const {
  return isolation_ == VmIsolation::kNone ? ::geteuid()
                                          : kFirstUid + options_.network.index * kMaxVms + slot;
}

std::string VmHost::metadata_address(unsigned slot) const {
  return "127.83." + std::to_string(options_.network.index) + "." + std::to_string(10 + slot);
}

void VmHost::add_host(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!hosts_.insert(name).second) return;
  const std::string line = options_.network.cloud_address + " " + name + "\n";
  for (const auto& [id, vm] : vms_) {
    // Appended in place: the bind mount inside the VM follows the file, not its name.
    const Fd fd(::open((vm->dir / "hosts").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (fd.valid()) static_cast<void>(write_all(fd.get(), as_bytes(line)));
  }
}

/// Whether a VM finds the sandbox's host names in its hosts file.
bool VmHost::names_resolve() const {
  return isolation_ == VmIsolation::kNamespaces && std::filesystem::exists("/etc/hosts");
}

/// With a uid of its own but without mounts, the state folder cannot be walked through.
std::filesystem::path VmHost::home_of(const std::filesystem::path& vm_dir) const {
  if (isolation_ != VmIsolation::kUser) return vm_dir / "home";
  return std::filesystem::temp_directory_path() / ("flexroom-" + vm_dir.filename().string());
}

void VmHost::fill_home(const Vm& vm, const std::string& user_data,
                       const std::string& metadata_endpoint) const {
  namespace fs = std::filesystem;
  const fs::path home = home_of(vm.dir);
  const fs::path cloud = home / ".cloud";
  fs::create_directories(vm.dir);
  if (::mkdir(home.c_str(), 0700) != 0) throw InputError(home.string(), "cannot be made");
  if (isolation_ == VmIsolation::kNamespaces) {
    const std::string options =
        "mode=0700,nr_inodes=65536,size=" + std::to_string(VmPlan{}.home_bytes);
    if (::mount("tmpfs", home.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
      throw InputError(home.string(), "cannot be made a tmpfs",
                       "start the sandbox with CAP_SYS_ADMIN, or not as root");
    }
  }
  fs::create_directories(cloud / "bin");
  write_file(cloud / "bin/shutdown", kShutdownScript, 0555, 0);
  for (const char* name : {"poweroff", "halt"}) {
    write_file(cloud / "bin" / name, kPoweroffScript, 0555, 0);
  }
  std::ifstream ca(options_.ca_file, std::ios::binary);
  const std::string ca_text{std::istreambuf_iterator<char>(ca), {}};
  write_file(cloud / "ca-bundle.pem", ca_text, 0444, 0);
  write_file(cloud / "user-data", user_data, 0500, vm.uid);
  FLEXROOM_ASSERT(::mkfifo((cloud / "control").c_str(), 0600) == 0);
  if (isolation_ != VmIsolation::kNone) {
    FLEXROOM_ASSERT(::chown((cloud / "control").c_str(), vm.uid, vm.uid) == 0);
    FLEXROOM_ASSERT(::chown(home.c_str(), vm.uid, vm.uid) == 0);
    FLEXROOM_ASSERT(::chmod(cloud.c_str(), 0755) == 0);
    FLEXROOM_ASSERT(::chmod((cloud / "bin").c_str(), 0755) == 0);
  }
  FLEXROOM_ASSERT(::chmod(home.c_str(), 0700) == 0);

  // For curl, also where a script tells it to read no configuration (-q).
  std::string curlrc, options;
  const auto connect_to = [&](const std::string& from, const std::string& to) {
    curlrc += "connect-to = \"" + from + ":" + to + "\"\n";
    options += " --connect-to '" + from + ":" + to + "'";
  };
  if (isolation_ != VmIsolation::kNamespaces) {
    connect_to("169.254.169.254:80", metadata_endpoint.substr(metadata_endpoint.find("//") + 2));
  }
  if (!names_resolve()) {
    connect_to(":443", options_.network.has_443 || isolation_ == VmIsolation::kNamespaces
                           ? options_.network.cloud_address + ":443"
                           : "127.0.0.1:" + std::to_string(options_.network.cloud_port));
  }
  if (!options.empty()) {
    write_file(cloud / "bin/curl", "#!/bin/sh\nexec /usr/bin/curl" + options + " \"$@\"\n", 0555,
               0);
  }
  write_file(home / ".curlrc", curlrc, 0644, vm.uid);
}

void VmHost::remove_home(const std::filesystem::path& vm_dir) const {
  if (::geteuid() == 0) ::umount2((vm_dir / "home").c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove_all(vm_dir / "home", ignored);
  std::filesystem::remove_all(home_of(vm_dir), ignored);
}

VmPlan VmHost::prepare(const Vm& vm, const std::string& user_data,
                       const std::string& metadata_endpoint) {
  if (metadata_endpoint.empty()) {
    throw InputError("the instance's metadata service",
                     "cannot listen on " + metadata_address(vm.slot),
                     "let loopback have the addresses 127.83.0.0/16");
  }
  fill_home(vm, user_data, metadata_endpoint);
  const bool apart = isolation_ == VmIsolation::kNamespaces;
  const std::string inside = apart ? "/root" : home_of(vm.dir).string();
  VmPlan plan;
  plan.isolation = isolation_;
  in_addr address{};
  FLEXROOM_ASSERT(::inet_pton(AF_INET, options_.network.cloud_address.c_str(), &address) == 1);
  plan.cloud_address = ntohl(address.s_addr);
  plan.uid = vm.uid;
  plan.hostname = "ip-172-31-0-" + std::to_string(10 + vm.slot);
  plan.home = inside;
  plan.script = inside + "/.cloud/user-data";
  plan.has_shebang = user_data.starts_with("#!");
  const std::string bundle = inside + "/.cloud/ca-bundle.pem";
  plan.environment = {"HOME=" + inside,
                      "CURL_HOME=" + inside,
                      "USER=root",
                      "LOGNAME=root",
                      "SHELL=/bin/bash",
                      "LANG=C.UTF-8",
                      "TERM=dumb",
                      "PATH=" + inside +
                          "/.cloud/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                          "/usr/bin:/sbin:/bin",
                      "AWS_REGION=" + options_.region,
                      "AWS_DEFAULT_REGION=" + options_.region,
                      "AWS_CA_BUNDLE=" + bundle,
                      "SSL_CERT_FILE=" + bundle,
                      "CURL_CA_BUNDLE=" + bundle,
                      "REQUESTS_CA_BUNDLE=" + bundle,
                      "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + metadata_endpoint};
  if (!names_resolve()) {
    plan.environment.push_back("AWS_ENDPOINT_URL=https://" +
                               (apart
                                    ? options_.network.cloud_address
                                    : "127.0.0.1:" + std::to_string(options_.network.cloud_port)));
  }
  if (apart) plan_view(vm, plan);
  return plan;
}

void VmHost::plan_view(const Vm& vm, VmPlan& plan) const {
  const auto home = vm.dir / "home";
  {
    const std::lock_guard lock(mutex_);
    std::string hosts = "127.0.0.1 localhost " + plan.hostname + "\n";
    for (const auto& name : hosts_) hosts += options_.network.cloud_address + " " + name + "\n";
    write_file(vm.dir / "hosts", hosts, 0644, 0);
  }
  // No name server: inside, only the sandbox's names exist, so nothing signed for the sandbox
  // can stray to the real services.
  write_file(vm.dir / "resolv.conf", "options attempts:1 timeout:1\n", 0644, 0);
  for (const char* name : {"hosts", "resolv.conf"}) {
    const std::string target = std::string("/etc/") + name;
    if (std::filesystem::exists(target)) plan.binds.emplace_back(vm.dir / name, target);
  }
  const std::filesystem::path system_bundle = "/etc/ssl/certs/ca-certificates.crt";
  if (std::filesystem::exists(system_bundle)) {
    plan.binds.emplace_back(home / ".cloud/ca-bundle.pem", system_bundle);
  }
  plan.binds.emplace_back(home, plan.home);
  plan.covers = {"/tmp", "/var/tmp", "/dev/shm", "/home", "/mnt", options_.state_dir.string()};
  plan.covers.insert(plan.covers.end(), options_.covers.begin(), options_.covers.end());
}

void VmHost::launch(const std::string& id, unsigned slot, const std::string& user_data,
                    VmMetadata metadata, OnEnd on_end) {
  auto vm = std::make_shared<Vm>();
  vm->id = id;
  vm->slot = slot;
  vm->uid = uid(slot);
  vm->dir = options_.dir / id;
  std::future<std::string> started = vm->started.get_future();
  {
    const std::lock_guard lock(mutex_);
    vms_[id] = vm;
    vm->thread = std::thread([this, vm, user_data, metadata = std::move(metadata), on_end] {
      run(vm, user_data, metadata, on_end);
    });
  }
  if (const std::string failure = started.get(); !failure.empty()) {
    throw InputError("the instance", "cannot be started: " + failure);
  }
}

void VmHost::start(Vm& vm, const std::string& user_data, const VmMetadata& metadata,
                   Machine& machine) {
  const bool apart = isolation_ == VmIsolation::kNamespaces;
  VmPlan plan = prepare(vm, user_data, apart ? kOwnMetadata : metadata.endpoint);
  if (apart) {
    machine.group.emplace("flexroom-" + std::to_string(vm.uid), plan.total_memory_bytes,
                          plan.num_processes);
    plan.groups = machine.group->joins();
    if (plan.groups.empty()) {
      vm.print("sandbox: no control group can be made, so memory is bounded per process only\n");
    }
  }
  machine.control =
      Fd(::open((home_of(vm.dir) / ".cloud/control").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  std::array<int, 2> console{-1, -1};
  if (!machine.control.valid() || ::pipe2(console.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw InputError("the instance", "gets no pipe");
  }
  machine.console = Fd(console[0]);
  Fd console_of_vm(console[1]);
  // The script's side of the pipe blocks as a terminal would.
  ::fcntl(console_of_vm.get(), F_SETFL, 0);
  machine.started = start_vm(plan, console_of_vm.get());
  console_of_vm.reset(-1);
  StartedVm& started = machine.started;
  if (!started.failure.empty()) throw InputError("the instance", "fails at: " + started.failure);
  machine.cloud_listener = started.cloud_listener.get();
  if (started.cloud_listener.valid() &&
      (!options_.network.serve(std::move(started.cloud_listener)) ||
       !metadata.serve(std::move(started.metadata_listener)))) {
    throw InputError("the instance", "gets no thread that serves it");
  }
}

void VmHost::run(const std::shared_ptr<Vm>& vm, const std::string& user_data,
                 const VmMetadata& metadata, const OnEnd& on_end) {
  vm->print("Cloud-init: booting " + vm->id + "\n");
  if (isolation_ != VmIsolation::kNamespaces) {
    vm->print(
        std::string("sandbox: this instance has ") +
        (isolation_ == VmIsolation::kUser ? "a uid but no namespaces" : "no uid and namespaces") +
        " of its own; only curl reaches the sandbox under its real host names\n");
  }
  Machine machine;
  std::string failure;
  VmEnd end = VmEnd::kFailed;
  try {
    start(*vm, user_data, metadata, machine);
    vm->started.set_value("");
    end = watch(*vm, machine.started.init, machine.console.get(), machine.control.get());
  } catch (const std::exception& error) {
    failure = error.what();
    vm->print("sandbox: " + failure + "\n");
  }
  if (machine.started.init > 0) {
    kill_vm(machine.started.init, isolation_);
    ::waitpid(machine.started.init, nullptr, 0);
  }
  machine.group.reset();
  if (machine.cloud_listener >= 0) options_.network.release(machine.cloud_listener);
  {
    const std::lock_guard lock(vm->console_mutex);
    std::ofstream(vm->dir / "console.log", std::ios::binary) << vm->console;
  }
  remove_home(vm->dir);
  if (failure.empty()) on_end(end);
  release_slot(vm->slot);
  if (!failure.empty()) vm->started.set_value(failure);
}

VmEnd VmHost::watch(Vm& vm, pid_t init, int console_fd, int control_fd) {
  const auto deadline = Clock::now() + options_.lifetime;
  auto poweroff = Clock::time_point::max();
  std::array<char, 8192> buffer{};
  for (;;) {
    std::array<pollfd, 2> waiting{pollfd{console_fd, POLLIN, 0}, pollfd{control_fd, POLLIN, 0}};
    ::poll(waiting.data(), waiting.size(), 50);
    ssize_t n = 0;
    // Bounded rounds: a VM that prints without end must not keep us from its other requests.
    for (int round = 0; round < 64; ++round) {
      n = ::read(console_fd, buffer.data(), buffer.size());
      if (n <= 0) break;
      vm.print({buffer.data(), static_cast<size_t>(n)});
    }
    if (const ssize_t m = ::read(control_fd, buffer.data(), 256); m > 0) {
      std::string line(buffer.data(), static_cast<size_t>(m));
      line.resize(line.find('\n') == std::string::npos ? line.size() : line.find('\n'));
      const long minutes = shutdown_minutes(line);
      poweroff =
          minutes < 0 ? Clock::time_point::max() : Clock::now() + std::chrono::minutes(minutes);
    }
    if (vm.terminate) return VmEnd::kTerminated;
    if (Clock::now() >= poweroff) return VmEnd::kPoweroff;
    if (Clock::now() >= deadline) {
      vm.print("sandbox: the instance's lifetime is over\n");
      return VmEnd::kDeadline;
    }
    // Init never ends of itself unless it could not build the machine.
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(init), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == init && n <= 0) {
      return VmEnd::kFailed;
    }
  }
}

void VmHost::terminate(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = vms_.find(id); found != vms_.end()) found->second->terminate = true;
}

std::string VmHost::console(const std::string& id) const {
  std::shared_ptr<Vm> vm;
  {
    const std::lock_guard lock(mutex_);
    const auto found = vms_.find(id);
    if (found == vms_.end()) return "";
    vm = found->second;
  }
  const std::lock_guard lock(vm->console_mutex);
  return vm->console;
}

void VmHost::forget(const std::string& id) {
  std::shared_ptr<Vm> vm;
  {
    const std::lock_guard lock(mutex_);
    const auto found = vms_.find(id);
    if (found == vms_.end()) return;
    vm = std::move(found->second);
    vms_.erase(found);
  }
  if (vm->thread.joinable()) vm->thread.join();
}

void VmHost::stop() {
  std::map<std::string, std::shared_ptr<Vm>> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(vms_);
  }
  for (auto& [id, vm] : all) vm->terminate = true;
  for (auto& [id, vm] : all) {
    if (vm->thread.joinable()) vm->thread.join();
  }
}

}  // namespace flexroom::cloud
