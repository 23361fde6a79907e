#include "room/slots.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/codec.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/private_file.h"

namespace flexroom::room {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kWait = "slot/wait";
constexpr seconds kClaimsKept{2 * 24 *
                              3600};  // claims of slots that are over; a period is at most a day
/// Several calls of one member may wait for slots, one each; more is no plan of anybody.
constexpr int kMostSlots = 16;

int64_t seconds_of(SlotBook::Time time) {
  return duration_cast<seconds>(time.time_since_epoch()).count();
}

/// In pieces, so that Ctrl-C and another member's end are noticed.
void sleep_with_all(Joined& joined, milliseconds time) {
  constexpr milliseconds kPiece{100};
  const auto end = std::chrono::steady_clock::now() + time;
  while (true) {
    joined.throw_if_cancelled();
    joined.session().party().transport().check();
    const auto left = duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    std::this_thread::sleep_for(std::min(left, kPiece));
  }
}

}  // namespace

SlotBook::Time next_slot(seconds period, SlotBook::Time now) {
  const int64_t number = seconds_of(now) / period.count() + 1;
  return SlotBook::Time(period * number);
}

SlotBook::SlotBook(const std::filesystem::path& state_dir) : folder_(state_dir / "slots") {
  make_private_folder(folder_);
}

bool SlotBook::claim(const std::string& host, Time slot) const {
  const std::string name =
      to_hex(sha256(as_bytes(host))).substr(0, 32) + "-" + std::to_string(seconds_of(slot));
  const std::filesystem::path file = folder_ / name;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == EEXIST) return false;
    throw InputError(file.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "free some space, or let this user write there");
  }
  ::close(fd);
  return true;
}

SlotBook::Time SlotBook::claim_next(const std::string& host, seconds period, Time now) const {
  drop_old(now);
  Time slot = next_slot(period, now);
  for (int tries = 0; tries < kMostSlots; ++tries, slot += period) {
    if (claim(host, slot)) return slot;
  }
  throw InputError("slots", fmt::format("of {} are all taken, the next {}", host, kMostSlots),
                   "wait for what is running, or choose a shorter period in room.toml");
}

void SlotBook::drop_old(Time now) const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t dash = name.rfind('-');
    if (dash == std::string::npos) continue;
    const long long slot = std::strtoll(name.c_str() + dash + 1, nullptr, 10);
    if (slot + kClaimsKept.count() < seconds_of(now))
      std::filesystem::remove(entry.path(), ignored);
  }
}

void wait_for_slot(Joined& joined, const Provider& provider, const std::string& host,
                   agent::Timeline& timeline) {
  const auto& period = provider.traffic_for(host).period;
  if (!period) return;
  timeline.begin("wait for the next slot");
  net::Party& party = joined.session().party();
  const PartyId courier = joined.state().room().courier_id();
  milliseconds wait{0};
  if (party.id() == courier) {
    const auto now = std::chrono::system_clock::now();
    const SlotBook::Time slot =
        SlotBook(joined.state().member().state_dir).claim_next(host, *period, now);
    joined.connections().set_slot(host, slot);
    wait = duration_cast<milliseconds>(slot - now);
    const Bytes message = Writer().u64(static_cast<uint64_t>(wait.count())).take();
    for (const PartyId j : party.peers()) party.send(j, kWait, message);
  } else {
    const Bytes message = party.receive(courier, kWait, sizeof(uint64_t));
    Reader in(message, kWait, courier);
    const uint64_t told = in.u64();
    const auto most = duration_cast<milliseconds>(*period * (kMostSlots + 1)).count();
    if (told > static_cast<uint64_t>(most)) {
      throw ProtocolAbort(AbortCode::kUnexpectedMessage, kWait,
                          fmt::format("the courier would wait {} s for a slot of {}", told / 1000,
                                      provider.traffic_for(host).slots_text()),
                          courier);
    }
    wait = milliseconds(told);
  }
  joined.note(fmt::format("the connection to {} waits {} s for its slot", host,
                          (wait.count() + 999) / 1000));
  sleep_with_all(joined, wait);
}

}  // namespace flexroom::room
