#include "call/fetch.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "call/provider_trust.h"
#include "http/text.h"

namespace flexroom {
namespace {

struct Sink {
  Bytes body;
  size_t max_bytes = 0;
  bool full = false;
};
struct Source {
  ByteView rest;
};

size_t send(char* data, size_t size, size_t count, void* user) {
  auto* source = static_cast<Source*>(user);
  const size_t bytes = std::min(size * count, source->rest.size());
  std::copy_n(source->rest.begin(), bytes, data);
  source->rest = source->rest.subspan(bytes);
  return bytes;
}

size_t receive(char* data, size_t size, size_t count, void* user) {
  auto* sink = static_cast<Sink*>(user);
  const size_t bytes = size * count;
  if (bytes > sink->max_bytes - sink->body.size()) {
    sink->full = true;
    return 0;  // libcurl stops with a write error
  }
  append(sink->body, std::string_view(data, bytes));
  return bytes;
}

int stop_if_cancelled(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load() ? 1 : 0;
}

std::string header_of(CURL* curl, const char* name) {
  curl_header* header = nullptr;
  if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return "";
  return header->value;
}

/// As names are compared: what `hosts` of a provider lists is in lower case.
std::string host_of(const std::string& url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return "?";
  const size_t end = url.find_first_of(":/?#", kScheme.size());
  return http::to_lower(url.substr(kScheme.size(), end - kScheme.size()));
}

using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

/// As libcurl takes the provider's connect_to rules.
HeaderList connect_rules(const Provider& provider) {
  curl_slist* rules = nullptr;
  for (const Provider::ConnectTo& rule : provider.connect_to) {
    const std::string text = fmt::format("{}:{}:{}:{}", rule.host == "*" ? "" : rule.host,
                                         rule.port == 0 ? "" : std::to_string(rule.port),
                                         rule.target.host, rule.target.port);
    rules = curl_slist_append(rules, text.c_str());
  }
  return {rules, &curl_slist_free_all};
}

/// One transfer of this member alone, by the rules of the provider's entry.
class Transfer {
 public:
  Transfer(const Provider& provider, const std::string& host, const std::string& url,
           size_t max_bytes, std::chrono::seconds timeout)
      : host_(host), rules_(connect_rules(provider)), trust_(curl_.get(), provider, host) {
    sink_.max_bytes = max_bytes;
    CURL* const c = curl_.get();
    curl_easy_setopt(c, CURLOPT_URL, url.c_str());
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);  // the signature is over the path as it stands
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_CONNECT_TO, rules_.get());
    if (provider.ca_file) {
      curl_easy_setopt(c, CURLOPT_CAINFO, provider.ca_file->c_str());
      curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
    }
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()) * 1000);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &receive);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &sink_);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "flexroom");
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// PUT of `body`, which outlives this, instead of GET.
  void upload(ByteView body) {
    source_.rest = body;
    CURL* const c = curl_.get();
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(c, CURLOPT_READFUNCTION, &send);
    curl_easy_setopt(c, CURLOPT_READDATA, &source_);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body.size()));
  }

  void stop_by(const std::atomic<bool>& cancel) {
    CURL* const c = curl_.get();
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, &stop_if_cancelled);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&cancel));
  }

  FetchResult run() {
    const CURLcode code = curl_easy_perform(curl_.get());
    if (!trust_.refusal().empty()) {
      throw ProtocolAbort(AbortCode::kServer, host_, trust_.refusal());
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
      throw ProtocolAbort(AbortCode::kCancelled, host_, "stopped by the operator");
    }
    if (code != CURLE_OK && !sink_.full) {
      throw ProtocolAbort(
          AbortCode::kServer, host_,
          fmt::format("{}{}{}", curl_easy_strerror(code), error_[0] != 0 ? ": " : "", error_));
    }
    FetchResult out;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &out.status);
    out.too_large = sink_.full;
    if (!sink_.full) out.body = std::move(sink_.body);
    out.version = version_of(out.body);
    return out;
  }

 private:
  static CURL* new_handle() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL* const handle = curl_easy_init();
    FLEXROOM_ASSERT(ready == CURLE_OK && handle != nullptr);
    return handle;
  }

  /// What tells this object from another one at the same address.
  std::string version_of(ByteView body) const {
    const std::string etag = header_of(curl_.get(), "ETag");
    const std::string modified = header_of(curl_.get(), "Last-Modified");
    if (etag.empty() && modified.empty()) return to_hex(sha256(body));
    const std::string version = etag + " " + modified;
    constexpr size_t kLongestVersion = 256;  // it goes into the run's record
    return version.size() > kLongestVersion ? to_hex(sha256(as_bytes(version))) : version;
  }

  const std::string host_;
  Sink sink_;
  Source source_;
  char error_[CURL_ERROR_SIZE] = "";
  // No Expect: an interim answer is nothing to wait for. The machine sends none either.
  const HeaderList headers_{curl_slist_append(nullptr, "Expect:"), &curl_slist_free_all};
  const HeaderList rules_;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_{new_handle(), &curl_easy_cleanup};
  ProviderTrust trust_;
};

/// GET, or PUT of `upload`.
FetchResult transfer(const RoomConfig& room, const std::string& url, const ByteView* upload,
                     size_t max_bytes, std::chrono::seconds timeout,
                     const std::atomic<bool>* cancel) {
  const std::string host = host_of(url);
  const Provider provider = room.provider_of_link(host);
  Transfer one(provider, host, url, max_bytes, timeout);
  if (upload != nullptr) one.upload(*upload);
  if (cancel != nullptr) one.stop_by(*cancel);
  return one.run();
}

}  // namespace

FetchResult fetch(const RoomConfig& room, const std::string& url, size_t max_bytes,
                  std::chrono::seconds timeout, const std::atomic<bool>* cancel) {
  return transfer(room, url, nullptr, max_bytes, timeout, cancel);
}

FetchResult put(const RoomConfig& room, const std::string& url, ByteView body,
                std::chrono::seconds timeout, const std::atomic<bool>* cancel) {
  constexpr size_t kMaxAnswerBytes = 1 << 16;
  return transfer(room, url, &body, kMaxAnswerBytes, timeout, cancel);
}

}  // namespace flexroom
