#include "node/http_request.h"

#include <optional>

#include "fuzz.h"

// What browsers and other programs send to the node. First byte: how the rest is cut: bytes that
// come one at a time must be judged exactly as bytes that come at once.

namespace flexroom::node {
namespace {

constexpr size_t kMaxBody = 4096;

struct Judged {
  int status = 0;  // of what was wrong; 0: nothing
  std::optional<HttpRequest> request;
};

Judged judge(std::string_view bytes, size_t piece) {
  Judged out;
  HttpRequestParser parser(kMaxBody);
  try {
    while (!bytes.empty()) {
      if (out.request) {  // the node takes one request and no more
        out.status = 400;
        return out;
      }
      out.request = parser.take(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
  } catch (const HttpError& error) {
    out.status = error.status();
    out.request.reset();
  }
  return out;
}

bool is_ours(const HttpRequest& request, std::string_view origin) {
  try {
    require_own_page(request, "localhost:7180", origin);
    return true;
  } catch (const HttpError&) {
    return false;
  }
}

}  // namespace
}  // namespace flexroom::node

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace flexroom::node;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Judged whole = judge(bytes, bytes.size() + 1), cut = judge(bytes, 1 + data[0] / 8);
  FLEXROOM_ASSERT((whole.status == 0) == (cut.status == 0));
  if (whole.status != 0) return 0;
  FLEXROOM_ASSERT(whole.request.has_value() == cut.request.has_value());
  if (!whole.request) return 0;
  const HttpRequest& request = *whole.request;
  FLEXROOM_ASSERT(request.method == cut.request->method && request.path == cut.request->path &&
                  request.query == cut.request->query && request.headers == cut.request->headers &&
                  request.body == cut.request->body);
  FLEXROOM_ASSERT(request.body.size() <= kMaxBody && request.path.starts_with('/'));
  FLEXROOM_ASSERT(request.headers.size() <= HttpRequestParser::kMaxHeaders);
  // Whoever is let in said exactly our name, and no other page's.
  if (is_ours(request, "http://localhost:7180")) {
    FLEXROOM_ASSERT(request.header("host") == "localhost:7180");
    FLEXROOM_ASSERT(!request.headers.contains("origin") ||
                    request.header("origin") == "http://localhost:7180");
  }
  return 0;
}
