#include <fmt/core.h>

#include <fstream>
#include <thread>

#include "base/codec.h"
#include "call/fetch.h"
#include "call/open_call.h"
#include "call/run_script.h"
#include "cli/agreed_call.h"
#include "cli/commands.h"
#include "session/signing_keys.h"

namespace flexroom::cli {
namespace {

void put_link(Writer& writer, const PublicLink& link) {
  writer.field(link.public_prefix)
      .u32(link.path_bytes)
      .field(link.public_query)
      .u32(link.tail_bytes);
}
PublicLink read_link(Reader& reader) {
  PublicLink link;
  link.public_prefix = to_text(reader.field(512));
  link.path_bytes = reader.u32();
  link.public_query = to_text(reader.field(2048));
  link.tail_bytes = reader.u32();
  return link;
}

/// Every member tells the others the public part of its links.
std::vector<PublicLinks> exchange_links(net::Party& party, const RoomConfig& room,
                                        const PublicLinks& own) {
  Writer message;
  put_link(message, own.data);
  put_link(message, own.result);
  party.echo("run/before links");  // earlier equivocation is a cheat, not a disagreement
  party.broadcast("run/links", message.bytes());
  std::vector<PublicLinks> all(party.num_parties());
  all[party.id()] = own;
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_broadcast_up_to(j, "run/links", 8192);
    Reader reader(bytes, "run/links", j);
    all[j].data = read_link(reader);
    all[j].result = read_link(reader);
    reader.finish();
    try {
      check_public_links(all[j], room.members[j].name);
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "run/links", error.problem(), j);
    }
  }
  party.echo("run/links", AbortCode::kDisagreement);
  return all;
}

std::string client_token(net::Party& party) {
  const std::string hex = to_hex(party.coin("run/client token"));
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

std::string describe(const PublicLink& link) {
  return fmt::format(
      "{}({} private bytes){}{}", link.public_prefix, link.path_bytes, link.public_query,
      link.tail_bytes == 0 ? "" : fmt::format("({} private bytes)", link.tail_bytes));
}

agreement::Proposal run_proposal(const RoomConfig& room, const RunScriptTerms& terms,
                                 const store::RecordMeta& secret, const RunScriptCost& cost) {
  agreement::Proposal out;
  const auto add = [&](std::string name, std::string_view value) {
    out.fields.push_back({std::move(name), to_bytes(value), false});
  };
  const JobConfig& job = terms.job;
  add("command", "run-script (lean)");
  add("room", room.name);
  add("job", job.name);
  add("provider", job.provider);
  add("call", fmt::format("RunInstances at ec2.{}.amazonaws.com", job.region));
  add("image", job.image_id);
  add("instance type", job.instance_type);
  add("instance profile", job.instance_profile.empty() ? "(none)" : job.instance_profile);
  add("script", job.script_url);
  add("script sha256", job.script_sha256);
  add("interpreter", job.interpreter);
  add("deadline", fmt::format("{} minutes", job.deadline_minutes));
  add("signed with",
      fmt::format("{} (secret {} version {})", job.access_key_id, secret.name, secret.version));
  for (size_t i = 0; i < terms.links.size(); ++i) {
    add("data of " + room.members[i].name, describe(terms.links[i].data));
    add("result of " + room.members[i].name, describe(terms.links[i].result));
  }
  add("opened to all", "the answer to RunInstances, the hash of the request body");
  add("kept", "nothing");
  add("client token", terms.client_token);
  add("cost", fmt::format("{} ANDs, request of {} bytes", cost.total(), cost.request_bytes));
  return out;
}

constexpr size_t kMaxResultBytes = size_t{64} << 20;
constexpr std::chrono::seconds kFetchTimeout{30};

/// What lies at this member's result URL before the run, so that it is not taken for its result.
std::string result_before(const Provider& provider, const LinksConfig& links) {
  if (!links.result_get_url) return "";
  const FetchResult got =
      fetch(provider, *links.result_get_url, kMaxResultBytes, kFetchTimeout, &cancel_flag());
  return got.status == 200 ? got.version : "";
}

/// The object may be there and the network not, for a while.
std::optional<FetchResult> try_fetch(Output& out, const Provider& provider,
                                     const std::string& url) {
  try {
    return fetch(provider, url, kMaxResultBytes, kFetchTimeout, &cancel_flag());
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

/// Text that a script printed, for a terminal.
std::string printable_lines(std::string_view text) {
  std::string out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += printable(text.substr(begin, end - begin)) + "\n";
    begin = end + 1;
  }
  return out;
}

int show_result(Output& out, const JobConfig& job, const FetchResult& got,
                const std::filesystem::path& save_as) {
  save(save_as, got.body);
  const std::string text = to_text(got.body);
  if (text.rfind("FLEXROOM-FAILED", 0) == 0) {
    out.line("The VM reports that the script failed:\n" + printable_lines(text));
    out.event("failed", {{"error", "the script failed"}, {"log", text}});
    return kServiceRefused;
  }
  const auto result = nlohmann::json::parse(text, nullptr, false);
  out.line(fmt::format("\nThe result of {} (saved as {}):", job.name, save_as.string()));
  if (result.is_object()) {
    for (const auto& [key, value] : result.items()) {
      if (value.is_object()) continue;
      out.line(fmt::format("  {:<20} {}", printable(key), printable(value.dump())));
    }
  } else {
    out.line(fmt::format("  {} bytes", got.body.size()));
  }
  out.event("result", {{"file", save_as.string()},
                       {"result", result.is_discarded() ? nlohmann::json(nullptr) : result}});
  return kOk;
}

/// `before`: of result_before().
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
    out.progress("the script runs, waiting for the result", 0, 0);
    std::this_thread::sleep_for(waited < std::chrono::seconds(60) ? std::chrono::milliseconds(500)
                                                                  : std::chrono::seconds(5));
  }
  throw ProtocolAbort(AbortCode::kTimeout, "result", "no result came before the deadline");
}

}  // namespace

