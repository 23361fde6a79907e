#include "call/boot_loader.h"

#include <fmt/core.h>

namespace flexroom {
namespace {

/// NAME='https://host/<path>?query<tail>' with the private parts inside the single quotes.
void put_link(agent::ScriptWriter& script, std::string_view name, PartyId member,
              const PublicLink& link) {
  const std::string head = fmt::format("{}='{}", name, link.public_prefix);
  script.align_question_mark(head.size(), link.path_bytes);
  script.text(head).private_bytes(member, link.path_bytes);
  script.text(link.public_query).private_bytes(member, link.tail_bytes).text("'\n");
}

}  // namespace

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

}  // namespace flexroom
