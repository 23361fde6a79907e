#include "call/service_error.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

TEST(ServiceErrorTest, ReadsTheFormsOfServices) {
  const ServiceError xml = read_service_error(
      "<?xml version=\"1.0\"?><Response><Errors><Error><Code>RequestLimitExceeded</Code>"
      "<Message>Request limit exceeded.</Message></Error></Errors></Response>");
  EXPECT_EQ(xml.code, "RequestLimitExceeded");
  EXPECT_EQ(xml.message, "Request limit exceeded.");
  EXPECT_EQ(read_service_error(R"({"__type":"com.amazon.coral#ValidationException"})").code,
            "ValidationException");
  EXPECT_EQ(read_service_error(R"({"error":{"code":"invalid_api_key","message":"no"}})").message,
            "no");
  EXPECT_EQ(answer_words(403, "<Code>AccessDenied</Code>"), "403 AccessDenied");
}

// A code goes into the log and onto screens: what is no name is none.
TEST(ServiceErrorTest, TakesNoOtherTextForACode) {
  for (const std::string body :
       {"", "<html>no</html>", "<Code>\x1b[2J</Code>", "<Code>a b</Code>", "[1,2]", "{\"code\":7}",
        "{\"code\":{\"code\":\"x\"}}", "{", "<Code>", "<Code>x"}) {
    EXPECT_EQ(read_service_error(body).code, "") << body;
    EXPECT_EQ(answer_words(500, body), "500") << body;
  }
  EXPECT_EQ(read_service_error("<Code>" + std::string(81, 'a') + "</Code>").code, "");
  EXPECT_EQ(read_service_error("<Code>A</Code><Message>a\nb\x80</Message>").message, "a?b?");
  EXPECT_EQ(read_service_error("<Code>A</Code><Message>cl\xc3\xa9 refus\xc3\xa9"
                               "e</Message>")
                .message,
            "cl\xc3\xa9 refus\xc3\xa9"
            "e");
  EXPECT_EQ(read_service_error("{\"code\":\"A\",\"message\":\"" + std::string(299, 'a') +
                               "\xc3\xa9"
                               "b\"}")
                .message,
            std::string(299, 'a') + "...");  // cut between characters
}

// A good answer may hold anything.
TEST(ServiceErrorTest, ASuccessNamesNoError) {
  EXPECT_EQ(answer_words(200, "<Code>AccessDenied</Code>"), "200");
}

}  // namespace
}  // namespace flexroom
