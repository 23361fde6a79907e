#include "room/result_link.h"

namespace flexroom::room {

std::string result_before(const Provider& provider, const LinksConfig& links,
                          const std::atomic<bool>* cancel) {
  if (!links.result_get_url) return "";
  const FetchResult got =
      fetch(provider, *links.result_get_url, kMaxResultBytes, kResultTimeout, cancel);
  return got.status == 200 ? got.version : "";
}

}  // namespace flexroom::room
