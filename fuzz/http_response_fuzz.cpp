#include <optional>

#include "fuzz.h"
#include "http/response.h"

// The response parser. First byte: options. Bytes that arrive one at a time must be judged exactly
// as bytes that arrive at once: members cut the stream differently.

namespace flexroom::http {
namespace {

std::optional<Response> parse(ByteView bytes, const ResponseOptions& options, bool close_notify,
                              size_t piece) {
  std::optional<Response> out;
  fuzz::accepts([&] {
    ResponseParser parser(options);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      parser.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    }
    out = parser.finish(close_notify);
  });
  return out;
}

}  // namespace
}  // namespace flexroom::http

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace flexroom::http;
  if (size == 0) return 0;
  ResponseOptions options;
  options.head = (data[0] & 1) != 0;
  options.no_secret = (data[0] & 2) != 0;
  options.max_header = 4096;
  options.max_body = 65536;
  const bool close_notify = (data[0] & 4) != 0;
  const flexroom::ByteView bytes(data + 1, size - 1);
  const auto whole = parse(bytes, options, close_notify, bytes.size() + 1);
  const auto cut = parse(bytes, options, close_notify, 1 + data[0] / 8);
  FLEXROOM_ASSERT(whole.has_value() == cut.has_value());
  if (whole) {
    FLEXROOM_ASSERT(whole->status >= 200 && whole->status <= 599);
    FLEXROOM_ASSERT(whole->status == cut->status && whole->headers == cut->headers &&
                    whole->body == cut->body);
    FLEXROOM_ASSERT(whole->body.size() <= options.max_body);
  }
  return 0;
}
