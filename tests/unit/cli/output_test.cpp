#include "cli/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <sstream>

namespace flexroom::cli {
namespace {

class OutputTest : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::internal::CaptureStdout(); }
  std::vector<nlohmann::json> events() {
    std::istringstream lines(::testing::internal::GetCapturedStdout());
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(lines, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  Output out_{true};
};

TEST_F(OutputTest, JsonIsAsciiWhateverIsSaid) {
  out_.note("a\u202eb\xc2\x9b\xff\x1b");
  const std::string text = ::testing::internal::GetCapturedStdout();
  for (const char c : text) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f)) << int{c};
  EXPECT_EQ(nlohmann::json::parse(text)["text"], "a\u202eb\u009b\ufffd\x1b");
}

TEST_F(OutputTest, ProgressForMachines) {
  out_.progress({"triples", 0.5, 2.0});
  out_.progress({"wait", 0.75, std::nullopt});
  const auto seen = events();
  EXPECT_EQ(seen[0]["percent"], 50);
  EXPECT_EQ(seen[0]["eta_seconds"], 2);
  EXPECT_EQ(seen[1]["phase"], "wait");
  EXPECT_FALSE(seen[1].contains("eta_seconds"));
}

// Every way of saying something, in a process whose descriptors are closed or full: it goes on to
// its end, and its exit code says whether standard output has all of it.
int says_everything(bool json, const std::function<void()>& descriptors) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    descriptors();
    std::signal(SIGPIPE, SIG_IGN);
    reserve_standard_descriptors();
    Output out(json);
    out.progress({"work", 0.1, 1.0});
    out.note("a note");
    out.summary("summary");
    out.problem("problem");
    out.event("event", {{"a", 1}});
    out.table({});
    out.line("line");
    out.body(to_bytes("body"));
    out.result({{"ok", true}});
    const int refused = report(out, InputError("place", "problem"), false);
    if (refused != kBadInput || out.finish(kCheat) != kCheat) _exit(50);
    _exit(out.finish(kOk));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void put(int from, int to) {
  dup2(from, to);
  close(from);
}

TEST(OutputDescriptorsTest, ClosedOrFullOnesEndNothing) {
  const auto null = [](int fd) { put(open("/dev/null", O_WRONLY), fd); };
  const auto full = [](int fd) { put(open("/dev/full", O_WRONLY), fd); };
  const auto broken = [](int fd) {  // a pipe that nobody reads
    int ends[2];
    if (pipe(ends) != 0) _exit(51);
    put(ends[1], fd);
    close(ends[0]);
  };
  for (const bool json : {false, true}) {
    EXPECT_EQ(says_everything(json, [&] { null(1), null(2); }), kOk);
    EXPECT_EQ(says_everything(json, [&] { null(1), close(2); }), kOk);
    EXPECT_EQ(says_everything(json, [&] { null(1), full(2); }), kOk);
    EXPECT_EQ(says_everything(json, [&] { null(1), broken(2); }), kOk);
    EXPECT_EQ(says_everything(json, [&] { full(1), null(2); }), kOutputLost);
    EXPECT_EQ(says_everything(json, [&] { close(1), close(2); }), kOutputLost);
    EXPECT_EQ(says_everything(json, [&] { close(0), broken(1), close(2); }), kOutputLost);
  }
}

/// A child at a terminal that we hold.
class AtTerminal {
 public:
  explicit AtTerminal(const std::function<int()>& action) {
    std::fflush(nullptr);
    child_ = forkpty(&master_, nullptr, nullptr, nullptr);
    if (child_ == 0) _exit(action());
  }
  ~AtTerminal() { close(master_); }
  void type(std::string_view text) const {
    ASSERT_EQ(write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool wait_for(std::string_view what) {
    char c = 0;
    while (shown.find(what) == std::string::npos) {
      if (read(master_, &c, 1) != 1) return false;
      shown.push_back(c);
    }
    return true;
  }
  int end() {
    (void)wait_for("never shown");
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string shown;

 private:
  int master_ = -1;
  pid_t child_ = -1;
};

TEST(OutputQuestionTest, WhatWasTypedBeforeItIsNoAnswer) {
  for (const std::string answer : {"n\n", "y\n", "\x04"}) {
    AtTerminal terminal([] {
      Output out(false);
      out.summary("work");
      // Until all of the type-ahead is here, with echo as proof that it came to this terminal.
      pollfd input{STDIN_FILENO, POLLIN, 0};
      while (poll(&input, 1, 1000) <= 0) {
      }
      out.summary("the summary");
      return out.confirm("Approve?") ? 10 : 11;
    });
    ASSERT_TRUE(terminal.wait_for("work"));
    terminal.type("y\n");
    ASSERT_TRUE(terminal.wait_for("[y/N] "));
    terminal.type(answer);
    EXPECT_EQ(terminal.end(), answer[0] == 'y' ? 10 : 11) << terminal.shown;
  }
}

TEST(OutputQuestionTest, CtrlCEndsItWhateverIsTyped) {
  for (int run = 0; run < 12; ++run) {
    AtTerminal terminal([] {
      static std::atomic<bool> cancelled{false};
      std::signal(SIGINT, [](int) { cancelled = true; });
      Output out(false);
      try {
        return out.confirm("Approve?", &cancelled) ? 10 : 11;
      } catch (const ProtocolAbort& abort) {
        return abort.code() == AbortCode::kCancelled ? 12 : 13;
      }
    });
    ASSERT_TRUE(terminal.wait_for(run % 2 == 0 ? "A" : "[y/N] "));
    terminal.type(run % 3 == 0 ? "\x03" : run % 3 == 1 ? "ye\x03" : "no\n\x03");
    const int code = terminal.end();
    EXPECT_TRUE(code == 12 || (run % 3 == 2 && code == 11)) << code << terminal.shown;
  }
}

TEST(OutputQuestionTest, NamesCannotForgeWhatIsShown) {
  AtTerminal terminal([] {
    Output out(false);
    out.line("a\x1b[2J\u202ez");
    out.note("b\x1b[2J\u202ez");
    out.summary("c\x1b[2J\u202ez");
    out.problem("d\x1b[2J\u202ez");
    out.body(to_bytes("e\x1b[2J\u202ez"));
    out.progress({"f\x1b[2J\u202ez", std::nullopt, std::nullopt});
    return out.confirm("g\x1b[2J\u202ez") ? 1 : 0;
  });
  ASSERT_TRUE(terminal.wait_for("[y/N] "));
  terminal.type("\n");
  EXPECT_EQ(terminal.end(), 0);
  for (const char first : std::string("abcdefg")) {
    EXPECT_NE(terminal.shown.find(std::string(1, first) + "?[2J?z"), std::string::npos)
        << first << "\n"
        << terminal.shown;
  }
  EXPECT_EQ(terminal.shown.find("\x1b[2J"), std::string::npos);
}

TEST(OutputQuestionTest, ALineThatStandsStillSaysSo) {
  AtTerminal terminal([] {
    Output out(false);
    out.progress({"work", 0.96, 0.2});
    pause();
    return 0;
  });
  EXPECT_TRUE(terminal.wait_for("nothing new for"));
  terminal.type("\x03");
  EXPECT_EQ(terminal.end(), -SIGINT);
}

}  // namespace
}  // namespace flexroom::cli
