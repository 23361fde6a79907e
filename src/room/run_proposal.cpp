#include "room/run_proposal.h"

#include <fmt/core.h>

#include "call/another_attempt.h"
#include "call/link_check.h"
#include "call/loader.h"
#include "call/shown_request.h"

namespace flexroom::room {
namespace {

using agreement::Proposal;
using agreement::RequestPart;

constexpr std::string_view kWhenTheyMeet = "known when the members meet";
constexpr std::string_view kTokenOfRun =
    "made of the run's id: the request of one run starts no second machine";

std::vector<RequestPart> link_parts(const PublicLink& link, const std::string& member) {
  std::vector<RequestPart> out;
  out.push_back({to_bytes(link.public_prefix), "", "", 0});
  out.push_back({{}, "path", "private to " + member, link.path_bytes});
  if (!link.public_query.empty()) out.push_back({to_bytes(link.public_query), "", "", 0});
  if (link.tail_bytes != 0) {
    out.push_back({{}, "signature", "private to " + member, link.tail_bytes});
  }
  return out;
}

void add_link(Proposal& proposal, const std::string& name, const PublicLink& link,
              const std::string& member) {
  proposal.marked(name, link_parts(link, member));
  const auto end = link_end(link.public_query);
  // Of a link whose whole query is private only its owner knows.
  const std::string said = link.says_end == 0
                               ? "(its public part does not say)"
                               : fmt::format("{} says: {}", member, utc_text(link.says_end));
  proposal.text(name + " expires", end ? utc_text(*end) : said);
}

void add_job(Proposal& proposal, const RoomConfig& room, const JobConfig& job,
             const std::string& action, const store::RecordMeta& key, const std::string& origin) {
  proposal.text("room", room.name).text("job", job.name).text("provider", job.provider);
  proposal.text("action", action);
  proposal.text("signed with", origin.empty()
                                   ? fmt::format("{} (secret {})", job.access_key_id, job.secret)
                                   : fmt::format("{} (secret {} v{}, {})", job.access_key_id,
                                                 job.secret, key.version, origin));
  proposal.text("deadline", fmt::format("{} minutes, then the machine ends", job.deadline_minutes));
  proposal.text("retry", retry_rule());
  proposal.text("machine costs", machine_cost(job));
  proposal.text("opened first", "the hash of the request body, hidden by a nonce");
  proposal.text("opened to all", "the answer to RunInstances");
  proposal.text("kept", "nothing");
}

void add_script(Proposal& proposal, const JobConfig& job, const std::string& script) {
  proposal.section("Script");
  proposal.text("url", job.script_url).text("script sha256", job.script_sha256);
  proposal.text("interpreter", job.interpreter);
  for (const std::string& argument : job.arguments) proposal.text("script argument", argument);
  proposal.text("output if it fails",
                job.failure_output_to_all
                    ? "its end to all members"
                    : "to nobody (which step failed, and the exit status, to all)");
  proposal.block("script", script);
}

void add_links(Proposal& proposal, const RoomConfig& room, const RunScriptTerms& terms,
               std::optional<size_t> only) {
  proposal.section("Links");
  for (size_t i = 0; i < terms.links.size(); ++i) {
    const std::string& member = room.members[i].name;
    if (only && *only != i) {
      proposal.text("links of " + member, fmt::format("({})", kWhenTheyMeet));
      continue;
    }
    add_link(proposal, "data of " + member, terms.links[i].data, member);
    add_link(proposal, "result of " + member, terms.links[i].result, member);
  }
}

/// The line of the loader that holds a member's links begins like this; one a member, in order.
constexpr std::string_view kMemberLine = "\nmember ";

/// Of a plan: nothing of the other members' lines, and of this one's not the sealed links, whose
/// key is drawn for each run.
std::vector<RequestPart> loader_of_plan(const RoomConfig& room, const RunScriptTerms& terms,
                                        const std::string& text, size_t only) {
  std::vector<RequestPart> out;
  size_t at = 0;
  for (size_t i = 0; i < room.members.size(); ++i) {
    const size_t line = text.find(kMemberLine, at) + 1;
    const size_t end = text.find('\n', line);
    if (i == only) {
      const size_t sealed = line + kMemberLine.size() - 1;
      const size_t bytes = terms.links[i].sealed.size();
      out.push_back({to_bytes(text.substr(at, sealed - at)), "", "", 0});
      out.push_back({{},
                     "sealed links of " + room.members[i].name,
                     fmt::format("{}: sealed with a new key for each run", kWhenTheyMeet),
                     static_cast<uint32_t>(bytes)});
      out.push_back({to_bytes(text.substr(sealed + bytes, end - sealed - bytes)), "", "", 0});
    } else {
      out.push_back({to_bytes(text.substr(at, line - at)), "", "", 0});
      out.push_back({{},
                     "links of " + room.members[i].name,
                     fmt::format("{}; taken as long as this member's", kWhenTheyMeet),
                     static_cast<uint32_t>(end - line)});
    }
    at = end;
  }
  out.push_back({to_bytes(text.substr(at)), "", "", 0});
  return out;
}

void add_loader(Proposal& proposal, const RoomConfig& room, const RunScriptTerms& terms,
                std::optional<size_t> only) {
  const std::string text = loader_text(terms.job, terms.links);
  proposal.section("Loader");
  if (only) {
    proposal.marked("loader", loader_of_plan(room, terms, text, *only));
    return;
  }
  const size_t carrier = carrier_of(terms.links);
  const std::string& member = room.members[carrier].name;
  proposal.text("carried by", member);
  add_link(proposal, "loader link", *terms.links[carrier].carrier, member);
  proposal.bytes("loader sha256", sha256(as_bytes(text)));
  proposal.block("loader", text);
}

std::vector<NotYet> unknown_fields(const ShownRun& run) {
  if (run.no_token) return {{"ClientToken", std::string(kTokenOfRun)}};
  if (!run.only) return {};
  return {
      {"ClientToken", "drawn by all members together"},
      {"UserData",
       fmt::format("the boot script in base64, {}; taken as long as with links like this member's",
                   kWhenTheyMeet)}};
}

}  // namespace

std::string machine_cost(const JobConfig& job) {
  if (!job.price_per_hour) return "(no price given in the job)";
  const Price& price = *job.price_per_hour;
  // Rounded up to a ten-thousandth.
  const uint64_t most =
      (price.millionths * static_cast<uint64_t>(job.deadline_minutes) + 5999) / 6000;
  return fmt::format(
      "at most {}.{:04} {}, an estimate: {} minutes at {} an hour, without disks and traffic",
      most / 10'000, most % 10'000, price.currency, job.deadline_minutes, price.text);
}

std::vector<std::string> not_known_before_meeting() {
  return {
      "the other members' links, and so which link carries the loader, its SHA-256 and the boot "
      "script",
      "the client token, which all members draw together",
      "so neither the length of the request nor the digest that will be approved"};
}

void add_script_parts(Proposal& proposal, const RoomConfig& room, const RunScriptTerms& terms,
                      const std::string& script, std::optional<size_t> only) {
  add_script(proposal, terms.job, script);
  add_loader(proposal, room, terms, only);
  add_links(proposal, room, terms, only);
}

Proposal run_before_inputs(const RoomConfig& room, const JobConfig& job,
                           const store::RecordMeta& key, const std::string& key_origin) {
  Proposal out;
  out.kind = "run-script";
  out.title = job.name;
  add_job(out, room, job, "ec2:RunInstances", key, key_origin);
  out.text("image", job.image_id).text("machine", job.instance_type);
  if (!job.instance_profile.empty()) out.text("instance profile", job.instance_profile);
  add_script(out, job, job.script_text.value_or(""));
  out.section("Links");
  for (const MemberEntry& member : room.members) {
    out.text("links of " + member.name,
             "its input: hosts, lengths and public queries to all, the rest to the machine alone");
  }
  out.section("Request");
  out.text("request", "made by every member of the job and the inputs, and shown with them");
  out.text("client token", kTokenOfRun);
  return out;
}

Proposal run_proposal(const RoomConfig& room, const ShownRun& run) {
  Proposal out;
  out.kind = "run-script (lean)";
  out.title = run.terms.job.name;
  add_job(out, room, run.terms.job, run.call.action.text, run.key, run.key_origin);
  add_script_parts(out, room, run.terms, run.script, run.only);
  add_request(out, run.call, run.secrets, unknown_fields(run));
  return out;
}

}  // namespace flexroom::room
