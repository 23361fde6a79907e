#include "room/waiting_script.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/codec.h"
#include "call/link_check.h"
#include "call/links_text.h"
#include "call/open_call.h"
#include "config/of_proposal.h"
#include "room/run_proposal.h"

namespace flexroom::room {
namespace {

constexpr const char* kOwnPlace = "this member's links of the proposal";

const agreement::GivenInput& links_of(const std::vector<agreement::GivenInput>& inputs,
                                      const store::MemberId& member, const std::string& name) {
  for (const agreement::GivenInput& one : inputs) {
    if (one.member == member && one.body.slot == kLinksInput) return one;
  }
  throw InputError("links of member " + name, "are not there yet");
}

}  // namespace

ScriptToRun script_to_run(session::MemberState& state,
                          const std::map<std::string, std::string>& arguments,
                          const std::string& script) {
  ScriptToRun out;
  out.job = job_of_proposal(arguments, script);
  (void)state.room().provider_for(out.job.provider, ec2_host(out.job.region));
  out.key = key_of_job(state, out.job, out.job.names_key());
  return out;
}

std::string client_token_of(const Digest& coin) {
  const std::string hex = to_hex(coin);
  return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                     hex.substr(17, 3), hex.substr(20, 12));
}

std::vector<inbox::WantedInput> inputs_of_script(session::MemberState& state) {
  std::vector<inbox::WantedInput> out;
  for (const auto& member : state.configuration().members) {
    inbox::WantedInput input;
    input.member = member.id;
    input.slot = kLinksInput;
    input.value_class = kLinksClass;
    input.pattern = "*";
    out.push_back(std::move(input));
  }
  return out;
}

std::vector<PublicLinks> links_given(session::MemberState& state,
                                     const std::vector<agreement::GivenInput>& inputs) {
  std::vector<PublicLinks> out;
  for (PartyId i = 0; i < state.mids().size(); ++i) {
    const std::string& name = state.room().members[i].name;
    const auto& given = links_of(inputs, state.mids()[i], name);
    out.push_back(read_public_links(to_text(given.body.public_part), name));
  }
  return out;
}

StoredLinks own_links_given(session::MemberState& state, const Digest& proposal,
                            const JobConfig& job,
                            const std::vector<agreement::GivenInput>& inputs) {
  const std::string& name = state.member().name;
  const auto& given = links_of(inputs, state.mids()[state.self()], name);
  const OwnInput kept =
      OwnInputs(state).get(proposal, std::string(kLinksInput), given.body.commitment);
  StoredLinks out = stored_links(kept, kOwnPlace);
  const std::string shown = public_links_text(out.own(kOwnPlace).public_part(name));
  if (to_bytes(shown) != given.body.public_part) {
    throw InputError(kOwnPlace, "are not those that it gave", "it has to be proposed again");
  }
  (void)require_good_links(out.links, kOwnPlace, std::chrono::minutes(job.deadline_minutes),
                           std::chrono::system_clock::now());
  return out;
}

agreement::Proposal filled_in(session::MemberState& state, const ScriptToRun& script,
                              const std::vector<PublicLinks>& links,
                              const std::optional<Digest>& run) {
  RunScriptTerms terms;
  terms.job = script.job;
  terms.links = links;
  terms.client_token = client_token_of(run.value_or(Digest{}));
  const OpenCall call =
      run_instances_call(terms.job, terms.links, terms.client_token, "20000101T000000Z");
  const CallSecrets secrets =
      check_rules(call, state.room(), [&](const std::string&) { return script.key.secret; });
  ShownRun shown{terms,
                 call,
                 secrets,
                 *script.job.script_text,
                 std::nullopt,
                 script.key.secret,
                 script.key.origin};
  shown.no_token = !run;
  return run_proposal(state.room(), shown);
}

}  // namespace flexroom::room
