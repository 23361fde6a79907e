#include "room/classic_run.h"

#include <fmt/core.h>

#include <set>

#include "base/codec.h"
#include "call/loader.h"
#include "call/script_text.h"
#include "room/access.h"
#include "room/failure.h"
#include "room/flow_task.h"
#include "room/named_secrets.h"
#include "room/run_proposal.h"
#include "room/script_begin.h"
#include "room/shipped_flows.h"

namespace flexroom::room {
namespace {

// Of the shipped file.
constexpr const char* kFile = "run-script-classic.toml";
constexpr const char* kUserData = "user-data";
constexpr const char* kInstanceType = "instance-type";
constexpr const char* kInstance = "instance-id";

constexpr size_t kSeedBytes = 32, kMostDetail = 500;
constexpr uint32_t kDigestDigits = 2 * sizeof(Digest);

/// The job and its run, beside the flow.
class ClassicRun final : public FlowTask {
 public:
  /// Looks at everything of the job that can be wrong.
  ClassicRun(Session& session, const RunScriptRequest& request);
  RunStarted run();

  std::string command() const override { return "run-script --classic"; }
  void read(const flow::Flow& file) override;
  std::map<std::string, std::string> arguments() const override;
  const BootScript* script() const override { return &boot_; }
  SecretBytes own_private() const override;
  void meet(Joined& joined, const flow::RunId& open) override;
  void show(agreement::Proposal& proposal) const override;
  void approved(const Digest& proposal, const flow::Outlook& outlook) override;
  void told(const flow::LogLine& line,
            const std::map<std::string, std::string>& opened) noexcept override;
  void ended(const flow::RunId& run, const std::string& why, const std::string& in_doubt,
             const std::map<std::string, std::string>& opened) noexcept override;

 private:
  const RoomConfig& room() const { return state_.room(); }
  void take_key() { key_ = key_of_job(state_, job_, names_key_); }
  Prg keys_of(const flow::RunId& run);
  void take_terms(std::vector<PublicLinks> links);
  /// Which run all go on with, as this member's disk and the others' words have it.
  flow::RunId open_run(const flow::RunId& own);
  void compare_records();
  void begin_record(const Digest& proposal, const flow::RunId& run);
  std::string loader_digest() const;
  std::string machine_digest() const;
  bool is_started(const flow::Outlook& outlook) const;
  void take_instance(const std::map<std::string, std::string>& opened);
  void write_down() noexcept;

