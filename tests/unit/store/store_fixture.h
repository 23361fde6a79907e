#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/error.h"
#include "store/once_db.h"
#include "store/secret_store.h"

namespace flexroom::store {

namespace fs = std::filesystem;
inline constexpr OnceDb::Limits kLimits{16, 64};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/flexroom-store-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~StoreTest() override { fs::remove_all(root_); }

  std::unique_ptr<SealedDb> open(const std::string& member) {
    const fs::path key = root_ / (member + ".key");
    return std::make_unique<SealedDb>(root_ / member / "state.db", [key](bool, Bytes&) {
      return fs::exists(key) ? SealKey::load(key) : SealKey::create(key);
    });
  }
  std::unique_ptr<OnceDb> open_once(const std::string& member, bool expected = false,
                                    std::vector<MemberId> peers = {},
                                    std::function<void(std::string_view)> fault = nullptr) {
    return std::make_unique<OnceDb>(root_ / member / "once.db", root_ / (member + ".once"),
                                    expected, kLimits, std::move(peers), std::move(fault));
  }
  /// All bytes of all files below the root.
  std::string everything_on_disk() const {
    std::string all;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      all.append((std::istreambuf_iterator<char>(in)), {});
    }
    return all;
  }
  /// What a set-up of a new epoch does to the counters.
  static void begin_epoch(OnceDb& once, uint8_t name = 1) {
    Digest epoch{};
    epoch[0] = name;
    once.prepare_epoch(epoch);
    once.start_epoch(epoch);
  }
  static std::string name(PartyId i) { return "m" + std::to_string(i); }

  static prep::AuthBits some_bits(PartyId self, size_t n) {
    prep::AuthBits bits(self, n, 40);
    for (PartyId j = 0; j < n; ++j) {
      if (j == self) continue;
      for (size_t t = 0; t < 40; ++t) {
        bits.mac[j][t] = Block(0x1234567890abcdefULL + t, 16 * j + t % 2 * (j == 0 ? 3 : 1));
        bits.key[j][t] = Block(t, 4 * (self + 1));
      }
    }
    return bits;
  }
  static RecordMeta meta(uint32_t version = 1) {
    RecordMeta m;
    m.id[0] = 7;
    m.version = version;
    m.name = "acme/api-key";
    m.kind = "api key";
    m.value_class = "PRINTABLE";
    m.bits = 40;
    return m;
  }
  template <typename Action>
  static std::string error_of(Action action) {
    try {
      action();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }
  fs::path root_;
};

}  // namespace flexroom::store
