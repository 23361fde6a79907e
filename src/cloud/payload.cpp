#include "cloud/payload.h"

#include "base/ct.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxChunk = 1 << 28;

[[noreturn]] void malformed(const std::string& what) {
  throw ApiError(400, "IncompleteBody", "The request body terminated unexpectedly: " + what);
}

/// Reads lines and counted bytes off the front of the body.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  std::string_view line() {
    const size_t end = rest_.find("\r\n");
    if (end == std::string_view::npos || end > 4096) malformed("a line of aws-chunked is missing");
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return out;
  }
  std::string_view bytes(size_t count) {
    if (rest_.size() < count) malformed("a chunk is short");
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

size_t chunk_size(std::string_view hex) {
  size_t value = 0;
  if (hex.empty() || hex.size() > 8) malformed("a chunk size is not a number");
  for (const char c : hex) {
    const size_t digit = std::string_view("0123456789abcdef").find(lower(std::string(1, c)));
    if (digit == std::string_view::npos) malformed("a chunk size is not a number");
    value = value * 16 + digit;
  }
  if (value > kMaxChunk) malformed("a chunk is too large");
  return value;
}

void require_signature(const std::string& expected, std::string_view given) {
  if (ct_equal(as_bytes(expected), as_bytes(given))) return;
  throw ApiError(403, "SignatureDoesNotMatch",
                 "The request signature we calculated does not match the signature you provided. "
                 "Check your key and signing method.");
}

void check_checksum(const std::string& header, const std::string& value, ByteView body) {
  std::string expected;
  if (header == "x-amz-checksum-crc32") expected = base64(crc32(body));
  if (header == "x-amz-checksum-crc32c") expected = base64(crc32c(body));
  if (header == "x-amz-checksum-sha1") expected = base64(sha1(body));
  if (header == "x-amz-checksum-sha256") expected = base64(sha256(body));
  if (expected.empty()) {
    throw ApiError(501, "NotImplemented", "The checksum " + header + " is not implemented");
  }
  if (expected != value) {
    throw ApiError(
        400, "BadDigest",
        "The " + header.substr(15) + " you specified did not match the calculated checksum.");
  }
}

/// What a body in chunks is signed by.
struct ChunkSigner {
  const Caller& caller;
  std::string previous = caller.seed_signature;

  /// `extension`: what stands behind the size.
  void check(std::string_view extension, std::string_view chunk) {
    static constexpr std::string_view kName = ";chunk-signature=";
    if (!extension.starts_with(kName)) malformed("a chunk has no signature");
    const std::string text = "AWS4-HMAC-SHA256-PAYLOAD\n" + caller.date_time + "\n" + caller.scope +
                             "\n" + previous + "\n" + to_hex(sha256({})) + "\n" +
                             to_hex(sha256(as_bytes(chunk)));
    previous = signature(caller.key, text);
    require_signature(previous, extension.substr(kName.size()));
  }
  void check_trailers(std::string_view trailers, std::string_view given) const {
    require_signature(signature(caller.key, "AWS4-HMAC-SHA256-TRAILER\n" + caller.date_time + "\n" +
                                                caller.scope + "\n" + previous + "\n" +
                                                to_hex(sha256(as_bytes(trailers)))),
                      given);
  }
};

/// The chunks up to the empty one. `signer`: null for a body without signatures.
std::string read_chunks(Cursor& cursor, ChunkSigner* signer) {
  std::string out;
  for (bool last = false; !last;) {
    const std::string_view head = cursor.line();
    const size_t size_end = std::min(head.find(';'), head.size());
    const std::string_view chunk = cursor.bytes(chunk_size(head.substr(0, size_end)));
    last = chunk.empty();
    if (signer != nullptr) signer->check(head.substr(size_end), chunk);
    out += chunk;
    // After the last chunk come the trailers, or the empty line that ends the body.
    if (!last && !cursor.line().empty()) malformed("a chunk is longer than its size");
  }
  return out;
}

struct Trailers {
  std::string text, signature;  // without that line; of that line
  Pairs checksums;
};

Trailers read_trailers(Cursor& cursor) {
  Trailers out;
  // A body may also end without the final empty line.
  while (!cursor.empty()) {
    const std::string_view line = cursor.line();
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) malformed("a trailer is not a header");
    const std::string name = lower(line.substr(0, colon));
    const std::string value(trim(line.substr(colon + 1)));
    if (name == "x-amz-trailer-signature") {
      out.signature = value;
    } else {
      out.text += name + ":" + value + "\n";
      out.checksums.emplace_back(name, value);
    }
  }
  if (!cursor.empty()) malformed("bytes follow the last chunk");
  return out;
}

std::string decode_streaming(const Request& request, const Caller& caller) {
  const bool is_signed = caller.payload_hash.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const bool has_trailer = caller.payload_hash.ends_with("-TRAILER");
  ChunkSigner signer{caller};
  Cursor cursor(request.body);
  std::string out = read_chunks(cursor, is_signed ? &signer : nullptr);
  const Trailers trailers = read_trailers(cursor);
  if (has_trailer && is_signed) signer.check_trailers(trailers.text, trailers.signature);
  const std::string announced = lower(request.header("x-amz-trailer").value_or(""));
  if (!has_trailer && !trailers.checksums.empty()) malformed("trailers that were not announced");
  for (const auto& [name, value] : trailers.checksums) {
    if (name != announced) malformed("trailer " + name + " was not announced");
    check_checksum(name, value, as_bytes(out));
  }
  if (!announced.empty() && trailers.checksums.empty()) {
    malformed("the announced trailer is missing");
  }
  return out;
}

}  // namespace

std::string object_bytes(const Request& request, const Caller& caller) {
  std::string body;
  if (caller.payload_hash.starts_with("STREAMING-")) {
    body = decode_streaming(request, caller);
    const auto length = request.header("x-amz-decoded-content-length");
    if (!length) {
      throw ApiError(411, "MissingContentLength",
                     "You must provide the x-amz-decoded-content-length HTTP header.");
    }
    if (*length != std::to_string(body.size())) malformed("x-amz-decoded-content-length differs");
  } else {
    body = request.body;
  }
  if (const auto given = request.header("content-md5")) {
    const auto digest = base64_decode(*given);
    if (!digest || digest->size() != 16) {
      throw ApiError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.");
    }
    if (*digest != md5(as_bytes(body))) {
      throw ApiError(400, "BadDigest",
                     "The Content-MD5 you specified did not match what we "
                     "received.");
    }
  }
  for (const auto& [field, value] : request.headers) {
    const std::string name = lower(field);
    if (name == "x-amz-checksum-mode" || name == "x-amz-checksum-algorithm") continue;
    if (name.starts_with("x-amz-checksum-")) check_checksum(name, value, as_bytes(body));
  }
  return body;
}

}  // namespace flexroom::cloud