  Session& session_;
  const RunScriptRequest& request_;
  JobConfig job_;
  LinksConfig links_;
  const std::string place_;
  session::MemberState& state_;
  runs::RunHistory history_;
  const bool names_key_;
  KeyOfJob key_;
  std::string script_, prefix_;
  std::set<std::string> behind_;  // steps of the main line behind the machine's start
  std::string start_;             // the step that starts it
  Joined* joined_ = nullptr;
  SecretBytes seed_;
  std::optional<OwnLinks> own_;
  RunScriptTerms terms_;
  BootScript boot_;
  bool carries_ = false;
  flow::RunId met_;       // the run that goes on, or none
  bool armed_ = false;    // its StartEC2Instance was, at some member: a machine may run
  bool is_same_ = false;  // all have the same record of it, of a machine that gets the same
  std::optional<runs::Run> run_;
  std::string not_written_;
};

ClassicRun::ClassicRun(Session& session, const RunScriptRequest& request)
    : session_(session),
      request_(request),
      job_(JobConfig::load(request.job)),
      links_(good_links(session, request.links, job_)),
      place_(request.links.string()),
      state_(Access::state(session)),
      history_(history_of(state_)),
      names_key_(job_.names_key()) {
  if (!job_.instance_profile.empty()) {
    throw InputError(job_.file.string(),
                     "names an instance_profile, which the ten calls do not use",
                     "leave it out, or run it without --classic");
  }
  (void)room().provider_for(job_.provider, ec2_host(job_.region));
  take_key();
  script_ = agreed_script(job_, room(), Access::cancel(session));
  for (const auto& one : history_.damaged()) Access::decider(session).note(one.text);
  take_terms(terms_of_plan(room(), job_, links_, place_).links);
}

void ClassicRun::take_terms(std::vector<PublicLinks> links) {
  terms_.job = job_;
  terms_.links = std::move(links);
  boot_ = {kUserData, user_data(job_, terms_.links)};
}

/// The file's own words are not the job's: where they differ nothing of the job is done otherwise
/// than it says.
void ClassicRun::read(const flow::Flow& file) {
  const std::string place = job_.file.string();
  if (file.provider != job_.provider) {
    throw InputError(
        place,
        fmt::format("is for provider '{}', {} for '{}'", job_.provider, kFile, file.provider),
        "run it without --classic");
  }
  file.each_step([&](const flow::Step& step) {
    if (step.sign_service.empty() || step.sign_region == job_.region) return;
    throw InputError(
        place, fmt::format("is for region {}, {} for {}", job_.region, kFile, step.sign_region),
        "run it without --classic");
  });
  prefix_ = file.prefix;
  const std::string own = flow::name_in_room(file.prefix, file.key + "/secret");
  if (!names_key_ && job_.secret != own) {
    throw InputError(
        place,
        fmt::format("names no key: the room's is {}, the calls sign with {}", job_.secret, own),
        "name the key and its access_key_id in the job");
  }
  for (const flow::Step& step : file.lines.front().steps) {
    if (!start_.empty()) behind_.insert(step.name);
    if (step.open(kInstance) != nullptr) start_ = step.name;
  }
  const bool takes = file.arguments.contains(kUserData) && file.arguments.contains(kInstanceType);
  if (start_.empty() || !takes) {
    throw InputError(file.file.string(), "is not the shipped file",
                     "install it beside this program again");
  }
}

std::map<std::string, std::string> ClassicRun::arguments() const {
  return {{kUserData, boot_.text()}, {kInstanceType, job_.instance_type}};
}

SecretBytes ClassicRun::own_private() const {
  std::string text = own_->private_part(carries_);
  SecretBytes out = SecretBytes::copy_of(as_bytes(text));
  wipe(text.data(), text.size());
  return out;
}

/// What this member's keys are drawn from: of an open run the seed of its record, of these links.
Prg ClassicRun::keys_of(const flow::RunId& run) {
  std::optional<SecretBytes> kept;
  if (const auto before = history_.find_flow(run)) kept = history_.seed(*before);
  const bool has_one = kept && kept->size() == kSeedBytes;
  seed_ = has_one ? std::move(*kept) : SecretBytes(kSeedBytes);
  if (!has_one) Prg::from_system().fill(seed_.writable());
  // A key seals one text: of other links it is another one.
  return Prg(RandomOracle("run links", RoScope{})
                 .field(seed_.reveal())
                 .field(links_.data_url)
                 .field(links_.result_url)
                 .field(links_.result_get_url.value_or(""))
                 .field(links_.loader_url.value_or(""))
                 .block());
}

void ClassicRun::meet(Joined& joined, const flow::RunId& open) {
  joined_ = &joined;
  take_key();  // as it is now that no flow can replace it any more
  met_ = open_run(open);
  Prg prg = keys_of(met_);
  own_.emplace(links_, place_, prg);
  net::Party& party = joined.session().party();
  take_terms(exchange_links(party, room(), own_->public_part(joined.members()[party.id()])));
  carries_ = carrier_of(terms_.links) == party.id();
  compare_records();
}

void ClassicRun::show(agreement::Proposal& proposal) const {
  proposal.kind = "run-script (classic)";
  proposal.title = job_.name;
  proposal.section("Job");
  proposal.text("job", job_.name);
  proposal.text("key", key_.origin.empty()
                           ? fmt::format("{} (secret {})", job_.access_key_id, job_.secret)
                           : fmt::format("{} (secret {} v{}, {})", job_.access_key_id, job_.secret,
                                         key_.secret.version, key_.origin));
  proposal.text("image", fmt::format("the newest one, as GetAmiID tells it; not {} of the job",
                                     job_.image_id));
  proposal.text("deadline",
                fmt::format("{} minutes, then the machine ends", job_.deadline_minutes));
  proposal.text("machine costs", machine_cost(job_));
  proposal.text("training job",
                "flexroom-RUN, with a machine of its own: neither its cost is in this, nor does "
                "`stop` end it");
  if (armed_) {
    proposal.text("machine",
                  fmt::format("may run since an earlier session, and no other one is started: its "
                              "script has SHA-256 {}, its loader {}; nothing is written to links",
                              job_.script_sha256, loader_digest()));
  }
  proposal.text(kUserData,
                "the boot script; the letters A stand for bytes that one member alone knows, and "
                "for a nonce");
  add_script_parts(proposal, room(), terms_, script_);
}

std::string ClassicRun::loader_digest() const {
  return to_hex(sha256(as_bytes(loader_text(job_, terms_.links))));
}

/// All that the machine gets, but each member's private bytes: these follow from the seed and from
/// the links, and the loader has what they are checked by.
std::string ClassicRun::machine_digest() const {
  RandomOracle out("classic machine", RoScope{});
  for (const std::string& one : {job_.name, job_.provider, job_.region, job_.instance_type,
                                 job_.script_url, job_.script_sha256, job_.interpreter}) {
    out.field(one);
  }
  for (const std::string& one : job_.arguments) out.field(one);
  out.field(static_cast<uint64_t>(job_.arguments.size()))
      .field(static_cast<uint64_t>(job_.deadline_minutes))
      .field(static_cast<uint64_t>(job_.failure_output_to_all ? 1 : 0));
  return to_hex(out.field(boot_.text()).field(loader_text(job_, terms_.links)).digest());
}

/// A member whose run is at its end already goes on with the one that another one names, if it has
/// its record: which is then compared.
flow::RunId ClassicRun::open_run(const flow::RunId& own) {
  constexpr std::string_view kLabel = "run/open";
  net::Party& party = joined_->session().party();
  // All of one length.
  const std::string none(flow::kRunIdChars, '-');
  const std::vector<Bytes> said =
      party.exchange(kLabel, Writer().field(own.empty() ? none : own).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  flow::RunId out = own;
  for (PartyId j = 0; j < said.size(); ++j) {
    Reader in(said[j], kLabel, j);
    const std::string id = to_text(in.field(flow::kRunIdChars));
    in.finish();
    if (id == none) continue;
    if (!flow::is_run_id(id)) {
      throw ProtocolAbort(AbortCode::kBadFrame, kLabel, "what is no id of a run", j);
    }
    if (out.empty() && history_.find_flow(id)) out = id;
  }
  return out;
}

/// Once the machine's start was armed anywhere nothing of it changes any more, whatever anybody
/// says: another job, script, loader or record is refused before the approval. Before that they
/// only mean that the record begins anew.
void ClassicRun::compare_records() {
  constexpr std::string_view kLabel = "run/record";
  net::Party& party = joined_->session().party();
  const std::optional<runs::Run> own = history_.find_flow(met_);
  const std::string none(kDigestDigits, '-');
  const bool is_armed = !met_.empty() && flow_store(state_).armed(met_, start_).has_value();
  const std::vector<Bytes> said =
      party.exchange(kLabel, Writer()
                                 .field(own ? own->id : none)
                                 .field(own && !own->machine.empty() ? own->machine : none)
                                 .u8(is_armed ? 1 : 0)
                                 .bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  const std::string machine = machine_digest();
  std::string another;  // who has another record
  bool same_machine = true;
  for (PartyId j = 0; j < said.size(); ++j) {
    Reader in(said[j], kLabel, j);
    const std::string id = to_text(in.field(kDigestDigits));
    same_machine &= to_text(in.field(kDigestDigits)) == machine;
    armed_ |= in.u8() != 0;
    in.finish();
    if (!own || id != own->id) another = joined_->members()[j];
  }
  is_same_ = own && another.empty() && same_machine;
  if (!armed_ || is_same_) return;
  const std::string why =
      !another.empty()
          ? fmt::format("{} has another record of it than this member, or one of them has none",
                        another)
          : "the job, its script or a member's links are others than those that the machine got, "
            "or a member's seed is lost";
  throw flow::FlowStop(
      flow::FlowStop::Kind::kRefused,
      fmt::format(
          "the machine of run {} may run already, and {}. Nothing was changed. Run it with the "
          "job, the script and the links.toml of before at all members, or end it with `flexroom "
          "flow {} --abandon {}`",
          met_.empty() ? "that another member names" : met_, why,
          (shipped_flows() / kFile).string(), met_.empty() ? "RUN" : met_));
}

void ClassicRun::begin_record(const Digest& proposal, const flow::RunId& run) {
  net::Party& party = joined_->session().party();
  const RunPlace place = agree_on_place(party, history_.count(to_hex(proposal)));
  if (is_same_ && run == met_) {
    run_ = history_.find_flow(met_);
    return;
  }
  if (auto before = history_.find_flow(run); before && before->instance_id.empty()) {
    before->state = runs::RunState::kNotStarted;
    before->detail = "begun anew";
    before->flow_run.clear();
    history_.update(*before);
  }
  run_ = begin_run(job_, links_, terms_, state_.rid(), party.scope().sid, place);
  run_->flow_run = run_->client_token = run;
  run_->machine = machine_digest();
  history_.begin(*run_, links_.result_get_url.value_or(""), seed_.reveal());
}

bool ClassicRun::is_started(const flow::Outlook& outlook) const {
  return !outlook.id.empty() && (outlook.step.empty() || behind_.contains(outlook.step));
}

void ClassicRun::approved(const Digest& proposal, const flow::Outlook& outlook) {
  terms_.proposal = proposal;
  if (armed_ && outlook.id != met_) {
    throw InputError("run " + met_, "is not the run that the members go on with",
                     "end it with --abandon of its flow");
  }
  begin_record(proposal, outlook.id);
  // The key may have been rotated since.
  run_->access_key_id = job_.access_key_id;
  run_->secret = job_.secret;
  const std::string loader = loader_digest();
  // What lies at the links of before is what this run put there, or its result; once a machine may
  // run it is never written again.
  if (!armed_ && run_->loader != loader) {
    try_own_links(session_, history_, *run_, terms_, {links_, place_, carries_});
  }
  run_->loader = loader;
  run_->detail.clear();
  const bool open =
      run_->state == runs::RunState::kUnknown || run_->state == runs::RunState::kNotStarted;
  if (open) run_->state = runs::RunState::kStarting;
  if (is_started(outlook)) {
    const auto instance = flow_store(state_).room_value(prefix_, kInstance);
    if (instance) take_instance({{kInstance, std::string(as_text(instance->bytes.reveal()))}});
  }
  history_.update(*run_);
}

void ClassicRun::take_instance(const std::map<std::string, std::string>& opened) {
  const auto it = opened.find(kInstance);
  if (it == opened.end()) return;
  run_->instance_id = it->second;
  if (run_->state == runs::RunState::kStarting) run_->state = runs::RunState::kRunning;
}

void ClassicRun::write_down() noexcept {
  not_written_ = remember(history_, *run_);
  if (!not_written_.empty()) joined_->note(not_written_);
}

void ClassicRun::told(const flow::LogLine& line,
                      const std::map<std::string, std::string>& opened) noexcept {
  if (!run_ || !line.committed) return;
  try {
    run_->flow_run = run_->client_token = line.run;
    take_instance(opened);
  } catch (...) {
    joined_->note(words_of_caught());
  }
  write_down();
}

void ClassicRun::ended(const flow::RunId& run, const std::string& why, const std::string& in_doubt,
                       const std::map<std::string, std::string>& opened) noexcept {
  if (!run_) return;
  try {
    if (in_doubt == start_) {
      run_->state = runs::RunState::kUnknown;
      // By which `stop` ends the machine, though no commit tells of it.
      const auto it = opened.find(kInstance);
      if (it != opened.end()) run_->instance_id = it->second;
    } else if (run.empty() && !why.empty() && !armed_ && run_->flow_run.empty() &&
               run_->instance_id.empty()) {
      run_->state = runs::RunState::kNotStarted;
    }
    run_->flow_done = why.empty();
    run_->detail = why.substr(0, kMostDetail);
  } catch (...) {
    joined_->note(words_of_caught());
  }
  write_down();
  // `result` took it while the flow went on.
  if (run_->flow_done && !run_->result.empty()) history_.forget_link(*run_);
}

RunStarted ClassicRun::run() {
  FlowRequest request;
  request.file = shipped_flows() / kFile;
  request.arguments = request_.arguments;
  if (names_key_) request.key = {job_.secret, job_.access_key_id};
  (void)run_flow(session_, request, this);
  if (run_->instance_id.empty()) {
    throw InputError("run " + run_->short_id(), "is done, and its machine's id is not in the room",
                     "`flexroom log` says what removed it");
  }
  RunStarted out;
  out.run = run_->id;
  out.status = 200;
  out.instance_id = run_->instance_id;
  out.client_token = run_->client_token;
  out.not_written = not_written_;
  return out;
}

}  // namespace

RunStarted run_classic(Session& session, const RunScriptRequest& request) {
  return ClassicRun(session, request).run();
}

}  // namespace flexroom::room
