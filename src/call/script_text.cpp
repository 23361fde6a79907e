#include "call/script_text.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/hash.h"
#include "call/fetch.h"
#include "call/result_link.h"
#include "config/text_file.h"
#include "http/url.h"

namespace flexroom {
namespace {

constexpr std::string_view kRemedy =
    "put the script there, or name a reviewed copy on this machine as `file` in [script]; what is "
    "approved is shown in full";

}  // namespace

std::string agreed_script(const JobConfig& job, const RoomConfig& room,
                          const std::atomic<bool>* cancel) {
  if (job.script_text) return *job.script_text;
  const std::string place = fmt::format("{}: script.url", job.file.string());
  (void)http::parse_url(job.script_url, place);
  FetchResult got;
  try {
    got = fetch(room, job.script_url, kMaxScriptBytes, kLinkTimeout, cancel);
  } catch (const ProtocolAbort& abort) {
    if (abort.code() == AbortCode::kCancelled) throw;
    throw InputError(place, fmt::format("cannot be fetched: {}", abort.detail()), kRemedy);
  }
  if (got.too_large) {
    throw InputError(place, fmt::format("is a script of more than {} bytes", kMaxScriptBytes),
                     "it is approved in full: let it fetch what makes it so long");
  }
  if (got.status != 200) {
    throw InputError(place, fmt::format("cannot be fetched: {}", answer_words(got)), kRemedy);
  }
  if (const std::string digest = to_hex(sha256(got.body)); digest != job.script_sha256) {
    throw InputError(place,
                     fmt::format("is not the script of the agreed SHA-256, but of {}", digest),
                     "review what lies there; if it is right, its SHA-256 belongs into the job of "
                     "every member");
  }
  std::string script = to_text(got.body);
  if (ends_in_crlf(script)) {
    throw InputError(place, "is a script whose lines end in CR LF, which no shell reads",
                     "convert it (sed -i 's/\\r$//' FILE), put it there, and its new SHA-256 into "
                     "the job of every member");
  }
  return script;
}

}  // namespace flexroom
