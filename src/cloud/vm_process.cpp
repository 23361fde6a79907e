#include "cloud/vm_process.h"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace flexroom::cloud {

namespace {

// From here to run_init(): async-signal-safe calls only, no allocation; descriptors go with exec or
// exit.

void say(const char* text, int fd = 2) {
  const ssize_t ignored = ::write(fd, text, std::strlen(text));
  static_cast<void>(ignored);
}

/// Open in the child until the script runs: whatever is said here is why it does not.
constexpr int kReportFd = 3;

[[noreturn]] void die(const char* step) {
  say("sandbox: cannot start the instance: ");
  say(step);
  say("\n");
  say(step, kReportFd);
  ::_exit(127);
}

void limit(int resource, unsigned long value) {
  const rlimit both{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) != 0) die("setrlimit");
}

void join_groups(const VmPlan& plan) {
  for (const std::string& file : plan.groups) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "0", 1) != 1) die("control group");
    ::close(fd);
  }
}

/// Nothing but the VM's own tmpfs folders can be written: their sizes are all it can fill, and
/// nothing of it is left for the next VM of that uid.
void make_read_only(const VmPlan& plan) {
  // struct mount_attr and mount_setattr(2), which older C libraries do not have.
  struct {
    uint64_t set = 1;  // MOUNT_ATTR_RDONLY
    uint64_t clear = 0, propagation = 0, userns = 0;
  } attributes;
  constexpr long kMountSetattr = 442;
  if (::syscall(kMountSetattr, AT_FDCWD, "/", 0x8000 /* AT_RECURSIVE */, &attributes,
                sizeof attributes) != 0) {
    if (errno != ENOSYS) die("read-only file systems");
    say("sandbox: this kernel cannot make the file systems read-only\n");
    return;
  }
  if (::mount(nullptr, plan.home.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV,
              nullptr) != 0) {
    die("home");
  }
}

/// The mount namespace: generated files over the host's, other people's folders out of sight.
void build_view(const VmPlan& plan) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) die("private mounts");
  for (const auto& [source, target] : plan.binds) {
    if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      say(target.c_str());
      die(": bind mount");
    }
  }
  make_read_only(plan);
  for (const std::string& folder : plan.covers) {
    // A folder that is not there (or no longer in sight) needs no cover.
    if (::access(folder.c_str(), F_OK) != 0) continue;
    const bool scratch = folder == "/tmp" || folder == "/var/tmp" || folder == "/dev/shm";
    if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                scratch ? "mode=1777,size=256m,nr_inodes=16384" : "mode=0755,size=64k") != 0) {
      die("tmpfs");
    }
  }
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) die("proc");
  if (::sethostname(plan.hostname.c_str(), plan.hostname.size()) != 0) die("hostname");
}

sockaddr_in ipv4(uint32_t address, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address);
  out.sin_port = htons(port);
  return out;
}

int listener_at(uint32_t address, uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in name = ipv4(address, port);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(fd, 128) != 0) {
    die("listening inside its network");
  }
  return fd;
}

void configure(int fd, unsigned long request, const char* device, uint32_t address) {
  ifreq wanted{};
  std::memcpy(wanted.ifr_name, device, std::strlen(device));
  if (request == SIOCSIFFLAGS) {
    wanted.ifr_flags = IFF_UP | IFF_RUNNING;
  } else {
    const sockaddr_in name = ipv4(address, 0);
    std::memcpy(&wanted.ifr_addr, &name, sizeof name);
  }
  if (::ioctl(fd, request, &wanted) != 0) die("its network");
}

/// The network namespace: loopback alone. What listens on it is handed to the sandbox, which
/// accepts there; nothing of the machine's network is in reach.
void build_network(const VmPlan& plan) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("its network");
  configure(fd, SIOCSIFFLAGS, "lo", 0);
  configure(fd, SIOCSIFADDR, "lo:0", plan.metadata_address);
  configure(fd, SIOCSIFNETMASK, "lo:0", 0xffffffff);
  ::close(fd);
  int listeners[2] = {listener_at(plan.cloud_address, 443), listener_at(plan.metadata_address, 80)};
  char mark = 0;
  iovec payload{&mark, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof listeners)] = {};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof listeners);
  std::memcpy(CMSG_DATA(header), listeners, sizeof listeners);
  if (::sendmsg(kReportFd, &message, MSG_NOSIGNAL) != 1) die("handing its sockets over");
  for (const int listener : listeners) ::close(listener);
}

void become(uid_t uid) {
  // Raw calls: the C library's versions would want to reach threads that are not there.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, uid, uid, uid) != 0 ||
      ::syscall(SYS_setresuid, uid, uid, uid) != 0) {
    die("user id");
  }
}

