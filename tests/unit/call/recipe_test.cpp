#include "call/recipe.h"
#include "call/open_call.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"

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
}

}  // namespace
}  // namespace flexroom
