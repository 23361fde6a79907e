#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/room_rig.h"

namespace flexroom {
namespace {

using support::RoomRig;

/// What others could read or write below `folder`; the certificate is for them.
std::vector<std::string> open_to_others(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    struct stat info {};
    if (lstat(entry.path().c_str(), &info) != 0 || (info.st_mode & 077) == 0) continue;
    if (entry.path().filename() != "tls.crt") out.push_back(entry.path().string());
  }
  return out;
}

// With umask 0 files got whatever mode their maker had thought of the umask for.
TEST(ModesTest, NothingOfAMemberIsOpenToOthersWhateverTheUmask) {
  const mode_t before = umask(0);
  RoomRig rig(2);
  for (const auto& ended : rig.init()) EXPECT_EQ(ended.code, cli::kOk) << ended.out;
  rig.write_shares("k.json", "k", "0123456789abcdef");
  for (const auto& ended : rig.import("k.json")) EXPECT_EQ(ended.code, cli::kOk) << ended.out;
  for (const auto& ended : rig.run([](PartyId, cli::Output&out, cli::Common&common) {
         return cli::stock(out, common, 1);
       })) {
    EXPECT_EQ(ended.code, cli::kOk) << ended.out;
  }
  umask(before);
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_EQ(open_to_others(rig.dir(i)), std::vector<std::string>{});
    struct stat info {};
    ASSERT_EQ(stat(rig.dir(i).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u);
    ASSERT_EQ(stat((rig.dir(i) / "member.toml").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
  }
}

}  // namespace
}  // namespace flexroom
