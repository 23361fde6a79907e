#include "config/passphrase.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace flexroom {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string text_of(const SecretBytes& bytes) { return to_text(bytes.reveal()); }
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}
PassphraseSource source(std::string_view text) {
  return PassphraseSource::parse(text, "member.toml:1:1", "/base");
}

class PassphraseFileTest : public ::testing::Test {
 protected:
  PassphraseFileTest() {
    char name[] = "/tmp/flexroom-pass-XXXXXX";
    dir_ = mkdtemp(name);
  }
  ~PassphraseFileTest() override { fs::remove_all(dir_); }
  fs::path write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(dir_ / "p") << text;
    chmod((dir_ / "p").c_str(), mode);
    return dir_ / "p";
  }
  std::string read_file() const {
    return text_of(read_passphrase(source("file:" + (dir_ / "p").string()), "?", true));
  }
  fs::path dir_;
};

TEST(PassphraseSourceTest, FormsAreReadAndWrittenBack) {
  EXPECT_EQ(source("file:a/b").file, "/base/a/b");
  EXPECT_EQ(source("file:/a").file, "/a");
  EXPECT_EQ(source("fd:3").descriptor, 3);
  for (const char* text : {"prompt", "file:/x/y", "fd:0", "credential:state"}) {
    EXPECT_EQ(source(text).text(), text);
  }
}

TEST(PassphraseSourceTest, WhatIsNoSourceIsNotShown) {
  for (const char* text : {"", "hunter2 hunter2", "file:", "fd:", "fd:-1", "fd:1x",
                           "fd:99999999999", "credential:", "credential:../x", "credential:.",
                           "credential:a/b", "env:X", "prompt:now"}) {
    const std::string error = error_of([&] { source(text); });
    EXPECT_THAT(error, HasSubstr("no source of a passphrase")) << text;
    EXPECT_THAT(error, HasSubstr("member.toml:1:1"));
    EXPECT_EQ(error.find("hunter2"), std::string::npos);
  }
}

TEST_F(PassphraseFileTest, TheFirstLineOfAPrivateFile) {
  write("six words\nand more\n");
  EXPECT_EQ(read_file(), "six words");
  write("no newline");
  EXPECT_EQ(read_file(), "no newline");
  write("six words", 0640);
  EXPECT_THAT(error_of([&] { read_file(); }), HasSubstr("chmod 600"));
  write("\nsecond", 0600);
  EXPECT_THAT(error_of([&] { read_file(); }), HasSubstr("no passphrase"));
  write(std::string(1024, 'x'));
  EXPECT_EQ(read_file().size(), 1024u);
  write(std::string(1025, 'x'));
  EXPECT_THAT(error_of([&] { read_file(); }), HasSubstr("more than 1024"));
  fs::remove(dir_ / "p");
  EXPECT_THAT(error_of([&] { read_file(); }), HasSubstr("cannot be read"));
  fs::create_directory(dir_ / "p");
  EXPECT_THAT(error_of([&] { read_file(); }), HasSubstr("not a file"));
}

TEST_F(PassphraseFileTest, ACredentialOfTheService) {
  write("from systemd\n", 0400);
  ASSERT_EQ(setenv("CREDENTIALS_DIRECTORY", dir_.c_str(), 1), 0);
  EXPECT_EQ(text_of(read_passphrase(source("credential:p"), "?", false)), "from systemd");
  ASSERT_EQ(unsetenv("CREDENTIALS_DIRECTORY"), 0);
  EXPECT_THAT(error_of([&] { read_passphrase(source("credential:p"), "?", false); }),
              HasSubstr("LoadCredential=p:PATH"));
}

TEST(PassphraseDescriptorTest, OneLineAndNotAByteMore) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "old one\nnew one\n", 16), 16);
  const PassphraseSource from = source("fd:" + std::to_string(ends[0]));
  EXPECT_EQ(text_of(read_passphrase(from, "?", false)), "old one");
  EXPECT_EQ(text_of(read_passphrase(from, "?", false)), "new one");
  close(ends[1]);
  EXPECT_THAT(error_of([&] { read_passphrase(from, "?", false); }), HasSubstr("no passphrase"));
  close(ends[0]);
  EXPECT_THAT(error_of([&] { read_passphrase(from, "?", false); }), HasSubstr("cannot be read"));
}

