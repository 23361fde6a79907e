#include "agreement/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <vector>

#include "agreement/word_list.h"
#include "base/hash.h"

namespace flexroom::agreement {
namespace {

std::vector<std::string> list() {
  std::istringstream in{std::string(kWordList)};
  return {std::istream_iterator<std::string>(in), {}};
}

// Members of different versions compare: neither the list nor the function may ever change
// (members.md §1.1). The words were made by another program, from libsodium alone.
TEST(WordsTest, TheListAndTheFunctionAreFixed) {
  EXPECT_EQ(to_hex(sha256(to_bytes(kWordList))),
            "c2e38d5e3b9006c8ab37140eda27fde47e328f585ac9e661fa400973d9c95821");
  EXPECT_EQ(words(to_bytes("flexroom"), kProposalWords),
            "topic cottage involve warrior token sunset extend pony");
}

TEST(WordsTest, TheListHas2048DifferentSortedWords) {
  const std::vector<std::string> all = list();
  EXPECT_EQ(all.size(), 2048u);
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()), all.end());
  for (const std::string& word : all) {
    EXPECT_TRUE(word.size() >= 3 && word.size() <= 9) << word;
    EXPECT_TRUE(std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; }))
        << word;
  }
}

TEST(WordsTest, FourAreTheFirstOfEight) {
  EXPECT_EQ(words(to_bytes("flexroom"), kKeyWords), "topic cottage involve warrior");
}

}  // namespace
}  // namespace flexroom::agreement
