#include "call/links_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flexroom {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LinksTextTest : public ::testing::Test {
 protected:
  LinksTextTest() {
    Prg prg(Block(1, 2));
    const PrivateUrl url =
        split_private_url("https://data.example/private-object?X-Amz-Expires=60&X-Amz-Signature=" +
                              std::string(64, 'b'),
                          "test");
    links_ = OwnLinks(url, url, url, prg).public_part("alpha");
    text_ = public_links_text(links_);
  }
  void refuses(const std::string& text, const std::string& words = "are not written") {
    try {
      (void)read_public_links(text, "alpha");
      ADD_FAILURE() << text;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
      EXPECT_THAT(error.what(), HasSubstr("alpha"));
    }
  }
  std::string changed(const std::string& from, const std::string& to) const {
    std::string out = text_;
    out.replace(out.find(from), from.size(), to);
    return out;
  }
  PublicLinks links_;
  std::string text_;
};

TEST_F(LinksTextTest, IsReadBack) {
  EXPECT_EQ(public_links_text(read_public_links(text_, "alpha")), text_);
  EXPECT_THAT(text_, Not(HasSubstr("private-object")));
  EXPECT_THAT(text_, Not(HasSubstr("bbbb")));
  EXPECT_THAT(text_, Not(HasSubstr(" ")));  // it is held against a pattern
}

TEST_F(LinksTextTest, IsWrittenInOneWay) {
  refuses(text_ + " ");
  refuses(" " + text_);
  refuses(changed("{\"data\"", "{\"more\":1,\"data\""));
  refuses(changed("{\"data\"", "{\"data\":1,\"data\""));
  refuses("");
  refuses("[]");
  refuses("{}");
  refuses(std::string(40'000, '['));
}

TEST_F(LinksTextTest, TakesNoLengthThatIsNone) {
  refuses(changed("\"path_bytes\":14", "\"path_bytes\":-14"));
  refuses(changed("\"path_bytes\":14", "\"path_bytes\":14.5"));
  refuses(changed("\"path_bytes\":14", "\"path_bytes\":18446744073709551615"));
  refuses(changed("\"path_bytes\":14", "\"path_bytes\":0"), "impossible length");
}

// What is in it goes into a script that all members' machine runs.
TEST_F(LinksTextTest, TakesNoLinksThatTheSessionWouldNotTake) {
  refuses(changed("https://data.example/", "https://data.example/$(x)/"), "");
  refuses(changed("https://data.example/", "http://data.example/"), "");
  refuses(changed("\"sealed\":\"", "\"sealed\":\"00"), "sealed");
}

// The key is kept while it waits: the same links of the same key, and no other text for one.
TEST_F(LinksTextTest, AKeptKeyMakesTheSameLinks) {
  Prg prg(Block(3, 4));
  const SecretBytes key = OwnLinks::draw_key(prg);
  LinksConfig links;
  links.data_url = links.result_url =
      "https://data.example/x?X-Amz-Signature=" + std::string(64, 'c');
  const auto text = [&] {
    return public_links_text(OwnLinks(links, "test", key.clone()).public_part("alpha"));
  };
  EXPECT_EQ(text(), text());
  EXPECT_THROW(OwnLinks(links, "test", SecretBytes(22)), InputError);
  EXPECT_THROW(OwnLinks(links, "test", SecretBytes(21)), InputError);
}

}  // namespace
}  // namespace flexroom