int run_script(Output& out, const Common& common, const std::filesystem::path& job_file,
               const std::filesystem::path& links_file, bool follow) {
  const JobConfig job = JobConfig::load(job_file);
  const LinksConfig links = LinksConfig::load(links_file);
  const PrivateUrl data = split_private_url(links.data_url, links_file.string() + ": data_url");
  const PrivateUrl result =
      split_private_url(links.result_url, links_file.string() + ": result_url");
  Joined joined(out, common, [&](session::MemberState& state) {
    (void)state.room().provider_for(job.provider, ec2_host(job.region));
    check_key(job, state.secret(job.secret));
  });
  const RoomConfig& room = joined.state().room();
  const Provider& provider = room.provider(job.provider);
  RunScriptTerms terms;
  store::RecordMeta secret;
  std::shared_ptr<const RunScriptLayout> layout;
  RunScriptCost cost;
  std::optional<RunScriptCall> made;
  RunScriptResult answer;
  std::string before;  // what lies at the result URL already
  AgreedCall call;
  call.what = "run-script " + job.name;
  call.always_show_phases = true;
  call.propose = [&](agent::Timeline&) {
    net::Party& party = joined.session().party();
    terms.job = job;
    terms.links = exchange_links(party, room, public_part(data, result));
    terms.client_token = client_token(party);
    secret = joined.state().secret(job.secret);
    check_key(job, secret);
    joined.state().secrets().agree(party, {secret.id});
    layout = lay_out_run_script(terms);
    cost = run_script_cost(*layout, group_of(provider), room.members.size());
    return run_proposal(room, terms, secret, cost);
  };
  call.prepare = [&](const Digest& proposal, agent::Timeline& timeline) {
    terms.proposal = proposal;
    if (follow) before = result_before(provider, links);
    made.emplace(joined.session().context(), terms,
                 connection_config(room, provider, fmt::format("ec2.{}.amazonaws.com", job.region),
                                   proposal),
                 private_part(data, result), layout);
    timeline.begin("look for a signing key");
    session::ObtainedKey key =
        session::obtain_signing_key(joined.session(), secret, job.region, "ec2", [&](bool cached) {
          const uint64_t key_ands = cached ? 0 : cost.signing_key_ands;
          make_triples(out, joined, timeline,
                       {key_ands, "slots", cost.payload_ands, cost.handshake_ands,
                        cost.request_ands, cost.request_bytes});
          if (!cached) timeline.begin("signing key", key_ands);
        });
    made->prepare(std::move(key.key), key.date, timeline);
  };
  call.perform = [&](agent::Timeline& timeline) {
    answer = made->call(
        connector(joined, provider, fmt::format("ec2.{}.amazonaws.com", job.region), 443),
        timeline);
    return fmt::format("status {} {}", answer.status, answer.instance_id);
  };
  call.released = [&] { return made && made->released(); };
  const int made_call = make_agreed_call(out, common, joined, call);
  if (made_call != kOk) return made_call;
  if (answer.instance_id.empty()) {
    out.line(fmt::format("The service refused: {} {}: {}", answer.status,
                         printable(answer.error_code), printable(answer.error_message)));
    out.result({{"ok", false},
                {"status", answer.status},
                {"code", answer.error_code},
                {"message", answer.error_message}});
    return kServiceRefused;
  }
  out.line(fmt::format("\nInstance {} runs the agreed script.", answer.instance_id));
  out.event("started", {{"instance_id", answer.instance_id}});
  int code = kOk;
  if (follow) {
    const std::filesystem::path results = joined.state().member().state_dir / "results";
    std::filesystem::create_directories(results);
    code = follow_result(out, provider, links, job, before, results / (job.name + ".json"));
  }
  out.result({{"ok", code == kOk}, {"instance_id", answer.instance_id}});
  return code;
}

