#include "http/script_rule.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/host_name.h"

namespace flexroom::http {
namespace {

constexpr char kHole = '\x01';

bool starts_name(char c) { return c >= 'a' && c <= 'z'; }

/// Names in lower case that mean something to a shell or to what it starts.
bool is_taken(std::string_view name) {
  return name.ends_with("_proxy") || name == "histchars" || name == "auto_resume";
}

/// Reads a script line by line. No line with a slot has a meaning that hangs on another line: those
/// of a recipe come before the first command, where no quote, here-document, alias or substitution
/// can be open, and each is one of two forms; the own boot loader has its slots on its last line.
class ScriptLines {
 public:
  ScriptLines(const RequestText& script, std::string_view place) : place_(place) {
    for (const RequestText::Piece& piece : script.pieces) {
      if (!piece.slot) {
        if (piece.text.find(kHole) != std::string::npos) unreadable("it has a control character");
        text_ += piece.text;
        continue;
      }
      if (piece.encoding != Encoding::kNone) {
        fail(*piece.slot, "stands in a script under an encoding");
      }
      slots_.push_back(&*piece.slot);
      text_ += kHole;
    }
  }

  void check(ScriptSource source) {
    if (source == ScriptSource::kOwnScript) return check_own();
    first_line();
    bool commands = false;
    for (size_t at = text_.find('\n'); at < text_.size();) {
      const size_t end = std::min(text_.find('\n', at + 1), text_.size());
      const std::string_view line = std::string_view(text_).substr(at + 1, end - at - 1);
      const auto holes = static_cast<size_t>(std::count(line.begin(), line.end(), kHole));
      const Slot* const slot = holes > 0 ? slots_[judged_] : nullptr;
      if (line.starts_with('#')) {
        // Other readers of user data look for tags in it.
        if (!commands && line.find('<') != std::string_view::npos) {
          unreadable("a comment before its first command holds '<'");
        }
        in_comment(holes);
      } else if (slot != nullptr) {
        if (!commands) in_assignment(line);
      } else if (line.find_first_not_of(' ') != std::string_view::npos) {
        commands = true;
      }
      // Behind a command a '#' may begin no comment: it may stand in a quote.
      if (commands && holes > 0) fail(*slot, "stands behind the first command of a script");
      at = end;
    }
    FLEXROOM_ASSERT(judged_ == slots_.size());
  }

 private:
  [[noreturn]] void fail(const Slot& slot, std::string_view problem) const {
    throw InputError(std::string(place_) + ", slot '" + slot.name + "'", problem,
                     "private text in a script is the end of a URL in a line of its own, "
                     "name='https://public.host/..{{slot}}', class shell-url; such lines stand "
                     "behind #!/bin/sh and before everything else");
  }
  [[noreturn]] void unreadable(std::string_view why) const {
    throw InputError(place_,
                     "a script with private text cannot be read for sure: " + std::string(why),
                     "let it begin with #!/bin/sh or #!/bin/bash, and be plain ASCII");
  }

  void first_line() const {
    constexpr std::array<std::string_view, 4> kShells = {"#!/bin/sh", "#!/bin/bash", "#!/bin/sh -e",
                                                         "#!/bin/bash -e"};
    const std::string_view line = std::string_view(text_).substr(0, text_.find('\n'));
    if (std::find(kShells.begin(), kShells.end(), line) == kShells.end()) {
      unreadable("its first line is not #!/bin/sh or #!/bin/bash");
    }
    // What delivers it may convert anything else, or drop the script for it.
    for (const char c : text_) {
      if (c != kHole && c != '\n' && c != '\t' && !printable().contains(c)) {
        unreadable("it has a character outside printable ASCII");
      }
    }
  }

