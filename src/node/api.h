#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "node/core.h"
#include "node/http_server.h"
#include "node/log_pages.h"
#include "node/operator_voice.h"
#include "node/page_tokens.h"
#include "node/peer_link.h"
#include "node/people_desk.h"
#include "node/runner.h"

namespace flexroom::node {

/// Who a caller is on this machine, and what that allows (members.md §9.1).
struct Authority {
  std::string name;  // "root", a person of member.toml, or "uid 1234"
  bool see = false, propose = false;
  bool is_root = false;  // or the user that the node runs as
};
/// root, and the user that the node runs as, may all that is no voice; persons of member.toml what
/// their roles say; everybody else reads the status alone.
Authority authority_of(const Caller& caller, const std::vector<NodeTerms::Person>& persons,
                       uid_t own_uid);

/// The objects of the API: the command line shows the same.
nlohmann::json to_json(const inbox::Item& item, const Core& core);

/// The HTTP/JSON API of a node (docs/api/openapi.json): looks things up, proposes, takes voices
/// with their signatures. No call of it approves by who calls (members.md §9.1).
///
/// Threads  any
class Api {
 public:
  using Links = std::map<agreement::MemberId, std::unique_ptr<PeerLink>>;
  Api(Core& core, Runner& runner, Links& links, uid_t own_uid);
  /// What comes over the control socket.
  HttpAnswer handle(const HttpRequest& request, const Caller& caller);
  /// What the console's page asks: Host and Origin were looked at (console.h), who it is says its
  /// token. 401 without one.
  HttpAnswer of_page(const HttpRequest& request);
  /// Where the console is, or why there is none. Before the first request.
  void set_console(std::string origin, std::string problem);
  /// The console's origin, whose passkeys are taken. Before the first request.
  void set_console_port(uint16_t port) { people_.set_console(port); }
  /// No new proposals from here on: 503.
  void drain() { draining_ = true; }

  /// Of every route its method and its path with names in braces, as the description has them.
  static std::vector<std::pair<std::string, std::string>> routes();

 private:
  struct Call {
    const HttpRequest& request;
    const Authority& authority;
    const Caller& caller;
    std::string id;  // of the path
  };
  using Answer = HttpAnswer (Api::*)(const Call&);
  /// kSocket: see, and only over the control socket. kLink: of a page that has no token yet.
  enum class Needs : uint8_t { kNothing, kSee, kPropose, kSocket, kLink };
  struct Route {
    const char* method;
    const char* path;
    Needs needs;
    Answer answer;
  };
  static const std::vector<Route>& table();
  HttpAnswer routed(const HttpRequest& request, const Authority& authority, const Caller& caller,
                    bool of_page);

  HttpAnswer status(const Call& call);
  HttpAnswer members(const Call& call);
  HttpAnswer secrets(const Call& call);
  HttpAnswer log(const Call& call);
  HttpAnswer log_entry(const Call& call);
  HttpAnswer log_export(const Call& call);
  HttpAnswer health(const Call& call);
  HttpAnswer leaks(const Call& call);
  HttpAnswer console_link(const Call& call);
  HttpAnswer console_open(const Call& call);
  HttpAnswer console_close(const Call& call);
  HttpAnswer proposal_words(const Call& call);
  HttpAnswer events(const Call& call);
  HttpAnswer proposals(const Call& call);
  HttpAnswer propose(const Call& call);
  HttpAnswer proposal(const Call& call);
  HttpAnswer proposal_diff(const Call& call);
  HttpAnswer ticket(const Call& call);
  HttpAnswer voice(const Call& call);
  HttpAnswer give_input(const Call& call);
  HttpAnswer people_rule(const Call& call);
  HttpAnswer people_change(const Call& call);
  HttpAnswer people_ticket(const Call& call);
  HttpAnswer people_voice(const Call& call);
  HttpAnswer enrolment(const Call& call);
  HttpAnswer enrolment_key(const Call& call);
  HttpAnswer runs(const Call& call);
  HttpAnswer run(const Call& call);
  HttpAnswer result(const Call& call);

  static nlohmann::json progress_json(const PeopleDesk::Progress& progress);
  static nlohmann::json asked_json(const PeopleDesk::Asked& asked);
  PeopleDesk::Progress say_as_operator(const Core::Open& open, const inbox::Item& item,
                                       const nlohmann::json& body, agreement::StatementKind& kind);
  PeopleDesk::Progress say_as_person(const Core::Open& open, const inbox::Item& item,
                                     const nlohmann::json& body, agreement::StatementKind& kind);
  void require_administers(const Core::Open& open, const Authority& authority) const;
  void require_enrols(const Core::Open& open, const Authority& authority,
                      const std::string& person) const;
  nlohmann::json peers();
  inbox::Item item_called(inbox::Inbox& inbox, const std::string& id);

  Core& core_;
  Runner& runner_;
  Links& links_;
  const uid_t own_uid_;
  OperatorTickets tickets_;
  LogPages log_pages_;  // under Core::with()
  PageTokens pages_;
  std::string console_origin_, console_problem_;
  std::mutex words_mutex_;  // one at a time: each takes a second and 128 MiB
  std::map<Digest, std::string> words_;
  PeopleDesk people_;  // under the core
  std::atomic<bool> draining_{false};
};

}  // namespace flexroom::node
