#include "room/classic_job.h"

#include <fmt/core.h>

#include "base/codec.h"
#include "call/loader.h"
#include "call/script_text.h"
#include "room/run_proposal.h"
#include "room/runs.h"

namespace flexroom::room {

ClassicJob::ClassicJob(session::MemberState& state, const std::filesystem::path& file,
                       const std::atomic<bool>* cancel)
    : job(JobConfig::load(file)), names_key(job.names_key()) {
  if (!job.instance_profile.empty()) {
    throw InputError(job.file.string(), "names an instance_profile, which the ten calls do not use",
                     "leave it out, or run it without --classic");
  }
  (void)state.room().provider_for(job.provider, ec2_host(job.region));
  take_key(state);
  script = agreed_script(job, state.room(), cancel);
}

void ClassicJob::take_links(std::vector<PublicLinks> links) {
  terms.job = job;
  terms.links = std::move(links);
  boot = {kUserData, user_data(job, terms.links)};
}

void ClassicJob::require_fits(const flow::Flow& file) const {
  const std::string place = job.file.string();
  if (file.provider != job.provider) {
    throw InputError(
        place,
        fmt::format("is for provider '{}', {} for '{}'", job.provider, kClassicFile, file.provider),
        "run it without --classic");
  }
  file.each_step([&](const flow::Step& step) {
    if (step.sign_service.empty() || step.sign_region == job.region) return;
    throw InputError(
        place,
        fmt::format("is for region {}, {} for {}", job.region, kClassicFile, step.sign_region),
        "run it without --classic");
  });
  const std::string own = flow::name_in_room(file.prefix, file.key + "/secret");
  if (!names_key && job.secret != own) {
    throw InputError(
        place,
        fmt::format("names no key: the room's is {}, the calls sign with {}", job.secret, own),
        "name the key and its access_key_id in the job");
  }
  const flow::Step* const start = file.step(std::string(kMachineStep));
  const bool opens = start != nullptr && start->is_main() && start->open(kInstance) != nullptr;
  const bool takes = file.arguments.contains(kUserData) && file.arguments.contains(kInstanceType);
  if (opens && takes) return;
  throw InputError(file.file.string(), "is not the shipped file",
                   "install it beside this program again");
}

std::map<std::string, std::string> ClassicJob::arguments() const {
  return {{kUserData, boot.text()}, {kInstanceType, job.instance_type}};
}

void ClassicJob::show(agreement::Proposal& proposal, const RoomConfig& room, bool machine,
                      std::optional<size_t> only) const {
  proposal.kind = "run-script (classic)";
  proposal.title = job.name;
  proposal.section("Job");
  proposal.text("job", job.name);
  proposal.text("key", key.origin.empty()
                           ? fmt::format("{} (secret {})", job.access_key_id, job.secret)
                           : fmt::format("{} (secret {} v{}, {})", job.access_key_id, job.secret,
                                         key.secret.version, key.origin));
  proposal.text("image", fmt::format("the newest one, as GetAmiID tells it; not {} of the job",
                                     job.image_id));
  proposal.text("deadline", fmt::format("{} minutes, then the machine ends", job.deadline_minutes));
  proposal.text("machine costs", machine_cost(job));
  proposal.text("training job",
                "flexroom-RUN, with a machine of its own, whose cost is not in this; `stop` ends "
                "both");
  if (machine) {
    proposal.text("machine",
                  fmt::format("may run since an earlier session, and no other one is started: its "
                              "script has SHA-256 {}, its loader {}; nothing is written to links",
                              job.script_sha256, loader_digest()));
  }
  proposal.text(kUserData,
                "the boot script; the letters A stand for bytes that one member alone knows, and "
                "for a nonce");
  add_script_parts(proposal, room, terms, script, only);
}

std::string ClassicJob::loader_digest() const {
  return to_hex(sha256(as_bytes(loader_text(job, terms.links))));
}

std::string ClassicJob::machine_digest() const {
  RandomOracle out("classic machine", RoScope{});
  for (const std::string& one : {job.name, job.provider, job.region, job.instance_type,
                                 job.script_url, job.script_sha256, job.interpreter}) {
    out.field(one);
  }
  for (const std::string& one : job.arguments) out.field(one);
  out.field(static_cast<uint64_t>(job.arguments.size()))
      .field(static_cast<uint64_t>(job.deadline_minutes))
      .field(static_cast<uint64_t>(job.failure_output_to_all ? 1 : 0));
  return to_hex(out.field(boot.text()).field(loader_text(job, terms.links)).digest());
}

}  // namespace flexroom::room
