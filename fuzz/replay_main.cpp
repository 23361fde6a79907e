#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz.h"

// Replays a corpus without libFuzzer: runs the target on every file of the folders given, on every
// prefix of it and with every byte altered once. A target that finds a fault ends the process.

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  size_t runs = 0;
  for (const auto& path : files) {
    std::ifstream in(path, std::ios::binary);
    std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)),
                               std::istreambuf_iterator<char>());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    ++runs;
    for (size_t i = 0; i < bytes.size(); ++i, runs += 2) {
      LLVMFuzzerTestOneInput(bytes.data(), i);
      const uint8_t kept = bytes[i];
      bytes[i] = static_cast<uint8_t>(kept ^ (1u << (i % 8)));
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      bytes[i] = kept;
    }
  }
  std::printf("%zu files, %zu runs\n", files.size(), runs);
  return files.empty() ? 1 : 0;
}
