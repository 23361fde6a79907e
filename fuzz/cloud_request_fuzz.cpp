#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "cloud/http_reader.h"
#include "cloud/sandbox.h"
#include "cloud/sigv4.h"
#include "fuzz.h"

// Requests to the sandbox cloud, from the bytes on the wire to the answer: whatever arrives, at any
// fragmentation, is a request within the limits, a refusal in the service's words, or not complete
// yet, and every request has an answer that is no internal error. First byte: piece size; its top
// bit says whether the request is signed first by a user who may do anything but start instances
// and training jobs and make RSA keys.

namespace {

using namespace flexroom::cloud;

class Target {
 public:
  Target() {
    std::string name = (std::filesystem::temp_directory_path() / "flexroom-fuzz-XXXXXX").string();
    dir_ = ::mkdtemp(name.data());
    SandboxOptions options;
    options.state_dir = dir_;
    options.quiet = true;
    sandbox_ = std::make_unique<Sandbox>(options);
    sandbox_->start();
    key_ = sandbox_->account("joint");
    answer_signed({"PUT", "/bkt", "", {{"host", "s3.amazonaws.com"}}, ""});
    call("Action=PutUserPolicy&UserName=joint&PolicyName=p&PolicyDocument=" +
         percent_encode(R"({"Statement":{"Effect":"Deny","Action":["ec2:RunInstances",)"
                        R"("ec2:CreateKeyPair","sagemaker:CreateTrainingJob"],"Resource":"*"}})",
                        false));
  }
  ~Target() {
    sandbox_.reset();
    std::filesystem::remove_all(dir_);
  }

  void answer(const Request& request) {
    const auto response = sandbox_->respond(request);
    // An internal error is an exception that nobody foresaw.
    if (!response || response->status == 500) std::abort();
  }
  /// Signed for the service of its host.
  void answer_signed(Request request) {
    const std::string host = request.host();
    const std::string rest = host.starts_with("api.") ? host.substr(4) : host;
    const std::string service = host.find("s3") != std::string::npos
                                    ? "s3"
                                    : rest.substr(0, std::min(rest.find('.'), rest.size()));
    std::erase_if(request.headers, [](const auto& header) {
      const std::string name = lower(header.first);
      return name == "authorization" || name == "x-amz-date" || name == "x-amz-security-token";
    });
    const std::string date = amz_date(std::time(nullptr));
    request.headers.emplace_back("x-amz-date", date);
    std::string hash = flexroom::to_hex(flexroom::sha256(flexroom::as_bytes(request.body)));
    if (service == "s3") {
      if (const auto named = request.header("x-amz-content-sha256")) {
        hash = *named;
      } else {
        request.headers.emplace_back("x-amz-content-sha256", hash);
      }
    }
    std::vector<std::string> names;
    std::string joined;
    for (const auto& [name, value] : request.headers) names.push_back(lower(name));
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const auto& name : names) joined += (joined.empty() ? "" : ";") + name;
    const CredentialScope scope{key_.access_key_id, date.substr(0, 8), "us-east-1", service,
                                "aws4_request"};
    const PathRules rules = path_rules(service == "s3" ? Service::kS3 : Service::kIam);
    const std::string text =
        string_to_sign(date, scope, canonical_request(request, names, hash, rules));
    request.headers.emplace_back(
        "authorization", "AWS4-HMAC-SHA256 Credential=" + key_.access_key_id + "/" + scope.scope() +
                             ", SignedHeaders=" + joined + ", Signature=" +
                             signature(signing_key(key_.secret_access_key, scope), text));
    answer(request);
  }

 private:
  void call(const std::string& form) {
    answer_signed(
        {"POST",
         "/",
         "",
         {{"host", "iam.amazonaws.com"}, {"content-type", "application/x-www-form-urlencoded"}},
         form});
  }
  std::filesystem::path dir_;
  std::unique_ptr<Sandbox> sandbox_;
  AccountKey key_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Target target;
  if (size == 0) return 0;
  HttpLimits limits;
  limits.body_bytes = 4096;
  HttpReader reader(limits);
  const size_t piece = (data[0] & 0x7f) + 1u;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    for (size_t at = 0; at < bytes.size(); at += piece) {
      auto state = reader.feed(bytes.substr(at, piece));
      while (state != HttpReader::State::kNeedMore) {
        if (state == HttpReader::State::kRequest) {
          const Request request = reader.take();
          data[0] < 0x80 ? target.answer(request) : target.answer_signed(request);
        }
        state = reader.resume();
      }
    }
  } catch (const ApiError&) {
  }
  return 0;
}
