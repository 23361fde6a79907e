#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "support/sandbox_admin.h"
#include "support/sightings.h"
#include "support/tcp_members.h"

// The program as it is started by people, one process a member: an account and its key come to be,
// another key takes its place, and a job runs under that one. While they do the memory of the
// members is searched, as a core dump would hold it (gcore); then their disks and all that they
// printed.

namespace flexroom {
namespace {

using nlohmann::json;
using support::Canaries;
using support::Sightings;
namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A running command of the program that lies beside this test.
class Command {
 public:
  Command(const fs::path& out, std::vector<std::string> arguments) : out_(out) {
    const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "flexroom";
    arguments.insert(arguments.begin(), program.string());
    std::vector<char*> words;
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    int ends[2];
    FLEXROOM_ASSERT(pipe(ends) == 0);
    pid_ = fork();
    FLEXROOM_ASSERT(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(ends[0], STDIN_FILENO);
      const int fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(fd, STDOUT_FILENO);
      dup2(fd, STDERR_FILENO);
      close(ends[1]);
      execv(words[0], words.data());
      _exit(99);
    }
    close(ends[0]);
    in_ = ends[1];
  }
  ~Command() {
    close(in_);
    if (code_) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return read(out_); }
  void type(const std::string& line) {
    const std::string text = line + "\n";
    FLEXROOM_ASSERT(write(in_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  /// How it ended, once it has.
  std::optional<int> code() {
    int status = 0;
    if (!code_ && waitpid(pid_, &status, WNOHANG) == pid_) {
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return code_;
  }
  int wait() {
    while (!code()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return *code_;
  }

 private:
  const fs::path out_;
  pid_t pid_ = -1;
  int in_ = -1;
  std::optional<int> code_;
};

/// What a core dump of a process would hold, searched range by range.
class Image {
 public:
  explicit Image(pid_t pid) {
    const std::string of = "/proc/" + std::to_string(pid);
    std::ifstream maps(of + "/maps"), memory(of + "/mem", std::ios::binary);
    for (std::string line; std::getline(maps, line);) {
      const size_t dash = line.find('-'), blank = line.find(' ');
      if (line[blank + 1] != 'r' || line.ends_with("[vvar]") || line.ends_with("[vsyscall]")) {
        continue;
      }
      const size_t begin = std::stoull(line.substr(0, dash), nullptr, 16);
      const size_t end = std::stoull(line.substr(dash + 1, blank), nullptr, 16);
      add(memory, begin, end);
    }
  }
  size_t bytes() const { return bytes_; }
  std::optional<std::string> find(const Canaries& canaries) const {
    for (const std::string& part : parts_) {
      if (auto what = canaries.find(as_bytes(part))) return what;
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kPage = 4096, kBefore = 1024;

  /// Pages without a set bit end a part: of what is looked for, none has a page of zeros inside.
  void add(std::ifstream& memory, size_t begin, size_t end) {
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(begin));
    std::string page(kPage, '\0'), part;
    for (size_t at = begin; at < end; at += kPage) {
      if (!memory.read(page.data(), kPage)) break;  // not there: of a device, or a file's end
      const bool empty = page.find_first_not_of('\0') == std::string::npos;
      if (!empty && part.empty()) part.assign(kBefore, '\0');
      if (!empty) part += page;
      if (empty) keep(part);
    }
    keep(part);
  }
  void keep(std::string& part) {
    if (!part.empty()) parts_.push_back(part + std::string(kBefore, '\0'));
    bytes_ += part.size();
    part.clear();
  }
  std::vector<std::string> parts_;
  size_t bytes_ = 0;
};

class StoryTest : public ::testing::Test {
 protected:
  static constexpr std::array<const char*, 2> kNames = {"hospital-a", "hospital-b"};
  using Commands = std::array<std::unique_ptr<Command>, 2>;

  StoryTest() {
    char name[] = "/tmp/flexroom-story-XXXXXX";
    work_ = mkdtemp(name);
    seen_.emplace(work_ / "seen");
  }
  ~StoryTest() override {
    cloud_.reset();
    fs::remove_all(work_);
  }
  void write(const fs::path& file, const std::string& text) const {
    std::ofstream(file, std::ios::binary) << text;
    chmod(file.c_str(), 0600);
  }
  template <typename Condition>
  static void wait_until(Condition condition, const std::string& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error(what + ": not in time");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  void start_cloud(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"sandbox", "--dir", (work_ / "cloud").string(),
                                          "--record", (work_ / "seen").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    cloud_ = std::make_unique<Command>(work_ / "cloud.out", arguments);
    wait_until([&] { return cloud_->out().find("Ctrl-C") != std::string::npos; }, "the sandbox");
    const int port = json::parse(read(work_ / "cloud/endpoints.json"))["port"];
    std::string room = "[room]\nname = \"story\"\ntriples = \"masked\"\n";
    for (const char* const member : kNames) {
      const auto [fd, free_port] = support::listen_on_loopback();
      close(fd);
      const std::string address = "127.0.0.1:" + std::to_string(free_port);
      Command init(work_ / "init.out", {"--json", "init", "--identity", member, "--dir",
                                        dir(member).string(), "--address", address});
      ASSERT_EQ(init.wait(), 0) << init.out();
      std::string out = init.out();
      out.erase(out.find_last_not_of('\n') + 1);
      const json made = json::parse(out.substr(out.rfind('\n') + 1));
      room += "[[member]]\n";
      for (const char* const key : {"name", "address", "certificate"}) {
        room += std::string(key) + " = " + made[key].dump() + "\n";
      }
    }
    room +=
        "[provider.sandbox]\nhosts = [\"*.amazonaws.com\", \"*.flexroom.example\"]\nca_file = \"" +
        (work_ / "cloud/ca.pem").string() +
        "\"\nconnect_to = [\"*:443=127.0.0.1:" + std::to_string(port) + "\"]\n";
    for (const char* const member : kNames) write(dir(member) / "room.toml", room);
  }
  fs::path dir(const std::string& member) const { return work_ / member; }
  /// The same command at both; `%` is the member's folder.
  Commands start(const std::vector<std::string>& command) {
    Commands out;
    ++commands_;
    for (size_t i = 0; i < kNames.size(); ++i) {
      std::vector<std::string> words = {"--member", (dir(kNames[i]) / "member.toml").string(),
                                        "--yes", "--json"};
      for (std::string word : command) {
        if (word.starts_with('%')) word.replace(0, 1, dir(kNames[i]).string());
        words.push_back(word);
      }
      const std::string file = std::string(kNames[i]) + "-" + std::to_string(commands_) + ".out";
      out[i] = std::make_unique<Command>(work_ / file, words);
    }
    return out;
  }
  static std::vector<std::string> flow(const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(),
                {"flow", std::string(FLEXROOM_SOURCE_DIR) + "/share/flows/" + name + ".toml"});
    return more;
  }
  /// The n-th question of that step at the first member, from 1.
  static void wait_for_question(Commands& both, const std::string& step) {
    wait_until(
        [&] {
          const std::string out = both[0]->out();
          const size_t at = out.rfind("\"event\":\"question\"");
          return (at != std::string::npos && out.find(step, at) != std::string::npos) ||
                 both[0]->code();
        },
        step);
    ASSERT_FALSE(both[0]->code()) << both[0]->out();
  }
  void answer(Commands& both, const std::string& step) {
    wait_for_question(both, step);
    both[0]->type(seen_->answer_to(step));
  }
  static void all_ok(Commands& both) {
    for (const auto& one : both) ASSERT_EQ(one->wait(), 0) << one->out();
  }
  /// Of that member's links what makes them secret.
  static void add_links(Canaries& canaries, const std::string& links) {
    const std::string mark = "X-Amz-Signature=";
    for (size_t at = 0; (at = links.find(mark, at)) != std::string::npos; at += mark.size()) {
      canaries.add("a link of the other", as_bytes(links.substr(at + mark.size(), 64)));
    }
  }
  /// Nothing of what nobody may have, or the other one alone, is in the memory of either; what all
  /// see is.
  void search_members(const Commands& both, const std::string& public_text) const {
    Canaries control;
    control.add("what all see", as_bytes(public_text));
    for (size_t i = 0; i < kNames.size(); ++i) {
      const Image image(both[i]->pid());
      Canaries canaries = seen_->canaries(own_[i]);
      add_links(canaries, read(dir(kNames[1 - i]) / "links.toml"));
      EXPECT_GT(image.bytes(), size_t{10} << 20);
      EXPECT_EQ(image.find(canaries), std::nullopt) << kNames[i];
      EXPECT_EQ(image.find(control), "what all see") << kNames[i];
    }
  }
  void search_memory(const Commands& both, const std::string& public_text) const {
    search_members(both, public_text);
    const Image image(cloud_->pid());
    for (const auto& [what, value] : seen_->secrets()) {
      Canaries one;
      one.add(what, as_bytes(value));
      EXPECT_EQ(image.find(one), what);
    }
  }
  /// Until that member waits for the answer of that step, or of its only call.
  static void wait_for_answer(Commands& both, const std::string& step) {
    wait_until(
        [&] {
          const std::string out = both[0]->out();
          const size_t at = out.find(step);
          return both[0]->code() || (at != std::string::npos &&
                                     out.find("wait for the answer", at) != std::string::npos);
        },
        step);
    ASSERT_FALSE(both[0]->code()) << both[0]->out();
  }
  /// The one that lives beside `other`; fails where there are more.
  std::string key_id(const std::string& other = "") const {
    const json accounts = json::parse(read(work_ / "cloud/iam.json"))["accounts"];
    json keys = accounts[seen_->values("account").back()]["keys"];
    keys.erase(other);
    EXPECT_EQ(keys.size(), 1u);
    return keys.begin().key();
  }
  /// A job under the key that the room has, with links of each member and a script of a minute.
  void make_job() const {
    const std::string example = std::string(FLEXROOM_SOURCE_DIR) + "/examples/breast-cancer/";
    for (const char* const half : {"half-1.csv", "half-2.csv"}) write(work_ / half, "1,2\n");
    const std::string command = "/usr/bin/python3 " + example + "setup.py " + work_.string();
    ASSERT_EQ(std::system(command.c_str()), 0);
    for (const char* const member : kNames) fs::remove(dir(member) / "inputs.json");
  }
  void search_disks() const {
    const Canaries canaries = seen_->canaries();
    for (const auto& entry : fs::recursive_directory_iterator(work_)) {
      const std::string path = entry.path().string();
      const bool of_cloud =
          path.starts_with((work_ / "cloud").string()) || entry.path() == work_ / "seen";
      if (!entry.is_regular_file() || of_cloud) continue;
      EXPECT_EQ(canaries.find(as_bytes(read(entry.path()))), std::nullopt) << path;
    }
  }

  fs::path work_;
  std::unique_ptr<Command> cloud_;
  std::optional<Sightings> seen_;
  std::array<std::set<std::string>, 2> own_;  // what that member gives
  unsigned commands_ = 0;
};

TEST_F(StoryTest, NobodysMemoryDiskOrOutputHoldsWhatWasBorn) {
  if (geteuid() != 0) GTEST_SKIP() << "the members' memory is closed to all users but root";
  // The key's list is late, of a new one too: then all there is to know has been kept.
  const std::string list = "GET console.flexroom.example/keys late=20000 x1";
  start_cloud({"--fault", list, "--fault", list + " after 2", "--fault",
               "POST ec2.us-east-1.amazonaws.com/ late=20000 x1"});
  Commands init = start({"init"});
  all_ok(init);
  std::string postal = "7 Short Street, Oxford";
  postal.resize(96, ' ');
  // Other texts than the bench has, which is part of the program.
  own_[0] = {"447700900123"};
  own_[1] = {"4012888888881881", postal};
  write(dir(kNames[0]) / "mine.json", json{{"phone-number", "447700900123"}}.dump());
  write(dir(kNames[1]) / "mine.json",
        json{{"card-number", "4012888888881881"}, {"postal-address", postal}}.dump());

  Commands account = start(
      flow("create-account", {"--arg", "person=hospital-a", "--arg", "phone=hospital-a", "--arg",
                              "payer=hospital-b", "--arg", "postal=hospital-b", "--arg",
                              "claimant=hospital-b", "--i-know", "--inputs", "%/mine.json"}));
  answer(account, "SolveCaptcha");
  wait_for_question(account, "TypePhoneCode");
  search_memory(account, seen_->values("account").back());
  account[0]->type(seen_->answer_to("TypePhoneCode"));
  all_ok(account);
  for (const char* const member : kNames) fs::remove(dir(member) / "mine.json");
  own_ = {};

  Commands session = start(flow("create-session", {"--arg", "person=hospital-a"}));
  answer(session, "SolveCaptcha");
  wait_for_answer(session, "AwaitKey, attempt 1");
  const std::string first = key_id();
  search_memory(session, first);
  all_ok(session);

  Commands rotation = start(flow("create-session", {"--arg", "person=hospital-a"}));
  answer(rotation, "SolveCaptcha");
  wait_for_answer(rotation, "AwaitKey, attempt 1");
  const std::string second = key_id(first);
  search_members(rotation, second);
  all_ok(rotation);
  EXPECT_EQ(key_id(), second);

  // Signed and sent.
  make_job();
  Commands run = start({"run-script", "%/job.toml", "--links", "%/links.toml"});
  wait_for_answer(run, "");
  search_members(run, second);
  search_disks();
}

}  // namespace
}  // namespace flexroom
