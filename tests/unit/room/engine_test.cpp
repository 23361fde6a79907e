#include "flexroom/engine.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "base/hash.h"
#include "support/tcp_members.h"

// The engines as a program outside sees them: whole, over TCP with pinned certificates.

namespace flexroom {
namespace {

using ::testing::HasSubstr;

std::string hex(const std::string& bytes) { return to_hex(to_bytes(bytes)); }
std::string unhex(const std::string& text) { return to_text(from_hex(text)); }

struct Ended {
  std::vector<std::string> errors;  // by party; empty if it went well
  std::vector<Exit> exits;
};

/// Runs party(engine, self) for n parties, a thread each.
template <typename Party>
Ended run(size_t n, Party party, const std::function<void(Engine::Options&, size_t)>& change = {}) {
  Engine::Options options;
  options.timeout = std::chrono::seconds(60);
  std::vector<PartyIdentity> identities;
  std::vector<int> sockets;
  for (size_t i = 0; i < n; ++i) {
    const auto [fd, port] = support::listen_on_loopback();
    const std::string name = "p" + std::to_string(i);
    identities.push_back(PartyIdentity::make(name));
    sockets.push_back(fd);
    options.parties.push_back({name, "127.0.0.1", port, identities.back().fingerprint()});
  }
  Ended ended{std::vector<std::string>(n), std::vector<Exit>(n, Exit::kOk)};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      try {
        Engine::Options own = options;
        own.self = i;
        own.listen_socket = sockets[i];
        if (change) change(own, i);
        Engine engine(own, identities[i]);
        party(engine, i);
      } catch (const Error& error) {
        ended.errors[i] = error.what();
        ended.exits[i] = error.exit();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return ended;
}

Circuit aes_of(const std::string& block) {
  CircuitBuilder circuit;
  const Wires key =
      circuit.xor_of(circuit.private_input("k0", 0, 16), circuit.private_input("k1", 1, 16));
  circuit.open_to_all("c", circuit.aes128(key, circuit.constant(block)));
  return circuit.finish();
}

CircuitInputs half(size_t self, const std::string& bytes) {
  CircuitInputs inputs;
  if (self < 2) inputs.mine["k" + std::to_string(self)] = bytes;
  return inputs;
}

class EngineTest : public ::testing::TestWithParam<size_t> {};

TEST_P(EngineTest, AesUnderAKeyThatNobodyKnows) {
  const std::string halves[] = {unhex("000102030405060708090a0b0c0d0e0f"),
                                unhex("2b7f17152cabd4a1a3fe1f8305c24133")};
  const Circuit circuit = aes_of(unhex("3243f6a8885a308d313198a2e0370734"));  // FIPS 197, B
  EXPECT_EQ(circuit.num_ands(), 6400u);
  std::mutex mutex;
  size_t right = 0;
  const Ended ended = run(GetParam(), [&](Engine& engine, size_t self) {
    const std::string got =
        hex(engine.run(circuit, half(self, self < 2 ? halves[self] : "")).opened.at("c"));
    const std::lock_guard lock(mutex);
    right += got == "3925841d02dc09fbdc118597196a0b32";
  });
  EXPECT_EQ(right, GetParam()) << ended.errors[0];
}

TEST_P(EngineTest, WhatIsKeptServesLaterCircuits) {
  CircuitBuilder first, second;
  const Wires a = first.private_input("a", 0, 3), b = first.private_input("b", 1, 3);
  first.keep("both", first.and_of(first.not_of(a), b));
  const Circuit keep = first.finish();
  second.open_to_all("hash", second.sha256(second.shared_input("both", 3)));
  const Circuit open = second.finish();
  const std::string x("\x0f\xaa\x00", 3), y("\xff\xff\x5a", 3), expected("\xf0\x55\x5a", 3);
  std::mutex mutex;
  size_t right = 0;
  const Ended ended = run(GetParam(), [&](Engine& engine, size_t self) {
    CircuitInputs inputs;
    if (self == 0) inputs.mine["a"] = x;
    if (self == 1) inputs.mine["b"] = y;
    const CircuitOutputs kept = engine.run(keep, inputs);
    EXPECT_TRUE(kept.opened.empty());
    CircuitInputs shared;
    shared.shared = kept.kept;
    for (int twice = 0; twice < 2; ++twice) {
      const std::string got = engine.run(open, shared).opened.at("hash");
      const std::lock_guard lock(mutex);
      right += hex(got) == to_hex(sha256(to_bytes(expected)));
    }
  });
  EXPECT_EQ(right, 2 * GetParam()) << ended.errors[0];
}

INSTANTIATE_TEST_SUITE_P(Parties, EngineTest, ::testing::Values(2, 3));

TEST(EngineRefusalTest, PartiesWithDifferentCircuits) {
  const Ended ended = run(2, [](Engine& engine, size_t self) {
    const Circuit circuit = aes_of(std::string(16, self == 0 ? 'a' : 'b'));
    const CircuitInputs inputs = half(self, std::string(16, 'k'));
    EXPECT_THROW(engine.run(circuit, inputs), Error);
    (void)engine.run(circuit, inputs);  // it is dead
  });
  for (const std::string& error : ended.errors) EXPECT_THAT(error, HasSubstr("earlier failure"));
}

TEST(EngineRefusalTest, AnotherCertificateThanThePinnedOne) {
  const std::string other = PartyIdentity::make("other").fingerprint();
  const Ended ended = run(
      2, [](Engine&, size_t) { FAIL() << "joined a stranger"; },
      [&](Engine::Options& options, size_t self) {
        options.timeout = std::chrono::seconds(2);
        if (self == 1) options.parties[0].fingerprint = other;
      });
  for (const Exit exit : ended.exits) EXPECT_TRUE(exit == Exit::kRefused || exit == Exit::kFailed);
}

template <typename Action>
std::string usage_error(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(CircuitBuilderTest, WrongUseIsAnErrorNotACrash) {
  CircuitBuilder circuit;
  const Wires a = circuit.private_input("a", 0, 16), b = circuit.private_input("b", 1, 8);
  EXPECT_THAT(usage_error([&] { circuit.private_input("a", 0, 1); }), HasSubstr("twice"));
  EXPECT_THAT(usage_error([&] { circuit.private_input("e", 0, 0); }), HasSubstr("empty"));
  EXPECT_THAT(usage_error([&] { circuit.private_input("", 0, 1); }), HasSubstr("1 to 64"));
  EXPECT_THAT(usage_error([&] { circuit.xor_of(a, b); }), HasSubstr("different lengths"));
  EXPECT_THAT(usage_error([&] { circuit.aes128(a, b); }), HasSubstr("16 bytes"));
  EXPECT_THAT(usage_error([&] { circuit.open_to_all("o", circuit.constant("x")); }),
              HasSubstr("constant"));
  EXPECT_THAT(usage_error([&] { circuit.open_to_all("o", {a[0]}); }), HasSubstr("whole bytes"));
  EXPECT_THAT(usage_error([&] { circuit.open_to_all("o", {}); }), HasSubstr("whole bytes"));
  CircuitBuilder small;
  EXPECT_THAT(usage_error([&] { small.not_of(a); }), HasSubstr("another builder"));
}

TEST(EngineRefusalTest, WrongInputsEndNothing) {
  const Circuit circuit = aes_of(std::string(16, 'a'));
  CircuitBuilder other;
  other.open_to_all("o", other.shared_input("s", 1));
  const Circuit shared = other.finish();
  const Ended ended = run(2, [&](Engine& engine, size_t self) {
    EXPECT_THAT(usage_error([&] { engine.run(circuit, {}); }), HasSubstr("not given"));
    EXPECT_THAT(usage_error([&] { engine.run(circuit, half(self, "short")); }),
                HasSubstr("another length"));
    EXPECT_THAT(usage_error([&] { engine.run(shared, {}); }), HasSubstr("not given"));
    EXPECT_THAT(usage_error([&] { engine.request({}); }), HasSubstr("bytes"));
    EXPECT_EQ(engine.run(circuit, half(self, std::string(16, 'k'))).opened.size(), 1u);
  });
  EXPECT_EQ(ended.errors, std::vector<std::string>(2));
}

}  // namespace
}  // namespace flexroom
