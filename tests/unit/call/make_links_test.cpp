#include "call/make_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "config/config.h"

// That the links are those of another signer, and work: tests/e2e/onboarding_test.py.

namespace flexroom {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class MakeLinksTest : public ::testing::Test {
 protected:
  MakeLinksTest() {
    char name[] = "/tmp/flexroom-links-XXXXXX";
    root_ = mkdtemp(name);
    links_.region = "eu-central-1";
    links_.bucket = "a-data";
    links_.data_key = "folder/half of it.csv";
    links_.result_key = "result.json";
    links_.file = root_ / "links.toml";
    own_.access_key_id = "AKIAIOSFODNN7EXAMPLE";
    own_.secret_access_key =
        SecretBytes::copy_of(as_bytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
  }
  ~MakeLinksTest() override { fs::remove_all(root_); }
  std::string error(const std::function<void(LinksToMake&)>& change) {
    LinksToMake links = links_;
    change(links);
    try {
      make_links(links, own_, now_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  fs::path root_;
  LinksToMake links_;
  http::AwsCredential own_;
  const http::SystemTime now_ = http::parse_amz_date("20260102T030405Z", "");
};

TEST_F(MakeLinksTest, AreWhatRunScriptReads) {
  links_.loader_key = "loader";
  links_.public_loader = true;
  make_links(links_, own_, now_);
  const LinksConfig read = LinksConfig::load(links_.file);
  EXPECT_THAT(
      read.data_url,
      StartsWith("https://a-data.s3.eu-central-1.amazonaws.com/folder/half%20of%20it.csv?"));
  EXPECT_THAT(read.data_url, HasSubstr("X-Amz-Date=20260102T030405Z&X-Amz-Expires=43200&"));
  // The signature stands last, so that the rest of the query need not be private.
  EXPECT_EQ(split_private_url(read.data_url, "").tail.size(), 64u);
  EXPECT_NE(read.result_url, *read.result_get_url);
  EXPECT_EQ(*read.loader_url, "https://a-data.s3.eu-central-1.amazonaws.com/loader");
  EXPECT_THAT(*read.loader_put_url, HasSubstr("X-Amz-Signature="));
}

TEST_F(MakeLinksTest, RefusesWhatIsNoPlace) {
  EXPECT_THAT(error([](LinksToMake& l) { l.bucket = "a..b"; }), HasSubstr("no bucket"));
  EXPECT_THAT(error([](LinksToMake& l) { l.bucket = "a.b"; }), HasSubstr("--path-style"));
  EXPECT_THAT(error([](LinksToMake& l) { l.region = "EU"; }), HasSubstr("no region"));
  for (const char* key : {"", "/a", "a/", "a//b", ".", "a/./b", "..", "a/.."}) {
    EXPECT_THAT(error([&](LinksToMake& l) { l.data_key = key; }), HasSubstr("--data")) << key;
    EXPECT_THAT(error([&](LinksToMake& l) { l.result_key = key; }), HasSubstr("--result")) << key;
  }
  EXPECT_THAT(error([](LinksToMake& l) { l.result_key = l.data_key; }), HasSubstr("--data"));
  EXPECT_THAT(error([](LinksToMake& l) { l.lasts = std::chrono::hours(169); }),
              HasSubstr("7 days"));
  EXPECT_THAT(error([](LinksToMake& l) { l.lasts = std::chrono::seconds(0); }),
              HasSubstr("7 days"));
  EXPECT_THAT(error([](LinksToMake& l) { l.endpoint = "https://x.example/?y"; }),
              HasSubstr("path"));
  EXPECT_THAT(error([](LinksToMake& l) { l.data_key = std::string(1025, 'a'); }),
              HasSubstr("1025"));
  own_.session_token = std::string(5000, 'a');
  EXPECT_THAT(error([](LinksToMake&) {}), HasSubstr("more than 4096"));
  EXPECT_FALSE(fs::exists(links_.file));
  own_.session_token.clear();
  make_links(links_, own_, now_);
  EXPECT_THAT(error([](LinksToMake&) {}), HasSubstr("never overwritten"));
}

TEST_F(MakeLinksTest, TheKeyIsTakenOutOfTheEnvironment) {
  setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "topsecret-topsecret", 1);
  setenv("AWS_SESSION_TOKEN", "token", 1);
  const char* const was = std::getenv("AWS_SECRET_ACCESS_KEY");
  const http::AwsCredential own = take_own_credential();
  EXPECT_EQ(to_text(own.secret_access_key.reveal()), "topsecret-topsecret");
  EXPECT_EQ(own.session_token, "token");
  EXPECT_EQ(std::getenv("AWS_SECRET_ACCESS_KEY"), nullptr);
  EXPECT_EQ(std::getenv("AWS_SESSION_TOKEN"), nullptr);
  EXPECT_EQ(was[0], 0);  // overwritten, not only forgotten
  try {
    (void)take_own_credential();
    ADD_FAILURE() << "no error";
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("AWS_SECRET_ACCESS_KEY"));
  }
}

}  // namespace
}  // namespace flexroom
