#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cloud/encoding.h"

namespace flexroom::cloud {

enum class Service {
  kEc2,
  kIam,
  kSts,
  kSsm,
  kS3,
  kSageMaker,
  kServiceQuotas,
  kSupport,
  kTokenApi,
  kMail,
  kSignup,
  kSignin,
  kConsole,
  kShop,
  kAdmin
};
/// The name in credential scopes and ARNs: "ec2", "iam", ...
std::string_view to_string(Service service);
/// Those of a sign-up, which have sessions and no signatures, and the one that steers them.
bool is_web(Service service);
/// Those with signatures that speak JSON 1.1 (X-Amz-Target) and refuse in it.
bool is_json_rpc(Service service);
std::optional<Service> service_by_name(std::string_view name);

/// One HTTP request as it came, nothing decoded: SigV4 covers the bytes on the wire.
struct Request {
  std::string method;
  std::string path;   // raw, begins with '/'
  std::string query;  // raw, without '?'
  Pairs headers;      // names as sent, values trimmed, in order
  std::string body;   // transfer encodings removed; content encodings (aws-chunked) are not

  /// All fields of that name joined by ',' (RFC 9110 §5.3), or nothing. The name in lower case.
  std::optional<std::string> header(std::string_view name) const;
  /// Host without its port, in lower case.
  std::string host() const;
};

struct Response {
  int status = 200;
  Pairs headers;
  std::string body;
  bool chunked = false;
  bool close = false;      // the connection ends after this response
  bool head_only = false;  // HEAD: Content-Length without a body
};

/// A refusal in the provider's terms. Rendered by errors.h in the service's own format.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, std::string code, const std::string& message, Pairs fields = {})
      : std::runtime_error(message),
        status_(status),
        code_(std::move(code)),
        fields_(std::move(fields)) {}
  int status() const { return status_; }
  const std::string& code() const { return code_; }
  /// Further elements of the S3 error body, in order.
  const Pairs& fields() const { return fields_; }

 private:
  int status_;
  std::string code_;
  Pairs fields_;
};

/// Adds what every answer of that service carries: request ids, Server, Date.
void add_service_headers(Service service, const std::string& request_id, Response& response);

/// The error in the format of the service: EC2 query XML, IAM/STS query XML, S3 XML, JSON 1.1, JSON
/// of the token API.
Response render_error(Service service, const ApiError& error, const std::string& request_id,
                      const std::string& resource);

/// As the service makes them: a UUID, or 16 upper-case hex digits at S3.
std::string new_request_id(Service service);

/// A small XML writer: elements in order, values escaped, indented by `indent` spaces per level
/// (0: all on one line, as S3 answers).
class Xml {
 public:
  explicit Xml(unsigned indent, bool declaration);
  Xml& open(std::string_view name, std::string_view attributes = "");
  Xml& close();
  Xml& leaf(std::string_view name, std::string_view value);
  Xml& empty(std::string_view name);
  /// Closes what is open.
  std::string finish();

 private:
  void line_start();
  unsigned indent_;
  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace flexroom::cloud
