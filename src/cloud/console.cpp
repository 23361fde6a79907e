#include "cloud/console.h"

#include "cloud/signin.h"

namespace flexroom::cloud {

Response redirect(const std::string& location) {
  return Response{302, {{"Location", location}}, "", false, false, false};
}

Response Console::handle(const Visit& visit) {
  const std::string page = visit.page();
  if (page == "GET /console") return begin(visit);
  if (page == "GET /callback") return callback(visit);
  const auto id = visit.below("DELETE", "/keys/");
  if (page != "GET /home" && page != "GET /keys" && page != "POST /keys" && !id) no_such_page();
  Session* const session =
      sessions_.find(visit.cookie("console-creds"), core_.behaviour.console_lifetime_s, core_.now);
  if (session == nullptr) throw ApiError(401, "SignInFirst", "Nobody is signed in any more.");
  if (page == "GET /home") return home(visit, *session);
  const std::string account = core_.people.find(session->email)->account_id;
  if (page == "GET /keys") return list_keys(account);
  visit.no_body();
  if (session->csrf.empty() || session->csrf != visit.cookie("console-csrf")) {
    throw ApiError(403, "BadCsrf", "console-csrf is not the newest one of this session.");
  }
  return id ? delete_key(account, *id) : create_key(visit, account);
}

Response Console::begin(const Visit& visit) {
  const std::string state = core_.states.add("", core_.now);
  visit.gave("state", state);
  Response response = redirect(std::string("https://") + Signin::kHost + "/oauth?state=" + state);
  give_cookie(visit, response, "console", visits_.add(state, core_.now));
  return response;
}

Response Console::callback(const Visit& visit) {
  const Fields in = visit.query({"code", "state"});
  const std::string* const state =
      visits_.find(visit.cookie("console"), core_.behaviour.session_lifetime_s, core_.now);
  const auto grant = core_.grants.take(in.at("code"), core_.behaviour.code_lifetime_s, core_.now);
  if (!grant || state == nullptr || *state != in.at("state") || grant->state != *state) {
    throw ApiError(401, "BadCode", "The code or the state is wrong or late.");
  }
  Response response = redirect("/home");
  give_cookie(visit, response, "console-creds", sessions_.add({grant->email, ""}, core_.now));
  return response;
}

Response Console::home(const Visit& visit, Session& session) {
  session.csrf = random_hex(32);
  Response response = json_answer(200, nlohmann::json::object());
  give_cookie(visit, response, "console-csrf", session.csrf);
  return response;
}

Response Console::list_keys(const std::string& account) {
  // The list is as old as the behaviour says: without the newest keys, with those just deleted.
  const std::time_t seen = core_.now - core_.behaviour.list_lag_s;
  auto keys = nlohmann::json::array();
  for (const auto& [id, key] : core_.directory.snapshot(account).keys) {
    if (key.user != People::kUser || key.created > seen) continue;
    keys.push_back({{"id", id}, {"created", iso_date(key.created)}});
  }
  std::erase_if(deleted_, [&](const Deleted& one) { return one.at <= seen; });
  for (const Deleted& one : deleted_) {
    if (one.account == account) keys.push_back({{"id", one.key}, {"created", iso_date(one.at)}});
  }
  Response response = json_answer(200, {{"keys", keys}});
  if (core_.behaviour.odd_lists) {
    make_odd(response, "\"keys\":[", R"({"id":7},{"name":"x"})");
  }
  return response;
}

Response Console::create_key(const Visit& visit, const std::string& account) {
  const AccessKey key = core_.directory.update(account, [](Account& change) {
    if (count_keys(change, People::kUser) >= kMaxUserKeys) {
      throw ApiError(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2");
    }
    const AccessKey made = new_access_key(People::kUser);
    return change.keys[made.id] = made;
  });
  visit.gave("access key", key.secret, key.id);
  return json_answer(201, {{"UserName", key.user},
                           {"AccessKeyId", key.id},
                           {"Status", "Active"},
                           {"SecretAccessKey", key.secret},
                           {"CreateDate", iso_date(key.created)}});
}

Response Console::delete_key(const std::string& account, const std::string& id) {
  core_.directory.update(account, [&](Account& change) {
    const auto found = change.keys.find(id);
    if (found == change.keys.end() || found->second.user != People::kUser) {
      throw ApiError(404, "NoSuchEntity", "There is no such key.");
    }
    change.keys.erase(found);
  });
  deleted_.push_back({account, id, core_.now});
  return Response{204, {}, "", false, false, false};
}

}  // namespace flexroom::cloud
