#include <fmt/core.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "base/command_description.h"
#include "base/display.h"
#include "base/secret.h"
#include "config/config.h"
#include "flexroom/error.h"
#include "flexroom/version.h"
#include "node/node.h"

namespace {

/// What systemd waits for (sd_notify(3)).
void notify(const std::string& text) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name == nullptr || std::strlen(name) >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, name, std::strlen(name));
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const flexroom::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(name));
  (void)!::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), size);
}

/// The signals that end the node, and the one that makes it read its files again.
sigset_t signals_of_node() {
  sigset_t out;
  sigemptyset(&out);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&out, number);
  return out;
}

/// What is under way comes to its end, or ends at a signal that ends the node. Returns whether one
/// came.
bool drain(flexroom::node::Node& node, const sigset_t& signals) {
  std::atomic<bool> over{false}, ends{false};
  std::thread second([&] {
    while (!over) {
      const timespec moment{0, 200'000'000};
      const int which = sigtimedwait(&signals, nullptr, &moment);
      if (which != SIGTERM && which != SIGINT) continue;
      ends = true;
      node.cancel();
    }
  });
  node.drain();
  over = true;
  second.join();
  return ends;
}

/// Before the node that works is ended for it: what is wrong with the files is said, and nothing
/// changes.
bool can_be_read(const std::filesystem::path& member_file) {
  try {
    const auto member = flexroom::MemberConfig::load(member_file);
    (void)flexroom::RoomConfig::load(member.room_file).member_id(member.name);
    return true;
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexroom-node: not read again: {}\n",
               flexroom::display_lines(error.what()));
    return false;
  }
}

/// Until SIGTERM or SIGINT; at SIGHUP once more, of the files as they are then.
int serve(const std::filesystem::path& member_file) {
  const sigset_t signals = signals_of_node();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  (void)flexroom::harden_process();
  auto node = std::make_unique<flexroom::node::Node>(member_file);
  while (true) {
    fmt::print("flexroom-node {}: ready\n", flexroom::kVersion);
    (void)std::fflush(stdout);
    notify("READY=1");
    int which = 0;
    do {
      (void)sigwait(&signals, &which);
    } while (which == SIGHUP && !can_be_read(member_file));
    notify(which == SIGHUP ? "STATUS=reads its files again" : "STOPPING=1");
    const bool ends = drain(*node, signals) || which != SIGHUP;
    node.reset();
    if (ends) return 0;
    node = std::make_unique<flexroom::node::Node>(member_file);
  }
}

}  // namespace

int main(int argc, char** argv) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  const char* set = std::getenv("FLEXROOM_MEMBER");
  std::string member_file = set != nullptr ? set : "member.toml";
  CLI::App app("The resident node of one member of a Flexroom room (docs/node.md).");
  app.name("flexroom-node");
  app.add_option("--member", member_file, "member.toml (default: $FLEXROOM_MEMBER)");
  app.set_version_flag("--version", std::string("flexroom-node ") + flexroom::kVersion);
  if (argc == 2 && argv[1] == flexroom::kDescribe) {
    std::fputs(flexroom::describe_program(app).c_str(), stdout);
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return serve(member_file);
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexroom-node: {}\n", flexroom::display_lines(error.what()));
    return 3;
  }
}
