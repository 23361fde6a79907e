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
  size_t max_bytes;
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

/// GET, or PUT of `upload`.
FetchResult transfer(const RoomConfig& room, const std::string& url, const ByteView* upload,
                     size_t max_bytes, std::chrono::seconds timeout,
                     const std::atomic<bool>* cancel) {
  const std::string host = host_of(url);
  const Provider provider = room.provider_of_link(host);
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 &curl_easy_cleanup);
  FLEXROOM_ASSERT(ready == CURLE_OK && curl != nullptr);
  Sink sink{{}, max_bytes};
  Source source{upload != nullptr ? *upload : ByteView()};
  char error[CURL_ERROR_SIZE] = "";
  // No Expect: an interim answer is nothing to wait for. The machine sends none either.
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
      curl_slist_append(nullptr, "Expect:"), &curl_slist_free_all);
  curl_slist* rules = nullptr;
  for (const Provider::ConnectTo& rule : provider.connect_to) {
    const std::string text = fmt::format("{}:{}:{}:{}", rule.host == "*" ? "" : rule.host,
                                         rule.port == 0 ? "" : std::to_string(rule.port),
                                         rule.target.host, rule.target.port);
    rules = curl_slist_append(rules, text.c_str());
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> guard(rules,
                                                                          &curl_slist_free_all);
  CURL* c = curl.get();
  curl_easy_setopt(c, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);  // the signature is over the path as it stands
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(c, CURLOPT_CONNECT_TO, rules);
  if (provider.ca_file) {
    curl_easy_setopt(c, CURLOPT_CAINFO, provider.ca_file->c_str());
    curl_easy_setopt(c, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()) * 1000);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &receive);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &sink);
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(c, CURLOPT_USERAGENT, "flexroom");
  if (upload != nullptr) {
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(c, CURLOPT_READFUNCTION, &send);
    curl_easy_setopt(c, CURLOPT_READDATA, &source);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(upload->size()));
  }
  if (cancel != nullptr) {
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, &stop_if_cancelled);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(cancel));
  }
  const ProviderTrust trust(c, provider, host);
  const CURLcode code = curl_easy_perform(c);
  if (!trust.refusal().empty()) {
    throw ProtocolAbort(AbortCode::kServer, host, trust.refusal());
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    throw ProtocolAbort(AbortCode::kCancelled, host, "stopped by the operator");
  }
  if (code != CURLE_OK && !sink.full) {
    throw ProtocolAbort(
        AbortCode::kServer, host,
        fmt::format("{}{}{}", curl_easy_strerror(code), error[0] != 0 ? ": " : "", error));
  }
  FetchResult out;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out.status);
  out.too_large = sink.full;
  if (!sink.full) out.body = std::move(sink.body);
  const std::string etag = header_of(c, "ETag"), modified = header_of(c, "Last-Modified");
  out.version = etag.empty() && modified.empty() ? to_hex(sha256(out.body)) : etag + " " + modified;
  constexpr size_t kLongestVersion = 256;  // it goes into the run's record
  if (out.version.size() > kLongestVersion) out.version = to_hex(sha256(as_bytes(out.version)));
  return out;
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
