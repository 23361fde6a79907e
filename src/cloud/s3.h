#pragma once

#include <functional>
#include <mutex>

#include "cloud/auth.h"
#include "cloud/object_store.h"

namespace flexroom::cloud {

/// Bucket and key of a request, from its host (virtual-hosted style) or path (path style).
struct S3Target {
  std::string bucket;  // empty: the service itself
  std::string key;     // decoded; empty: the bucket
};
S3Target s3_target(const Request& request, const std::string& region);
/// The bucket in a virtual host's name, or nothing.
std::optional<std::string> bucket_of_host(const std::string& host, const std::string& region);

/// The canned ACL of a request: public-read or not. Throws ApiError on those not offered.
bool public_read_acl(const Request& request);

/// S3 REST API: buckets, objects, listings, public reads, bucket policies. Thread-safe.
class S3 {
 public:
  /// `on_bucket(name)` is told of every bucket, those on disk at once.
  S3(const Directory& directory, std::filesystem::path dir, std::string region,
     std::function<void(const std::string&)> on_bucket);

  Response handle(const Request& request, const Caller& caller);
  /// The keys below a prefix, in order. Throws ApiError if the caller may not list them, if there
  /// is no such bucket or if there are more than `most`.
  std::vector<std::string> keys(const Caller& caller, const std::string& bucket,
                                const std::string& prefix, size_t most);

 private:
  Response list_buckets(const Caller& caller);
  Response bucket_call(const Request& request, const Caller& caller, const std::string& name,
                       const Pairs& query);
  Response bucket_policy(const Request& request, const Caller& caller, Bucket& bucket);
  void set_policy(Bucket& bucket, const std::string& policy);
  Response create_bucket(const Request& request, const Caller& caller, const std::string& name);
  Response list_objects(const Caller& caller, const Bucket& bucket, const Pairs& query);
  Response object_call(const Request& request, const Caller& caller, const S3Target& target,
                       const Pairs& query);
  Response put_object(const Request& request, const Caller& caller, Bucket& bucket,
                      const std::string& key);
  Response get_object(const Request& request, const Caller& caller, const Bucket& bucket,
                      const std::string& key, const Pairs& query);
  Bucket& existing(const std::string& name);
  bool may(const Caller& caller, const Bucket& bucket, const std::string& action,
           const std::string& key) const;
  void require(const Caller& caller, const Bucket& bucket, const std::string& action,
               const std::string& key) const;

  const Directory& directory_;
  std::string region_;
  std::function<void(const std::string&)> on_bucket_;
  std::mutex mutex_;
  ObjectStore store_;
};

}  // namespace flexroom::cloud
