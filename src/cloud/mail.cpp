#include "cloud/mail.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "cloud/accounts.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxBoxes = 10000, kMaxMessages = 200, kPage = 30, kIntroBytes = 120;
constexpr const char* kLd = "application/ld+json; charset=utf-8";

std::string timestamp(std::time_t time) {
  std::string text = iso_date(time);
  text.pop_back();
  return text + "+00:00";
}

[[noreturn]] void unprocessable(const std::string& field, const std::string& message) {
  throw ApiError(422, field, message);
}

/// The address in lower case. Local part: letters, digits, ".", "_", "-", "+".
std::string checked_address(const std::string& text) {
  const std::string address = lower(text);
  const size_t at = address.find('@');
  if (at == std::string::npos || at == 0 || at > 64 ||
      address.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-+") != at) {
    unprocessable("address", "This value is not a valid email address.");
  }
  if (address.substr(at + 1) != Mail::kDomain) {
    unprocessable("address", "The domain is not one of ours.");
  }
  return address;
}

nlohmann::json message_json(const std::string& id, const std::string& account, const Letter& letter,
                            std::time_t time) {
  const std::string path = "/messages/" + id;
  return {{"@id", path},
          {"@type", "Message"},
          {"id", id},
          {"accountId", "/accounts/" + account},
          {"msgid", "<" + id + "@" + Mail::kHost + ">"},
          {"from", {{"address", letter.from}, {"name", letter.from_name}}},
          {"to", {{{"address", letter.to}, {"name", ""}}}},
          {"subject", letter.subject},
          {"intro", letter.text.substr(0, kIntroBytes)},
          {"seen", false},
          {"isDeleted", false},
          {"hasAttachments", false},
          {"size", letter.text.size()},
          {"downloadUrl", path + "/download"},
          {"createdAt", timestamp(time)},
          {"updatedAt", timestamp(time)}};
}

}  // namespace

Mail::Mail(std::filesystem::path state_dir, WebBehaviour& behaviour)
    : file_(std::move(state_dir) / "mailboxes.json"), behaviour_(behaviour) {
  std::ifstream file(file_);
  if (!file) return;
  try {
    const auto all = nlohmann::json::parse(file);
    for (const auto& [address, box] : all.items()) {
      boxes_[address] = {box.at("id"), box.at("password"), box.at("created"), {}};
    }
  } catch (const nlohmann::json::exception&) {
    throw InputError(file_.string(), "is not a list of mailboxes",
                     "remove the state folder to begin anew");
  }
}

void Mail::save() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [address, box] : boxes_) {
    all[address] = {{"id", box.id}, {"password", box.password}, {"created", box.created}};
  }
  write_private_file(file_, json_text(all, 1) + "\n");
}

Response Mail::handle(const Visit& visit, std::time_t now) {
  if (visit.page() == "GET /domains") {
    const auto domain = [&](const char* id, const char* name, bool active) -> nlohmann::json {
      return {{"@id", std::string("/domains/") + id},
              {"@type", "Domain"},
              {"id", id},
              {"domain", name},
              {"isActive", active},
              {"isPrivate", false},
              {"createdAt", timestamp(0)},
              {"updatedAt", timestamp(0)}};
    };
    return json_answer(200, {{"@context", "/contexts/Domain"},
                             {"@id", "/domains"},
                             {"@type", "hydra:Collection"},
                             {"hydra:totalItems", 2},
                             {"hydra:member",
                              {domain("67178290fd0d15bb39041edb", "closed-mail.test", false),
                               domain("67178290fd0d15bb39041edc", kDomain, true)}}});
  }
  if (visit.page() == "POST /accounts") return create(visit, now);
  if (visit.page() == "POST /token") return log_in(visit, now);
  const std::string* const address = tokens_.find(visit.bearer(), behaviour_.token_lifetime_s, now);
  if (address == nullptr) throw ApiError(401, "Unauthorized", "Invalid JWT Token");
  Box& box = boxes_.at(*address);
  if (visit.page() == "GET /messages") return list(box, now);
  if (const auto id = visit.below("DELETE", "/messages/")) return remove(box, *id, now);
  if (const auto id = visit.below("GET", "/messages/")) {
    for (const Message& message : box.messages) {
      if (message.id != *id || message.arrives > now) continue;
      auto one = message_json(message.id, box.id, message.letter, message.arrives);
      one["text"] = message.letter.text + "\n";
      one["html"] = {"<p>" + message.letter.text + "</p>"};
      return json_answer(200, one, kLd);
    }
  }
  no_such_page();
}

