#include "room/link_expiry.h"

#include <gtest/gtest.h>

namespace flexroom::room {
namespace {

TEST(LinkExpiryTest, OfSigV4AndOfTheOlderForm) {
  EXPECT_EQ(link_expiry("https://b.s3.amazonaws.com/o?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                        "&X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-Signature=00"),
            1767323045 + 3600);
  EXPECT_EQ(link_expiry("https://h/o?AWSAccessKeyId=A&Expires=1767323045&Signature=x"), 1767323045);
}

TEST(LinkExpiryTest, WhatDoesNotSay) {
  for (const char* url :
       {"", "https://h/o", "https://h/o?a=b", "https://h/o?X-Amz-Date=20260102T030405Z",
        "https://h/o?X-Amz-Date=2026&X-Amz-Expires=60", "https://h/o?XExpires=5",
        "https://h/o?Expires=", "https://h/o?Expires=12x", "https://h/o?Expires=9999999999999999",
        "https://h/o?X-Amz-Date=20260102T030405Z&X-Amz-Expires=-60", "https://h/o?Expires"}) {
    EXPECT_FALSE(link_expiry(url)) << url;
  }
}

}  // namespace
}  // namespace flexroom::room