int plan_job(Output& out, const Common& common, const std::filesystem::path& job_file,
             const std::filesystem::path& links_file) {
  const JobConfig job = JobConfig::load(job_file);
  const LinksConfig links = LinksConfig::load(links_file);
  session::MemberState state = open_state(common);
  const Provider& provider = state.room().provider(job.provider);
  const PublicLinks own = public_part(split_private_url(links.data_url, "data_url"),
                                      split_private_url(links.result_url, "result_url"));
  RunScriptTerms terms;
  terms.job = job;
  terms.links.assign(state.room().members.size(), own);  // the others' lengths are not known yet
  terms.client_token = "00000000-0000-4000-8000-000000000000";
  const RunScriptCost cost =
      run_script_cost(*lay_out_run_script(terms), group_of(provider), terms.links.size());
  const double bytes =
      static_cast<double>(cost.total()) * 84 * static_cast<double>(state.room().members.size() - 1);
  out.line(fmt::format("call         one RunInstances at ec2.{}.amazonaws.com, TLS 1.3, {}",
                       job.region, provider.group));
  out.line(
      fmt::format("leaves       a request of {} bytes: public text, each member's private link "
                  "parts, a signature made with {}",
                  cost.request_bytes, job.secret));
  out.line("opened       to all: the answer; the hash of the request body (hidden by a nonce)");
  out.line("kept         nothing");
  out.line(fmt::format("ANDs         {}: payload {}, signing key {}, handshake {}, request {}",
                       cost.total(), cost.payload_ands, cost.signing_key_ands, cost.handshake_ands,
                       cost.request_ands));
  out.line(
      fmt::format("traffic      about {:.0f} MB each way before the call, 0.3 MB during it "
                  "(others' links taken as long as yours)",
                  bytes / 1e6));
  out.result({{"ok", true},
              {"ands", cost.total()},
              {"payload_ands", cost.payload_ands},
              {"signing_key_ands", cost.signing_key_ands},
              {"handshake_ands", cost.handshake_ands},
              {"request_ands", cost.request_ands},
              {"request_bytes", cost.request_bytes},
              {"preprocessing_bytes_each_way", bytes}});
  return kOk;
}

}  // namespace flexroom::cli
