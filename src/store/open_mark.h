#pragma once

#include <filesystem>
#include <functional>

#include "base/fd.h"
#include "base/hash.h"

namespace flexroom::store {

/// The durable mark that a session of this member is open: a small file in DIR/open/, held locked
/// by the process that runs the session, so that one that ended without a word is known as such.
///
/// Why        a check that fails must be on disk before anything follows from it. If once.db cannot
///            be written at that moment (locked, disk full), the mark takes it: its bytes were
///            written when the session began, so that changing one needs no space
/// Found      when the next session begins: kBurn and kStrike are entered into once.db then. A
///            process that was killed may have known of one verdict that it could not write down.
///            While one of a check is awaited that only a cheat fails, the mark says so (kArmed)
///            and counts as the worst; else as one batch without a verdict (boolean-engine.md
///            §10.2, §10.3)
/// Errors     InputError from the constructor and arm(); put() tells by its result
class OpenMark {
 public:
  enum class State : uint8_t {
    kClosed = 'c',
    kOpen = 'o',
    kArmed = 'a',
    kStrike = 's',
    kBurn = 'b'
  };

  /// `room`: zeros before it has an id. `epoch`: zeros before there is one.
  OpenMark(const std::filesystem::path& directory, const Digest& room, const Digest& epoch);
  /// Closes the mark, unless something is left in it for the next session, or it is armed: whoever
  /// ends an armed stretch knows why, and disarms it.
  ~OpenMark();
  OpenMark(const OpenMark&) = delete;
  OpenMark& operator=(const OpenMark&) = delete;

  /// Durable if true. kBurn and kStrike are not taken back by a weaker one.
  [[nodiscard]] bool put(State state);
  /// kArmed until disarm(): around a verdict. Outlives the process; not flushed, so that a power
  /// cut in these microseconds is none of a verdict, as at any other time.
  void arm() { write(State::kArmed); }
  void disarm() { write(State::kOpen); }
  /// What the verdict was is on disk. A mark that cannot be written stays armed.
  void settle_verdict() { (void)put(State::kOpen); }
  /// The session goes on in that room and epoch: what fails from here on is theirs. On disk when it
  /// returns; call it before anything is checked there.
  void move_to(const Digest& room, const Digest& epoch);
  /// A check failed, and that could be written nowhere: the mark is left for the next session as it
  /// is, however this one ends.
  void leave() { left_ = true; }

  struct Left {
    State state = State::kClosed;
    Digest room{}, epoch{};
  };
  /// Shows what ended sessions left, not those of running ones, each to one process only. Closed
  /// are those for which `entered` returns true.
  static void settle(const std::filesystem::path& directory,
                     const std::function<bool(const Left&)>& entered);

 private:
  void write(State state);

  std::filesystem::path file_;
  Fd fd_;
  State state_ = State::kOpen;
  bool left_ = false;
};

}  // namespace flexroom::store
