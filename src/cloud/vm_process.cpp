#include "cloud/vm_process.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace flexroom::cloud {

namespace {

// From here to run_init(): async-signal-safe calls only, no allocation.

void say(const char* text) {
  const ssize_t ignored = ::write(2, text, std::strlen(text));
  static_cast<void>(ignored);
}

[[noreturn]] void die(const char* step) {
  say("sandbox: cannot start the instance: ");
  say(step);
  say("\n");
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

[[noreturn]] void run_script(const VmPlan& plan, char* const* argv, char* const* envp) {
  limit(RLIMIT_CPU, plan.cpu_seconds);
  limit(RLIMIT_AS, plan.memory_bytes);
  limit(RLIMIT_FSIZE, plan.file_bytes);
  limit(RLIMIT_NOFILE, 1024);
  limit(RLIMIT_CORE, 0);
  if (plan.isolate) {
    limit(RLIMIT_NPROC, plan.num_processes);
    // Raw calls: the C library's versions would want to reach threads that are not there.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
        ::syscall(SYS_setresgid, plan.uid, plan.uid, plan.uid) != 0 ||
        ::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) {
      die("user id");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
  ::umask(022);
  if (::chdir(plan.home.c_str()) != 0) die("home folder");
  ::execve(argv[0], argv, envp);
  die("the interpreter of the user data cannot be executed");
}

[[noreturn]] void run_init(const VmPlan& plan, int console_fd, char* const* argv,
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
  if (::dup2(null, 0) != 0 || ::dup2(console_fd, 1) != 1 || ::dup2(1, 2) != 2) ::_exit(127);
  if (::syscall(SYS_close_range, 3u, ~0u, 0u) != 0) die("close_range");
  join_groups(plan);
  if (plan.isolate) build_view(plan);

  const auto script = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (script < 0) die("clone");
  if (script == 0) run_script(plan, argv, envp);
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

pid_t start_vm(const VmPlan& plan, int console_fd) {
  std::vector<std::string> arguments;
  if (!plan.has_shebang) arguments.emplace_back("/bin/bash");
  arguments.push_back(plan.script);
  std::vector<char*> argv, envp;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = plan.environment;
  for (auto& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const unsigned long spaces =
      plan.isolate ? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC : 0;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, spaces | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) run_init(plan, console_fd, argv.data(), envp.data());
  return pid;
}

void kill_vm(pid_t init, bool isolated) {
  if (!isolated) {
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
