#pragma once

#include <ctime>
#include <deque>
#include <filesystem>
#include <map>
#include <string>

#include "cloud/web.h"

namespace flexroom::cloud {

/// A mail as somebody sends it.
struct Letter {
  std::string to, from, from_name, subject, text;
};

/// The mail service mail.flexroom.example in the shape of mail.tm: anybody opens a mailbox at
/// example-mail.test and reads it with a token. Mailboxes outlive the process (mailboxes.json,
/// 0600), mails do not. Not thread-safe.
class Mail {
 public:
  static constexpr const char* kHost = "mail.flexroom.example";
  static constexpr const char* kDomain = "example-mail.test";

  Mail(std::filesystem::path state_dir, WebBehaviour& behaviour);
  /// GET /domains, POST /accounts and /token, GET /messages and /messages/ID, DELETE /messages/ID.
  Response handle(const Visit& visit, std::time_t now);
  /// Lost where there is no such mailbox, or where the behaviour says so.
  void send(const Letter& letter, std::time_t now);
  /// Never lost by itself.
  void deliver(const Letter& letter, std::time_t now);
  /// Mails of others that look like a code's, as many as the behaviour says.
  void deliver_strangers(const std::string& to, std::time_t now);

 private:
  struct Message {
    std::string id;
    Letter letter;
    std::time_t arrives = 0;
  };
  struct Box {
    std::string id, password;
    std::time_t created = 0;
    std::deque<Message> messages;  // newest first
  };
  Response create(const Visit& visit, std::time_t now);
  Response log_in(const Visit& visit, std::time_t now);
  Response list(const Box& box, std::time_t now) const;
  Response remove(Box& box, const std::string& id, std::time_t now);
  nlohmann::json about(const std::string& address, const Box& box) const;
  void save() const;

  std::filesystem::path file_;
  WebBehaviour& behaviour_;
  std::map<std::string, Box> boxes_;  // by address in lower case
  Tokens<std::string> tokens_;        // of an address
};

}  // namespace flexroom::cloud
