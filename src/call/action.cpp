#include "call/action.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/display.h"
#include "base/error.h"
#include "base/host_name.h"
#include "call/purpose.h"

namespace flexroom {
namespace {

using http::RequestModel;
using http::RequestText;

// tls-in-mpc.md §4.6 R2-3 says of each what its answer holds: ids, states and descriptions, no
// credentials, no user data, nothing of an earlier request but what describes the account's own
// objects. Each has an answer in tests/vectors/sealed-answers.json, but StopTrainingJob, whose
// answer is empty. What of this request an answer repeats is judged by position, below.
constexpr std::array<std::string_view, 14> kOpenActions = {"ec2:RunInstances",
                                                           "ec2:DescribeInstances",
                                                           "ec2:TerminateInstances",
                                                           "ec2:DescribeImages",
                                                           "ec2:DescribeKeyPairs",
                                                           "ec2:CreateSecurityGroup",
                                                           "sts:GetCallerIdentity",
                                                           "iam:CreateRole",
                                                           "iam:AttachRolePolicy",
                                                           "s3:CreateBucket",
                                                           "s3:PutObject",
                                                           "s3:DeleteObject",
                                                           "sagemaker:CreateTrainingJob",
                                                           "sagemaker:StopTrainingJob"};
/// Open where the parameter is a public name of AWS itself: nobody else can write there (names that
/// begin with "aws" are refused), and names are not normalised.
constexpr std::string_view kGetParameter = "ssm:GetParameter";
constexpr std::string_view kPublicParameters = "/aws/service/";

struct SilentPosition {
  std::string_view action, position;
};
constexpr std::array<SilentPosition, 1> kSilentPositions = {
    {{"ec2:RunInstances", "form UserData"}}};

[[noreturn]] void refuse(const RequestModel& request, std::string_view problem,
                         std::string_view remedy) {
  throw InputError("request to " + request.host, problem, remedy);
}

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

std::string plain(const RequestModel& request, const RequestText& text) {
  const std::string name = text.shown();
  if (!text.is_public() || !is_identifier(name)) {
    refuse(request, "names its action not in plain text", "write Action=NAME with letters only");
  }
  return name;
}

std::string query_action(const RequestModel& request) {
  if (request.path_text() != "/") {
    refuse(request, "has another path than '/'", "services that take an Action have no other");
  }
  if (request.header("x-amz-target") != nullptr) {
    refuse(request, "has X-Amz-Target at a service that takes an Action", "leave it out");
  }
  const bool has_body = request.body_kind != RequestModel::Body::kNone;
  if (has_body && !request.query.empty()) {
    refuse(request, "has parameters in its query and in its body",
           "write all of them, Action too, in the body");
  }
  if (has_body && request.body_kind != RequestModel::Body::kForm) {
    refuse(request,
           fmt::format("has a body of type '{}'; this service reads forms", request.media_type),
           "write Content-Type: application/x-www-form-urlencoded");
  }
  if (has_body && request.method != "POST") {
    refuse(request, "has a body in a " + request.method + " request", "use POST");
  }
  if (!has_body && request.method != "GET") {
    refuse(request, "has its parameters in the query of a " + request.method + " request",
           "write them in the body, or use GET");
  }
  const RequestText* const action =
      has_body ? request.body_value("Action") : request.query_value("Action");
  if (action == nullptr) refuse(request, "names no Action", "write Action=NAME");
  return plain(request, *action);
}

std::string json_action(const RequestModel& request, const AwsService& service) {
  const RequestText* const target = request.header("x-amz-target");
  if (request.method != "POST" || request.path_text() != "/" || !request.query.empty() ||
      request.body_kind != RequestModel::Body::kJson ||
      !request.media_type.starts_with("application/x-amz-json-") || target == nullptr ||
      !target->is_public() || !target->shown().starts_with(service.target_prefix)) {
    refuse(request, fmt::format("is no request that '{}' reads", service.name),
           fmt::format("POST / with Content-Type: application/x-amz-json-1.1 and X-Amz-Target: "
                       "{}ACTION",
                       service.target_prefix));
  }
  const std::string name = target->shown().substr(service.target_prefix.size());
  if (!is_identifier(name)) refuse(request, "has an X-Amz-Target that names no action", "");
  return name;
}

/// The actions of S3 that are on the list; "?" for all others, which differ in sub-resources and
/// headers.
std::string s3_action(const RequestModel& request) {
  // "s3.region.amazonaws.com/bucket/key", or "bucket.s3.region.amazonaws.com/key".
  const bool in_path = request.host.starts_with("s3.");
  const size_t first = in_path ? 1 : 0;
  const auto& path = request.path;
  const bool has_bucket = !in_path || (!path.empty() && !path[0].empty());
  const bool has_key = path.size() > first && !path[first].empty();
  const bool other = std::any_of(
      request.headers.begin(), request.headers.end(), [](const http::Parameter& header) {
        // A copy reads another object; with a customer's key the answer holds its digest.
        return header.name.starts_with("x-amz-copy-source") || header.name == "x-amz-target" ||
               header.name.starts_with("x-amz-server-side-encryption-c");
      });
  if (!request.query.empty() || other || !has_bucket) return "?";
  if (has_key && request.method == "PUT") return "PutObject";
  if (has_key && request.method == "DELETE") return "DeleteObject";
  if (!has_key && request.method == "PUT") return "CreateBucket";
  if (!has_key && request.method == "HEAD") return "HeadBucket";
  return "?";
}

/// X-Amz-Security-Token, and as services of AWS that read SigV2 spell it.
bool names_a_token(std::string_view lower) {
  return lower == "x-amz-security-token" || lower == "securitytoken";
}

/// One word of a name: of a form's the whole, of JSON a key.
void check_no_signature(const RequestModel& request, std::string_view word,
                        std::string_view where) {
  const std::string lower = http::to_lower(word);
  if (!names_a_token(lower) && !lower.starts_with("x-amz-")) return;
  refuse(request, fmt::format("has '{}' in its {}", display_short(word), where),
         "a request is signed in its header only, with a long-term key");
}

/// A request has one signature, in its header, and no session token: an error prints the request,
/// and the token is a credential (R2-3). Where nobody reads the answer, the token stands in its
/// signed header, and nowhere else.
void check_one_signature(const RequestModel& request, bool sealed) {
  for (const http::Parameter& header : request.headers) {
    if (!names_a_token(header.name)) continue;
    if (sealed && header.name == "x-amz-security-token") continue;
    refuse(request, fmt::format("has '{}' in its header", header.name),
           "errors print what is signed: sign with a long-term key");
  }
  for (const http::Parameter& field : request.query) {
    check_no_signature(request, field.name, "query");
  }
  for (const auto* fields : {&request.body, &request.nested}) {
    for (const http::Parameter& field : *fields) {
      std::string_view rest = field.name;
      while (true) {
        const size_t end = std::min(rest.find_first_of("/>"), rest.size());
        check_no_signature(request, rest.substr(0, end), "body");
        if (end == rest.size()) break;
        rest.remove_prefix(end + 1);
      }
    }
  }
}

/// "/v1/*/x" and "/v1/a/x".
bool path_fits(std::string_view pattern, std::string_view path) {
  while (true) {
    const size_t a = std::min(pattern.find('/'), pattern.size());
    const size_t b = std::min(path.find('/'), path.size());
    if (pattern.substr(0, a) != path.substr(0, b) && !(pattern.substr(0, a) == "*" && b != 0)) {
      return false;
    }
    if (a == pattern.size() || b == path.size()) return a == pattern.size() && b == path.size();
    pattern.remove_prefix(a + 1);
    path.remove_prefix(b + 1);
  }
}

struct Entry {
  std::string host, action, path, position;  // path: not of AWS
};

Entry parse_entry(std::string_view text, std::string_view place) {
  const auto fail = [&]() {
    throw InputError(place,
                     fmt::format("open_calls has '{}', which names no call and position", text),
                     "write METHOD https://host/path POSITION or HOST SERVICE:ACTION POSITION, for "
                     "example \"POST https://llm.example.com/v1/chat/completions header "
                     "authorization\"");
  };
  const size_t first = text.find(' ');
  const size_t second = first == std::string_view::npos ? first : text.find(' ', first + 1);
  if (second == std::string_view::npos) fail();
  Entry out;
  const std::string_view one = text.substr(0, first),
                         two = text.substr(first + 1, second - first - 1);
  out.position = text.substr(second + 1);
  const bool known = out.position == "body" || out.position.starts_with("header ") ||
                     out.position.starts_with("query ") || out.position.starts_with("form ") ||
                     out.position.starts_with("json ");
  constexpr std::string_view kScheme = "https://";
  if (!known || out.position.find("{{") != std::string::npos) fail();
  if (two.starts_with(kScheme)) {
    const size_t slash = two.find('/', kScheme.size());
    if (slash == std::string_view::npos || two.find_first_of("?#") != std::string_view::npos)
      fail();
    out.action = one;
    out.host = two.substr(kScheme.size(), slash - kScheme.size());
    out.path = two.substr(slash);
  } else {
    out.host = one;
    out.action = two;
    if (out.action.find(':') == std::string::npos) fail();
  }
  if (!is_host_name(out.host.substr(0, out.host.find(':')))) fail();
  return out;
}

}  // namespace

CallAction action_of(const RequestModel& request, bool sealed) {
  CallAction out;
  out.text = call_address(request);
  if (!is_aws(request.host) || !request.has_slots) return out;
  out.service = aws_service_of(request.host);
  if (out.service == nullptr) {
    refuse(request, "goes to a service of AWS that is not in our table",
           "services that can be called with slots: " + aws_service_names());
  }
  check_one_signature(request, sealed);
  switch (out.service->protocol) {
    case AwsProtocol::kQuery:
      out.name = query_action(request);
      break;
    case AwsProtocol::kJson:
      out.name = json_action(request, *out.service);
      break;
    case AwsProtocol::kS3:
      out.name = s3_action(request);
      break;
  }
  out.text = fmt::format("{}:{}", out.service->name, out.name);
  return out;
}

bool is_open_action(const CallAction& action, const RequestModel& request) {
  if (action.service == nullptr) return false;
  if (action.text == kGetParameter) {
    const RequestText* const name = request.body_value("/Name");
    return name != nullptr && name->is_public() && name->shown().starts_with(kPublicParameters);
  }
  return std::find(kOpenActions.begin(), kOpenActions.end(), action.text) != kOpenActions.end();
}

bool is_silent_position(const CallAction& action, std::string_view position) {
  return std::any_of(kSilentPositions.begin(), kSilentPositions.end(),
                     [&](const SilentPosition& one) {
                       return one.action == action.text && one.position == position;
                     });
}

bool opens(std::string_view entry, const CallAction& action, const RequestModel& request,
           std::string_view position, std::string_view place) {
  const Entry parsed = parse_entry(entry, place);
  if (parsed.position != position) return false;
  if (action.service != nullptr) {
    return parsed.path.empty() && parsed.host == request.host && parsed.action == action.text;
  }
  const std::string host =
      request.port == 443 ? request.host : fmt::format("{}:{}", request.host, request.port);
  return !parsed.path.empty() && parsed.host == host && parsed.action == request.method &&
         path_fits(parsed.path, request.path_text());
}

std::string open_call_entry(const CallAction& action, const RequestModel& request,
                            std::string_view position) {
  if (action.service == nullptr) return fmt::format("{} {}", action.text, position);
  return fmt::format("{} {} {}", request.host, action.text, position);
}

}  // namespace flexroom
