#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/hash.h"
#include "store/room_store.h"

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
/// Whose      a mark names its room: by its id, or as long as the room has none by its members,
///            towards whom LIFE counts. It is entered by a session of that room and by no other
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

  /// `room`: zeros before it has an id; `members`, marked_members(), is what counts then. `epoch`:
  /// zeros before there is one.
  OpenMark(const std::filesystem::path& directory, const Digest& room, const Digest& epoch,
           const Digest& members);
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
    std::optional<Digest> members;  // nothing in a mark of before they stood in it
    std::filesystem::path file;
    /// It is of the room with that id (zeros: none yet) and those members. Of a mark that names
    /// neither, nobody knows whose it is: it is of every room.
    bool is_of(const Digest& room_id, const Digest& marked) const;
  };
  /// Shows what ended sessions left, not those of running ones, each to one process only. Closed
  /// are those for which `entered` returns true.
  static void settle(const std::filesystem::path& directory,
                     const std::function<bool(const Left&)>& entered);
  /// The same, only to look: nothing is written. What cannot be read is left out.
  static std::vector<Left> left(const std::filesystem::path& directory);

 private:
  void write(State state);

  std::filesystem::path file_;
  Fd fd_;
  State state_ = State::kOpen;
  bool left_ = false;
};

/// Of the members of a room, in whatever order: RO("open mark", ids sorted).
Digest marked_members(std::vector<MemberId> members);

/// What a mark left to be entered says: "a session that was killed", "a failed check" ..
std::string_view to_string(OpenMark::State state);

}  // namespace flexroom::store
