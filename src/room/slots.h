#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "agent/timeline.h"
#include "config/config.h"
#include "room/joined.h"

namespace flexroom::room {

/// The timetable of a host's connections (tls-complete.md §8.3): a slot begins when the time since
/// 1970 is a multiple of its period, and one connection is made in it, of a call or of cover.
///
/// Guarantee  of all processes of this member, whoever claims a host's slot first has it
class SlotBook {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// In the folder slots/ of the state, which is made. Throws InputError.
  explicit SlotBook(const std::filesystem::path& state_dir);
  bool claim(const std::string& host, Time slot) const;
  /// The first slot behind `now` that nobody has.
  Time claim_next(const std::string& host, std::chrono::seconds period, Time now) const;

 private:
  void drop_old(Time now) const;
  std::filesystem::path folder_;
};

/// The first slot behind `now`.
SlotBook::Time next_slot(std::chrono::seconds period, SlotBook::Time now);

/// All members together, before they connect to the host: nothing where room.toml has no `slots`
/// for it, else until the next slot that the courier has. Throws kUnexpectedMessage for a wait that
/// is none, kCancelled, and what ends a mesh.
void wait_for_slot(Joined& joined, const Provider& provider, const std::string& host,
                   agent::Timeline& timeline);

}  // namespace flexroom::room
