#pragma once

#include <filesystem>
#include <functional>

#include "base/hash.h"

namespace flexroom::store {

/// The durable mark that a session of this member is open: a small file in DIR/open/, held locked
/// by the process that runs the session, so that one that ended without a word is known as such.
///
/// Why        a check that fails must be on disk before anything follows from it. If once.db cannot
///            be written at that moment (locked, disk full), the mark takes it: its bytes were
///            written when the session began, so that changing one needs no space
/// Found      when the next session begins: kBurn and kStrike are entered into once.db then. A
///            process that was killed may have known of one verdict that it could not write down:
///            it counts as one batch without a verdict (dirty and LIFE, boolean-engine.md §10.3)
/// Errors     InputError from open(); put() tells by its result
class OpenMark {
 public:
  enum class State : uint8_t { kClosed = 'c', kOpen = 'o', kStrike = 's', kBurn = 'b' };

  /// `room`: zeros before it has an id. `epoch`: zeros before there is one.
  OpenMark(const std::filesystem::path& directory, const Digest& room, const Digest& epoch);
  /// Closes the mark, unless something is left in it for the next session, or the process was in
  /// the middle of something: then it stays as it is.
  ~OpenMark();
  OpenMark(const OpenMark&) = delete;
  OpenMark& operator=(const OpenMark&) = delete;

  /// Durable if true. kBurn is not taken back by a weaker one.
  [[nodiscard]] bool put(State state);

  struct Left {
    State state = State::kClosed;
    Digest room{}, epoch{};
  };
  /// Shows what ended sessions left, not those of running ones, each to one process only. Closed
  /// are those for which `entered` returns true.
  static void settle(const std::filesystem::path& directory,
                     const std::function<bool(const Left&)>& entered);

 private:
  int fd_ = -1;
  State state_ = State::kOpen;
};

}  // namespace flexroom::store
