#include "call/run_instances.h"

#include <fmt/core.h>

#include "base/error.h"
#include "call/boot_loader.h"

namespace flexroom {
namespace {

constexpr std::string_view kService = "ec2";
constexpr size_t kMaxUserData = 16384;

std::string form_field(std::string_view name, std::string_view value) {
  return fmt::format("&{}={}", name, http::percent_encode(value));
}

/// The boot loader as text with slots: one for each run of a member's bytes, and the nonce.
http::Base64Text with_slots(const agent::ScriptWriter& script,
                            const std::vector<PublicLinks>& links) {
  using Kind = agent::ScriptByte::Kind;
  http::Base64Text out;
  std::vector<size_t> runs;  // of each member so far
  const std::vector<agent::ScriptByte>& bytes = script.bytes();
  for (size_t at = 0; at < bytes.size();) {
    const agent::ScriptByte& first = bytes[at];
    size_t end = at + 1;
    while (end < bytes.size() && bytes[end].kind == first.kind &&
           (first.kind == Kind::kPublic ||
            (bytes[end].member == first.member && bytes[end].index == first.index + (end - at)))) {
      ++end;
    }
    if (first.kind == Kind::kPublic) {
      Bytes text;
      for (size_t k = at; k < end; ++k) text.push_back(bytes[k].value);
      out.parts.emplace_back(std::move(text));
    } else {
      http::Slot slot;
      slot.length = static_cast<uint32_t>(end - at);
      if (first.kind == Kind::kNonce) {
        slot.name = "nonce";
        slot.source = http::SlotSource::kRandom;
        slot.char_class = http::CharClass::kBase64Url;
      } else {
        runs.resize(std::max<size_t>(runs.size(), first.member + size_t{1}));
        slot.name = fmt::format("private-{}-{}", first.member, ++runs[first.member]);
        slot.source = http::SlotSource::kMember;
        slot.from = run_member(links, first.member);
        slot.char_class = http::CharClass::kShellPath;
      }
      out.parts.emplace_back(std::move(slot));
    }
    at = end;
  }
  return out;
}

}  // namespace

http::Base64Text user_data(const JobConfig& job, const std::vector<PublicLinks>& links) {
  const agent::ScriptWriter script = boot_loader(job, links);
  if (script.size() > kMaxUserData) {
    throw InputError(job.file.string(), "the boot loader is over the 16 KiB of user data");
  }
  return with_slots(script, links);
}

std::string run_member(const std::vector<PublicLinks>& links, PartyId member) {
  const std::string& name = links.at(member).member;
  return name.empty() ? std::to_string(member) : name;
}

std::string ec2_host(std::string_view region) { return aws_host(*aws_service(kService), region); }

OpenCall run_instances_call(const JobConfig& job, const std::vector<PublicLinks>& links,
                            std::string_view client_token, const std::string& date_time) {
  const http::Base64Text boot_script = user_data(job, links);
  std::string body = "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1";
  body += form_field("ImageId", job.image_id);
  body += form_field("InstanceType", job.instance_type);
  body += "&InstanceInitiatedShutdownBehavior=terminate";
  if (!job.instance_profile.empty()) {
    body += form_field("IamInstanceProfile.Name", job.instance_profile);
  }
  body += form_field("ClientToken", client_token);
  body += "&UserData=";

  http::Template request;
  request.host = ec2_host(job.region);
  request.method = "POST";
  request.target = "/";
  const auto head = [&](const CallDates& dates) {
    return to_bytes(
        fmt::format("POST / HTTP/1.1\r\nHost: {}\r\n"
                    "Content-Type: application/x-www-form-urlencoded\r\nX-Amz-Date: {}\r\n"
                    "Authorization: AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/aws4_request, "
                    "SignedHeaders=content-type;host;x-amz-date, Signature=",
                    request.host, dates.time, job.access_key_id, dates.day, job.region, kService));
  };
  const size_t body_bytes = body.size() + boot_script.encoded('\0').text.size();
  request.parts = {head(CallDates::of(date_time)), signature_slot(),
                   to_bytes(fmt::format("\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                                        body_bytes, body)),
                   boot_script};
  CallTerms terms;
  terms.place = "job " + job.name;
  terms.provider = job.provider;
  terms.sign = Recipe::Sign{job.secret, job.region, std::string(kService)};
  terms.script = http::ScriptSource::kOwnScript;
  http::Template marked = request;
  marked.parts.front() = head(CallDates::marks());
  OpenCall out = make_call(std::move(request), terms);
  out.dates = places_of_dates(out.request, marked);
  return out;
}

}  // namespace flexroom
