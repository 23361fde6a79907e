#include "flexroom/process.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace flexroom {
namespace {

/// Whether 64 MiB come from the heap, which keeps them when they are freed.
bool keeps_what_is_freed() {
  constexpr size_t kBytes = size_t{64} << 20;
  const size_t mapped = ::mallinfo2().hblks;
  void* volatile memory = std::malloc(kBytes);
  const bool from_heap = ::mallinfo2().hblks == mapped;
  std::free(memory);
  return from_heap && ::mallinfo2().keepcost >= kBytes;
}

// In a process of its own, for good.
TEST(ProcessTest, IsHardenedAndKeepsItsMemory) {
  const pid_t child = fork();
  if (child == 0) {
    const bool before = keeps_what_is_freed();
    const bool hardened = prepare_process() && prctl(PR_GET_DUMPABLE) == 0;
    _exit(!before && hardened && keeps_what_is_freed() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace flexroom
