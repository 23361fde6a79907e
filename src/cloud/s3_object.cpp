// The calls on one object.
#include "cloud/payload.h"
#include "cloud/s3.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxKey = 1024;

struct Range {
  size_t begin = 0, end = 0;  // half open
};

/// bytes=a-b, bytes=a-, bytes=-n. Nothing: not a range this server serves, so the whole object.
std::optional<Range> parse_range(const std::string& text, size_t size) {
  if (!text.starts_with("bytes=") || text.find(',') != std::string::npos) return std::nullopt;
  const size_t dash = text.find('-');
  if (dash == std::string::npos) return std::nullopt;
  const auto number = [](const std::string& digits) -> std::optional<size_t> {
    if (digits.empty() || digits.size() > 15 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      return std::nullopt;
    }
    return std::stoul(digits);
  };
  const std::string first_text = text.substr(6, dash - 6), last_text = text.substr(dash + 1);
  const auto first = number(first_text), last = number(last_text);
  if (first_text.empty() && last) return Range{size - std::min(size, *last), size};
  if (!first || (!last_text.empty() && !last)) return std::nullopt;
  const size_t end = last ? std::min(size, *last + 1) : size;
  return Range{*first, end};
}

bool etag_listed(const std::string& list, const std::string& etag) {
  return list == "*" || list.find("\"" + etag + "\"") != std::string::npos || list == etag;
}

}  // namespace

Response S3::object_call(const Request& request, const Caller& caller, const S3Target& target,
                         const Pairs& query) {
  if (target.key.size() > kMaxKey) {
    throw ApiError(
        400, "KeyTooLongError", "Your key is too long",
        {{"Size", std::to_string(target.key.size())}, {"MaxSizeAllowed", std::to_string(kMaxKey)}});
  }
  for (const auto& [name, value] : query) {
    if (!name.starts_with("response-")) {
      throw ApiError(501, "NotImplemented",
                     "The query parameter " + name + " is not implemented here");
    }
  }
  Bucket& bucket = existing(target.bucket);
  if (request.method == "PUT") return put_object(request, caller, bucket, target.key);
  if (request.method == "GET" || request.method == "HEAD") {
    return get_object(request, caller, bucket, target.key, query);
  }
  if (request.method != "DELETE") {
    throw ApiError(405, "MethodNotAllowed",
                   "The specified method is not allowed against this resource.");
  }
  require(caller, bucket, "s3:DeleteObject", target.key);
  store_.erase(bucket, target.key);
  Response response;
  response.status = 204;
  return response;
}

Response S3::put_object(const Request& request, const Caller& caller, Bucket& bucket,
                        const std::string& key) {
  require(caller, bucket, "s3:PutObject", key);
  if (!is_utf8(key)) throw ApiError(400, "InvalidURI", "Couldn't parse the specified URI.");
  if (request.header("x-amz-copy-source")) {
    throw ApiError(501, "NotImplemented", "CopyObject is not implemented here");
  }
  if (!request.header("content-length") && !request.header("transfer-encoding")) {
    throw ApiError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
  }
  if (request.header("if-none-match").value_or("") == "*" && bucket.objects.contains(key)) {
    throw ApiError(412, "PreconditionFailed",
                   "At least one of the pre-conditions you specified did not hold",
                   {{"Condition", "If-None-Match"}});
  }
  const std::string data = object_bytes(request, caller);
  ObjectInfo info;
  info.key = key;
  info.etag = md5_hex(as_bytes(data));
  info.content_type = request.header("content-type").value_or("binary/octet-stream");
  info.size = data.size();
  info.modified = std::time(nullptr);
  info.public_read = public_read_acl(request);
  for (const auto& [field, value] : request.headers) {
    const std::string name = lower(field);
    if (name.starts_with("x-amz-meta-") || name == "cache-control" ||
        name == "content-disposition" || name == "content-language") {
      info.metadata.emplace_back(name, value);
    }
    // aws-chunked is a coding of the transfer; what else there is belongs to the object.
    if (name == "content-encoding" && value != "aws-chunked") {
      const size_t rest = value.starts_with("aws-chunked,") ? 12 : 0;
      info.metadata.emplace_back(name, trim(std::string_view(value).substr(rest)));
    }
  }
  Response response;
  response.headers = {{"x-amz-server-side-encryption", "AES256"},
                      {"ETag", "\"" + info.etag + "\""}};
  store_.put(bucket, std::move(info), data);
  return response;
}

Response S3::get_object(const Request& request, const Caller& caller, const Bucket& bucket,
                        const std::string& key, const Pairs& query) {
  require(caller, bucket, "s3:GetObject", key);
  const auto found = bucket.objects.find(key);
  if (found == bucket.objects.end()) {
    // Who may not list must not learn which keys exist.
    if (!may(caller, bucket, "s3:ListBucket", "")) {
      throw ApiError(403, "AccessDenied", "Access Denied");
    }
    throw ApiError(404, "NoSuchKey", "The specified key does not exist.", {{"Key", key}});
  }
  const ObjectInfo& info = found->second;
  Response response;
  response.headers = {
      {"Last-Modified", http_date(info.modified)},
      {"ETag", "\"" + info.etag + "\""},
      {"x-amz-server-side-encryption", "AES256"},
      {"Accept-Ranges", "bytes"},
      {"Content-Type", lookup(query, "response-content-type").value_or(info.content_type)}};
  response.headers.insert(response.headers.end(), info.metadata.begin(), info.metadata.end());
  if (const auto list = request.header("if-match"); list && !etag_listed(*list, info.etag)) {
    throw ApiError(412, "PreconditionFailed",
                   "At least one of the pre-conditions you specified did not hold",
                   {{"Condition", "If-Match"}});
  }
  if (const auto list = request.header("if-none-match"); list && etag_listed(*list, info.etag)) {
    response.status = 304;
    return response;
  }
  if (request.method == "HEAD") {
    response.head_only = true;
    response.headers.emplace_back("Content-Length", std::to_string(info.size));
    return response;
  }
  response.body = store_.read(bucket, info);
  if (const auto header = request.header("range")) {
    if (const auto range = parse_range(*header, info.size)) {
      if (range->begin >= info.size || range->begin >= range->end) {
        throw ApiError(
            416, "InvalidRange", "The requested range is not satisfiable",
            {{"RangeRequested", *header}, {"ActualObjectSize", std::to_string(info.size)}});
      }
      response.status = 206;
      response.headers.emplace_back("Content-Range", "bytes " + std::to_string(range->begin) + "-" +
                                                         std::to_string(range->end - 1) + "/" +
                                                         std::to_string(info.size));
      response.body = response.body.substr(range->begin, range->end - range->begin);
    }
  }
  return response;
}

}  // namespace flexroom::cloud
