#include "room/script_begin.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "agreement/time.h"
#include "base/codec.h"
#include "call/link_check.h"
#include "call/loader.h"
#include "call/result_link.h"
#include "room/access.h"

namespace flexroom::room {
namespace {

std::map<std::string, int64_t> own_ends_of(const LinksConfig& links) {
  std::map<std::string, int64_t> out;
  const auto add = [&](const char* name, const std::string& url) {
    if (const std::optional<int64_t> end = link_end(url)) out[name] = *end;
  };
  add("data_url", links.data_url);
  add("result_url", links.result_url);
  if (links.result_get_url) add("result_get_url", *links.result_get_url);
  if (links.loader_url) add("loader_url", *links.loader_url);
  return out;
}

}  // namespace

void tell_of_links(Session& session, const LinksConfig& links, const std::string& place,
                   const JobConfig& job) {
  for (const std::string& word :
       require_good_links(links, place, std::chrono::minutes(job.deadline_minutes),
                          std::chrono::system_clock::now())) {
    Access::decider(session).note(word);
  }
}

LinksConfig good_links(Session& session, const std::filesystem::path& file, const JobConfig& job) {
  LinksConfig links = LinksConfig::load(file);
  tell_of_links(session, links, file.string(), job);
  return links;
}

RunPlace agree_on_place(net::Party& party, uint64_t own) {
  const int64_t now = std::time(nullptr);
  const std::vector<Bytes> said =
      party.exchange("run/place", Writer().u64(own).u64(static_cast<uint64_t>(now)).bytes());
  party.echo("run/place", AbortCode::kDisagreement);
  RunPlace out;
  std::vector<uint64_t> times;
  for (PartyId j = 0; j < said.size(); ++j) {
    Reader reader(said[j], "run/place", j);
    out.index = std::max(out.index, reader.u64());
    times.push_back(reader.u64());
  }
  out.started = time_of_first(times, party.id());
  constexpr uint64_t kMost = 1'000'000;  // nobody counts so far; a liar's number wraps nothing
  out.index = std::min(out.index, kMost);
  return out;
}

runs::Run begin_run(const JobConfig& job, const LinksConfig& links, const RunScriptTerms& terms,
                    const Digest& rid, const Digest& session, const RunPlace& place) {
  runs::Run run;
  run.id = runs::run_id(rid, terms.proposal, place.index);
  run.job = job.name;
  run.provider = job.provider;
  run.region = job.region;
  run.access_key_id = job.access_key_id;
  run.secret = job.secret;
  run.proposal = to_hex(terms.proposal);
  run.session = to_hex(session);
  run.client_token = terms.client_token;
  run.started = place.started;
  run.deadline_minutes = job.deadline_minutes;
  run.result_name = runs::result_name(links.result_url);
  run.carrier = terms.links[carrier_of(terms.links)].member;
  run.link_ends = own_ends_of(links);
  return run;
}

void try_own_links(Session& session, runs::RunHistory& history, runs::Run& run,
                   const RunScriptTerms& terms, const TriedLinks& own) {
  const std::string loader = own.carries ? loader_text(terms.job, terms.links) : "";
  const BeforeRun before = try_links(Access::state(session).room(), own.links, loader, own.place,
                                     Access::cancel(session));
  run.before = before.version;
  run.link_answers = before.answers;
  run.links_tried = std::time(nullptr);
  if (before.earlier) {
    const std::string kept = history.keep(run, "earlier-" + run.result_name, *before.earlier);
    Access::decider(session).note(
        fmt::format("an earlier result lay at result_url; it is kept as {}",
                    (history.folder(run) / kept).string()));
  }
  history.update(run);
}

RunScriptTerms terms_of_plan(const RoomConfig& room, const JobConfig& job, const LinksConfig& links,
                             const std::filesystem::path& file) {
  Prg prg = Prg::from_system();
  const OwnLinks own(links, file.string(), prg);
  RunScriptTerms terms;
  terms.job = job;
  for (const MemberEntry& member : room.members) {
    PublicLinks like = own.public_part(member.name);
    if (!like.carrier) like.carrier = like.result;  // another member's, then
    terms.links.push_back(std::move(like));
  }
  terms.client_token = "00000000-0000-4000-8000-000000000000";
  return terms;
}

}  // namespace flexroom::room
