#include "fuzz.h"
#include "http/template.h"
#include "http/url.h"

// Templates as recipes write them, and URLs. First byte: which.

namespace flexroom::http {
namespace {

void run_template(ByteView input) {
  Slot token;
  token.name = "token";
  token.from = "token";
  token.char_class = CharClass::kUrlSafe;
  token.length = 16;
  const Template request = template_from_text("server.example", 443, as_text(input), {token});
  validate(request);
  FLEXROOM_ASSERT(request.size() <= kMaxRequest);
}

void run_url(ByteView input) {
  const Url url = parse_url(as_text(input), "fuzz");
  const Url again = parse_url("https://" + url.authority() + url.target(), "fuzz");
  FLEXROOM_ASSERT(again.host == url.host && again.port == url.port);
  FLEXROOM_ASSERT(again.target() == url.target());
  FLEXROOM_ASSERT(url.target().find_first_of(" \r\n#") == std::string::npos);
}

}  // namespace
}  // namespace flexroom::http

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const flexroom::ByteView input(data + 1, size - 1);
  flexroom::fuzz::accepts([&] {
    if (data[0] % 2 == 1) {
      flexroom::http::run_template(input);
    } else {
      flexroom::http::run_url(input);
    }
  });
  return 0;
}
