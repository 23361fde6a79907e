#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "room/joined.h"
#include "support/tcp_members.h"

namespace flexroom::support {

/// A room of n members in a directory of its own, set up with the product's own commands. Each
/// command runs in a process of its own, over TCP, as for a user; what a test wants to see or alter
/// it does through the hooks of cli::Common inside that process.
class RoomRig {
 public:
  struct Ended {
    int code = -1;        // exit code, if it ended by itself
    bool killed = false;  // by SIGKILL
    std::string out;      // JSON lines
    nlohmann::json last() const {
      const size_t end = out.find_last_not_of('\n');
      if (end == std::string::npos) return {};
      const size_t start = out.rfind('\n', end);
      const std::string line = out.substr(start == std::string::npos ? 0 : start + 1);
      return nlohmann::json::parse(line, nullptr, false);
    }
    std::string error() const { return last().value("error", ""); }
    std::vector<nlohmann::json> events(const std::string& name) const {
      std::vector<nlohmann::json> found;
      std::istringstream lines(out);
      for (std::string line; std::getline(lines, line);) {
        nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
        if (event.is_object() && event.value("event", "") == name) found.push_back(event);
      }
      return found;
    }
  };
  using Command = std::function<int(PartyId, cli::Output&, cli::Common&)>;

  static constexpr int kFailedInside = 97;
  /// What a new room says of its triples; rooms of before lack it: use_buckets().
  static constexpr std::string_view kMasked = "triples = \"masked\"\n";

  explicit RoomRig(size_t n) : n_(n) {
    char name[] = "/tmp/flexroom-room-XXXXXX";
    root_ = mkdtemp(name);
    std::string room = "[room]\nname = \"rig\"\n" + std::string(kMasked);
    for (PartyId i = 0; i < n; ++i) {
      const auto [fd, port] = listen_on_loopback();
      close(fd);
      const std::string address = "127.0.0.1:" + std::to_string(port);
      const Ended made = run_one(i, [&](PartyId, cli::Output& out, cli::Common&) {
        return cli::init_identity(out, "m" + std::to_string(i), dir(i), address, "");
      });
      FLEXROOM_ASSERT(made.code == cli::kOk);
      room += "[[member]]\nname = \"m" + std::to_string(i) + "\"\naddress = \"" + address +
              "\"\ncertificate = \"" + made.last()["certificate"].get<std::string>() + "\"\n";
    }
    room_text_ = room;
    write_room();
  }
  ~RoomRig() {
    if (sandbox_ > 0) {
      kill(sandbox_, SIGTERM);
      waitpid(sandbox_, nullptr, 0);
    }
    std::filesystem::remove_all(root_);
  }
  RoomRig(const RoomRig&) = delete;
  RoomRig& operator=(const RoomRig&) = delete;

  size_t size() const { return n_; }
  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path dir(PartyId i) const { return root_ / ("m" + std::to_string(i)); }
  /// The same room.toml at all members, with more at its end ([provider.NAME] ...).
  void write_room(const std::string& more = "") {
    for (PartyId i = 0; i < n_; ++i) write(i, "room.toml", room_text_ + more);
  }
  /// Another text in place of one in room.toml, from now on.
  void edit_room(const std::string& from, const std::string& to) {
    const size_t at = room_text_.find(from);
    FLEXROOM_ASSERT(at != std::string::npos);
    room_text_.replace(at, from.size(), to);
    write_room();
  }
  /// From now on; what else stands in room.toml stays.
  void use_buckets() {
    const auto without = [](std::string text) {
      const size_t at = text.find(kMasked);
      FLEXROOM_ASSERT(at != std::string::npos);
      return text.erase(at, kMasked.size());
    };
    room_text_ = without(room_text_);
    for (PartyId i = 0; i < n_; ++i) write(i, "room.toml", without(read(dir(i) / "room.toml")));
  }
  std::filesystem::path write(PartyId i, const std::string& name, const std::string& text) const {
    const std::filesystem::path path = dir(i) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    chmod(path.c_str(), 0600);
    return path;
  }

