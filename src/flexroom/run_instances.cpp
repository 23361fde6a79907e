#include "flexroom/run_instances.h"

#include <fmt/core.h>

#include "base/error.h"

namespace flexroom {
namespace {

PublicLink public_link(const PrivateUrl& url) {
  return {url.public_prefix, static_cast<uint32_t>(url.path.size()), url.public_query,
          static_cast<uint32_t>(url.tail.size())};
}

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

/// NAME='https://host/<path>?query<tail>' with the private parts inside the single quotes.
void put_link(agent::ScriptWriter& script, std::string_view name, PartyId member,
              const PublicLink& link) {
  const std::string head = fmt::format("{}='{}", name, link.public_prefix);
  script.align_question_mark(head.size(), link.path_bytes);
  script.text(head).private_bytes(member, link.path_bytes);
  script.text(link.public_query).private_bytes(member, link.tail_bytes).text("'\n");
}

}  // namespace

PublicLinks public_part(const PrivateUrl& data, const PrivateUrl& result) {
  return {public_link(data), public_link(result)};
}

std::string private_part(const PrivateUrl& data, const PrivateUrl& result) {
  return data.path + data.tail + result.path + result.tail;
}

void check_public_links(const PublicLinks& links, std::string_view member_name) {
  for (const PublicLink* link : {&links.data, &links.result}) {
    if (link->path_bytes == 0 || link->path_bytes > 1024 || link->tail_bytes > 1500) {
      throw InputError(fmt::format("link of member {}", member_name), "has an impossible length");
    }
    // The public part is read again by the code that splits a member's own links: the same rules.
    const std::string probe = link->public_prefix + "x" + link->public_query;
    const PrivateUrl again =
        split_private_url(probe, fmt::format("link of member {}", member_name));
    // Cut exactly where that code cuts it: no host, path or query hides in another part.
    if (again.public_prefix != link->public_prefix || again.path != "x" ||
        again.public_query != link->public_query || !again.tail.empty() ||
        (link->public_query.empty() && link->tail_bytes != 0)) {
      throw InputError(fmt::format("link of member {}", member_name),
                       "has a malformed public part");
    }
  }
}

agent::ScriptWriter boot_loader(const JobConfig& job, const std::vector<PublicLinks>& links) {
  // Here, where the links become a program, and not only where they arrive.
  for (size_t i = 0; i < links.size(); ++i) check_public_links(links[i], std::to_string(i + 1));
  agent::ScriptWriter script(links.size());
  std::string data_files;
  std::string fetch;
  std::string keep;
  std::string fail;
  std::string put;
  for (size_t i = 1; i <= links.size(); ++i) {
    data_files += fmt::format(" d{}", i);
    fetch += fmt::format("g d{0} \"$D{0}\"&&", i);
    keep += fmt::format("&&mv result-{0} r{0}", i);
    fail += fmt::format("e >r{}\n", i);
    put += fmt::format("c -T r{0} \"$R{0}\"\n", i);
  }
  // Everything runs inside m, called on the last line: the private assignments come last among the
  // bytes that matter for cost, and a truncated script does nothing. One && chain: the script runs
  // only if its digest is right, and results go out only if it ended well (set -e would not hold on
  // the left of ||).
  script.text(
      fmt::format("#!/bin/bash\n"
                  "m(){{\n"
                  "shutdown -h +{}\n"
                  "cd \"$(mktemp -d)\"\n"
                  "c(){{ curl -fsS --retry 3 \"$@\";}}\n"
                  "g(){{ c -o \"$1\" \"$2\";}}\n"
                  "r(){{ g s {}&&echo {}  s|sha256sum -c&&{}{} s{}{};}}\n"
                  "e(){{ echo FLEXROOM-FAILED;tail -c2000 log;}}\n"
                  "r >log 2>&1||{{\n{}}}\n"
                  "{}"
                  "cat log\n"
                  "shutdown -h now\n"
                  "}}\n",
                  job.deadline_minutes, job.script_url, job.script_sha256, fetch, job.interpreter,
                  data_files, keep, fail, put));
  script.text("#").nonce().text("\n");
  for (size_t i = 0; i < links.size(); ++i) {
    put_link(script, fmt::format("D{}", i + 1), static_cast<PartyId>(i), links[i].data);
    put_link(script, fmt::format("R{}", i + 1), static_cast<PartyId>(i), links[i].result);
  }
  script.text("m\n");
  // Whole base64 groups at the end, so that no '=' padding mixes with private bytes.
  while (script.size() % 3 != 0) script.text("\n");
  return script;
}

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
