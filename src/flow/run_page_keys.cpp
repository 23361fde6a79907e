#include <fmt/core.h>

#include <algorithm>

#include "flow/run_parts.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxPageHost = 255, kPageKeyDigits = 64;

}  // namespace

std::string FlowRun::State::page_key(const std::string& prefix_of_key) {
  const auto n = store.run_value(run.id, prefix_of_key + ".n"),
             e = store.run_value(run.id, prefix_of_key + ".e");
  if (!n || !e) return "";
  return page_key_digest(as_text(n->bytes.reveal()), as_text(e->bytes.reveal()));
}

/// What all remember together, and what this member has: its own is one of theirs, but where a step
/// of this session made it newer.
PinnedKey FlowRun::State::page_key_before(const std::string& host) {
  PinnedKey out = pinned_keys[host];
  if (const auto stored = store.room_value(flow.prefix, page_key_name(host))) {
    out.digests.insert(std::string(as_text(stored->bytes.reveal())));
    out.version = std::max(out.version, stored->meta.version);
  }
  return out;
}

/// The prefixes of the flow's keys, by the host of their page.
std::map<std::string, std::string> FlowRun::State::page_keys() {
  std::map<std::string, std::string> out;
  flow.each_step([&](const Step& step) { out.merge(page_keys_of(step)); });
  return out;
}

/// operations.md (e): under a key that earlier runs did not have nothing is encrypted before the
/// members have seen both and approved the run with it. Where they remember different keys it has
/// to be each of these.
void FlowRun::State::check_page_keys(const Step& step) {
  for (const auto& [host, key] : page_keys_of(step)) {
    const std::set<std::string> before = page_key_before(host).digests;
    const std::string now = page_key(key);
    const auto shown = shown_keys.find(host);
    if (before.empty() || before == std::set<std::string>{now}) continue;
    if (shown != shown_keys.end() && shown->second == now) continue;
    std::string words;
    for (const std::string& one : before) words += (words.empty() ? "" : " and ") + one;
    throw FlowStop(
        FlowStop::Kind::kRefused,
        fmt::format("READY: {}: the page of {} has another key than in earlier runs, {} in the "
                    "place of {}; nothing was encrypted. Ask the site whether it changed its key: "
                    "what is approved next shows both",
                    step.name, host, now, words));
  }
}

/// Behind an answer, whatever it was: this is the key that the room's secrets went out under. From
/// the commit on all members have it alike, whatever each had before.
void FlowRun::State::add_page_keys(const Step& step, Change& change, ValueBytes& bytes) {
  for (const auto& [host, key] : page_keys_of(step)) {
    const std::string now = page_key(key), name = page_key_name(host);
    const PinnedKey before = page_key_before(host);
    if (before.digests == std::set<std::string>{now} && !pinned_keys[host].differs) continue;
    Change::NewValue value;
    value.meta = meta_of(name, true, sha256(as_bytes(now)));
    value.meta.version = std::min(before.version, kMostPageKeyVersion - 1) + 1;
    value.meta.value_class = ValueClass::kHex;
    value.to_room = true;
    bytes[name] = SecretBytes::copy_of(as_bytes(now));
    pinned_keys[host] = {{now}, value.meta.version};
    change.values.push_back(std::move(value));
  }
}

void FlowRun::State::tell_page_keys(Writer& out) {
  const std::map<std::string, std::string> keys = page_keys();
  out.u32(static_cast<uint32_t>(keys.size()));
  for (const auto& [host, key] : keys) {
    const auto stored = store.room_value(flow.prefix, page_key_name(host));
    out.field(host).u32(stored ? stored->meta.version : 0);
    out.field(stored ? as_text(stored->bytes.reveal()) : std::string_view()).field(page_key(key));
  }
}

/// What no honest member can have said names who did.
void FlowRun::State::hear_page_keys(Reader& in, PartyId from, Outlook& told) {
  const auto refuse = [&](const std::string& what) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/outlook",
                        fmt::format("{} says {}", members.name(from), what), from);
  };
  const auto digest = [&] {
    std::string out = to_text(in.field(kPageKeyDigits));
    const bool is_one = out.size() == kPageKeyDigits &&
                        out.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!out.empty() && !is_one) refuse("a page's key that is no digest");
    return out;
  };
  const std::map<std::string, std::string> own = page_keys();
  const uint32_t count = in.u32();
  if (count != own.size()) {
    refuse(fmt::format("keys of {} pages, this file has {}", count, own.size()));
  }
  for (const auto& [host, key] : own) {
    if (to_text(in.field(kMaxPageHost)) != host)
      refuse("the key of a page that is not this file's");
    const uint32_t version = in.u32();
    if (version > kMostPageKeyVersion) refuse("a version of a page's key that none can have");
    const std::string before = digest(), now = digest();
    PageKey& one = told.page_keys[host];
    PinnedKey& pinned = pinned_keys[host];
    pinned.version = std::max(pinned.version, version);
    pinned.differs |= from > 0 && (before.empty() != one.before.empty());
    if (!before.empty()) {
      pinned.differs |= from > 0 && !one.before.contains(before);
      one.before.insert(before);
      pinned.digests.insert(before);
    }
    one.now.insert(now);
    if (!before.empty()) one.before_of[before].insert(members.name(from));
    if (!now.empty()) one.now_of[now].insert(members.name(from));
  }
}

/// Shown counts a key that all have opened alike, this member among them: another one's word never
/// makes a key that was shown.
void FlowRun::State::show_page_keys(Outlook& told) {
  shown_keys.clear();
  std::erase_if(told.page_keys, [](const auto& one) { return one.second.before.empty(); });
  for (const auto& [host, key] : page_keys()) {
    const auto shown = told.page_keys.find(host);
    const std::string now = page_key(key);
    if (shown == told.page_keys.end()) continue;
    const bool alike = shown->second.now == std::set<std::string>{now};
    if (!now.empty() && alike) shown_keys[host] = now;
    shown->second.now.erase("");
  }
}

}  // namespace flexroom::flow