[[noreturn]] void run_script(const VmPlan& plan, char* const* argv, char* const* envp) {
  limit(RLIMIT_CPU, plan.cpu_seconds);
  limit(RLIMIT_AS, plan.memory_bytes);
  limit(RLIMIT_FSIZE, plan.file_bytes);
  limit(RLIMIT_NOFILE, 1024);
  limit(RLIMIT_CORE, 0);
  if (plan.isolation != VmIsolation::kNone) {
    limit(RLIMIT_NPROC, plan.num_processes);
    become(plan.uid);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
  ::umask(022);
  if (::chdir(plan.home.c_str()) != 0) die("home folder");
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  ::execve(argv[0], argv, envp);
  die("the interpreter of the user data cannot be executed");
}

[[noreturn]] void run_init(const VmPlan& plan, int console_fd, int report_fd, char* const* argv,
                           char* const* envp) {
  struct sigaction defaults {};
  defaults.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; ++signal) ::sigaction(signal, &defaults, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  ::setsid();
  const int null = ::open("/dev/null", O_RDONLY);
  // Out of the way first: what is at home at 1, 2 and 3 may be one of these.
  const int console = ::fcntl(console_fd, F_DUPFD, 10), report = ::fcntl(report_fd, F_DUPFD, 10);
  if (::dup2(null, 0) != 0 || ::dup2(console, 1) != 1 || ::dup2(1, 2) != 2 ||
      ::dup2(report, kReportFd) != kReportFd) {
    ::_exit(127);
  }
  if (::syscall(SYS_close_range, kReportFd + 1u, ~0u, 0u) != 0) die("close_range");
  join_groups(plan);
  if (plan.isolation == VmIsolation::kNamespaces) {
    build_network(plan);
    build_view(plan);
  }

  const auto script = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (script < 0) die("clone");
  if (script == 0) run_script(plan, argv, envp);
  ::close(kReportFd);
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, 0);
    if (pid == script) {
      say(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "Cloud-init: user data finished\n"
                                                        : "Cloud-init: user data failed\n");
    }
    // The machine stays up when its first script is done, until it is shut down or terminated.
    if (pid < 0) ::pause();
  }
}

constexpr unsigned long kAllSpaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;

/// One message of the child: sockets, or words. False at the end.
bool receive_report(int fd, StartedVm& out) {
  char text[256];
  iovec payload{text, sizeof text};
  int listeners[2] = {-1, -1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof listeners)] = {};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = -1;
  do {
    n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return false;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof listeners)) {
    std::memcpy(listeners, CMSG_DATA(header), sizeof listeners);
    out.cloud_listener = Fd(listeners[0]);
    out.metadata_listener = Fd(listeners[1]);
  } else {
    out.failure.append(text, static_cast<size_t>(n));
  }
  return true;
}

/// Parent of every process, by /proc.
std::map<pid_t, pid_t> process_parents() {
  std::map<pid_t, pid_t> out;
  std::error_code ignored;
  // Never by an exception: nobody would kill the VM then.
  for (std::filesystem::directory_iterator it("/proc", ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const std::filesystem::directory_entry& entry = *it;
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    const size_t after_name = text.rfind(") ");
    if (after_name == std::string::npos || text.size() < after_name + 5) continue;
    out[static_cast<pid_t>(std::stol(name))] =
        static_cast<pid_t>(std::stol(text.substr(after_name + 4)));
  }
  return out;
}

}  // namespace

VmIsolation possible_isolation(uid_t uid) {
  if (::geteuid() != 0) return VmIsolation::kNone;
  const auto works = [&](unsigned long spaces) {
    const auto pid = static_cast<pid_t>(::syscall(SYS_clone, spaces | SIGCHLD, 0, 0, 0, 0));
    if (pid == 0) {
      // die() writes to descriptors 2 and 3: neither is to be seen.
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, 2);
      ::dup2(null, kReportFd);
      if (spaces != 0) {
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64k") != 0 ||
            ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
          ::_exit(1);
        }
        const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
        configure(fd, SIOCSIFFLAGS, "lo", 0);
      }
      become(uid);
      ::_exit(0);
    }
    int status = 1;
    return pid > 0 && ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
  };
  if (works(kAllSpaces)) return VmIsolation::kNamespaces;
  return works(0) ? VmIsolation::kUser : VmIsolation::kNone;
}

StartedVm start_vm(const VmPlan& plan, int console_fd) {
  std::vector<std::string> arguments;
  if (!plan.has_shebang) arguments.emplace_back("/bin/bash");
  arguments.push_back(plan.script);
  std::vector<char*> argv, envp;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = plan.environment;
  for (auto& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);

  std::array<int, 2> pair{-1, -1};
  StartedVm out;
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    out.failure = "no socket pair";
    return out;
  }
  const Fd report(pair[0]);
  Fd report_of_vm(pair[1]);
  const unsigned long spaces = plan.isolation == VmIsolation::kNamespaces ? kAllSpaces : 0;
  out.init = static_cast<pid_t>(::syscall(SYS_clone, spaces | SIGCHLD, 0, 0, 0, 0));
  if (out.init == 0) run_init(plan, console_fd, report_of_vm.get(), argv.data(), envp.data());
  report_of_vm.reset(-1);
  if (out.init < 0) out.failure = "the system refuses a process with namespaces of its own";
  // Until both processes of the VM have closed their end: the script runs, or said why not.
  while (out.init > 0 && receive_report(report.get(), out)) {
  }
  return out;
}

void kill_vm(pid_t init, VmIsolation isolation) {
  if (isolation != VmIsolation::kNamespaces) {
    // No pid namespace: init is the subreaper of all it started, so all are found below it.
    for (int round = 0; round < 20; ++round) {
      const auto parents = process_parents();
      std::set<pid_t> family = {init};
      for (bool grew = true; grew;) {
        grew = false;
        for (const auto& [pid, parent] : parents) {
          grew = (family.contains(parent) && family.insert(pid).second) || grew;
        }
      }
      if (family.size() == 1) break;
      for (const pid_t pid : family) {
        if (pid != init) ::kill(pid, SIGKILL);
      }
    }
  }
  ::kill(init, SIGKILL);
}

}  // namespace flexroom::cloud
