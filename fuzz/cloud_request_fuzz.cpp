#include "cloud/http_reader.h"
#include "fuzz.h"

// Requests as the sandbox cloud reads them: whatever arrives, at any fragmentation, is a request
// within the limits, a refusal in the service's words, or not complete yet. First byte: piece size.

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using flexroom::cloud::HttpReader;
  if (size == 0) return 0;
  flexroom::cloud::HttpLimits limits;
  limits.body_bytes = 4096;
  HttpReader reader(limits);
  const size_t piece = size_t{data[0]} + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    for (size_t at = 0; at < bytes.size(); at += piece) {
      auto state = reader.feed(bytes.substr(at, piece));
      while (state != HttpReader::State::kNeedMore) {
        if (state == HttpReader::State::kRequest) reader.take();
        state = reader.resume();
      }
    }
  } catch (const flexroom::cloud::ApiError&) {
  }
  return 0;
}
