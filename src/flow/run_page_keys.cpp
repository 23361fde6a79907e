#include <fmt/core.h>

#include "flow/run_parts.h"

namespace flexroom::flow {
namespace {

constexpr size_t kMaxPages = 64, kMaxPageHost = 255, kPageKeyDigits = 64;

}  // namespace

std::string FlowRun::State::page_key(const std::string& prefix_of_key) {
  const auto n = store.run_value(run.id, prefix_of_key + ".n"),
             e = store.run_value(run.id, prefix_of_key + ".e");
  if (!n || !e) return "";
  return page_key_digest(as_text(n->bytes.reveal()), as_text(e->bytes.reveal()));
}

std::string FlowRun::State::page_key_before(const std::string& host) {
  const auto stored = store.room_value(flow.prefix, page_key_name(host));
  return stored ? std::string(as_text(stored->bytes.reveal())) : "";
}

/// operations.md (e): under a key that earlier runs did not have nothing is encrypted before the
/// members have seen both and approved the run with it.
void FlowRun::State::check_page_keys(const Step& step) {
  for (const auto& [host, key] : page_keys_of(step)) {
    const std::string before = page_key_before(host), now = page_key(key);
    if (before.empty() || before == now || shown_keys.contains(now)) continue;
    throw FlowStop(
        FlowStop::Kind::kRefused,
        fmt::format("READY: {}: the page of {} has another key than in earlier runs, {} in the "
                    "place of {}; nothing was encrypted. Ask the site whether it changed its key: "
                    "what is approved next shows both",
                    step.name, host, now, before));
  }
}

/// Behind an answer, whatever it was: this is the key that the room's secrets went out under.
void FlowRun::State::add_page_keys(const Step& step, Change& change, ValueBytes& bytes) {
  for (const auto& [host, key] : page_keys_of(step)) {
    const std::string now = page_key(key), name = page_key_name(host);
    if (now == page_key_before(host)) continue;
    Change::NewValue value;
    value.meta = meta_of(name, true, sha256(as_bytes(now)));
    value.meta.value_class = ValueClass::kHex;
    value.to_room = true;
    bytes[name] = SecretBytes::copy_of(as_bytes(now));
    change.values.push_back(std::move(value));
  }
}

void FlowRun::State::tell_page_keys(Writer& out) {
  std::map<std::string, std::string> keys;
  flow.each_step([&](const Step& step) { keys.merge(page_keys_of(step)); });
  out.u32(static_cast<uint32_t>(keys.size()));
  for (const auto& [host, key] : keys) {
    out.field(host).field(page_key_before(host)).field(page_key(key));
  }
}

/// Shown where somebody has one of an earlier run. What no honest member can have said names who
/// did.
void FlowRun::State::hear_page_keys(Reader& in, PartyId from, Outlook& told) {
  const auto digest = [&] {
    std::string out = to_text(in.field(kPageKeyDigits));
    const bool is_one = out.size() == kPageKeyDigits &&
                        out.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (out.empty() || is_one) return out;
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/outlook",
                        fmt::format("{} says a page's key that is no digest", members.name(from)),
                        from);
  };
  const uint32_t count = in.u32();
  if (count > kMaxPages) {
    throw ProtocolAbort(AbortCode::kBadFrame, "flow/outlook",
                        fmt::format("{} says keys of {} pages", members.name(from), count), from);
  }
  for (uint32_t k = 0; k < count; ++k) {
    const std::string host = to_text(in.field(kMaxPageHost));
    const std::string before = digest(), now = digest();
    PageKey& one = told.page_keys[host];
    if (!before.empty()) one.before.insert(before);
    if (now.empty()) continue;
    one.now.insert(now);
    shown_keys.insert(now);
  }
}

}  // namespace flexroom::flow
