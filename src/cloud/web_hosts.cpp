#include "cloud/web_hosts.h"

#include "base/error.h"

namespace flexroom::cloud {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Letter, to, from, from_name, subject, text)

namespace {

WebBehaviour behaviour_of(const SandboxOptions& options) {
  WebBehaviour behaviour;
  for (const std::string& setting : options.settings) apply_setting(behaviour, setting);
  return behaviour;
}

}  // namespace

void WebHosts::check(const SandboxOptions& options) {
  behaviour_of(options);
  Faults().set(options.faults);
  PageKey::check_size(options.page_key_bits);
  const Sightings opened(options.record);
}

WebHosts::WebHosts(const std::filesystem::path& state_dir, Directory& directory, Faults& faults,
                   const SandboxOptions& options, const std::string& region)
    : directory_(directory),
      faults_(faults),
      sightings_(options.record),
      admin_(state_dir / "admin-token"),
      core_(state_dir, directory, behaviour_of(options)),
      signup_(core_, state_dir, options.page_key_bits),
      signin_(core_, state_dir, options.page_key_bits),
      console_(core_),
      shop_(core_),
      support_(core_, sightings_),
      quotas_(core_, support_, sightings_, region) {
  apply_lags();
}

void WebHosts::apply_lags() {
  Lags& lags = directory_.lags();
  lags.key_s = core_.behaviour.key_lag_s;
  lags.role_s = core_.behaviour.role_lag_s;
  lags.group_s = core_.behaviour.group_lag_s;
  lags.no_instances = core_.behaviour.no_instances;
}

void WebHosts::begin(std::time_t now) {
  core_.now = now;
  // What the desks do by themselves has happened by the time anybody looks.
  quotas_.settle();
  support_.settle();
}

void WebHosts::settle(std::time_t now) {
  const std::lock_guard lock(mutex_);
  begin(now);
}

Response WebHosts::handle_desk(Service service, const Request& request, const Caller& caller,
                               std::time_t now) {
  const std::lock_guard lock(mutex_);
  begin(now);
  return service == Service::kSupport ? support_.handle(request, caller)
                                      : quotas_.handle(request, caller);
}

Response WebHosts::handle(Service service, const Request& request, std::time_t now) {
  const std::lock_guard lock(mutex_);
  begin(now);
  if (service == Service::kAdmin) {
    if (!admin_.borne_by(request)) throw ApiError(401, "BadToken", "See STATE/admin-token.");
    return steer(request);
  }
  const Visit visit(request, std::string(to_string(service)), sightings_);
  switch (service) {
    case Service::kMail:
      return core_.mail.handle(visit, now);
    case Service::kSignup:
      return signup_.handle(visit);
    case Service::kSignin:
      return signin_.handle(visit);
    case Service::kConsole:
      return console_.handle(visit);
    case Service::kShop:
      return shop_.handle(visit);
    default:
      no_such_page();
  }
}

Response WebHosts::steer(const Request& request) {
  const std::string page = request.method + " " + request.path;
  if (page == "GET /seen") {
    auto seen = nlohmann::json::array();
    for (const auto& one : sightings_.list()) seen.push_back(json_of(one));
    return json_answer(200, seen);
  }
  if (page == "GET /settings") return json_answer(200, settings_of(core_.behaviour));
  try {
    if (command(page, nlohmann::json::parse(request.body))) {
      return Response{204, {}, "", false, false, false};
    }
  } catch (const nlohmann::json::exception&) {
    malformed("The body is not the JSON that belongs here.");
  } catch (const InputError& error) {
    malformed(error.what());
  }
  no_such_page();
}

bool WebHosts::command(const std::string& page, const nlohmann::json& body) {
  if (page == "POST /settings") {
    apply_settings(core_.behaviour, body);
    apply_lags();
  } else if (page == "POST /faults") {
    faults_.set(body.get<std::vector<std::string>>());
  } else if (page == "POST /mails") {
    core_.mail.deliver(body.get<Letter>(), core_.now);
  } else if (page == "POST /words") {
    if (!support_.say(body.at("case"), body.at("text"))) malformed("There is no such case.");
  } else if (page == "POST /quotas") {
    if (!quotas_.decide(body.at("id"), body.at("status"))) malformed("No such open request.");
  } else {
    return false;
  }
  return true;
}

}  // namespace flexroom::cloud
