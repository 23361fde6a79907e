#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>

#include "call/fetch.h"
#include "config/config.h"

namespace flexroom {

inline constexpr size_t kMaxResultBytes = size_t{64} << 20;
inline constexpr std::chrono::seconds kLinkTimeout{30};

/// An answer of an object store in few words, "403 SignatureDoesNotMatch": its status and, where
/// the body names one, its code. Printable, whatever came.
std::string answer_words(const FetchResult& answer);

/// What an answer means for a link: nothing but another link will help.
bool link_is_dead(const FetchResult& answer);
/// What to do about such an answer; empty if nothing is known.
std::string link_remedy(const FetchResult& answer);

/// What lay at this member's result link before a run.
struct BeforeRun {
  /// Of what run-script wrote there: the result is what has another one. Empty: nobody can look.
  std::string version;
  /// The result of an earlier run that would have been overwritten, if there was one.
  std::optional<Bytes> earlier;
  /// The last answer of each link that was tried (answer_words()), by its name in links.toml.
  std::map<std::string, std::string> answers;
};

/// Tries this member's own links before anything is prepared, so that a link that does not work is
/// known before a machine runs: writes a mark to result_url (the loader, if that is the link that
/// carries it) and reads it back, and does the same with the link of the loader.
///
/// `loader`: the text if this member carries it, else empty. `place`: links.toml, for messages.
/// Throws InputError naming the link and the answer; ProtocolAbort if there was none.
BeforeRun try_links(const RoomConfig& room, const LinksConfig& links, std::string_view loader,
                    std::string_view place, const std::atomic<bool>* cancel);

}  // namespace flexroom