/// A child whose controlling terminal we hold: what it showed, and how it ended.
struct AtTerminal {
  explicit AtTerminal(bool twice) {
    child = forkpty(&master, nullptr, nullptr, nullptr);
    if (child == 0) {
      int code = 9;
      try {
        const SecretBytes got = read_passphrase({}, "Passphrase", twice);
        code = text_of(got) == "six random words" ? 0 : 1;
      } catch (const InputError& error) {
        (void)!write(STDOUT_FILENO, error.what(), std::string_view(error.what()).size());
        code = 3;
      }
      termios now{};
      tcgetattr(STDIN_FILENO, &now);
      _exit((now.c_lflag & ECHO) == 0 ? 8 : code);
    }
  }
  bool wait_for(const std::string& what) {
    char buffer[256];
    while (shown.find(what) == std::string::npos) {
      const ssize_t got = read(master, buffer, sizeof buffer);
      if (got <= 0) return false;
      shown.append(buffer, static_cast<size_t>(got));
    }
    return true;
  }
  void type(std::string_view text) {
    ASSERT_EQ(write(master, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool echoes() const {
    termios now{};
    tcgetattr(master, &now);
    return (now.c_lflag & ECHO) != 0;
  }
  int end() {
    (void)wait_for("never shown");
    int status = 0;
    waitpid(child, &status, 0);
    close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int master = -1;
  pid_t child = -1;
  std::string shown;
};

TEST(PassphrasePromptTest, IsReadWithoutEcho) {
  AtTerminal terminal(false);
  ASSERT_TRUE(terminal.wait_for("Passphrase: "));
  terminal.type("six random words\n");
  EXPECT_EQ(terminal.end(), 0);
  EXPECT_EQ(terminal.shown.find("six"), std::string::npos) << terminal.shown;
}

TEST(PassphrasePromptTest, ANewOneIsAskedTwice) {
  for (const bool same : {true, false}) {
    AtTerminal terminal(true);
    ASSERT_TRUE(terminal.wait_for("Passphrase: "));
    terminal.type("six random words\n");
    ASSERT_TRUE(terminal.wait_for("the same again: "));
    terminal.type(same ? "six random words\n" : "six random wordS\n");
    EXPECT_EQ(terminal.end(), same ? 0 : 3) << terminal.shown;
    if (!same) {
      EXPECT_THAT(terminal.shown, HasSubstr("not alike"));
    }
  }
}

TEST(PassphrasePromptTest, AnInterruptGivesTheEchoBack) {
  AtTerminal terminal(false);
  ASSERT_TRUE(terminal.wait_for("Passphrase: "));
  EXPECT_FALSE(terminal.echoes());
  terminal.type("six\x03");
  int status = 0;
  waitpid(terminal.child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
  EXPECT_TRUE(terminal.echoes());
  close(terminal.master);
}

// A Ctrl-C at any moment: while the prompt is written, between the look at the flag and the read,
// and together with the line that it throws away.
TEST(PassphrasePromptTest, NoInterruptIsLost) {
  for (int run = 0; run < 40; ++run) {
    AtTerminal terminal(false);
    ASSERT_TRUE(terminal.wait_for(run % 2 == 0 ? "P" : ": "));
    terminal.type(run % 3 == 0 ? "\x03" : run % 3 == 1 ? "six\x03" : "six random words\n\x03");
    const auto ended = [&](std::chrono::seconds patience) {
      const auto end = std::chrono::steady_clock::now() + patience;
      while (std::chrono::steady_clock::now() < end) {
        int status = 0;
        if (waitpid(terminal.child, &status, WNOHANG) == terminal.child) {
          // The whole line may have been read before the interrupt came.
          return (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) ||
                 (run % 3 == 2 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
        usleep(1000);
      }
      return false;
    };
    const bool stopped = ended(std::chrono::seconds(60));
    EXPECT_TRUE(stopped) << "run " << run;
    if (!stopped) {
      kill(terminal.child, SIGKILL);
      waitpid(terminal.child, nullptr, 0);
    }
    EXPECT_TRUE(terminal.echoes()) << "run " << run;
    close(terminal.master);
    if (!stopped) return;
  }
}

// A program that goes on after Ctrl-C (it has a handler of its own) is told, not asked again.
TEST(PassphrasePromptTest, AnInterruptThatIsHandledEndsTheQuestion) {
  int master = -1;
  const pid_t child = forkpty(&master, nullptr, nullptr, nullptr);
  if (child == 0) {
    std::signal(SIGINT, [](int) {});
    try {
      (void)read_passphrase({}, "Passphrase", false);
    } catch (const ProtocolAbort& abort) {
      _exit(abort.code() == AbortCode::kCancelled ? 0 : 1);
    } catch (const InputError&) {
      _exit(2);
    }
    _exit(3);
  }
  std::string shown;
  char c = 0;
  while (shown.find("Passphrase: ") == std::string::npos && read(master, &c, 1) == 1) shown += c;
  ASSERT_EQ(write(master, "\x03", 1), 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  close(master);
}

TEST(PassphrasePromptTest, WithoutATerminalTheOtherWaysAreNamed) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();  // no controlling terminal
    const std::string error = error_of([] { read_passphrase({}, "Passphrase", false); });
    _exit(error.find("no terminal") != std::string::npos &&
                  error.find("credential:NAME") != std::string::npos
              ? 0
              : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace flexroom
