#include "cloud/message.h"

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/xml_text.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

/// S3's second identifier: opaque, 64 characters of base64, here derived from the first.
std::string host_id(const std::string& request_id) {
  return base64(ByteView(sha512(as_bytes(request_id))).first(48));
}

}  // namespace

std::string_view to_string(Service service) {
  switch (service) {
    case Service::kEc2:
      return "ec2";
    case Service::kIam:
      return "iam";
    case Service::kSts:
      return "sts";
    case Service::kSsm:
      return "ssm";
    case Service::kS3:
      return "s3";
    case Service::kSageMaker:
      return "sagemaker";
    case Service::kServiceQuotas:
      return "servicequotas";
    case Service::kSupport:
      return "support";
    case Service::kTokenApi:
      return "token-api";
    case Service::kMail:
      return "mail";
    case Service::kSignup:
      return "signup";
    case Service::kSignin:
      return "signin";
    case Service::kConsole:
      return "console";
    case Service::kShop:
      return "shop";
    case Service::kAdmin:
      return "admin";
  }
  return "";
}

bool is_web(Service service) {
  switch (service) {
    case Service::kMail:
    case Service::kSignup:
    case Service::kSignin:
    case Service::kConsole:
    case Service::kShop:
    case Service::kAdmin:
      return true;
    default:
      return false;
  }
}

bool is_json_rpc(Service service) {
  return service == Service::kSsm || service == Service::kSageMaker ||
         service == Service::kServiceQuotas || service == Service::kSupport;
}

std::optional<Service> service_by_name(std::string_view name) {
  for (const Service service :
       {Service::kEc2, Service::kIam, Service::kSts, Service::kSsm, Service::kS3,
        Service::kSageMaker, Service::kServiceQuotas, Service::kSupport}) {
    if (to_string(service) == name) return service;
  }
  return std::nullopt;
}

std::optional<std::string> Request::header(std::string_view name) const {
  std::optional<std::string> joined;
  for (const auto& [field, value] : headers) {
    if (lower(field) != name) continue;
    joined = joined ? *joined + "," + value : value;
  }
  return joined;
}

std::string Request::host() const {
  const std::string value = lower(header("host").value_or(""));
  return value.substr(0, value.find(':'));
}

std::string new_request_id(Service service) {
  return service == Service::kS3 ? random_text(16, "0123456789ABCDEF") : random_uuid();
}

