#include "fuzz.h"
#include "http/template.h"
#include "http/url.h"

// Templates (as members exchange them, and as recipes write them) and URLs. First byte: which.

namespace flexroom::http {
namespace {

void run(uint8_t which, ByteView input) {
  switch (which % 3) {
    case 0: {
      const Template request = Template::parse(input);
      const Bytes again = request.serialise();
      FLEXROOM_ASSERT(std::equal(again.begin(), again.end(), input.begin(), input.end()));
      validate(request);
      FLEXROOM_ASSERT(request.size() <= kMaxRequest);
      break;
    }
    case 1: {
      Slot token;
      token.name = "token";
      token.from = "token";
      token.char_class = CharClass::kUrlSafe;
      token.length = 16;
      const Template request = template_from_text("server.example", 443, as_text(input), {token});
      validate(request);
      FLEXROOM_ASSERT(Template::parse(request.serialise()) == request);
      break;
    }
    default: {
      const Url url = parse_url(as_text(input), "fuzz");
      const Url again = parse_url("https://" + url.authority() + url.target(), "fuzz");
      FLEXROOM_ASSERT(again.host == url.host && again.port == url.port);
      FLEXROOM_ASSERT(again.target() == url.target());
      FLEXROOM_ASSERT(url.target().find_first_of(" \r\n#") == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace flexroom::http

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  flexroom::fuzz::accepts(
      [&] { flexroom::http::run(data[0], flexroom::ByteView(data + 1, size - 1)); });
  return 0;
}
