#include "config/console_terms.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

ConsoleTerms terms_of(const std::string& text) {
  return ConsoleTerms::load(TomlTable::parse(text, "member.toml"));
}

// members.md §9.1: without TLS and sign-in the page is for this machine alone.
TEST(ConsoleTermsTest, ServesLoopbackAlone) {
  EXPECT_FALSE(terms_of("").port);
  EXPECT_EQ(terms_of("[console]\nport = 7180\n").port, 7180);
  for (const char* address : {"localhost", "127.0.0.1", "::1"}) {
    const std::string line = std::string("address = \"") + address + "\"\n";
    EXPECT_EQ(terms_of("[console]\nport = 7180\n" + line).port, 7180);
  }
  for (const char* address : {"0.0.0.0", "::", "10.0.0.1", "console.example", ""}) {
    const std::string line = std::string("address = \"") + address + "\"\n";
    try {
      (void)terms_of("[console]\nport = 7180\n" + line);
      ADD_FAILURE() << address;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("address"), std::string::npos) << error.what();
      EXPECT_NE(error.remedy().find("docs/status.md"), std::string::npos) << error.remedy();
    }
  }
  EXPECT_THROW(terms_of("[console]\n"), InputError);
  EXPECT_THROW(terms_of("[console]\nport = 80\n"), InputError);
  EXPECT_THROW(terms_of("[console]\nport = 70000\n"), InputError);
}

}  // namespace
}  // namespace flexroom
