#pragma once

#include <gtest/gtest.h>

#include <ctime>

#include "cloud/totp.h"
#include "support/sightings.h"
#include "support/sweeps.h"
#include "unit/cloud/browser.h"
#include "unit/flow/run_fixture.h"

// The shipped flows at the sandbox, killed at every durable step of one member and of all, and with
// restored state: what there is at the sandbox is counted (operations.md (c)). The flow's machine,
// its members' state.db and once.db, the files and the hosts are the product's and the sandbox's
// own; in the place of MPC and TLS stands an ideal engine that makes each request in the clear.
// FlowStory and FlowFaults (tests/unit/cli) run such files through the whole product, FlowRun
// (tests/unit/flow) more histories against toys.

namespace flexroom::flow {

using cloud::test::Fixture;
using nlohmann::json;

inline const Flow& shipped_file(const std::string& name) {
  static std::map<std::string, Flow> all;
  auto it = all.find(name);
  if (it == all.end()) it = all.emplace(name, load_shipped(name)).first;
  return it->second;
}

/// An answer's elements as members of objects, the first of each name.
inline json json_of_elements(std::string_view& rest) {
  json out;
  for (;;) {
    const size_t tag = rest.find('<'), end = rest.find('>', tag);
    const std::string text(rest.substr(0, tag));
    const bool last = rest[tag + 1] == '/', prolog = rest[tag + 1] == '?';
    const std::string name(rest.substr(tag + 1, rest.find_first_of(" />", tag + 1) - tag - 1));
    const bool empty = rest[end - 1] == '/';
    rest.remove_prefix(end + 1);
    if (last) return out.is_null() ? json(text) : out;
    if (!prolog) out.emplace(name, empty ? json("") : json_of_elements(rest));
  }
}
inline json json_of_xml(const std::string& text) {
  const std::string whole = text + "</>";
  std::string_view rest = whole;
  return json_of_elements(rest);
}

/// Its hosts as the ideal engine calls them.
class Hosts {
 public:
  explicit Hosts(const Fixture& fixture) : sandbox_(*fixture.sandbox), dir_(fixture.dir) {}

  std::optional<ToyAnswer> call(const ToyRequest& request) {
    cloud::Request sent = read(request.raw);
    if (!request.sign_id.empty()) {
      std::erase_if(sent.headers, [](const auto& header) {
        static const std::set<std::string> added = {"authorization", "x-amz-date", "connection",
                                                    "x-amz-content-sha256", "content-length"};
        return added.contains(http::to_lower(header.first));
      });
      const cloud::AccountKey key{"", request.sign_id, request.sign_secret};
      const auto service = cloud::service_by_name(request.sign_service);
      sent = read(cloud::test::signed_request(key, service.value(), sent));
    }
    const auto answer = sandbox_.respond(sent);
    if (!answer) return std::nullopt;
    ToyAnswer out;
    out.status = answer->status;
    for (const auto& [name, value] : answer->headers) {
      const std::string field = http::to_lower(name);
      const size_t equals = value.find('='), end = value.find(';');
      if (field == "set-cookie") {
        out.cookies[value.substr(0, equals)] = value.substr(equals + 1, end - equals - 1);
      } else {
        out.headers[field] = value;
      }
    }
    out.text = answer->body;
    out.body = answer->body.starts_with('<') ? json_of_xml(answer->body)
                                             : json::parse(answer->body, nullptr, false);
    return out;
  }
  json kept(const std::string& name) const {
    std::ifstream in(dir_ / "state" / name);
    return in ? json::parse(in) : json::object();
  }

