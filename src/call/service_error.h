#pragma once

#include <string>
#include <string_view>

namespace flexroom {

/// How a service names what is wrong, in the body of a refusal. Empty: it names nothing.
struct ServiceError {
  std::string code;     // "RequestLimitExceeded": a name of letters, digits and . : _ - only
  std::string message;  // printable ASCII, of at most 300 bytes
};

/// Reads the `<Code>` and `<Message>` of the XML that EC2, IAM, STS and S3 answer with, or `__type`
/// or `code` of a JSON object or of the `error` in it. Takes any bytes; what is of another form
/// names nothing.
ServiceError read_service_error(std::string_view body);

/// For a line: "403 AccessDenied", or the status alone.
std::string answer_words(int status, std::string_view body);

}  // namespace flexroom
