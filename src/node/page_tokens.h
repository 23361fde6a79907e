#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "base/hash.h"
#include "node/http_server.h"

namespace flexroom::node {

/// What opens the console's page, and what it shows with each request afterwards (members.md §9.1):
/// a link's token, taken once and within a minute, is exchanged for a page's, which is good for
/// twelve hours and is whoever asked for the link. A restart forgets all. Kept as hashes.
///
/// Threads  any
class PageTokens {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLinkLife{60};
  static constexpr std::chrono::hours kPageLife{12};
  static constexpr size_t kMostLinks = 16, kMostPages = 64;

  /// A token for one link. Of more than kMostLinks the oldest goes.
  std::string make_link(const Caller& caller, Clock::time_point now = Clock::now());
  /// Nothing: it was never given, was used, or is too old.
  std::optional<std::string> open(std::string_view link, Clock::time_point now = Clock::now());
  /// Whose page it is.
  std::optional<Caller> holder(std::string_view page, Clock::time_point now = Clock::now());
  /// Signs out.
  void forget(std::string_view page);

 private:
  struct Entry {
    Digest hash{};
    Caller caller;
    Clock::time_point until;
  };
  static std::string add(std::deque<Entry>& entries, size_t most, const Caller& caller,
                         Clock::time_point until);
  static std::deque<Entry>::iterator find(std::deque<Entry>& entries, std::string_view token,
                                          Clock::time_point now);
  std::mutex mutex_;
  std::deque<Entry> links_, pages_;
};

}  // namespace flexroom::node
