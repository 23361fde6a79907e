#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "call/loader.h"
#include "call/result_link.h"
#include "e2e/object_store.h"

// A member's own links are tried before anything is prepared: one that does not work is named with
// what the store said, while no machine runs.

namespace flexroom {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class OwnLinksTest : public ObjectStoreTest {
 protected:
  OwnLinksTest() {
    links_.data_url = "https://store.example/data?X-Amz-Signature=secret";
    links_.result_url = "https://store.example/result?X-Amz-Signature=secret";
    links_.result_get_url = "https://store.example/read?X-Amz-Signature=secret";
  }
  BeforeRun attempt(std::vector<cloud::Response> answers, const std::string& loader = "") {
    answers_ = std::move(answers);
    asked_ = 0;
    seen_.clear();
    return try_links(room_, links_, loader, "links.toml", &cancel_);
  }
  std::string refused(std::vector<cloud::Response> answers, const std::string& loader = "") {
    try {
      (void)attempt(std::move(answers), loader);
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
      return error.what();
    }
    return "";
  }
  static cloud::Response mark() { return answer(200, std::string(kWaitingMark) + "\n", "\"2\""); }

  LinksConfig links_;
};

TEST_F(OwnLinksTest, AMarkIsWrittenAndReadBack) {
  const BeforeRun before = attempt({answer(404, ""), answer(200, ""), mark()});
  EXPECT_THAT(before.version, HasSubstr("\"2\""));
  EXPECT_FALSE(before.earlier);
  EXPECT_THAT(before.answers,
              ElementsAre(std::pair("result_get_url", "200"), std::pair("result_url", "200")));
  EXPECT_THAT(
      seen_, ElementsAre(HasSubstr("GET /read"), HasSubstr("PUT /result"), HasSubstr("GET /read")));
}

TEST_F(OwnLinksTest, AnEarlierResultIsKept) {
  const BeforeRun before = attempt({answer(200, "a,b\n"), answer(200, ""), mark()});
  ASSERT_TRUE(before.earlier);
  EXPECT_EQ(to_text(*before.earlier), "a,b\n");
}

TEST_F(OwnLinksTest, ARefusedLinkIsNamedWithTheAnswer) {
  EXPECT_THAT(refused({refusal(403, "SignatureDoesNotMatch", "no")}),
              AllOf(HasSubstr("result_get_url"), HasSubstr("403 SignatureDoesNotMatch"),
                    HasSubstr("copy the link whole")));
  EXPECT_THAT(refused({answer(404, ""), refusal(403, "AccessDenied", "Access Denied")}),
              AllOf(HasSubstr("result_url"), HasSubstr("403 AccessDenied")));
  EXPECT_THAT(refused({answer(404, ""), refusal(307, "TemporaryRedirect", "elsewhere")}),
              AllOf(HasSubstr("result_url"), HasSubstr("307"), HasSubstr("region")));
  EXPECT_THAT(refused({answer(404, ""), answer(200, ""), refusal(403, "AccessDenied", "no")}),
              AllOf(HasSubstr("result_get_url"), HasSubstr("403 AccessDenied")));
  EXPECT_THAT(refused({answer(404, ""), answer(200, ""), answer(200, "another object")}),
              AllOf(HasSubstr("result_get_url"), HasSubstr("another object than result_url")));
}

TEST_F(OwnLinksTest, TheLinkThatCarriesTheLoaderIsTriedWithIt) {
  const std::string loader = std::string(kLoaderMark) + " the loader";
  (void)attempt({answer(404, ""), answer(200, ""), answer(200, loader)}, loader);
  links_.loader_url = "https://store.example/loader?X-Amz-Signature=secret";
  links_.loader_put_url = "https://store.example/put?X-Amz-Signature=secret";
  (void)attempt({answer(200, ""), answer(200, loader), answer(404, ""), answer(200, ""), mark()},
                loader);
  EXPECT_THAT(seen_,
              ElementsAre(HasSubstr("PUT /put"), HasSubstr("GET /loader"), HasSubstr("GET /read"),
                          HasSubstr("PUT /result"), HasSubstr("GET /read")));
  EXPECT_THAT(refused({refusal(403, "AccessDenied", "no")}, loader), HasSubstr("loader_put_url"));
  EXPECT_THAT(refused({answer(200, ""), answer(404, "")}, loader), HasSubstr("loader_url"));
}

// A signature is over the path as it stands; libcurl takes dots out of it unless it is told not to.
TEST_F(OwnLinksTest, DotsInAPathStay) {
  answers_ = {answer(200, "x")};
  const std::string url = "https://store.example/a/../b/./c~1?X-Amz-Signature=secret";
  EXPECT_EQ(fetch(room_, url, 100, kLinkTimeout, &cancel_).status, 200);
  EXPECT_EQ(put(room_, url, as_bytes("y"), kLinkTimeout, &cancel_).status, 200);
  EXPECT_THAT(seen_, ElementsAre("GET /a/../b/./c~1", "PUT /a/../b/./c~1"));
}

TEST_F(OwnLinksTest, NobodyThereIsANetworkMatter) {
  server_->stop();
  EXPECT_THROW((void)attempt({mark()}), ProtocolAbort);
}

}  // namespace
}  // namespace flexroom
