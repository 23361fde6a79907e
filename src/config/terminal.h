#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/secret.h"

namespace flexroom {

/// A terminal that somebody answers questions at, through an open file description of its own that
/// never blocks: a signal between a look at its flag and a read is not lost, nor is one whose
/// arrival throws away the line that was about to be read.
class Terminal {
 public:
  /// The controlling one (/dev/tty); nothing if there is none.
  static std::optional<Terminal> controlling();
  /// The one open as descriptor `fd`; nothing if that is no terminal.
  static std::optional<Terminal> of(int fd);
  /// Any input that lines are read from, for programs that answer in a person's place.
  static std::optional<Terminal> input(int fd);

  int fd() const { return fd_.get(); }
  /// Throws away what was typed so far: nobody answers a question before it is shown.
  void discard_typed();
  /// Shows `text`. What goes wrong is of no interest: reading will tell.
  void say(std::string_view text);
  /// What is typed until Enter (or end of file), at most `most` bytes, which are wiped by their
  /// owner. `stop` is asked at least ten times a second; nothing is returned once it says true.
  /// Throws InputError at `place`.
  std::optional<SecretBytes> read_line(size_t most, std::string_view place,
                                       const std::function<bool()>& stop);

 private:
  Terminal(Fd fd, bool blocks) : fd_(std::move(fd)), blocks_(blocks) {}
  Fd fd_;
  bool blocks_;  // the terminal could not be opened anew
};

/// A line typed without echo, at most 1024 bytes; a signal on the way gives the echo back before it
/// acts. Throws InputError at `place`, also if none is given; kCancelled.
SecretBytes ask_unseen(Terminal& terminal, std::string_view question, std::string_view place);

}  // namespace flexroom
