#include "call/make_links.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/private_file.h"
#include "base/wipe_text.h"
#include "config/config.h"
#include "http/text.h"

namespace flexroom {
namespace {

constexpr std::chrono::seconds kLongest{7 * 24 * 3600};

bool consists_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || more.find(c) != text.npos;
  });
}

/// Nothing but the objects that were meant: clients of HTTP take "." and ".." out of a path.
void check_key(const std::string& key, std::string_view option) {
  if (key.empty() || key.size() > 1024) {
    throw InputError(option, fmt::format("has {} characters", key.size()),
                     "name the object, in 1 to 1024");
  }
  const std::string around = "/" + key + "/";
  for (const char* const no : {"//", "/./", "/../"}) {
    if (around.find(no) == std::string::npos) continue;
    throw InputError(option, "begins or ends with '/', or has an empty part, '.' or '..'",
                     "name the object otherwise: clients of HTTP read such paths as others");
  }
}

void check_places(const LinksToMake& links) {
  if (links.region.empty() || links.region.size() > 32 || !consists_of(links.region, "-")) {
    throw InputError("--region", "is no region", "write for example eu-central-1");
  }
  const std::string& bucket = links.bucket;
  if (bucket.size() < 3 || bucket.size() > 63 || !consists_of(bucket, ".-") ||
      std::string_view(".-").find(bucket.front()) != bucket.npos ||
      std::string_view(".-").find(bucket.back()) != bucket.npos ||
      bucket.find("..") != bucket.npos) {
    throw InputError("--bucket", "is no bucket's name",
                     "3 to 63 lower-case letters, digits, '-' and '.'");
  }
  if (!links.path_style && bucket.find('.') != bucket.npos) {
    throw InputError("--bucket", "has a '.', so no certificate of the store is for its host",
                     "add --path-style");
  }
  if (links.lasts < std::chrono::seconds(1) || links.lasts > kLongest) {
    throw InputError("--lasts", "is not a second to 7 days", "write for example 12h");
  }
  check_key(links.data_key, "--data");
  check_key(links.result_key, "--result");
  if (links.data_key == links.result_key) {
    throw InputError("--result", "is the object of --data", "the result would take its place");
  }
  if (!links.loader_key.empty()) check_key(links.loader_key, "--loader");
}

class Maker {
 public:
  Maker(const LinksToMake& links, const http::AwsCredential& own, http::SystemTime now)
      : links_(links), own_(own), scope_{http::amz_date(now), links.region, "s3"} {
    const std::string endpoint = links.endpoint.empty()
                                     ? fmt::format("https://s3.{}.amazonaws.com", links.region)
                                     : links.endpoint;
    base_ = http::parse_url(endpoint, "--endpoint");
    if (base_.has_query || base_.path != "/") {
      throw InputError("--endpoint", "has a path", "write https://HOST or https://HOST:PORT");
    }
    if (!links.path_style) base_.host = links.bucket + "." + base_.host;
  }

  void add(std::string_view name, std::string_view method, const std::string& key) {
    std::string url = http::presign(method, of(key), own_, scope_, links_.lasts);
    append(name, url);
    wipe_text(url);
  }
  void add_public(std::string_view name, const std::string& key) {
    const http::Url url = of(key);
    append(name, "https://" + url.authority() + url.path);
  }
  const SecretBytes& text() const { return text_; }

 private:
  http::Url of(const std::string& key) const {
    http::Url url = base_;
    url.path =
        "/" + (links_.path_style ? links_.bucket + "/" : "") + http::percent_encode(key, true);
    return url;
  }
  void append(std::string_view name, const std::string& url) {
    (void)split_private_url(url, name);
    std::string line;
    line.reserve(name.size() + url.size() + 8);
    line.append(name).append(" = \"").append(url).append("\"\n");
    SecretBytes more(text_.size() + line.size());
    const auto behind =
        std::copy(text_.reveal().begin(), text_.reveal().end(), more.writable().begin());
    std::copy(line.begin(), line.end(), behind);
    text_ = std::move(more);
    wipe_text(line);
  }

  const LinksToMake& links_;
  const http::AwsCredential& own_;
  http::SigV4Scope scope_;
  http::Url base_;
  SecretBytes text_;
};

/// What the environment has there; it has it no more.
SecretBytes take(const char* name) {
  char* const value = std::getenv(name);
  if (value == nullptr) return {};
  const size_t size = std::strlen(value);
  SecretBytes out = SecretBytes::copy_of(as_bytes(std::string_view(value, size)));
  wipe(value, size);
  (void)::unsetenv(name);
  return out;
}

constexpr std::string_view kEnvironment =
    "set it in this command's environment, to this member's own key for its own store; a key is "
    "never an argument";

}  // namespace

http::AwsCredential take_own_credential() {
  http::AwsCredential out;
  const char* const id = std::getenv("AWS_ACCESS_KEY_ID");
  out.access_key_id = id != nullptr ? id : "";
  out.secret_access_key = take("AWS_SECRET_ACCESS_KEY");
  const SecretBytes token = take("AWS_SESSION_TOKEN");
  out.session_token = to_text(token.reveal());
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != '/'; };
  if (out.access_key_id.empty() || out.access_key_id.size() > 128 ||
      !std::all_of(out.access_key_id.begin(), out.access_key_id.end(), plain)) {
    throw InputError("AWS_ACCESS_KEY_ID", "is not set, or is no key's id", kEnvironment);
  }
  if (out.secret_access_key.empty() || out.secret_access_key.size() > 256) {
    throw InputError("AWS_SECRET_ACCESS_KEY", "is not set, or is too long", kEnvironment);
  }
  return out;
}

void make_links(const LinksToMake& links, const http::AwsCredential& own, http::SystemTime now) {
  check_places(links);
  Maker maker(links, own, now);
  maker.add("data_url", "GET", links.data_key);
  maker.add("result_url", "PUT", links.result_key);
  maker.add("result_get_url", "GET", links.result_key);
  if (!links.loader_key.empty()) {
    if (links.public_loader) {
      maker.add_public("loader_url", links.loader_key);
    } else {
      maker.add("loader_url", "GET", links.loader_key);
    }
    maker.add("loader_put_url", "PUT", links.loader_key);
  }
  if (!write_new_file(links.file, maker.text().reveal())) {
    throw InputError(links.file.string(),
                     errno == EEXIST ? std::string("is there already; it is never overwritten")
                                     : std::string("cannot be written: ") + std::strerror(errno),
                     "name another file with --out, or take this one away");
  }
  (void)LinksConfig::load(links.file);
}

}  // namespace flexroom
