#pragma once

#include <ctime>
#include <filesystem>
#include <map>
#include <string>

#include "cloud/encoding.h"

namespace flexroom::cloud {

struct ObjectInfo {
  std::string key, etag, content_type;
  uint64_t size = 0;
  std::time_t modified = 0;
  bool public_read = false;
  Pairs metadata;  // x-amz-meta-*, and the representation headers S3 gives back
};

struct Bucket {
  std::string name, owner;  // account id
  std::time_t created = 0;
  bool public_read = false;
  std::string policy;  // JSON or empty
  std::map<std::string, ObjectInfo> objects;
};

/// Buckets on disk: <dir>/<bucket>/bucket.json, and for each object a data file and its JSON, named
/// by the SHA-256 of the key, so that no key can name another place. Not thread-safe.
class ObjectStore {
 public:
  /// What all buckets together may hold: the disk and the memory are everybody's.
  struct Quota {
    uint64_t bytes = 16ull << 30;
    size_t objects = 200000;
  };
  explicit ObjectStore(std::filesystem::path dir, Quota quota);
  explicit ObjectStore(std::filesystem::path dir) : ObjectStore(std::move(dir), Quota()) {}
  std::map<std::string, Bucket>& buckets() { return buckets_; }
  Bucket* find(const std::string& name);

  void create(Bucket bucket);
  void save(const Bucket& bucket);
  void remove(const std::string& bucket);
  /// Throws ApiError(503) if the quota would be exceeded.
  void put(Bucket& bucket, ObjectInfo info, std::string_view data);
  std::string read(const Bucket& bucket, const ObjectInfo& info) const;
  void erase(Bucket& bucket, const std::string& key);

  static bool valid_name(std::string_view bucket);

 private:
  std::filesystem::path file(const Bucket& bucket, const std::string& key) const;
  void check_quota(const Bucket& bucket, const ObjectInfo& info) const;
  std::filesystem::path dir_;
  Quota quota_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace flexroom::cloud