void add_service_headers(Service service, const std::string& request_id, Response& response) {
  Pairs& headers = response.headers;
  if (service == Service::kS3) {
    headers.emplace_back("x-amz-id-2", host_id(request_id));
    headers.emplace_back("x-amz-request-id", request_id);
  } else if (is_web(service)) {
    headers.emplace_back("X-Request-Id", request_id);
    headers.emplace_back("Cache-Control", "no-store");
  } else {
    headers.emplace_back("x-amzn-RequestId", request_id);
  }
  if (service == Service::kEc2) {
    headers.emplace_back("Cache-Control", "no-cache, no-store");
    headers.emplace_back("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    headers.emplace_back("vary", "accept-encoding");
    headers.emplace_back("Server", "AmazonEC2");
  }
  if (service == Service::kS3) headers.emplace_back("Server", "AmazonS3");
  if (service == Service::kSsm) headers.emplace_back("Server", "Server");
}

namespace {

std::string ec2_error(const ApiError& error, const std::string& request_id) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>" +
         xml_escape(error.code()) + "</Code><Message>" + xml_escape(error.what()) +
         "</Message></Error></Errors><RequestID>" + request_id + "</RequestID></Response>";
}

std::string iam_error(Service service, const ApiError& error, const std::string& request_id) {
  Xml xml(2, false);
  xml.open("ErrorResponse", service == Service::kIam
                                ? "xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\""
                                : "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"");
  xml.open("Error");
  xml.leaf("Type", error.status() < 500 ? "Sender" : "Receiver");
  xml.leaf("Code", error.code()).leaf("Message", error.what()).close();
  return xml.leaf("RequestId", request_id).finish();
}

/// As mail.tm: a list of violations for 422.
std::string mail_error(const ApiError& error) {
  if (error.status() != 422) {
    return json_text(nlohmann::json{{"code", error.status()}, {"message", error.what()}});
  }
  const std::string description = error.code() + ": " + error.what();
  return json_text(nlohmann::json{
      {"@context", "/contexts/ConstraintViolationList"},
      {"@type", "ConstraintViolationList"},
      {"hydra:title", "An error occurred"},
      {"hydra:description", description},
      {"violations", {{{"propertyPath", error.code()}, {"message", error.what()}}}}});
}

std::string s3_error(const ApiError& error, const std::string& request_id,
                     const std::string& resource) {
  Xml xml(0, true);
  xml.open("Error").leaf("Code", error.code()).leaf("Message", error.what());
  for (const auto& [name, value] : error.fields()) xml.leaf(name, value);
  if (error.fields().empty()) xml.leaf("Resource", resource);
  return xml.leaf("RequestId", request_id).leaf("HostId", host_id(request_id)).finish();
}

}  // namespace

Response render_error(Service service, const ApiError& error, const std::string& request_id,
                      const std::string& resource) {
  Response response;
  response.status = error.status();
  switch (service) {
    case Service::kEc2:
      response.headers.emplace_back("Content-Type", "text/xml;charset=UTF-8");
      response.body = ec2_error(error, request_id);
      response.chunked = true;
      break;
    case Service::kIam:
    case Service::kSts:
      response.headers.emplace_back("Content-Type", "text/xml");
      response.body = iam_error(service, error, request_id);
      break;
    case Service::kSsm:
    case Service::kSageMaker:
    case Service::kServiceQuotas:
    case Service::kSupport:
      response.headers.emplace_back("Content-Type", "application/x-amz-json-1.1");
      // Authentication errors spell "message", the services' own "Message"; SDKs read both.
      response.body =
          json_text(nlohmann::json{{"__type", error.code()}, {"message", error.what()}});
      break;
    case Service::kS3:
      response.headers.emplace_back("Content-Type", "application/xml");
      if (error.status() != 304) response.body = s3_error(error, request_id, resource);
      break;
    case Service::kMail:
      response.headers.emplace_back("Content-Type", error.status() == 422
                                                        ? "application/ld+json; charset=utf-8"
                                                        : "application/json");
      response.body = mail_error(error);
      break;
    case Service::kSignup:
    case Service::kSignin:
    case Service::kConsole:
    case Service::kShop:
    case Service::kAdmin:
      response.headers.emplace_back("Content-Type", "application/json");
      response.body = json_text(nlohmann::json{{"error", error.code()}, {"message", error.what()}});
      break;
    case Service::kTokenApi:
      response.headers.emplace_back("Content-Type", "application/json");
      response.body =
          json_text(nlohmann::json{{"error", {{"code", error.code()}, {"message", error.what()}}}});
      break;
  }
  return response;
}

Xml::Xml(unsigned indent, bool declaration) : indent_(indent) {
  if (declaration) text_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
}

void Xml::line_start() {
  if (indent_ == 0) return;
  if (!open_.empty()) text_ += '\n';
  text_.append(indent_ * open_.size(), ' ');
}

Xml& Xml::open(std::string_view name, std::string_view attributes) {
  line_start();
  text_ +=
      "<" + std::string(name) + (attributes.empty() ? "" : " ") + std::string(attributes) + ">";
  open_.emplace_back(name);
  return *this;
}

Xml& Xml::close() {
  const std::string name = open_.back();
  open_.pop_back();
  if (indent_ != 0) {
    text_ += '\n';
    text_.append(indent_ * open_.size(), ' ');
  }
  text_ += "</" + name + ">";
  return *this;
}

Xml& Xml::leaf(std::string_view name, std::string_view value) {
  line_start();
  text_ += "<" + std::string(name) + ">" + xml_escape(value) + "</" + std::string(name) + ">";
  return *this;
}

Xml& Xml::empty(std::string_view name) {
  line_start();
  text_ += "<" + std::string(name) + "/>";
  return *this;
}

std::string Xml::finish() {
  while (!open_.empty()) close();
  if (indent_ != 0) text_ += '\n';
  return text_;
}

}  // namespace flexroom::cloud
