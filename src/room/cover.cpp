#include "room/cover.h"

#include <fmt/core.h>
#include <openssl/rand.h>

#include <map>
#include <mutex>
#include <thread>

#include "base/display.h"
#include "base/error.h"
#include "call/provider_connection.h"
#include "net/tcp_stream.h"
#include "room/failure.h"
#include "room/slots.h"
#include "store/connection_store.h"

namespace flexroom::room {
namespace {

using std::chrono::milliseconds;
using Note = std::function<void(const std::string&)>;

constexpr std::chrono::seconds kConnectPatience{30};

cover::Shape shape_of(const store::ConnectionRecord& record) {
  cover::Shape out;
  out.delay = milliseconds(record.delay_ms.value_or(0));
  out.pause = milliseconds(record.pause_ms);
  out.record_bytes.assign(record.record_bytes.begin(), record.record_bytes.end());
  return out;
}

bool is_covered(const RoomConfig& room, const std::string& host) {
  for (const Provider& provider : room.providers) {
    if (room.serves(provider, host)) return !provider.traffic_for(host).cover.empty();
  }
  return false;
}

bool any_cover(const RoomConfig& room) {
  for (const Provider& provider : room.providers) {
    if (!provider.traffic.cover.empty()) return true;
    for (const auto& [host, traffic] : provider.host_traffic) {
      if (!traffic.cover.empty()) return true;
    }
  }
  return false;
}

CoverOfHost settings_of(session::MemberState& state, store::ConnectionStore& known,
                        const std::string& host) {
  const Provider& provider = state.room().provider_of(host);
  const TrafficTerms& traffic = provider.traffic_for(host);
  CoverOfHost out;
  out.settings.host = host;
  out.settings.groups = provider.groups_for(host);
  out.settings.likely_curve = known.likely_curve(host);
  out.settings.suite = &provider.suite_for(host);
  out.settings.handshake = tls::handshake_config(chain_policy(provider, host));
  out.settings.await_close = provider.tls.await_close;
  out.settings.request = traffic.cover;
  out.target = provider.resolve(host, 443);
  out.period = *traffic.period;
  return out;
}

/// One of them, each as likely.
const cover::Shape& picked(const std::vector<cover::Shape>& shapes) {
  uint64_t number = 0;
  FLEXROOM_ASSERT(RAND_bytes(reinterpret_cast<uint8_t*>(&number), sizeof number) == 1);
  return shapes[number % shapes.size()];
}

/// The cover of one host, on a thread of its own.
class HostCover {
 public:
  HostCover(const CoverOfHost& host, SlotBook book, SlotBook::Time end,
            const std::atomic<bool>* cancel, Note note)
      : host_(host), book_(std::move(book)), end_(end), cancel_(cancel), note_(std::move(note)) {}

  void run() {
    SlotBook::Time last{};
    while (!cancelled()) {
      const SlotBook::Time slot =
          next_slot(host_.period, std::max(last, std::chrono::system_clock::now()));
      if (slot > end_) return;
      last = slot;
      wait_until(slot);
      if (cancelled()) return;
      try {
        in_slot(slot);
      } catch (const std::exception& error) {
        ++made_.failed;
        note_(fmt::format("{}: {}", host_.settings.host, display(error.what())));
      }
    }
  }
  const CoverMade& made() const { return made_; }

 private:
  bool cancelled() const { return cancel_ != nullptr && cancel_->load(); }

  void wait_until(SlotBook::Time time) const {
    constexpr milliseconds kPiece{100};
    while (!cancelled()) {
      const auto left = time - std::chrono::system_clock::now();
      if (left.count() <= 0) return;
      std::this_thread::sleep_for(std::min<SlotBook::Time::duration>(left, kPiece));
    }
  }

  void in_slot(SlotBook::Time slot) {
    if (!book_.claim(host_.settings.host, slot)) {
      ++made_.left_to_calls;
      return;
    }
    const cover::Shape& shape = picked(host_.shapes);
    wait_until(slot + shape.delay);
    if (cancelled()) return;
    const auto check = [this] {
      if (cancelled()) throw ProtocolAbort(AbortCode::kCancelled, "cover", "it was stopped");
    };
    const auto stream =
        net::connect_tcp(host_.target.host, host_.target.port, kConnectPatience, check);
    cover::connect_once(*stream, host_.settings, shape, [&](milliseconds time) {
      wait_until(std::chrono::system_clock::now() + time);
    });
    stream->close();
    ++made_.made;
  }

  const CoverOfHost& host_;
  const SlotBook book_;
  const SlotBook::Time end_;
  const std::atomic<bool>* const cancel_;
  const Note note_;
  CoverMade made_;
};

}  // namespace

std::vector<CoverOfHost> cover_plan(session::MemberState& state, const Note& note) {
  const RoomConfig& room = state.room();
  if (state.self() != room.courier_id()) {
    throw InputError("cover", "is made by the courier alone, who opens the connections",
                     "run it at " + room.courier);
  }
  if (!any_cover(room)) {
    throw InputError(room.file.string(), "has no `cover` for any host",
                     "add cover = \"HEAD /\", slots and pad to a [provider.NAME], at every member");
  }
  store::ConnectionStore known(state.db(), state.rid());
  std::map<std::string, CoverOfHost> hosts;
  for (const store::ConnectionRecord& record : known.newest()) {
    if (record.goes_on || !is_covered(room, record.host)) continue;
    auto [at, is_new] = hosts.try_emplace(record.host);
    if (is_new) at->second = settings_of(state, known, record.host);
    const cover::Shape shape = shape_of(record);
    if (record.delay_ms && cover::fits(at->second.settings, shape)) {
      at->second.shapes.push_back(shape);
    }
  }
  std::vector<CoverOfHost> out;
  for (auto& [name, host] : hosts) {
    if (host.shapes.empty()) {
      note(name + ": no cover yet, as no call of it has waited for a slot");
    } else {
      out.push_back(std::move(host));
    }
  }
  if (!out.empty()) return out;
  throw InputError("cover", "knows of no connection that it could look like",
                   "make a call to the host once, which waits for its slot; cover looks like the "
                   "calls that were made");
}

CoverMade make_cover(const std::vector<CoverOfHost>& hosts, const std::filesystem::path& state_dir,
                     std::chrono::seconds time, const std::atomic<bool>* cancel, const Note& note) {
  std::mutex mutex;
  const Note one_at_a_time = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    note(text);
  };
  const SlotBook::Time end = std::chrono::system_clock::now() + time;
  std::vector<HostCover> covers;
  covers.reserve(hosts.size());
  for (const CoverOfHost& host : hosts) {
    covers.emplace_back(host, SlotBook(state_dir), end, cancel, one_at_a_time);
  }
  std::vector<std::jthread> threads;
  for (HostCover& each : covers) threads.emplace_back([&each] { each.run(); });
  threads.clear();  // joins
  CoverMade out;
  for (const HostCover& each : covers) {
    out.made += each.made().made;
    out.left_to_calls += each.made().left_to_calls;
    out.failed += each.made().failed;
  }
  return out;
}

}  // namespace flexroom::room
