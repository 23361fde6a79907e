#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <future>

#include "tcp_mesh_rig.h"

// How members find each other: who is named when somebody is missing or wrong, and what strangers
// at the port can do.

namespace flexroom::net {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two lists of the members in opposite order: both wait for the other one, or both connect. Said
// was nothing but that nobody came.
TEST(TcpMeshTest, AnotherOrderOfTheMembersIsNamed) {
  for (const bool both_wait : {true, false}) {
    support::TcpMembers members(2);
    const PartyId other = both_wait ? 1 : 0;
    std::swap(members.configs[other].members[0], members.configs[other].members[1]);
    members.configs[other].self = 1 - members.configs[other].self;
    if (!both_wait) {  // the ports are free
      for (auto& config : members.configs) close(std::exchange(config.listen_socket, -1));
    }
    std::array<std::string, 2> errors;
    std::vector<std::thread> threads;
    for (PartyId i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        try {
          (void)members.join(i);
        } catch (const ProtocolAbort& abort) {
          EXPECT_EQ(abort.code(), AbortCode::kDisagreement);
          errors[i] = abort.detail();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (PartyId i = 0; i < 2; ++i) {
      EXPECT_THAT(errors[i],
                  AllOf(HasSubstr("another order"), HasSubstr(members.identities[1 - i].name()),
                        HasSubstr(both_wait ? "member 1 of 2" : "member 2 of 2")));
    }
  }
}

// One that cannot reach the other is told so by being asked; no link comes of the question.
TEST(TcpMeshTest, AMemberThatIsThereAndDoesNotComeIsNamed) {
  support::TcpMembers members(3);
  members.configs[1].members[0].port = 1;  // nobody listens there
  std::array<std::string, 2> errors;
  std::vector<std::thread> threads;
  for (PartyId i = 0; i < 2; ++i) {
    members.configs[i].connect_timeout = 8s;
    threads.emplace_back([&, i] {
      try {
        (void)members.join(i);
      } catch (const ProtocolAbort& abort) {
        EXPECT_EQ(abort.code(), AbortCode::kTimeout);
        errors[i] = abort.detail();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(errors[0], HasSubstr("member 2 to connect to us (it waits too"));
  EXPECT_THAT(errors[1], HasSubstr("member 1 at 127.0.0.1:1 (Connection refused)"));
}

TEST(TcpMeshTest, TheConnectingMemberNamesAWrongFingerprint) {
  support::TcpMembers members(2);
  const Identity stranger = Identity::make("stranger");
  members.configs[1].members[0].fingerprint = stranger.fingerprint();
  members.configs[0].connect_timeout = 1s;
  auto listener =
      std::async(std::launch::async, [&] { return abort_of([&] { members.join(0); }); });
  try {
    members.join(1);
    FAIL() << "joined a member that shows another certificate";
  } catch (const FingerprintMismatch& mismatch) {
    EXPECT_EQ(mismatch.expected(), stranger.fingerprint());
    EXPECT_EQ(mismatch.got(), members.identities[0].fingerprint());
    EXPECT_EQ(mismatch.peer(), 0u);
    EXPECT_EQ(mismatch.abort_class(), AbortClass::kRefuse);
    EXPECT_THAT(mismatch.what(), HasSubstr("member 1"));
    EXPECT_THAT(mismatch.what(), HasSubstr(fingerprint_text(stranger.fingerprint())));
  }
  EXPECT_EQ(listener.get(), AbortCode::kTimeout);
}

TEST(TcpMeshTest, AStrangersCertificateIsDroppedAndReported) {
  support::TcpMembers members(2);
  const Identity stranger = Identity::make("stranger");
  MeshConfig intruder = members.configs[1];
  intruder.members[1].fingerprint = stranger.fingerprint();
  intruder.listen_socket = -1;
  intruder.connect_timeout = 800ms;
  members.configs[0].connect_timeout = 1s;
  auto listener = std::async(std::launch::async, [&]() -> std::string {
    try {
      members.join(0);
    } catch (const ProtocolAbort& abort) {
      return abort.what();
    }
    return "joined";
  });
  std::string intruder_error = "joined";
  try {
    TcpMesh::join(intruder, stranger);
  } catch (const ProtocolAbort& abort) {
    intruder_error = abort.what();
  }
  EXPECT_THAT(intruder_error, HasSubstr("not accept our certificate"));
  const std::string error = listener.get();
  EXPECT_THAT(error, HasSubstr("member 2"));
  EXPECT_THAT(error, HasSubstr(fingerprint_text(stranger.fingerprint())));
}

TEST(TcpMeshTest, GarbageAndSilenceAtThePortDoNotStopTheMembers) {
  support::TcpMembers members(2);
  std::atomic<bool> reported{false};
  members.configs[0].on_waiting = [&](const std::vector<MissingMember>& missing) {
    for (const auto& m : missing) reported = reported || !m.problem.empty();
  };
  auto first = std::async(std::launch::async, [&] { return members.join(0); });
  const uint16_t port = members.configs[0].members[0].port;
  const int silent = support::connect_to_loopback(port);
  const int garbage = support::connect_to_loopback(port);
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_GT(send(garbage, text.data(), text.size(), MSG_NOSIGNAL), 0);
  std::this_thread::sleep_for(1200ms);
  const auto second = members.join(1);
  const auto mesh = first.get();
  mesh->send(1, pattern(100, 3));
  EXPECT_EQ(second->receive(0), pattern(100, 3));
  EXPECT_TRUE(reported);
  close(silent);
  close(garbage);
}

/// Sockets of strangers that stay open until the test is over.
class Strangers {
 public:
  explicit Strangers(uint16_t port) : port_(port) {}
  ~Strangers() {
    for (const int fd : open_) close(fd);
  }
  Strangers(const Strangers&) = delete;
  Strangers& operator=(const Strangers&) = delete;
  void open(size_t count, ByteView said) {
    for (size_t k = 0; k < count; ++k) {
      const int fd = support::connect_to_loopback(port_);
      if (fd < 0) continue;
      if (!said.empty()) (void)!send(fd, said.data(), said.size(), MSG_NOSIGNAL);
      open_.push_back(fd);
    }
  }
  void close_oldest(size_t keep) {
    while (open_.size() > keep) {
      close(open_.front());
      open_.erase(open_.begin());
    }
  }

 private:
  uint16_t port_;
  std::vector<int> open_;
};

/// The beginning of a TLS record that never ends.
const Bytes kHalfHello = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};

/// Whether two members are linked before the first of 300 sockets that came earlier, and say no
/// more than `said`, was given up for its silence. All come from the members' own address, the
/// worst place for a member to be.
bool meets_before_a_stranger_is_given_up(const Bytes& said) {
  support::TcpMembers members(2);
  std::atomic<bool> given_up{false};
  members.configs[0].on_waiting = [&](const std::vector<MissingMember>& missing) {
    for (const auto& member : missing) {
      if (member.problem.find(said.empty() ? "said nothing within" : "handshake within") !=
          std::string::npos) {
        given_up = true;
      }
    }
  };
  auto first = std::async(std::launch::async, [&] { return members.join(0); });
  Strangers strangers(members.configs[0].members[0].port);
  strangers.open(300, said);
  try {
    const auto second = members.join(1);
    const auto mesh = first.get();
    mesh->send(1, pattern(100, 3));
    EXPECT_EQ(second->receive(0), pattern(100, 3));
    return !given_up;
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kTimeout) << abort.what();
    return false;
  }
}

// Members that have to wait for strangers see them given up every time; on a busy machine one try
// may take as long for another reason.
TEST(TcpMeshTest, ThreeHundredIdleSocketsDoNotDelayTheMembers) {
  for (const Bytes& said : {Bytes(), kHalfHello}) {
    bool met = false;
    for (int attempt = 0; attempt < 6 && !met; ++attempt) {
      met = meets_before_a_stranger_is_given_up(said);
    }
    EXPECT_TRUE(met);
  }
}

TEST(TcpMeshTest, StrangersThatKeepComingDoNotKeepTheMembersOut) {
  support::TcpMembers members(3);
  for (auto& config : members.configs) config.connect_timeout = 60s;
  std::atomic<bool> stop{false};
  auto first = std::async(std::launch::async, [&] { return members.join(0); });
  auto flood = std::async(std::launch::async, [&] {
    Strangers strangers(members.configs[0].members[0].port);
    for (size_t k = 0; !stop; ++k) {
      strangers.open(10, k % 2 == 0 ? Bytes() : kHalfHello);
      strangers.close_oldest(200);
      std::this_thread::sleep_for(5ms);
    }
  });
  std::this_thread::sleep_for(500ms);
  auto second = std::async(std::launch::async, [&] { return members.join(1); });
  const auto third = members.join(2);
  const auto mesh = first.get();
  const auto middle = second.get();
  stop = true;
  flood.get();
  mesh->send(2, pattern(100, 4));
  EXPECT_EQ(third->receive(0), pattern(100, 4));
}

TEST(TcpMeshTest, AListenerFullOfStrangersSleeps) {
  support::TcpMembers members(2);
  members.configs[0].connect_timeout = 2s;
  double cpu = 0;
  auto first = std::async(std::launch::async, [&] {
    const auto code = abort_of([&] { members.join(0); });
    timespec used{};  // of this thread: nothing else on the machine counts
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    cpu = static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
    return code;
  });
  Strangers strangers(members.configs[0].members[0].port);
  strangers.open(300, {});
  EXPECT_EQ(first.get(), AbortCode::kTimeout);
  EXPECT_LT(cpu, 0.4);
}

TEST(TcpMeshTest, AnAddressOfAnotherMachineIsNoPlaceToListen) {
  support::TcpMembers members(2);
  ::close(members.configs[0].listen_socket);
  members.configs[0].listen_socket = -1;
  members.configs[0].listen_host = "192.0.2.1";  // for documentation: nobody's
  try {
    members.join(0);
    FAIL() << "listens on an address that this machine does not have";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("192.0.2.1"));
    EXPECT_THAT(error.what(), HasSubstr("listen = "));
  }
}

TEST(TcpMeshTest, TheMissingMemberIsNamedWithAddress) {
  support::TcpMembers members(2);
  ::close(members.configs[0].listen_socket);
  members.configs[1].connect_timeout = 700ms;
  std::string waiting;
  members.configs[1].on_waiting = [&](const std::vector<MissingMember>& missing) {
    waiting = missing.at(0).name + " " + missing.at(0).address;
  };
  try {
    members.join(1);
    FAIL();
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kTimeout);
    EXPECT_THAT(abort.what(), HasSubstr("member 1 at 127.0.0.1:"));
    EXPECT_THAT(abort.what(), HasSubstr("Connection refused"));
  }
  EXPECT_THAT(waiting, HasSubstr("member 1 127.0.0.1:"));
}

TEST(TcpMeshTest, CancelStopsTheWaiting) {
  support::TcpMembers members(2);
  std::atomic<bool> cancel{false};
  members.configs[0].cancel = &cancel;
  auto waiting = std::async(std::launch::async, [&] { return abort_of([&] { members.join(0); }); });
  std::this_thread::sleep_for(100ms);
  cancel = true;
  EXPECT_EQ(waiting.get(), AbortCode::kCancelled);
}

TEST(TcpMeshTest, DifferentRoomsAreRefusedAtBothEnds) {
  support::TcpMembers members(2);
  members.configs[1].room_digest[5] = 1;
  auto first = std::async(std::launch::async, [&] { return abort_of([&] { members.join(0); }); });
  EXPECT_EQ(abort_of([&] { members.join(1); }), AbortCode::kDisagreement);
  EXPECT_EQ(first.get(), AbortCode::kDisagreement);
}

}  // namespace
}  // namespace flexroom::net