  /// The slot of the next mark in the text: random ones of class base64url, others of class
  /// shell-url.
  const Slot& next_slot() {
    const Slot& slot = *slots_[judged_++];
    const bool random = slot.source == SlotSource::kRandom;
    const CharSet& allowed = char_set(random ? CharClass::kBase64Url : CharClass::kShellUrl);
    if (!slot.checked_set().subset_of(allowed)) {
      fail(slot, random ? "is random text in a script, but not of class base64url"
                        : "stands in a script, but its class is wider than shell-url");
    }
    return slot;
  }

  void in_comment(size_t holes) {
    for (; holes > 0; --holes) {
      const Slot& slot = next_slot();
      if (slot.source != SlotSource::kRandom) fail(slot, "stands in a comment of a script");
    }
  }

  /// `name='https://host/..'` or `name='..'` of hex alone; blanks may follow. Names in lower case:
  /// those of the shell and of its environment are in upper case (PATH, IFS, ENV).
  void in_assignment(std::string_view line) {
    const Slot& first = *slots_[judged_];
    const size_t open = std::min(line.find("='"), line.size());
    const size_t close = line.find('\'', std::min(open + 2, line.size()));
    const std::string_view name = line.substr(0, open);
    const bool named = !name.empty() && starts_name(name.front()) && !is_taken(name) &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return starts_name(c) || (c >= '0' && c <= '9') || c == '_';
                       });
    if (close == std::string_view::npos || !named ||
        line.find_first_not_of(' ', close + 1) != std::string_view::npos) {
      fail(first, "stands in a script outside a quoted URL in a line of its own");
    }
    const std::string_view quoted = line.substr(open + 2, close - open - 2);
    size_t private_text = 0;
    for (const char c : quoted) {
      if (c == kHole) {
        private_text += next_slot().source == SlotSource::kRandom ? 0 : 1;
      } else if (!char_set(CharClass::kShellUrl).contains(c)) {
        fail(first, "stands in quotes with characters that no URL has");
      }
    }
    if (private_text > 0 && !behind_public_host(quoted)) {
      fail(first, "stands in quotes, but not behind https://public.host/");
    }
  }

  static bool behind_public_host(std::string_view quoted) {
    constexpr std::string_view kScheme = "https://";
    if (!quoted.starts_with(kScheme)) return false;
    const size_t slash = quoted.find('/', kScheme.size());
    // A slot is in no host's name.
    return slash != std::string_view::npos &&
           is_host_name(quoted.substr(kScheme.size(), slash - kScheme.size()));
  }

  /// The boot loader of this program: its text up to the last line is ours (and public parts of
  /// links, which check_public_links() judges), the last line calls it with a nonce and words in
  /// single quotes.
  void check_own() {
    FLEXROOM_ASSERT(!slots_.empty());
    const size_t last = text_.find_last_not_of('\n');
    const size_t begin = std::string_view(text_).substr(0, last).rfind('\n') + 1;
    const std::string_view line = std::string_view(text_).substr(begin, last + 1 - begin);
    const auto marks = static_cast<size_t>(std::count(line.begin(), line.end(), kHole));
    if (marks != slots_.size() || !line.starts_with("m \x01 '") || !line.ends_with('\'')) {
      fail(*slots_.front(), "stands in the boot loader outside its call");
    }
    if (next_slot().source != SlotSource::kRandom) {
      fail(*slots_.front(), "is the first word of the boot loader's call, but no nonce");
    }
    // What is left is words of slots alone: '..' '..' '..'
    bool quoted = false;
    for (const char c : line.substr(4)) {
      if (c == '\'') quoted = !quoted;
      if (c != '\'' && c != (quoted ? kHole : ' ')) {
        fail(*slots_.front(), "stands in the boot loader beside other text");
      }
      if (c == kHole) (void)next_slot();
    }
    if (quoted) fail(*slots_.front(), "stands in a quote that does not close");
  }

  std::string_view place_;
  std::string text_;                // kHole for each slot
  std::vector<const Slot*> slots_;  // in the order of their marks
  size_t judged_ = 0;
};

}  // namespace

void check_script(const RequestText& script, std::string_view place, ScriptSource source) {
  ScriptLines(script, place).check(source);
}

}  // namespace flexroom::http
