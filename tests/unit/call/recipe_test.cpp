#include "call/recipe.h"
#include "call/open_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/hash.h"

namespace flexroom {
namespace {

class RecipeTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) /
                                       ("recipe-" + std::to_string(getpid()) + ".toml");
    std::ofstream(path) << text;
    return path;
  }
  static std::string example(const std::string& name) {
    std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/examples/recipes/" + name);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
};

TEST_F(RecipeTest, ExamplesAreValidAndSigned) {
  for (const char* name : {"who-am-i.toml", "terminate-instance.toml"}) {
    const Recipe recipe = Recipe::load(write(example(name)));
    std::map<std::string, std::string> arguments = {{"access-key-id", "AKIAEXAMPLE"}};
    if (recipe.arguments.contains("instance")) arguments["instance"] = "i-0123";
    const OpenCall call = fill_recipe(recipe, arguments, "20260102T030405Z");
    ASSERT_TRUE(call.signing.has_value());
    ASSERT_TRUE(call.signature_offset.has_value());
    EXPECT_EQ(call.text().size(), call.bytes);
    EXPECT_EQ(call.signing->scope.date_time, "20260102T030405Z");
    EXPECT_EQ(call.signing->access_key_id, "AKIAEXAMPLE");
  }
}

// A second reading of the file could find another one.
TEST_F(RecipeTest, TheDigestIsOfTheTextThatWasParsed) {
  const std::string text = example("who-am-i.toml");
  const std::filesystem::path file = write(text + "# changed since\n");
  EXPECT_EQ(Recipe::parse(text, file.string()).digest, sha256(as_bytes(text)));
  EXPECT_EQ(Recipe::load(file).digest, sha256(as_bytes(text + "# changed since\n")));
}

TEST_F(RecipeTest, APipeIsNoRecipe) {
  const std::filesystem::path pipe = write("");
  std::filesystem::remove(pipe);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string error = "no error";
  try {
    (void)Recipe::load(pipe);
  } catch (const InputError& e) {
    error = e.what();
  }
  std::filesystem::remove(pipe);
  EXPECT_THAT(error, ::testing::HasSubstr("is not a file"));  // and nothing waits for a writer
}

TEST_F(RecipeTest, ActionsWhoseAnswerMayHoldASecretAreRefused) {
  const std::string text =
      replaced(example("who-am-i.toml"), "Action=GetCallerIdentity", "Action=GetSessionToken");
  const Recipe recipe = Recipe::load(write(text));
  EXPECT_THROW(fill_recipe(recipe, {{"access-key-id", "AKIA"}}, "20260102T030405Z"), InputError);
  const Recipe twice = Recipe::load(write(replaced(
      example("who-am-i.toml"), "Action=GetCallerIdentity", "Action=GetCallerIdentity&Action=X")));
  EXPECT_THROW(fill_recipe(twice, {{"access-key-id", "AKIA"}}, "20260102T030405Z"), InputError);
}

TEST_F(RecipeTest, ArgumentsCannotLeaveTheirPlace) {
  const Recipe recipe = Recipe::load(write(example("terminate-instance.toml")));
  for (const char* value : {"i-1&Action=RunInstances", "a b", "x\r\nHost: y", "", "%41", "{{x}}"}) {
    EXPECT_THROW(
        fill_recipe(recipe, {{"access-key-id", "AKIA"}, {"instance", value}}, "20260102T030405Z"),
        InputError)
        << value;
  }
  EXPECT_THROW(fill_recipe(recipe, {{"access-key-id", "AKIA"}}, "20260102T030405Z"), InputError);
  EXPECT_THROW(fill_recipe(recipe, {{"nobody", "AKIA"}}, "20260102T030405Z"), InputError);
}

// Elsewhere another date would be sent than the one that is shown: it is made anew with every
// signature, and without one never.
TEST_F(RecipeTest, DatesStandInTheHeaderLinesOfASignedRequestOnly) {
  const std::string signed_one = example("who-am-i.toml");
  const std::string unsigned_one =
      "[recipe]\nname = \"r\"\nprovider = \"p\"\nhost = \"h.example\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST /x HTTP/1.1\nHost: h.example\n"
      "Content-Type: text/plain\nConnection: close\nContent-Length: {{content-length}}\n\n"
      "hello\"\"\"\n";
  const auto problem_of = [&](const std::string& text) {
    const Recipe recipe = Recipe::load(write(text));
    std::map<std::string, std::string> given;
    if (recipe.sign) given["access-key-id"] = "AKIA";
    try {
      (void)fill_recipe(recipe, given, "20260102T030405Z");
    } catch (const InputError& error) {
      return error.place() + " " + error.problem();
    }
    return std::string();
  };
  EXPECT_EQ(problem_of(signed_one), "");
  EXPECT_EQ(problem_of(unsigned_one), "");
  const std::string in_body = problem_of(replaced(signed_one, "2011-06-15", "{{amz-day}}"));
  EXPECT_NE(in_body.find(".toml:10:"), std::string::npos) << in_body;
  EXPECT_NE(in_body.find("line 9 of the request has {{amz-day}} outside"), std::string::npos)
      << in_body;
  for (const std::string& text :
       {replaced(signed_one, "2011-06-15", "2011-06-15&X={{amz-date}}"),
        replaced(unsigned_one, "hello", "{{amz-date}}"),
        replaced(unsigned_one, "hello", "{{amz-{{x}}}}") + "[argument.x]\ndefault = \"date\"\n",
        replaced(unsigned_one, "POST /x", "POST /x?at={{amz-day}}"),
        replaced(unsigned_one, "Connection: close", "X-Day: {{amz-day}}\nConnection: close")}) {
    EXPECT_NE(problem_of(text).find("outside the header lines"), std::string::npos) << text;
  }
}

TEST_F(RecipeTest, ErrorsNameLineAndColumn) {
  try {
    (void)Recipe::load(write(replaced(example("who-am-i.toml"), "everything to all", "nothing")));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(error.place().find(".toml:9:"), std::string::npos) << error.place();
  }
  EXPECT_THROW(Recipe::load(write(example("who-am-i.toml") + "\n[slot.x]\nsource = \"secret\"\n")),
               InputError);
  EXPECT_THROW(Recipe::load(write(example("who-am-i.toml") + "\n[sing]\n")), InputError);
  // What would fail only when the members met.
  const auto named = [&](const std::string& name) {
    return write(replaced(example("who-am-i.toml"), "\"who-am-i\"", "\"" + name + "\""));
  };
  EXPECT_EQ(Recipe::load(named(std::string(256, 'n'))).name.size(), 256u);
  try {
    (void)Recipe::load(named(std::string(257, 'n')));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(error.place().find(".toml:6:"), std::string::npos) << error.place();
    EXPECT_NE(error.problem().find("longer than 256 bytes"), std::string::npos);
  }
  EXPECT_THROW((void)Recipe::load(named("")), InputError);
}

}  // namespace
}  // namespace flexroom
