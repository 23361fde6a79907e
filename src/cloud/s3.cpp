#include "cloud/s3.h"

#include <algorithm>

#include "cloud/payload.h"
#include "cloud/policy.h"

namespace flexroom::cloud {

namespace {

constexpr long kMaxBuckets = 100;  // of an account, as at the provider
constexpr const char* kXmlns = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

[[noreturn]] void not_implemented() {
  throw ApiError(501, "NotImplemented",
                 "A header or query you provided implies functionality that is not implemented.");
}

Response xml_response(std::string body) {
  Response response;
  response.headers.emplace_back("Content-Type", "application/xml");
  response.body = std::move(body);
  return response;
}

std::string arn(const Bucket& bucket, const std::string& key) {
  return "arn:aws:s3:::" + bucket.name + (key.empty() ? "" : "/" + key);
}

}  // namespace

bool public_read_acl(const Request& request) {
  const std::string acl = request.header("x-amz-acl").value_or("private");
  if (acl == "public-read") return true;
  if (acl == "private" || acl == "bucket-owner-full-control") return false;
  throw ApiError(400, "InvalidArgument", "",
                 {{"ArgumentName", "x-amz-acl"}, {"ArgumentValue", acl}});
}

std::optional<std::string> bucket_of_host(const std::string& host, const std::string& region) {
  for (const std::string& suffix :
       {".s3." + region + ".amazonaws.com", std::string(".s3.amazonaws.com")}) {
    if (host.size() <= suffix.size() || !host.ends_with(suffix)) continue;
    const std::string bucket = host.substr(0, host.size() - suffix.size());
    return ObjectStore::valid_name(bucket) ? std::optional(bucket) : std::nullopt;
  }
  return std::nullopt;
}

S3Target s3_target(const Request& request, const std::string& region) {
  if (const auto bucket = bucket_of_host(request.host(), region)) {
    return {*bucket, percent_decode(request.path.substr(1))};
  }
  const size_t slash = request.path.find('/', 1);
  S3Target target{percent_decode(request.path.substr(1, slash - 1)), ""};
  if (slash != std::string::npos) target.key = percent_decode(request.path.substr(slash + 1));
  return target;
}

S3::S3(const Directory& directory, std::filesystem::path dir, std::string region,
       std::function<void(const std::string&)> on_bucket)
    : directory_(directory),
      region_(std::move(region)),
      on_bucket_(std::move(on_bucket)),
      store_(std::move(dir)) {
  for (const auto& [name, bucket] : store_.buckets()) on_bucket_(name);
}

bool S3::may(const Caller& caller, const Bucket& bucket, const std::string& action,
             const std::string& key) const {
  const Principal& who = caller.principal;
  const std::string resource = arn(bucket, key);
  const bool anonymous = who.kind == Principal::Kind::kAnonymous;
  if (!anonymous && directory_.denied(who, action, resource)) return false;
  const Decision by_policy =
      bucket.policy.empty()
          ? Decision::kNone
          : evaluate_policy(bucket.policy, action, resource, who.arn(), who.account_id);
  if (by_policy == Decision::kDeny) return false;
  bool public_read = false;
  if (action == "s3:GetObject") {
    const auto object = bucket.objects.find(key);
    public_read =
        bucket.public_read || (object != bucket.objects.end() && object->second.public_read);
  }
  const bool by_resource = by_policy == Decision::kAllow || public_read;
  if (anonymous) return by_resource;
  const bool by_identity = directory_.allowed(who, action, resource);
  // Across accounts both sides must agree; inside one either is enough.
  return who.account_id == bucket.owner ? by_identity || by_resource : by_identity && by_resource;
}

void S3::require(const Caller& caller, const Bucket& bucket, const std::string& action,
                 const std::string& key) const {
  if (!may(caller, bucket, action, key)) throw ApiError(403, "AccessDenied", "Access Denied");
}

Bucket& S3::existing(const std::string& name) {
  Bucket* bucket = store_.find(name);
  if (bucket == nullptr) {
    throw ApiError(404, "NoSuchBucket", "The specified bucket does not exist",
                   {{"BucketName", name}});
  }
  return *bucket;
}

Response S3::handle(const Request& request, const Caller& caller) {
  const S3Target target = s3_target(request, region_);
  Pairs query = parse_form(request.query);
  std::erase_if(query, [](const auto& item) {
    return item.first.starts_with("X-Amz-") || item.first == "x-id";
  });
  const std::lock_guard lock(mutex_);
  if (target.bucket.empty()) {
    if (request.method != "GET") {
      throw ApiError(405, "MethodNotAllowed",
                     "The specified method is not allowed against this resource.");
    }
    return list_buckets(caller);
  }
  if (target.key.empty()) return bucket_call(request, caller, target.bucket, query);
  return object_call(request, caller, target, query);
}

std::vector<std::string> S3::keys(const Caller& caller, const std::string& bucket,
                                  const std::string& prefix, size_t most) {
  const std::lock_guard lock(mutex_);
  const Bucket& listed = existing(bucket);
  require(caller, listed, "s3:ListBucket", "");
  std::vector<std::string> out;
  for (auto at = listed.objects.lower_bound(prefix);
       at != listed.objects.end() && at->first.starts_with(prefix); ++at) {
    if (out.size() >= most) {
      throw ApiError(400, "TooMany", "There are more than " + std::to_string(most) + " objects.");
    }
    out.push_back(at->first);
  }
  return out;
}

Response S3::list_buckets(const Caller& caller) {
  if (caller.principal.kind == Principal::Kind::kAnonymous ||
      !directory_.allowed(caller.principal, "s3:ListAllMyBuckets", "*")) {
    throw ApiError(403, "AccessDenied", "Access Denied");
  }
  const std::string& account = caller.principal.account_id;
  Xml xml(0, true);
  xml.open("ListAllMyBucketsResult", kXmlns);
  xml.open("Owner").leaf("ID", account).close().open("Buckets");
  for (const auto& [name, bucket] : store_.buckets()) {
    if (bucket.owner != account) continue;
    xml.open("Bucket").leaf("Name", name).leaf("CreationDate", iso_date_ms(bucket.created)).close();
  }
  return xml_response(xml.finish());
}

Response S3::bucket_call(const Request& request, const Caller& caller, const std::string& name,
                         const Pairs& query) {
  const bool create = request.method == "PUT" && query.empty();
  if (create) return create_bucket(request, caller, name);
  Bucket& bucket = existing(name);
  if (lookup(query, "policy")) return bucket_policy(request, caller, bucket);
  if (request.method == "HEAD") {
    require(caller, bucket, "s3:ListBucket", "");
    Response response;
    response.headers.emplace_back("x-amz-bucket-region", region_);
    return response;
  }
  if (request.method == "DELETE" && query.empty()) {
    require(caller, bucket, "s3:DeleteBucket", "");
    if (!bucket.objects.empty()) {
      throw ApiError(409, "BucketNotEmpty", "The bucket you tried to delete is not empty",
                     {{"BucketName", name}});
    }
    store_.remove(std::string(name));
    Response response;
    response.status = 204;
    return response;
  }
  if (request.method != "GET") not_implemented();
  if (lookup(query, "location")) {
    require(caller, bucket, "s3:GetBucketLocation", "");
    return xml_response(std::string("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                                    "<LocationConstraint ") +
                        kXmlns + "/>");
  }
  for (const char* other : {"acl", "versioning", "uploads", "versions", "tagging", "cors"}) {
    if (lookup(query, other)) not_implemented();
  }
  return list_objects(caller, bucket, query);
}

void S3::set_policy(Bucket& bucket, const std::string& policy) {
  Bucket changed{bucket.name, bucket.owner, bucket.created, bucket.public_read, policy, {}};
  store_.save(changed);
  bucket.policy = policy;
}

Response S3::bucket_policy(const Request& request, const Caller& caller, Bucket& bucket) {
  Response response;
  if (request.method == "GET") {
    require(caller, bucket, "s3:GetBucketPolicy", "");
    if (bucket.policy.empty()) {
      throw ApiError(404, "NoSuchBucketPolicy", "The bucket policy does not exist",
                     {{"BucketName", bucket.name}});
    }
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = bucket.policy;
    return response;
  }
  if (request.method == "PUT") {
    require(caller, bucket, "s3:PutBucketPolicy", "");
    const std::string policy = object_bytes(request, caller);
    if (policy.size() > 20480 || !is_policy_document(policy, PolicyKind::kBucket)) {
      throw ApiError(400, "MalformedPolicy",
                     "Policies must be valid JSON, and every statement needs an Effect, a "
                     "Principal, an Action and a Resource");
    }
    set_policy(bucket, policy);
  } else if (request.method == "DELETE") {
    require(caller, bucket, "s3:DeleteBucketPolicy", "");
    set_policy(bucket, "");
  } else {
    not_implemented();
  }
  response.status = 204;
  return response;
}

Response S3::create_bucket(const Request& request, const Caller& caller, const std::string& name) {
  if (caller.principal.kind == Principal::Kind::kAnonymous ||
      !directory_.allowed(caller.principal, "s3:CreateBucket", "arn:aws:s3:::" + name)) {
    throw ApiError(403, "AccessDenied", "Access Denied");
  }
  if (!ObjectStore::valid_name(name)) {
    throw ApiError(400, "InvalidBucketName", "The specified bucket is not valid.",
                   {{"BucketName", name}});
  }
  const std::string body = object_bytes(request, caller);
  const size_t open = body.find("<LocationConstraint>");
  if (open != std::string::npos) {
    const size_t begin = open + 20;
    const std::string where = body.substr(begin, body.find('<', begin) - begin);
    if (where != region_) {
      throw ApiError(400, "IllegalLocationConstraintException",
                     "The " + where +
                         " location constraint is incompatible for the region "
                         "specific endpoint this request was sent to.");
    }
  }
  Response response;
  response.headers.emplace_back("Location", "/" + name);
  if (const Bucket* bucket = store_.find(name)) {
    // us-east-1 alone answers 200 when one's own bucket is made again.
    if (bucket->owner == caller.principal.account_id) return response;
    throw ApiError(409, "BucketAlreadyExists",
                   "The requested bucket name is not available. The bucket namespace is shared by "
                   "all users of the system. Please select a different name and try again.",
                   {{"BucketName", name}});
  }
  const auto is_own = [&](const auto& item) {
    return item.second.owner == caller.principal.account_id;
  };
  if (std::count_if(store_.buckets().begin(), store_.buckets().end(), is_own) >= kMaxBuckets) {
    throw ApiError(400, "TooManyBuckets", "You have attempted to create more buckets than allowed");
  }
  Bucket bucket;
  bucket.name = name;
  bucket.owner = caller.principal.account_id;
  bucket.created = std::time(nullptr);
  bucket.public_read = public_read_acl(request);
  store_.create(std::move(bucket));
  on_bucket_(name);
  return response;
}

namespace {

/// What of a bucket one ListObjects answer holds.
struct Listing {
  std::vector<const ObjectInfo*> contents;
  std::vector<std::string> common;  // prefixes up to the delimiter
  std::string last;                 // entry
  bool truncated = false;
};

Listing list_after(const Bucket& bucket, const std::string& prefix, const std::string& delimiter,
                   const std::string& after, size_t max_keys) {
  Listing out;
  for (auto it = bucket.objects.lower_bound(prefix); it != bucket.objects.end(); ++it) {
    const std::string& key = it->first;
    if (!key.starts_with(prefix)) break;
    const size_t cut = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
    const std::string group = cut == std::string::npos ? "" : key.substr(0, cut + delimiter.size());
    const std::string& entry = group.empty() ? key : group;
    if (entry <= after || (!out.common.empty() && out.common.back() == group && !group.empty())) {
      continue;
    }
    if (out.contents.size() + out.common.size() == max_keys) {
      out.truncated = max_keys != 0;
      break;
    }
    if (group.empty()) {
      out.contents.push_back(&it->second);
    } else {
      out.common.push_back(group);
    }
    out.last = entry;
  }
  return out;
}

size_t checked_max_keys(const std::string& limit) {
  if (limit.empty() || limit.size() > 9 ||
      limit.find_first_not_of("0123456789") != std::string::npos) {
    throw ApiError(400, "InvalidArgument",
                   "Provided max-keys not an integer or within integer range");
  }
  return std::min<size_t>(std::stoul(limit), 1000);
}

/// Where a listing goes on.
std::string listed_up_to(const Pairs& query, bool version2) {
  const auto token = lookup(query, "continuation-token");
  if (!token) return lookup(query, version2 ? "start-after" : "marker").value_or("");
  const auto decoded = base64_decode(*token);
  if (!decoded) {
    throw ApiError(400, "InvalidArgument", "The continuation token provided is incorrect");
  }
  return to_text(*decoded);
}

}  // namespace

Response S3::list_objects(const Caller& caller, const Bucket& bucket, const Pairs& query) {
  require(caller, bucket, "s3:ListBucket", "");
  const auto parameter = [&](const char* name) { return lookup(query, name).value_or(""); };
  const bool version2 = parameter("list-type") == "2";
  const std::string prefix = parameter("prefix"), delimiter = parameter("delimiter");
  const std::string limit = lookup(query, "max-keys").value_or("1000");
  const size_t max_keys = checked_max_keys(limit);
  const std::string after = listed_up_to(query, version2);
  const bool url = parameter("encoding-type") == "url";
  const auto encode = [&](const std::string& text) {
    return url ? percent_encode(text, true) : text;
  };
  const Listing listing = list_after(bucket, prefix, delimiter, after, max_keys);
  Xml xml(0, true);
  xml.open("ListBucketResult", kXmlns).leaf("Name", bucket.name).leaf("Prefix", encode(prefix));
  if (!delimiter.empty()) xml.leaf("Delimiter", encode(delimiter));
  if (version2) {
    xml.leaf("KeyCount", std::to_string(listing.contents.size() + listing.common.size()));
    if (listing.truncated) xml.leaf("NextContinuationToken", base64(as_bytes(listing.last)));
  } else {
    xml.leaf("Marker", encode(after));
    if (listing.truncated) xml.leaf("NextMarker", encode(listing.last));
  }
  xml.leaf("MaxKeys", limit);
  if (url) xml.leaf("EncodingType", "url");
  xml.leaf("IsTruncated", listing.truncated ? "true" : "false");
  for (const ObjectInfo* object : listing.contents) {
    xml.open("Contents")
        .leaf("Key", encode(object->key))
        .leaf("LastModified", iso_date_ms(object->modified))
        .leaf("ETag", "\"" + object->etag + "\"")
        .leaf("Size", std::to_string(object->size))
        .leaf("StorageClass", "STANDARD")
        .close();
  }
  for (const auto& group : listing.common) {
    xml.open("CommonPrefixes").leaf("Prefix", encode(group)).close();
  }
  return xml_response(xml.finish());
}

}  // namespace flexroom::cloud
