#pragma once

#include <map>
#include <string>

#include "cloud/people.h"
#include "cloud/voucher_pdf.h"

namespace flexroom::cloud {

/// shop.flexroom.example sells prepaid cards by mail: an order charges a card once for each
/// Idempotency-Key, the receiver gets a link, and the link answers with the number as often as the
/// behaviour says, as JSON and as PDF (operations.md (f)). In memory. Not thread-safe.
class Shop {
 public:
  static constexpr const char* kHost = "shop.flexroom.example";
  static constexpr const char* kSender = "orders@shop.flexroom.example";

  explicit Shop(WebCore& core) : core_(core) {}
  /// POST /orders, GET /voucher?token= and /voucher.pdf?token=.
  Response handle(const Visit& visit);

 private:
  struct Order {
    std::string id, card, receiver, product;
    int status = 201;
  };
  struct Sold {
    std::string order;
    Voucher voucher;
    unsigned answers = 0;
  };
  Response order(const Visit& visit);
  void sell(const Visit& visit, const Order& order);
  /// Counts as an answer of the link.
  const Sold& redeem(const Visit& visit);

  WebCore& core_;
  std::map<std::string, Order> orders_;  // by idempotency key
  std::map<std::string, Sold> sold_;     // by token
};

}  // namespace flexroom::cloud
