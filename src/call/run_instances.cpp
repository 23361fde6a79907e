#include "call/run_instances.h"

#include <fmt/core.h>

#include "base/error.h"
#include "call/boot_loader.h"

namespace flexroom {
namespace {

std::string form_value(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
        std::string_view("-_.~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace

agent::SecretText run_instances_body(const JobConfig& job, const std::vector<PublicLinks>& links,
                                     std::string_view client_token) {
  std::string body = "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1";
  body += "&ImageId=" + form_value(job.image_id);
  body += "&InstanceType=" + form_value(job.instance_type);
  body += "&InstanceInitiatedShutdownBehavior=terminate";
  if (!job.instance_profile.empty()) {
    body += "&IamInstanceProfile.Name=" + form_value(job.instance_profile);
  }
  body += "&ClientToken=" + form_value(client_token);
  body += "&UserData=";
  const agent::ScriptWriter script = boot_loader(job, links);
  constexpr size_t kMaxUserData = 16384;
  if (script.size() > kMaxUserData) {
    throw InputError(job.file.string(), "the boot loader is over the 16 KiB of user data");
  }
  return script.finish(body);
}

}  // namespace flexroom
