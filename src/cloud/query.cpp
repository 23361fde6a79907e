// What the query APIs have in common; STS and SSM, which are small.
#include <nlohmann/json.hpp>

#include "cloud/iam.h"
#include "cloud/json_text.h"
#include "cloud/policy.h"

namespace flexroom::cloud {

namespace {
constexpr size_t kMaxParameters = 512;
}

Parameters::Parameters(const Request& request, Service service) : service_(service) {
  if (request.method != "GET" && request.method != "POST") {
    throw ApiError(405, "MethodNotAllowed", "The HTTP method is not allowed");
  }
  pairs_ = parse_form(request.query);
  if (request.method == "POST") {
    const std::string type = lower(request.header("content-type").value_or(""));
    if (type.starts_with("application/x-www-form-urlencoded")) {
      const Pairs form = parse_form(request.body);
      pairs_.insert(pairs_.end(), form.begin(), form.end());
    }
  }
  std::erase_if(pairs_, [](const auto& item) { return item.first.starts_with("X-Amz-"); });
  if (pairs_.size() > kMaxParameters) {
    throw ApiError(400, "MalformedQueryString", "The request has too many parameters");
  }
  for (size_t i = 0; i < pairs_.size(); ++i) {
    if (!is_utf8(pairs_[i].first) || !is_utf8(pairs_[i].second)) {
      throw ApiError(400, "MalformedQueryString", "A parameter is not UTF-8");
    }
    for (size_t j = 0; j < i; ++j) {
      if (pairs_[i].first == pairs_[j].first) {
        throw ApiError(400, "MalformedQueryString",
                       "The parameter " + pairs_[i].first + " is given twice");
      }
    }
  }
  action_ = get("Action", "");
  if (action_.empty()) {
    throw ApiError(400, "MissingAction", "The request is missing an Action parameter");
  }
}

std::string Parameters::require(const std::string& name) const {
  const auto value = get(name);
  if (value && !value->empty()) return *value;
  if (service_ == Service::kEc2) {
    throw ApiError(400, "MissingParameter", "The request must contain the parameter " + name);
  }
  throw ApiError(400, "ValidationError",
                 "1 validation error detected: Value null at '" + name +
                     "' failed to satisfy constraint: Member must not be null");
}

std::vector<std::string> Parameters::list(const std::string& name) const {
  std::vector<std::string> out;
  for (size_t i = 1;; ++i) {
    const auto value = get(name + "." + std::to_string(i));
    if (!value) return out;
    out.push_back(*value);
  }
}

void require_allowed(const Directory& directory, const Caller& caller, Service service,
                     const std::string& action, const std::string& resource) {
  if (directory.allowed(caller.principal, action, resource)) return;
  const std::string message = "User: " + caller.principal.arn() +
                              " is not authorized to perform: " + action +
                              " on resource: " + resource +
                              " because no identity-based policy allows the " + action + " action";
  if (is_json_rpc(service)) throw ApiError(400, "AccessDeniedException", message);
  if (service == Service::kEc2) {
    throw ApiError(403, "UnauthorizedOperation",
                   "You are not authorized to perform this operation. " + message);
  }
  throw ApiError(403, "AccessDenied", message);
}

namespace {

void credentials_xml(Xml& xml, const SessionKey& key) {
  xml.open("Credentials")
      .leaf("AccessKeyId", key.id)
      .leaf("SecretAccessKey", key.secret)
      .leaf("SessionToken", key.token)
      .leaf("Expiration", iso_date(key.expires))
      .close();
}

std::chrono::seconds duration(const Parameters& parameters, long otherwise, long most) {
  const std::string text = parameters.get("DurationSeconds", std::to_string(otherwise));
  const bool digits =
      !text.empty() && text.size() < 7 && text.find_first_not_of("0123456789") == std::string::npos;
  const long value = digits ? std::stol(text) : 0;
  if (value < 900 || value > most) {
    throw ApiError(400, "ValidationError",
                   "1 validation error detected: Value '" + text +
                       "' at 'durationSeconds' failed to satisfy constraint: Member must have "
                       "value between 900 and " +
                       std::to_string(most));
  }
  return std::chrono::seconds(value);
}

void assume_role(const Parameters& parameters, const Caller& caller, Directory& directory,
                 Xml& xml) {
  const std::string arn = parameters.require("RoleArn");
  const std::string session = parameters.require("RoleSessionName");
  // It becomes the last part of an ARN.
  if (session.size() < 2 || session.size() > 64 ||
      session.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789_+=,.@-") != std::string::npos) {
    throw ApiError(400, "ValidationError",
                   "1 validation error detected: Value at 'roleSessionName' failed to satisfy "
                   "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]{2,64}");
  }
  const auto refuse = [&]() -> void {
    throw ApiError(403, "AccessDenied",
                   "User: " + caller.principal.arn() +
                       " is not authorized to perform: sts:AssumeRole on resource: " + arn);
  };
  // arn:aws:iam::123456789012:role/NAME
  const std::string own = "arn:aws:iam::" + caller.principal.account_id + ":role/";
  if (!arn.starts_with(own)) refuse();
  const Account account = directory.snapshot(caller.principal.account_id);
  const auto role = account.roles.find(arn.substr(own.size()));
  if (role == account.roles.end()) refuse();
  if (evaluate_trust(role->second.trust, "sts:AssumeRole", caller.principal.arn(),
                     caller.principal.account_id) != Decision::kAllow ||
      !directory.allowed(caller.principal, "sts:AssumeRole", arn)) {
    refuse();
  }
  const Principal principal{Principal::Kind::kRoleSession, account.id, role->second.name, session,
                            role->second.id};
  credentials_xml(xml, directory.create_session(principal, duration(parameters, 3600, 43200)));
  xml.open("AssumedRoleUser")
      .leaf("AssumedRoleId", principal.user_id())
      .leaf("Arn", principal.arn())
      .close();
}

}  // namespace

Response handle_sts(const Request& request, const Caller& caller, Directory& directory,
                    const std::string& request_id) {
  const Parameters parameters(request, Service::kSts);
  const std::string& action = parameters.action();
  Xml xml(2, false);
  xml.open(action + "Response", "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"");
  xml.open(action + "Result");
  if (action == "GetCallerIdentity") {
    xml.leaf("Arn", caller.principal.arn())
        .leaf("UserId", caller.principal.user_id())
        .leaf("Account", caller.principal.account_id);
  } else if (action == "GetSessionToken") {
    if (caller.principal.kind != Principal::Kind::kUser || caller.scope.empty() ||
        request.header("x-amz-security-token")) {
      throw ApiError(403, "AccessDenied", "Cannot call GetSessionToken with session credentials");
    }
    credentials_xml(
        xml, directory.create_session(caller.principal, duration(parameters, 43200, 129600)));
  } else if (action == "AssumeRole") {
    assume_role(parameters, caller, directory, xml);
  } else {
    throw ApiError(400, "InvalidAction",
                   "Could not find operation " + action + " for version " +
                       parameters.get("Version", "NO_VERSION_SPECIFIED"));
  }
  xml.close().open("ResponseMetadata").leaf("RequestId", request_id);
  Response response;
  response.headers.emplace_back("Content-Type", "text/xml");
  response.body = xml.finish();
  return response;
}

Response handle_ssm(const Request& request, const Caller& caller, const Directory& directory) {
  static constexpr std::string_view kPrefix = "/aws/service/ami-amazon-linux-latest/";
  using Json = nlohmann::json;
  if (request.method != "POST") throw ApiError(405, "MethodNotAllowed", "POST only");
  const std::string target = request.header("x-amz-target").value_or("");
  if (target != "AmazonSSM.GetParameter" && target != "AmazonSSM.GetParameters") {
    throw ApiError(400, "UnknownOperationException", "");
  }
  const std::string action = "ssm:" + target.substr(10);
  const Json input = Json::parse(request.body, nullptr, false);
  const auto known = [&](const std::string& name) {
    return name.starts_with(kPrefix) &&
           (name.substr(kPrefix.size()) == "al2023-ami-kernel-default-x86_64" ||
            name.substr(kPrefix.size()) == "al2023-ami-kernel-6.1-x86_64");
  };
  const auto parameter = [&](const std::string& name) {
    require_allowed(directory, caller, Service::kSsm, action,
                    "arn:aws:ssm:us-east-1::parameter" + name);
    return Json{{"ARN", "arn:aws:ssm:us-east-1::parameter" + name},
                {"DataType", "text"},
                {"LastModifiedDate", 1756816496.123},
                {"Name", name},
                {"Type", "String"},
                {"Value", kImageId},
                {"Version", 80}};
  };
  Json output;
  if (action == "ssm:GetParameter") {
    if (!input.is_object() || !input.contains("Name") || !input["Name"].is_string()) {
      throw ApiError(400, "ValidationException",
                     "1 validation error detected: Value null at 'name' failed to satisfy "
                     "constraint: Member must not be null");
    }
    const std::string name = input["Name"];
    if (!known(name)) throw ApiError(400, "ParameterNotFound", "");
    output["Parameter"] = parameter(name);
  } else {
    output = {{"Parameters", Json::array()}, {"InvalidParameters", Json::array()}};
    if (!input.is_object() || !input.contains("Names") || !input["Names"].is_array()) {
      throw ApiError(400, "ValidationException", "Names is missing");
    }
    for (const Json& name : input["Names"]) {
      if (!name.is_string()) throw ApiError(400, "SerializationException", "");
      const bool found = known(name.get<std::string>());
      output[found ? "Parameters" : "InvalidParameters"].push_back(
          found ? parameter(name.get<std::string>()) : name);
    }
  }
  Response response;
  response.headers.emplace_back("Content-Type", "application/x-amz-json-1.1");
  response.body = json_text(output);
  return response;
}

}  // namespace flexroom::cloud
