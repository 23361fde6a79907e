#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cloud/auth.h"
#include "cloud/json_rpc.h"
#include "cloud/people.h"

namespace flexroom::cloud {

/// The support desk: cases of an account and what is said in them (AWS Support API 2013-04-15), and
/// the desk's mails to whoever signed up for the account, which repeat its address as desks do. In
/// memory. Not thread-safe.
class Support {
 public:
  static constexpr const char* kSender = "support@aws.flexroom.example";
  static constexpr const char* kDesk = "Amazon Web Services";

  Support(WebCore& core, Sightings& sightings) : core_(core), sightings_(sightings) {}
  Response handle(const Request& request, const Caller& caller);

  /// A case that the provider opens for the account; its id.
  std::string open_case(const std::string& account, const std::string& subject,
                        const std::string& body);
  /// The desk says that in the case. False: there is no such case.
  bool say(const std::string& case_id, const std::string& words);
  /// What the desk says by itself by now.
  void settle();

 private:
  struct Communication {
    std::string body, by;
    std::time_t at = 0;
  };
  struct Case {
    std::string id, display_id, account, subject, status, by;
    std::string service, category, severity, language;
    std::vector<std::string> copies;
    std::time_t created = 0;
    std::deque<Communication> words;  // newest first
    std::optional<std::time_t> answer_due;
    std::string answer;
  };

  nlohmann::json describe_cases(const Members& in, const Caller& caller);
  nlohmann::json create_case(const Members& in, const Caller& caller);
  nlohmann::json describe_communications(const Members& in, const Caller& caller);
  nlohmann::json add_communication(const Members& in, const Caller& caller);
  nlohmann::json resolve_case(const Members& in, const Caller& caller);

  Case& add(Case one);
  Case& find(const std::string& id, const std::string& account);
  void answer(Case& one, const std::string& words, std::time_t at);
  void mail(const Case& one, const std::string& words, std::time_t at);
  nlohmann::json case_json(const Case& one, bool with_words) const;

  WebCore& core_;
  Sightings& sightings_;
  std::vector<Case> cases_;  // in the order in which they were opened
};

}  // namespace flexroom::cloud
