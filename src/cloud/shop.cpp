#include "cloud/shop.h"

#include "cloud/card_number.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxOrders = 10000, kMaxAddress = 254;
constexpr const char* kProduct = "prepaid-50";
/// Issuer of the cards that are sold here, in the range that networks leave for tests.
constexpr const char* kIssuer = "400000";
constexpr std::string_view kTokenAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kTokenLength = 32;

}  // namespace

Response Shop::handle(const Visit& visit) {
  const std::string page = visit.page();
  if (page == "POST /orders") return order(visit);
  if (page == "GET /voucher") {
    const Sold& sold = redeem(visit);
    return json_answer(200, {{"order", sold.order},
                             {"cards",
                              {{{"number", sold.voucher.number},
                                {"expiry", sold.voucher.expiry},
                                {"code", sold.voucher.code},
                                {"value", 50}}}}});
  }
  if (page == "GET /voucher.pdf") {
    const std::string pdf = voucher_pdf(redeem(visit).voucher, core_.behaviour.compressed_pdf);
    return Response{200, {{"Content-Type", "application/pdf"}}, pdf, false, false, false};
  }
  no_such_page();
}

Response Shop::order(const Visit& visit) {
  const Fields in = visit.json({"product", "card", "receiver"});
  const std::string key = visit.header("idempotency-key");
  check_idempotency_key(key);
  check_card_number(in.at("card"));
  if (in.at("product") != kProduct) throw ApiError(400, "NoSuchProduct", "There is no such card.");
  const std::string& receiver = in.at("receiver");
  const size_t at = receiver.find('@');
  if (receiver.size() > kMaxAddress || at == std::string::npos || at == 0 ||
      at + 1 == receiver.size()) {
    malformed("The receiver is no address.");
  }
  auto found = orders_.find(key);
  if (found == orders_.end()) {
    if (orders_.size() >= kMaxOrders) throw ApiError(503, "Full", "No more can be ordered.");
    Order made{"order-" + random_hex(16), in.at("card"), receiver, in.at("product"), 201};
    visit.saw("idempotency key", key, made.id);
    if (core_.behaviour.refused_cards > 0) {
      --core_.behaviour.refused_cards;
      made.status = 402;
    } else {
      sell(visit, made);
    }
    found = orders_.emplace(key, made).first;
  }
  const Order& kept = found->second;
  if (kept.card != in.at("card") || kept.receiver != receiver || kept.product != in.at("product")) {
    throw ApiError(422, "IdempotencyMismatch", "This key was used for another order.");
  }
  if (kept.status != 201) {
    throw ApiError(402, "CardDeclined", "The card " + kept.card + " was declined.");
  }
  return json_answer(201, {{"order", kept.id}, {"receiver", kept.receiver}});
}

void Shop::sell(const Visit& visit, const Order& order) {
  const std::string token = random_text(kTokenLength, kTokenAlphabet);
  Sold& sold = sold_[token];
  sold = {order.id, {new_card_number(kIssuer), "12/30", random_text(3, "0123456789")}, 0};
  visit.saw("charge", order.card, order.id);
  visit.gave("voucher", token, order.id);
  visit.gave("card number", sold.voucher.number, order.id);
  core_.mail.deliver_strangers(order.receiver, core_.now);
  core_.mail.send({order.receiver, kSender, "Sandbox Cards", "Your card",
                   std::string("Here it is: https://") + kHost + "/voucher?token=" + token},
                  core_.now);
}

const Shop::Sold& Shop::redeem(const Visit& visit) {
  const auto found = sold_.find(visit.query({"token"}).at("token"));
  if (found == sold_.end()) throw ApiError(404, "NoSuchVoucher", "There is no such voucher.");
  const unsigned most = core_.behaviour.voucher_answers;
  if (most != 0 && found->second.answers >= most) {
    throw ApiError(410, "Gone", "This voucher was shown already.");
  }
  ++found->second.answers;
  return found->second;
}

}  // namespace flexroom::cloud
