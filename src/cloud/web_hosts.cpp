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
                   const SandboxOptions& options)
    : directory_(directory),
      faults_(faults),
      sightings_(options.record),
      admin_(state_dir / "admin-token"),
      core_(state_dir, directory, behaviour_of(options)),
      signup_(core_, state_dir, options.page_key_bits),
      signin_(core_, state_dir, options.page_key_bits),
      console_(core_) {
  directory_.set_key_lag(core_.behaviour.key_lag_s);
}

Response WebHosts::handle(Service service, const Request& request, std::time_t now) {
  const std::lock_guard lock(mutex_);
  core_.now = now;
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
    default:
      no_such_page();
  }
}

Response WebHosts::steer(const Request& request) {
  const std::string page = request.method + " " + request.path;
  const Response done{204, {}, "", false, false, false};
  if (page == "GET /seen") {
    auto seen = nlohmann::json::array();
    for (const auto& one : sightings_.list()) seen.push_back(json_of(one));
    return json_answer(200, seen);
  }
  if (page == "GET /settings") return json_answer(200, settings_of(core_.behaviour));
  try {
    const auto body = nlohmann::json::parse(request.body);
    if (page == "POST /settings") {
      change_settings(body);
      return done;
    }
    if (page == "POST /faults") {
      faults_.set(body.get<std::vector<std::string>>());
      return done;
    }
    if (page == "POST /mails") {
      core_.mail.deliver(body.get<Letter>(), core_.now);
      return done;
    }
  } catch (const nlohmann::json::exception&) {
    malformed("The body is not the JSON that belongs here.");
  } catch (const InputError& error) {
    malformed(error.what());
  }
  no_such_page();
}

void WebHosts::change_settings(const nlohmann::json& changes) {
  apply_settings(core_.behaviour, changes);
  directory_.set_key_lag(core_.behaviour.key_lag_s);
}

}  // namespace flexroom::cloud
