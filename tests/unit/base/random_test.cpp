#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <vector>

#include "base/aes.h"
#include "base/locked_blocks.h"
#include "base/prg.h"
#include "support/each_kernel.h"

namespace flexroom {
namespace {

// The wide kernels, the eight at a time and the single one are the same function: block by block
// against encrypt(), at lengths below, at and above each of them and of several turns of each, also
// where the counter carries.
TEST(AesCtr, EveryWidthGivesTheBlocksOfEncrypt) {
  support::with_each_kernel([] {
    Prg prg(Block(5, 6));
    for (const size_t count : {size_t{1}, size_t{7}, size_t{8}, size_t{31}, size_t{32}, size_t{33},
                               size_t{64}, size_t{100}}) {
      const Aes128 aes(prg.next_block());
      const Block iv = prg.next_block();
      for (const uint64_t first : {uint64_t{0}, uint64_t{1} << 32, UINT64_MAX - 200}) {
        BlockVec out(count), plain(count);
        aes.ctr(iv, first, out.span());
        aes.ctr(first, plain.span());
        for (size_t t = 0; t < count; ++t) {
          ASSERT_EQ(out[t], aes.encrypt(iv ^ Block(0, first + t))) << count << " " << t;
          ASSERT_EQ(plain[t], aes.encrypt(Block(0, first + t))) << count << " " << t;
        }
      }
    }
  });
}

TEST(Prg, OneOfASeedIsItsStream) {
  Prg one(Block(1, 2)), same(Block(1, 2));
  std::vector<Block> parts(3), all(5);
  one.fill(std::span<Block>(parts));
  same.fill(std::span<Block>(all));
  EXPECT_EQ(parts[2], all[2]);
  EXPECT_EQ(one.next_block(), all[3]);
  EXPECT_EQ(all[4], Aes128(Block(1, 2)).encrypt(Block(0, 4)));
}

// A process that goes on from a copy of another's memory (a snapshot, a fork) must not repeat what
// the other draws: label seeds twice give Delta away, check seeds that a peer has seen are none.
TEST(Prg, ACopyOfTheProcessDrawsOtherSeeds) {
  Prg prg = Prg::from_system();
  (void)prg.next_block();
  constexpr size_t kDraws = 4;
  int link[2];
  ASSERT_EQ(pipe(link), 0);
  const pid_t child = fork();
  if (child == 0) {
    Block drawn[kDraws];
    for (Block& block : drawn) block = prg.next_block();
    const ssize_t n = write(link[1], drawn, sizeof drawn);
    _exit(n == sizeof drawn ? 0 : 1);
  }
  Block theirs[kDraws];
  ASSERT_EQ(read(link[0], theirs, sizeof theirs), static_cast<ssize_t>(sizeof theirs));
  waitpid(child, nullptr, 0);
  close(link[0]);
  close(link[1]);
  std::set<Bytes> seen;
  const auto add = [&](const Block& block) {
    const ByteView bytes = block_bytes(block);
    seen.emplace(bytes.begin(), bytes.end());
  };
  for (const Block& block : theirs) add(block);
  for (size_t k = 0; k < kDraws; ++k) add(prg.next_block());
  EXPECT_EQ(seen.size(), 2 * kDraws);
}

// What left tells nothing about what comes: each draw has a key and a starting point of its own.
TEST(Prg, DrawsOfTheSystemShareNoState) {
  Prg prg = Prg::from_system();
  const auto state = [&prg] {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&prg);
    return Bytes(bytes, bytes + sizeof prg);
  };
  (void)prg.next_block();
  const Bytes first = state();
  (void)prg.next_block();
  const Bytes second = state();
  // Key schedule and starting point: twelve blocks, none of them kept.
  for (size_t at = 0; at + 16 <= 12 * 16; at += 16) {
    EXPECT_FALSE(std::equal(first.begin() + static_cast<ptrdiff_t>(at),
                            first.begin() + static_cast<ptrdiff_t>(at + 16),
                            second.begin() + static_cast<ptrdiff_t>(at)));
  }
}

TEST(LockedBlocks, AreZeroedMovedAndCopiedOnlyOnPurpose) {
  LockedBlocks blocks(300);
  for (const Block& block : blocks.span()) EXPECT_EQ(block, Block());
  blocks[7] = Block(1, 2);
  const Block* const at = blocks.data();
  const LockedBlocks copy = blocks.clone();
  LockedBlocks moved = std::move(blocks);
  EXPECT_EQ(moved.data(), at);
  EXPECT_TRUE(blocks.empty());  // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_EQ(copy[7], Block(1, 2));
  EXPECT_NE(copy.data(), at);
  blocks = std::move(moved);
  EXPECT_EQ(blocks.data(), at);
  EXPECT_EQ(blocks.size(), 300u);
}

TEST(LockedBlocks, AReferenceToOneStaysGoodWhenItsOwnerMoves) {
  LockedBlock key{Block(3, 4)};
  const Block& used = key;
  const LockedBlock owner = std::move(key);
  EXPECT_EQ(&used, &static_cast<const Block&>(owner));
  EXPECT_EQ(used, Block(3, 4));
  EXPECT_TRUE(owner.bit(2));
  EXPECT_FALSE(owner.lsb());
}

// Where the system allows it the pages are locked: VmLck of the process shows them.
TEST(LockedBlocks, PagesAreLockedUnlessTheSystemRefuses) {
  const auto locked_kb = [] {
    std::FILE* const file = std::fopen("/proc/self/status", "r");
    long kb = -1;
    char line[256];
    while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
      if (std::sscanf(line, "VmLck: %ld kB", &kb) == 1) break;
    }
    if (file != nullptr) std::fclose(file);
    return kb;
  };
  const long before = locked_kb();
  const LockedBlocks blocks(1024);
  if (before < 0) return;  // a system without that line
  EXPECT_TRUE(!keys_are_locked() || locked_kb() >= before + 16);
}

}  // namespace
}  // namespace flexroom