nlohmann::json Mail::about(const std::string& address, const Box& box) const {
  return {{"@context", "/contexts/Account"},
          {"@id", "/accounts/" + box.id},
          {"@type", "Account"},
          {"id", box.id},
          {"address", address},
          {"quota", 40000000},
          {"used", 0},
          {"isDisabled", false},
          {"isDeleted", false},
          {"createdAt", timestamp(box.created)},
          {"updatedAt", timestamp(box.created)}};
}

Response Mail::create(const Visit& visit, std::time_t now) {
  const Fields in = visit.json({"address", "password"});
  const std::string address = checked_address(in.at("address"));
  if (in.at("password").size() < 8 || in.at("password").size() > 128) {
    unprocessable("password", "This value is too short or too long.");
  }
  if (boxes_.size() >= kMaxBoxes) throw ApiError(503, "Full", "No more mailboxes can be opened.");
  const bool taken = behaviour_.taken_addresses > 0 && !boxes_.contains(address);
  if (taken || boxes_.contains(address)) {
    if (taken) {
      --behaviour_.taken_addresses;
      boxes_[address] = {random_hex(24), random_hex(32), now, {}};
      save();
    }
    unprocessable("address", "This value is already used.");
  }
  Box& box = boxes_[address] = {random_hex(24), in.at("password"), now, {}};
  save();
  deliver_strangers(address, now);
  return json_answer(201, about(address, box), kLd);
}

Response Mail::log_in(const Visit& visit, std::time_t now) {
  const Fields in = visit.json({"address", "password"});
  const auto box = boxes_.find(lower(in.at("address")));
  if (box == boxes_.end() || box->second.password != in.at("password")) {
    throw ApiError(401, "Unauthorized", "Invalid credentials.");
  }
  const std::string token = tokens_.add(box->first, now);
  visit.gave("bearer token", token, box->first);
  return json_answer(
      200, {{"token", token}, {"@id", "/accounts/" + box->second.id}, {"id", box->second.id}});
}

Response Mail::list(const Box& box, std::time_t now) const {
  nlohmann::json members = nlohmann::json::array();
  size_t total = 0;
  for (const Message& message : box.messages) {
    if (message.arrives > now || ++total > kPage) continue;
    members.push_back(message_json(message.id, box.id, message.letter, message.arrives));
  }
  Response response = json_answer(200,
                                  {{"@context", "/contexts/Message"},
                                   {"@id", "/messages"},
                                   {"@type", "hydra:Collection"},
                                   {"hydra:totalItems", total},
                                   {"hydra:member", members}},
                                  kLd);
  if (behaviour_.odd_lists) {
    make_odd(response, "\"hydra:member\":[",
             R"({"id":"odd1","from":"nobody","subject":"Verification code"},)"
             R"({"id":"odd2","from":{"address":"n\u006f-reply@signup.flexroom.example"},)"
             R"("subject":"Verification code","intro":"Your verification code is 111111"})");
  }
  return response;
}

Response Mail::remove(Box& box, const std::string& id, std::time_t now) {
  const auto gone =
      std::erase_if(box.messages, [&](const Message& m) { return m.id == id && m.arrives <= now; });
  if (gone == 0) throw ApiError(404, "NotFound", "Not Found");
  return Response{204, {}, "", false, false, false};
}

void Mail::send(const Letter& letter, std::time_t now) {
  if (behaviour_.lost_mails > 0) {
    --behaviour_.lost_mails;
  } else {
    deliver(letter, now);
  }
}

void Mail::deliver(const Letter& letter, std::time_t now) {
  const auto box = boxes_.find(lower(letter.to));
  if (box == boxes_.end()) return;
  auto& messages = box->second.messages;
  const std::time_t arrives = now + behaviour_.mail_delay_s;
  const auto older = std::find_if(messages.begin(), messages.end(),
                                  [&](const Message& m) { return m.arrives <= arrives; });
  messages.insert(older, {random_hex(24), letter, arrives});
  if (messages.size() > kMaxMessages) messages.pop_back();
}

void Mail::deliver_strangers(const std::string& to, std::time_t now) {
  for (unsigned i = 0; i < behaviour_.strangers; ++i) {
    deliver({to, "spam" + std::to_string(i) + "@stranger.test", "Verification", "Verification code",
             "Your verification code is 666666"},
            now);
  }
}

}  // namespace flexroom::cloud