  /// At all members at the same time.
  std::vector<Ended> run(const Command& command) {
    std::vector<pid_t> children;
    for (PartyId i = 0; i < n_; ++i) children.push_back(start(i, command));
    std::vector<Ended> out;
    for (PartyId i = 0; i < n_; ++i) out.push_back(finish(i, children[i]));
    return out;
  }
  /// At some members at the same time; the others do nothing, and have nothing in what is returned.
  std::vector<Ended> run_some(const std::vector<PartyId>& who, const Command& command) {
    std::vector<pid_t> children;
    for (const PartyId i : who) children.push_back(start(i, command));
    std::vector<Ended> out(n_);
    for (size_t k = 0; k < who.size(); ++k) out[who[k]] = finish(who[k], children[k]);
    return out;
  }
  /// What room.toml says of all members: "[room]..", then an entry each.
  const std::string& room_text() const { return room_text_; }
  Ended run_one(PartyId i, const Command& command) { return finish(i, start(i, command)); }

  /// The sandbox cloud, as a process of its own; room.toml gets [provider.sandbox]. `more`: of its
  /// command line.
  void start_sandbox(const std::vector<std::string>& more = {}) {
    std::filesystem::create_directories(root_ / "cloud");
    const pid_t parent = getpid();
    std::fflush(nullptr);
    sandbox_ = fork();
    FLEXROOM_ASSERT(sandbox_ >= 0);
    if (sandbox_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(99);
      const int fd = open((root_ / "cloud" / "log").c_str(), O_WRONLY | O_CREAT, 0600);
      dup2(fd, STDOUT_FILENO);
      dup2(fd, STDERR_FILENO);
      try {
        std::vector<std::string> arguments = {"--dir", (root_ / "cloud").string()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        (void)cli::sandbox(arguments, true);  // becomes it
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      _exit(98);
    }
    const std::filesystem::path started = root_ / "cloud" / "log";
    for (int tries = 0; tries < 3000 && read(started).find("\"port\"") == std::string::npos;
         ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const auto endpoints = nlohmann::json::parse(read(root_ / "cloud" / "endpoints.json"));
    write_room(
        "[provider.sandbox]\nhosts = [\"*.amazonaws.com\", \"*.flexroom.example\"]\n"
        "ca_file = \"" +
        (root_ / "cloud" / "ca.pem").string() + "\"\nconnect_to = [\"*:443=127.0.0.1:" +
        std::to_string(endpoints["port"].get<int>()) + "\"]\n");
  }
  /// Keys of the sandbox's account `joint`.
  nlohmann::json joint_account() const {
    for (const auto& a : nlohmann::json::parse(read(root_ / "cloud" / "accounts.json"))) {
      if (a["account"] == "joint") return a;
    }
    return {};
  }
  /// Requests that reached it.
  size_t sandbox_requests() const {
    const std::string log = read(root_ / "cloud" / "log");
    size_t count = 0;
    for (size_t at = log.find("Z ec2 "); at != std::string::npos; at = log.find("Z ec2 ", at + 1)) {
      ++count;
    }
    return count;
  }
  static std::string read(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// This member's share file for `secret import`, as an issuer makes it; the XOR of all is the
  /// value. With commitments if a class is to be checked. `more`: further fields. Returns the
  /// shares.
  std::vector<Bytes> write_shares(const std::string& file, const std::string& name,
                                  std::string_view value, const std::string& value_class = "raw",
                                  const nlohmann::json& more = nlohmann::json::object()) {
    std::vector<Bytes> shares(n_, to_bytes(value));
    Prg prg(Block(7, name.size()));
    for (PartyId i = 0; i + 1 < n_; ++i) {
      prg.fill(std::span<uint8_t>(shares[i]));
      for (size_t k = 0; k < value.size(); ++k) shares[n_ - 1][k] ^= shares[i][k];
    }
    std::vector<Bytes> salts(n_, Bytes(16));
    nlohmann::json commitments = nlohmann::json::array();
    for (PartyId i = 0; i < n_; ++i) {
      prg.fill(std::span<uint8_t>(salts[i]));
      commitments.push_back(to_hex(Sha256().update(salts[i]).update(shares[i]).digest()));
    }
    for (PartyId i = 0; i < n_; ++i) {
      nlohmann::json json = {{"name", name},
                             {"kind", "test"},
                             {"class", value_class},
                             {"length", value.size()},
                             {"share", to_hex(shares[i])}};
      if (value_class != "raw") {
        json["salt"] = to_hex(salts[i]);
        json["commitments"] = commitments;
      }
      json.update(more);
      write(i, file, json.dump());
    }
    return shares;
  }
  /// What lets a secret sign as the sandbox's joint account.
  static nlohmann::json signs() {
    return {{"provider", "sandbox"},
            {"entropy", 128},
            {"purposes", {"sigv4 sts us-east-1", "sigv4 ec2 us-east-1"}}};
  }
  std::vector<Ended> init() {
    return run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, false);
    });
  }
  std::vector<Ended> import(const std::string& file) {
    return run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::secret_import(out, common, dir(i) / file);
    });
  }

