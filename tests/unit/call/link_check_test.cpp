#include "call/link_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"

// The links of public bug reports: each problem is said before anybody approves, with its link.

namespace flexroom {
namespace {

using std::chrono::minutes;
using std::chrono::system_clock;
using ::testing::HasSubstr;

constexpr std::time_t kNow = 1795892400;  // 2026-11-28T19:00:00Z
const system_clock::time_point kAt = system_clock::from_time_t(kNow);
const std::string kSignature = "&X-Amz-Signature=" + std::string(64, '5');

std::string link(const std::string& object, const std::string& more = "",
                 const std::string& headers = "host", const std::string& date = "20261128T190000Z",
                 const std::string& seconds = "7200") {
  return "https://a-data.s3.amazonaws.com/" + object + "?" + more +
         "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261128"
         "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" +
         date + "&X-Amz-Expires=" + seconds + "&X-Amz-SignedHeaders=" + headers + kSignature;
}

LinksConfig good() {
  LinksConfig out;
  out.data_url = link("d");
  out.result_url = link("r");
  out.result_get_url = link("r");
  return out;
}

std::string problem_of(const LinksConfig& links, minutes deadline = minutes(60)) {
  try {
    (void)require_good_links(links, "links.toml", deadline, kAt);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(LinkCheckTest, LinksThatOutliveTheDeadlinePass) {
  EXPECT_EQ(problem_of(good()), "");
  EXPECT_TRUE(require_good_links(good(), "links.toml", minutes(60), kAt).empty());
}

TEST(LinkCheckTest, TheTestsClockIsWhatItSays) {
  LinksConfig links = good();
  links.data_url = link("d", "", "host", "20261128T190000Z", "0");
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: expired at 2026-11-28T19:00:00Z"));
}

// cases/links/expired.toml
TEST(LinkCheckTest, ExpiredLinksAreNamedWithTheirEnd) {
  LinksConfig links = good();
  links.data_url = link("d", "", "host", "20261128T170000Z", "3600");
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: expired at 2026-11-28T18:00:00Z"));
  links.result_url = link("r", "", "host", "20261128T170000Z", "60");
  EXPECT_THAT(problem_of(links), HasSubstr("result_url expired at 2026-11-28T17:01:00Z"));
}

TEST(LinkCheckTest, ResultsAreNeededUntilTheDeadlineAndDataAtTheStart) {
  LinksConfig links = good();
  links.data_url = link("d", "", "host", "20261128T190000Z", "1800");
  EXPECT_EQ(problem_of(links), "");
  for (auto* url : {&links.result_url, &*links.result_get_url}) {
    LinksConfig changed = good();
    (url == &links.result_url ? changed.result_url : *changed.result_get_url) =
        link("r", "", "host", "20261128T190000Z", "3600");
    EXPECT_THAT(problem_of(changed),
                HasSubstr("expires at 2026-11-28T20:00:00Z, before the machine "
                          "may stop at 2026-11-28T20:10:00Z"));
    EXPECT_EQ(problem_of(changed, minutes(15)), "");
  }
  links.data_url = link("d", "", "host", "20261128T190000Z", "60");
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: expires at 2026-11-28T19:01:00Z"));
}

// cases/links/put-signed-content-type.toml
TEST(LinkCheckTest, SignedHeadersTheMachineDoesNotSend) {
  LinksConfig links = good();
  links.result_url = link("r", "", "content-type%3Bhost");
  EXPECT_THAT(problem_of(links),
              HasSubstr("result_url: wants headers that the machine does not send "
                        "(X-Amz-SignedHeaders is 'content-type;host')"));
}

// cases/links/put-js-crc32.toml
TEST(LinkCheckTest, AChecksumOfTheEmptyBody) {
  LinksConfig links = good();
  links.result_url =
      link("r", "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&");
  EXPECT_THAT(problem_of(links), HasSubstr("has a checksum signed in (x-amz-checksum-crc32)"));
  links = good();
  links.data_url = link("d", "x-amz-checksum-mode=ENABLED&");
  EXPECT_EQ(problem_of(links), "");
}

TEST(LinkCheckTest, ALinkThatWasCutOff) {
  LinksConfig links = good();
  links.data_url = links.data_url.substr(0, links.data_url.find("&X-Amz-Signature="));
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: has no X-Amz-Signature"));
  links.data_url = good().data_url.substr(0, good().data_url.size() - 3);
  EXPECT_EQ(problem_of(links), "");
  EXPECT_THAT(require_good_links(links, "l", minutes(60), kAt).at(0),
              HasSubstr("of 61 characters"));
}

TEST(LinkCheckTest, AClockThatIsWrong) {
  LinksConfig links = good();
  links.data_url = link("d", "", "host", "20261128T200000Z", "7200");
  EXPECT_THAT(
      problem_of(links),
      HasSubstr("is valid from 2026-11-28T20:00:00Z on, by this machine's clock in 60 min"));
}

TEST(LinkCheckTest, OtherFormsOfSigning) {
  LinksConfig links = good();
  links.data_url = "https://b.example/o?AWSAccessKeyId=A&Expires=1795892399&Signature=x";
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: expired at 2026-11-28T18:59:59Z"));
  links.data_url =
      "https://storage.googleapis.com/b/o?X-Goog-Date=20261128T180000Z&X-Goog-Expires=60"
      "&X-Goog-SignedHeaders=host&X-Goog-Signature=ab";
  EXPECT_THAT(problem_of(links), HasSubstr("data_url: expired at 2026-11-28T18:01:00Z"));
}

TEST(LinkCheckTest, TheEndOfALinkIsReadFromItsPublicPart) {
  EXPECT_EQ(utc_text(*link_end(link("d"))), "2026-11-28T21:00:00Z");
  const std::string whole = link("d");
  EXPECT_EQ(link_end(whole.substr(whole.find('?'))), link_end(whole));
  EXPECT_EQ(link_end("https://b.example/o?Expires=1795892399&Signature=x"), kNow - 1);
  EXPECT_EQ(link_end("https://b.example/o"), std::nullopt);
  EXPECT_EQ(link_end("?"), std::nullopt);
  EXPECT_EQ(link_end("?X-Amz-Date=20261128T190000Z&X-Amz-Expires=soon"), std::nullopt);
}

TEST(LinkCheckTest, AnUnsignedLinkIsAWord) {
  LinksConfig links = good();
  links.data_url = "https://h.example/object";
  EXPECT_EQ(problem_of(links), "");
  EXPECT_THAT(require_good_links(links, "links.toml", minutes(60), kAt),
              ::testing::ElementsAre(HasSubstr("links.toml: data_url is not signed")));
  links = good();
  links.loader_url = "https://h.example/loader";
  links.loader_put_url = link("loader");
  EXPECT_TRUE(require_good_links(links, "l", minutes(60), kAt).empty());
}

}  // namespace
}  // namespace flexroom
