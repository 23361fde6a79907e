#include "store/pool_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/codec.h"
#include "base/error.h"
#include "base/private_file.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& directory, ByteView batch_id) {
  return directory / (to_hex(batch_id) + ".pool");
}

Fd open_pool_file(const fs::path& path, int flags) {
  return Fd(open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
}

bool read_all(int fd, uint64_t offset, std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

Bytes associated_data(const BatchShape& shape, uint64_t index) {
  Writer out;
  out.field("flexroom pool/2").field(shape.id).raw(shape.epoch).u16(shape.protocol);
  out.u64(shape.count).u64(shape.item_bytes).u64(index);
  return out.take();
}

}  // namespace

void ItemKey::skip(uint64_t items) {
  for (uint64_t k = 0; k < items; ++k) state_ = state_.derive("flexroom pool next/1");
}

void write_pool_file(const fs::path& directory, const BatchShape& shape, const ItemKey& first_key,
                     ByteView items) {
  FLEXROOM_ASSERT(items.size() == shape.count * shape.item_bytes);
  const fs::path path = file_of(directory, shape.id);
  const auto fail = [&](int reason) {
    unlink(path.c_str());
    const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    throw InputError(path.string(),
                     full ? "the disk (or the quota) is full" : std::strerror(reason),
                     full ? "free some space, or fill a smaller stock; nothing was added" : "");
  };
  const Fd file = open_pool_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.valid()) fail(errno);
  ItemKey key = first_key.clone();
  for (uint64_t k = 0; k < shape.count; ++k) {
    const Bytes sealed = seal(key.key(), items.subspan(k * shape.item_bytes, shape.item_bytes),
                              associated_data(shape, k));
    if (!write_all(file.get(), sealed)) fail(errno);
    key.skip(1);
  }
  if (fdatasync(file.get()) != 0) fail(errno);
  sync_directory(directory);
}

bool read_pool_file(const fs::path& directory, const BatchShape& shape, ItemKey key, uint64_t first,
                    uint64_t count, const std::function<void(ByteView)>& sink) {
  const Fd file = open_pool_file(file_of(directory, shape.id), O_RDONLY);
  if (!file.valid()) return false;
  Bytes sealed(shape.item_bytes + kSealBytes);
  SecretBytes item(shape.item_bytes);
  for (uint64_t k = first; k < first + count; ++k) {
    if (!read_all(file.get(), k * sealed.size(), sealed) ||
        !unseal_into(key.key(), sealed, associated_data(shape, k), item.writable())) {
      return false;
    }
    sink(item.reveal());
    key.skip(1);
  }
  return true;
}

void remove_pool_file(const fs::path& directory, ByteView batch_id) {
  unlink(file_of(directory, batch_id).c_str());
}

void keep_pool_files(const fs::path& directory, const std::set<Bytes>& batch_ids) {
  std::set<fs::path> keep;
  for (const Bytes& id : batch_ids) keep.insert(file_of(directory, id));
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".pool" && !keep.contains(entry.path())) {
      unlink(entry.path().c_str());
    }
  }
}

}  // namespace flexroom::store
