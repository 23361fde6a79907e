#include "cloud/object_store.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "cloud/accounts.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ObjectInfo, key, etag, content_type, size, modified, public_read,
                                   metadata)

namespace {

nlohmann::json bucket_json(const Bucket& bucket) {
  return {{"name", bucket.name},
          {"owner", bucket.owner},
          {"created", bucket.created},
          {"public_read", bucket.public_read},
          {"policy", bucket.policy}};
}

}  // namespace

ObjectStore::ObjectStore(std::filesystem::path dir, Quota quota)
    : dir_(std::move(dir)), quota_(quota) {
  std::filesystem::create_directories(dir_);
  for (const auto& folder : std::filesystem::directory_iterator(dir_)) {
    std::ifstream file(folder.path() / "bucket.json");
    if (!file) continue;
    try {
      const auto json = nlohmann::json::parse(file);
      Bucket bucket{json.at("name"),        json.at("owner"),  json.at("created"),
                    json.at("public_read"), json.at("policy"), {}};
      for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        if (!entry.path().string().ends_with(".object.json")) continue;
        std::ifstream meta(entry.path());
        ObjectInfo info = nlohmann::json::parse(meta).get<ObjectInfo>();
        bucket.objects[info.key] = std::move(info);
      }
      buckets_[bucket.name] = std::move(bucket);
    } catch (const nlohmann::json::exception& error) {
      throw InputError(folder.path().string(), error.what(), "remove the folder");
    }
  }
}

bool ObjectStore::valid_name(std::string_view bucket) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (bucket.size() < 3 || bucket.size() > 63) return false;
  if (!alphanumeric(bucket.front()) || !alphanumeric(bucket.back())) return false;
  if (bucket.find_first_not_of("0123456789.") == std::string_view::npos) return false;  // as an IP
  if (bucket.find("..") != std::string_view::npos) return false;
  return std::all_of(bucket.begin(), bucket.end(),
                     [&](char c) { return alphanumeric(c) || c == '-' || c == '.'; });
}

Bucket* ObjectStore::find(const std::string& name) {
  const auto found = buckets_.find(name);
  return found == buckets_.end() ? nullptr : &found->second;
}

std::filesystem::path ObjectStore::file(const Bucket& bucket, const std::string& key) const {
  return dir_ / bucket.name / to_hex(sha256(as_bytes(key)));
}

void ObjectStore::save(const Bucket& bucket) {
  write_private_file(dir_ / bucket.name / "bucket.json", json_text(bucket_json(bucket), 1));
}

void ObjectStore::create(Bucket bucket) {
  FLEXROOM_ASSERT(valid_name(bucket.name));
  std::filesystem::create_directories(dir_ / bucket.name);
  save(bucket);
  buckets_[bucket.name] = std::move(bucket);
}

void ObjectStore::remove(const std::string& bucket) {
  FLEXROOM_ASSERT(valid_name(bucket));
  std::filesystem::remove_all(dir_ / bucket);
  buckets_.erase(bucket);
}

void ObjectStore::check_quota(const Bucket& bucket, const ObjectInfo& info) const {
  uint64_t bytes = info.size;
  size_t objects = 1;
  for (const auto& [name, held] : buckets_) {
    objects += held.objects.size();
    for (const auto& [key, object] : held.objects) bytes += object.size;
  }
  if (const auto replaced = bucket.objects.find(info.key); replaced != bucket.objects.end()) {
    bytes -= replaced->second.size;
    objects -= 1;
  }
  if (bytes > quota_.bytes || objects > quota_.objects) {
    throw ApiError(503, "ServiceUnavailable", "The sandbox holds no more objects. Delete some.");
  }
}

void ObjectStore::put(Bucket& bucket, ObjectInfo info, std::string_view data) {
  check_quota(bucket, info);
  const auto path = file(bucket, info.key);
  // Data first: metadata without data is never seen.
  const std::string meta = json_text(nlohmann::json(info), 1);
  write_private_file(path, data);
  write_private_file(path.string() + ".object.json", meta);
  bucket.objects[info.key] = std::move(info);
}

std::string ObjectStore::read(const Bucket& bucket, const ObjectInfo& info) const {
  std::ifstream in(file(bucket, info.key), std::ios::binary);
  std::string data{std::istreambuf_iterator<char>(in), {}};
  if (data.size() != info.size) throw ApiError(500, "InternalError", "The object is damaged");
  return data;
}

void ObjectStore::erase(Bucket& bucket, const std::string& key) {
  if (!bucket.objects.contains(key)) return;
  const auto path = file(bucket, key);
  std::filesystem::remove(path.string() + ".object.json");
  std::filesystem::remove(path);
  bucket.objects.erase(key);
}

}  // namespace flexroom::cloud
