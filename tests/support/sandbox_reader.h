#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "base/error.h"
#include "support/sightings.h"

namespace flexroom::support {

/// Stands in the place of a member's person while it lives: standard input holds what the sandbox
/// would show or tell it, as soon as it does.
class SandboxReader {
 public:
  /// What the person types in the place of the k-th answer of that kind that it is to give, from 1.
  using Types =
      std::function<std::string(const std::string& what, size_t k, const std::string& answer)>;
  /// `types`, `beside` (called all the time): may be empty; both by a thread of its own.
  explicit SandboxReader(const Sightings& seen, Types types = nullptr,
                         std::function<void()> beside = nullptr) {
    int ends[2];
    FLEXROOM_ASSERT(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    // What was there before is not an answer to a question that is to come.
    std::map<std::string, size_t> before;
    for (const char* const what : kAnswers) before[what] = seen.values(what).size();
    thread_ = std::jthread([&seen, types = std::move(types), beside = std::move(beside), before,
                            in = ends[1]](const std::stop_token& ended) {
      std::map<std::string, size_t> told = before;
      while (!ended.stop_requested()) {
        for (const char* const what : kAnswers) {
          const std::vector<std::string> all = seen.values(what);
          for (size_t& k = told[what]; k < all.size(); ++k) {
            const size_t number = k + 1 - before.at(what);
            const std::string line = (types ? types(what, number, all[k]) : all[k]) + "\n";
            FLEXROOM_ASSERT(write(in, line.data(), line.size()) > 0);
          }
        }
        if (beside) beside();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      close(in);
    });
  }

 private:
  static constexpr std::array<const char*, 2> kAnswers = {"captcha answer", "telephone code"};
  std::jthread thread_;
};

}  // namespace flexroom::support
