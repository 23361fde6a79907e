#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "session/member_session.h"
#include "support/room_rig.h"

namespace flexroom::session {
namespace {

bool reaches(const char* address, uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  inet_pton(AF_INET, address, &to.sin_addr);
  const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return connected;
}

/// Whether a member that waits for the others is reached at 127.0.0.1 and at 127.0.0.2.
std::pair<bool, bool> reached(support::RoomRig& rig, const std::string& listen) {
  const RoomConfig room = RoomConfig::load(rig.dir(0) / "room.toml");
  MemberConfig member = MemberConfig::load(rig.dir(0) / "member.toml");
  const uint16_t port = room.members[0].address.port;
  if (!listen.empty()) member.listen = Endpoint{listen, port};
  MemberState state(room, member);
  std::atomic<bool> cancel{false};
  SessionOptions options;
  options.cancel = &cancel;
  auto waiting = std::async(std::launch::async, [&] {
    try {
      MemberSession session(state, options);
    } catch (const ProtocolAbort& abort) {
      return abort.code();
    }
    return AbortCode::kReuse;
  });
  bool first = false;
  for (int tries = 0; tries < 1000 && !first; ++tries) {
    first = reaches("127.0.0.1", port);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const bool second = reaches("127.0.0.2", port);
  cancel = true;
  EXPECT_EQ(waiting.get(), AbortCode::kCancelled);
  return {first, second};
}

TEST(ListenTest, AMemberListensAtItsAddressInRoomTomlAlone) {
  support::RoomRig rig(2);
  EXPECT_EQ(reached(rig, ""), std::make_pair(true, false));
  EXPECT_EQ(reached(rig, "0.0.0.0"), std::make_pair(true, true));
}

}  // namespace
}  // namespace flexroom::session