 private:
  static cloud::Request read(const std::string& text) {
    cloud::Request out;
    const size_t end = text.find("\r\n\r\n"), line = text.find("\r\n");
    const size_t first = text.find(' '), second = text.find(' ', first + 1);
    out.method = text.substr(0, first);
    const std::string target = text.substr(first + 1, second - first - 1);
    out.path = target.substr(0, target.find('?'));
    if (out.path.size() < target.size()) out.query = target.substr(out.path.size() + 1);
    for (size_t at = line + 2; at < end + 2;) {
      const size_t stop = text.find("\r\n", at), colon = text.find(": ", at);
      out.headers.emplace_back(text.substr(at, colon - at),
                               text.substr(colon + 2, stop - colon - 2));
      at = stop + 2;
    }
    out.body = text.substr(end + 4);
    return out;
  }
  cloud::Sandbox& sandbox_;
  const fs::path dir_;
};

/// Histories of shipped flows at one sandbox, and what there is there afterwards.
class FlowCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "flexroom-crash-XXXXXX").string();
    work_ = mkdtemp(name.data());
    cloud::SandboxOptions options;
    options.record = work_ / "seen";
    fixture_ = new Fixture(options);
    hosts_ = new Hosts(*fixture_);
    seen_ = new support::Sightings(work_ / "seen");
  }
  void TearDown() override {
    delete hosts_;
    delete fixture_;
    delete seen_;
    fs::remove_all(work_);
  }
  static std::unique_ptr<History> history(size_t n = 2) {
    static uint64_t made = 0;
    constexpr uint64_t kSessions = 1000;  // of one history, at most
    auto out = std::make_unique<History>(n, kSessions * ++made);
    out->toy.provider = [](const ToyRequest& request) { return hosts_->call(request); };
    out->toy.encrypt = [](const std::string& text, const json& key) {
      return cloud::test::jwe(key, text);
    };
    out->toy.reader = [](const Person::Question& question) {
      return seen_->answer_to(question.step);
    };
    out->toy.metadata = [] { return cloud::test::client_metadata(); };
    out->toy.code = [](const std::string& key, bool next) {
      return cloud::totp(key, std::time(nullptr) / 30 + (next ? 1 : 0)).value();
    };
    out->toy.inputs = {{"phone-number", "491701234567"},
                       {"card-number", kCard},
                       {"payer-card", kCard},
                       {"postal-address", std::string(96, 'x')}};
    return out;
  }
  /// Live keys of the history's account, as the sandbox has them.
  static std::set<std::string> keys(History& h) {
    std::set<std::string> out;
    const json accounts = hosts_->kept("iam.json")["accounts"];
    const std::string id = h.current("account", "account-id");
    if (!accounts.contains(id)) return out;
    const json& live = accounts[id]["keys"];
    for (const auto& one : live.items()) out.insert(one.key());
    return out;
  }
  /// What is there since `before` and is not the history's, or is there twice. Empty: nothing.
  struct Counts {
    std::set<std::string> people, boxes;
    size_t charges = 0;
  };
  static Counts counts() {
    Counts out;
    const json people = hosts_->kept("people.json"), boxes = hosts_->kept("mailboxes.json");
    for (const auto& one : people.items()) out.people.insert(one.key());
    for (const auto& one : boxes.items()) out.boxes.insert(one.key());
    out.charges = seen_->values("charge").size();
    return out;
  }
  static std::string harm(History& h, const Counts& before, bool has_session) {
    const Counts now = counts();
    const std::string address = h.current("account", "mail/address");
    for (const auto of : {&Counts::people, &Counts::boxes}) {
      for (const std::string& one : now.*of) {
        if (!(before.*of).contains(one) && one != address) return "an orphan: " + one;
      }
    }
    const json people = hosts_->kept("people.json"), boxes = hosts_->kept("mailboxes.json");
    if (!people.contains(address) || !boxes.contains(address)) return "no account";
    const json& person = people[address];
    if (person["password"] != h.current("account", "account/password")) return "lost password";
    if (boxes[address]["password"] != h.current("account", "mail/password")) return "lost mailbox";
    if (person["account_id"] != h.current("account", "account-id")) return "another account";
    if (now.charges != before.charges + 1) {
      return "charges: " + std::to_string(now.charges - before.charges);
    }
    return has_session ? harm_of_key(h) : "";
  }
  /// One key, which is the room's, and the room has its secret in one version.
  static std::string harm_of_key(History& h) {
    const std::string id = h.current("account", "keys/id");
    const std::set<std::string> live = keys(h);
    if (live != std::set<std::string>{id}) return "live keys: " + std::to_string(live.size());
    if (seen_->values("access key", id) !=
        std::vector<std::string>{h.current("account", "keys/secret")}) {
      return "key and id differ";
    }
    for (PartyId i = 0; i < h.n(); ++i) {
      const size_t rows = h.look_at_secrets(i, [](store::SecretStore& secrets) {
        const auto all = secrets.list();
        return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const auto& one) {
          return one.name.ends_with("keys/secret");
        }));
      });
      if (rows != 1) return "versions of the key: " + std::to_string(rows);
    }
    return "";
  }
  /// Of every durable step of every member: at most two keys live, and the one that its room has is
  /// among them.
  static void watch_keys(History& h, const std::string& account) {
    h.at_durable = [&h, account](PartyId, std::string_view step, RunStore& store) {
      const std::lock_guard lock(h.toy.mutex);
      const json live = hosts_->kept("iam.json")["accounts"][account]["keys"];
      EXPECT_LE(live.size(), 2u) << step;
      const auto current = store.room_value("account", "keys/id");
      ASSERT_TRUE(current.has_value());
      EXPECT_TRUE(live.contains(std::string(as_text(current->bytes.reveal())))) << step;
    };
  }
  /// 1, 2 .. in the long run; else so many of them, spread over all.
  static std::vector<size_t> some_of(size_t steps, size_t usual) {
    std::vector<size_t> out;
    const bool all = std::getenv("FLEXROOM_LONG") != nullptr;
    if (!all && usual == 1) return {1 + steps / 2};
    for (size_t k = 0; k < (all ? steps : usual); ++k) {
      out.push_back(1 + (all ? k : k * (steps - 1) / (usual - 1)));
    }
    return out;
  }
  /// Each member, all of them: each in the long run, else by turns.
  static std::vector<Kill> kills(size_t at, size_t turn, size_t n = 2) {
    std::vector<Kill> all;
    for (PartyId i = 0; i < n; ++i) all.push_back({i, at, false});
    all.push_back({0, at, true});
    return std::getenv("FLEXROOM_LONG") != nullptr ? all
                                                   : std::vector<Kill>{all[turn % all.size()]};
  }

  static bool fired(const std::vector<std::string>& ended, const Kill& kill) {
    return ended[kill.member].find("killed") != std::string::npos;
  }

  static constexpr const char* kCard = "4111111111111111";
  inline static fs::path work_;
  inline static Fixture* fixture_ = nullptr;
  inline static Hosts* hosts_ = nullptr;
  inline static support::Sightings* seen_ = nullptr;
};

}  // namespace flexroom::flow
