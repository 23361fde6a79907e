// The boolean engine alone: two parties encrypt one block with AES-128 under a key that neither
// knows, the XOR of a half of each. First the round trip through a kept value, then the opened
// ciphertext; the numbers are those of FIPS 197, appendix B.

#include <flexroom/engine.h>

#include <cstdio>
#include <mutex>
#include <string>

#include "../pair.h"

namespace {

std::string from_hex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string to_hex(const std::string& bytes) {
  std::string out;
  char digits[3];
  for (const char c : bytes) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    out += digits;
  }
  return out;
}

// key = half of party 0 XOR half of party 1; nobody learns it.
flexroom::Circuit join_halves() {
  flexroom::CircuitBuilder circuit;
  const flexroom::Wires a = circuit.private_input("half 0", 0, 16);
  const flexroom::Wires b = circuit.private_input("half 1", 1, 16);
  circuit.keep("key", circuit.xor_of(a, b));
  return circuit.finish();
}

flexroom::Circuit encrypt(const std::string& block) {
  flexroom::CircuitBuilder circuit;
  const flexroom::Wires key = circuit.shared_input("key", 16);
  circuit.open_to_all("ciphertext", circuit.aes128(key, circuit.constant(block)));
  return circuit.finish();
}

}  // namespace

int main() {
  const std::string halves[2] = {from_hex("000102030405060708090a0b0c0d0e0f"),
                                 // 2b7e1516 28aed2a6 abf71588 09cf4f3c XOR the line above
                                 from_hex("2b7f17152cabd4a1a3fe1f8305c24133")};
  const std::string block = from_hex("3243f6a8885a308d313198a2e0370734");
  const std::string expected = "3925841d02dc09fbdc118597196a0b32";
  try {
    const flexroom::Circuit join = join_halves(), aes = encrypt(block);
    std::mutex mutex;
    bool right = true;
    run_pair([&](flexroom::Engine& engine, size_t self) {
      flexroom::CircuitInputs mine;
      mine.mine["half " + std::to_string(self)] = halves[self];
      const flexroom::CircuitOutputs joined = engine.run(join, mine);
      flexroom::CircuitInputs shared;
      shared.shared = joined.kept;
      const std::string got = to_hex(engine.run(aes, shared).opened.at("ciphertext"));
      const std::lock_guard lock(mutex);
      std::printf("party %zu: %s (%llu ANDs)\n", self, got.c_str(),
                  static_cast<unsigned long long>(aes.num_ands()));
      right = right && got == expected;
    });
    return right ? 0 : 1;
  } catch (const flexroom::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.exit());
  }
}
