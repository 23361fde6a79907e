#include "node/page_tokens.h"

#include "base/codec.h"
#include "base/ct.h"
#include "base/hash.h"
#include "base/prg.h"

namespace flexroom::node {
namespace {

constexpr size_t kTokenBytes = 32;

Digest hash_of(std::string_view token) { return sha256(as_bytes(token)); }

}  // namespace

std::string PageTokens::add(std::deque<Entry>& entries, size_t most, const Caller& caller,
                            Clock::time_point until) {
  std::array<uint8_t, kTokenBytes> drawn{};
  Prg::from_system().fill(drawn);
  const std::string token = to_hex(drawn);
  if (entries.size() >= most) entries.pop_front();
  entries.push_back({hash_of(token), caller, until});
  return token;
}

std::deque<PageTokens::Entry>::iterator PageTokens::find(std::deque<Entry>& entries,
                                                         std::string_view token,
                                                         Clock::time_point now) {
  std::erase_if(entries, [&](const Entry& one) { return now >= one.until; });
  const Digest hash = hash_of(token);
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (ct_equal(it->hash, hash)) return it;
  }
  return entries.end();
}

std::string PageTokens::make_link(const Caller& caller, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  return add(links_, kMostLinks, caller, now + kLinkLife);
}

std::optional<std::string> PageTokens::open(std::string_view link, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = find(links_, link, now);
  if (found == links_.end()) return std::nullopt;
  const Caller caller = found->caller;
  links_.erase(found);
  return add(pages_, kMostPages, caller, now + kPageLife);
}

std::optional<Caller> PageTokens::holder(std::string_view page, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = find(pages_, page, now);
  if (found == pages_.end()) return std::nullopt;
  return found->caller;
}

void PageTokens::forget(std::string_view page) {
  const std::lock_guard lock(mutex_);
  const auto found = find(pages_, page, Clock::now());
  if (found != pages_.end()) pages_.erase(found);
}

}  // namespace flexroom::node
