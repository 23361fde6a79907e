#include "call/result_link.h"

#include <fmt/core.h>

#include "base/error.h"
#include "call/loader.h"
#include "call/service_error.h"

namespace flexroom {
namespace {

/// A result may look like an error of the service, and is none.
ServiceError error_of(const FetchResult& answer) {
  return answer.status >= 300 ? read_service_error(as_text(answer.body)) : ServiceError{};
}

bool accepted(const FetchResult& answer) {
  return answer.status == 200 || answer.status == 201 || answer.status == 204;
}

[[noreturn]] void refuse(std::string_view place, std::string_view link, std::string_view doing,
                         const FetchResult& answer) {
  throw InputError(fmt::format("{}: {}", place, link),
                   fmt::format("does not {}: {}", doing, answer_words(answer)),
                   link_remedy(answer));
}

/// Writes to one link and reads back through the other. Returns the version that is there then.
std::string write_and_read(const RoomConfig& room, std::string_view body,
                           const std::string& put_url, std::string_view put_name,
                           const std::string* get_url, std::string_view get_name,
                           std::string_view place, const std::atomic<bool>* cancel,
                           BeforeRun& out) {
  const FetchResult written = put(room, put_url, as_bytes(body), kLinkTimeout, cancel);
  if (!accepted(written)) refuse(place, put_name, "take what is put there", written);
  out.answers[std::string(put_name)] = answer_words(written);
  if (get_url == nullptr) return "";
  const FetchResult read = fetch(room, *get_url, kMaxResultBytes, kLinkTimeout, cancel);
  if (read.status != 200) refuse(place, get_name, "give what was put there", read);
  if (as_text(read.body) != body) {
    throw InputError(fmt::format("{}: {}", place, get_name),
                     fmt::format("names another object than {}", put_name),
                     "sign both links for one object");
  }
  out.answers[std::string(get_name)] = answer_words(read);
  return read.version;
}

}  // namespace

std::string answer_words(const FetchResult& answer) {
  return answer_words(static_cast<int>(answer.status), as_text(answer.body));
}

bool link_is_dead(const FetchResult& answer) {
  const auto [code, message] = error_of(answer);
  for (const std::string_view dead :
       {"SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken",
        "AuthorizationQueryParametersError", "NoSuchBucket", "PermanentRedirect"}) {
    if (code == dead) return true;
  }
  return code == "AccessDenied" && message.find("expired") != std::string::npos;
}

std::string link_remedy(const FetchResult& answer) {
  const auto [code, message] = error_of(answer);
  if (code == "SignatureDoesNotMatch") {
    return "copy the link whole, signed for this method with no header but host";
  }
  if (code == "ExpiredToken" || message.find("expired") != std::string::npos) {
    return "the link has expired: sign a new one";
  }
  if (code == "RequestTimeTooSkewed") return "set this machine's clock";
  if (answer.status >= 300 && answer.status < 400) {
    return "sign the link for the region in which the bucket is: redirects are not followed";
  }
  if (code == "AccessDenied") return "the key that signed the link may not do that";
  return "";
}

BeforeRun try_links(const RoomConfig& room, const LinksConfig& links, std::string_view loader,
                    std::string_view place, const std::atomic<bool>* cancel) {
  BeforeRun out;
  const bool by_result = !loader.empty() && !links.loader_url;
  if (!loader.empty() && links.loader_url) {
    (void)write_and_read(room, loader, *links.loader_put_url, "loader_put_url", &*links.loader_url,
                         "loader_url", place, cancel, out);
  }
  const std::string* const get = links.result_get_url ? &*links.result_get_url : nullptr;
  if (get != nullptr) {
    FetchResult there = fetch(room, *get, kMaxResultBytes, kLinkTimeout, cancel);
    if (link_is_dead(there)) refuse(place, "result_get_url", "work", there);
    const std::string_view text = as_text(there.body);
    const bool ours = text.starts_with("FLEXROOM-") || text.starts_with(kLoaderMark);
    if (there.status == 200 && !ours) out.earlier = std::move(there.body);
  }
  const std::string mark = fmt::format("{}\n", kWaitingMark);
  out.version = write_and_read(room, by_result ? loader : std::string_view(mark), links.result_url,
                               "result_url", get, "result_get_url", place, cancel, out);
  return out;
}

}  // namespace flexroom