  /// Copies of all that the members keep, to start several cases from.
  void save(const std::string& name) {
    for (PartyId i = 0; i < n_; ++i) copy(dir(i), root_ / name / std::to_string(i));
  }
  void restore(const std::string& name) {
    for (PartyId i = 0; i < n_; ++i) copy(root_ / name / std::to_string(i), dir(i));
  }
  static void copy(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::remove_all(to);
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(to)) {
      if (entry.is_directory()) chmod(entry.path().c_str(), 0700);
    }
  }

 private:
  pid_t start(PartyId i, const Command& command) {
    std::fflush(nullptr);
    const pid_t parent = getpid(), child = fork();
    FLEXROOM_ASSERT(child >= 0);
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(99);
    const int fd = open(output(i).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    cli::Output out(true);
    cli::Common common;
    common.member_file = dir(i) / "member.toml";
    common.yes = true;
    common.knows = true;
    const bool failed_before = ::testing::Test::HasFailure();
    int code = 98;
    try {
      code = command(i, out, common);
    } catch (const std::exception& error) {
      code = cli::report(out, error, false);
    }
    // An expectation that failed in there, printed to the output.
    if (!failed_before && ::testing::Test::HasFailure()) code = kFailedInside;
    std::fflush(nullptr);
    _exit(code);
  }
  Ended finish(PartyId i, pid_t child) {
    int status = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(20);
    while (waitpid(child, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > end) kill(child, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    Ended ended;
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    ended.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ended.out = read(output(i));
    return ended;
  }
  std::filesystem::path output(PartyId i) const { return root_ / ("output-" + std::to_string(i)); }

  const size_t n_;
  std::filesystem::path root_;
  std::string room_text_;
  pid_t sandbox_ = -1;
};

/// A member inside a command, for what the commands do not offer.
class Inside {
 public:
  /// `command`: as the others run it.
  Inside(cli::Output& out, const cli::Common& common, const std::string& command = "inside")
      : hooks_{common.fault, common.connected, common.clock},
        screen_(out, common.yes),
        state_(room::open_state(common.member_file, &hooks_)),
        joined_(*state_, screen_,
                {command, &cli::cancel_flag(), common.trace.value_or(std::filesystem::path()),
                 &hooks_}) {}
  session::MemberState& state() { return *state_; }
  session::MemberSession& session() { return joined_.session(); }
  Digest approve(const agreement::Proposal& proposal) { return joined_.approve(proposal); }
  room::Joined& joined() { return joined_; }

 private:
  room::Hooks hooks_;
  cli::Screen screen_;
  std::unique_ptr<session::MemberState> state_;
  room::Joined joined_;
};

}  // namespace flexroom::support
