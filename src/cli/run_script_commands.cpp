#include <fmt/core.h>

#include <fstream>
#include <thread>

#include "base/display.h"
#include "call/result_link.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "room/access.h"

namespace flexroom::cli {
namespace {

/// The object may be there and the network not, for a while.
std::optional<FetchResult> try_fetch(Output& out, const Provider& provider,
                                     const std::string& url) {
  try {
    return fetch(provider, url, kMaxResultBytes, kLinkTimeout, &cancel_flag());
  } catch (const ProtocolAbort& abort) {
    if (abort.code() == AbortCode::kCancelled) throw;
    out.note(fmt::format("{}; trying again until the deadline", abort.what()));
    return std::nullopt;
  }
}

void save(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) {
    throw InputError(path.string(), "cannot be written; the result is still where result_url says");
  }
}

int show_result(Output& out, const JobConfig& job, const FetchResult& got,
                const std::filesystem::path& save_as) {
  save(save_as, got.body);
  const std::string text = to_text(got.body);
  if (text.rfind("FLEXROOM-FAILED", 0) == 0) {
    out.line("The VM reports that the script failed:\n" + text);
    out.event("failed", {{"error", "the script failed"}, {"log", text}});
    return kServiceRefused;
  }
  const auto result = nlohmann::json::parse(text, nullptr, false);
  out.line(fmt::format("\nThe result of {} (saved as {}):", job.name, save_as.string()));
  if (result.is_object()) {
    for (const auto& [key, value] : result.items()) {
      if (value.is_object()) continue;
      out.line(fmt::format("  {:<20} {}", display_short(key), display_short(value.dump())));
    }
  } else {
    out.line(fmt::format("  {} bytes", got.body.size()));
  }
  out.event("result", {{"file", save_as.string()},
                       {"result", result.is_discarded() ? nlohmann::json(nullptr) : result}});
  return kOk;
}

/// `before`: RunStarted::result_before.
int follow_result(Output& out, const Provider& provider, const LinksConfig& links,
                  const JobConfig& job, const std::string& before,
                  const std::filesystem::path& save_as) {
  if (!links.result_get_url) {
    out.line("links.toml names no result_get_url: fetch the result yourself when the VM is done.");
    return kOk;
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(job.deadline_minutes);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() < end) {
    if (cancel_flag()) {
      throw ProtocolAbort(AbortCode::kCancelled, "result",
                          "stopped by the operator; the instance goes on and puts the result where "
                          "result_url says");
    }
    const auto got = try_fetch(out, provider, *links.result_get_url);
    if (got && got->status == 200 && got->version != before) {
      return show_result(out, job, *got, save_as);
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    out.progress({"the script runs, waiting for the result", std::nullopt, std::nullopt});
    std::this_thread::sleep_for(waited < std::chrono::seconds(60) ? std::chrono::milliseconds(500)
                                                                  : std::chrono::seconds(5));
  }
  throw ProtocolAbort(AbortCode::kTimeout, "result", "no result came before the deadline");
}

}  // namespace

int run_script(Output& out, const Common& common, const std::filesystem::path& job_file,
               const std::filesystem::path& links_file, bool follow) {
  Joint joint(out, common);
  joint.screen().show_phases();
  const RunStarted started = joint->run_script({job_file, links_file});
  if (started.instance_id.empty()) {
    out.line(fmt::format("The service refused: {} {}: {}", started.status,
                         display_short(started.error_code), display_short(started.error_message)));
    out.result({{"ok", false},
                {"status", started.status},
                {"code", started.error_code},
                {"message", started.error_message}});
    return kServiceRefused;
  }
  out.line(fmt::format("\nInstance {} runs the agreed script.", started.instance_id));
  out.event("started", {{"instance_id", started.instance_id}});
  int code = kOk;
  if (follow) {
    const JobConfig job = JobConfig::load(job_file);
    session::MemberState& state = room::Access::state(joint.room());
    const std::filesystem::path results = state.member().state_dir / "results";
    std::filesystem::create_directories(results);
    code = follow_result(out, state.room().provider(job.provider), LinksConfig::load(links_file),
                         job, started.result_before, results / (job.name + ".json"));
  }
  out.result({{"ok", code == kOk}, {"instance_id", started.instance_id}});
  return code;
}

int plan_job(Output& out, const Common& common, const std::filesystem::path& job_file,
             const std::filesystem::path& links_file) {
  OpenRoom room(common);
  const RunScriptPlan plan = plan_run_script(*room, {job_file, links_file});
  out.line(fmt::format("call         one RunInstances at ec2.{}.amazonaws.com, TLS 1.3, {}",
                       plan.region, plan.group));
  out.line(
      fmt::format("leaves       a request of {} bytes: public text, each member's private link "
                  "parts, a signature made with {}",
                  plan.request_bytes, plan.secret));
  out.line("opened       to all: the answer; the hash of the request body (hidden by a nonce)");
  out.line("kept         nothing");
  out.line(fmt::format("ANDs         {}: payload {}, signing key {}, handshake {}, request {}",
                       plan.ands(), plan.payload_ands, plan.signing_key_ands, plan.handshake_ands,
                       plan.request_ands));
  out.line(
      fmt::format("traffic      about {:.0f} MB each way before the call, 0.3 MB during it "
                  "(others' links taken as long as yours)",
                  plan.bytes_each_way / 1e6));
  out.result({{"ok", true},
              {"ands", plan.ands()},
              {"payload_ands", plan.payload_ands},
              {"signing_key_ands", plan.signing_key_ands},
              {"handshake_ands", plan.handshake_ands},
              {"request_ands", plan.request_ands},
              {"request_bytes", plan.request_bytes},
              {"preprocessing_bytes_each_way", plan.bytes_each_way}});
  return kOk;
}

}  // namespace flexroom::cli
