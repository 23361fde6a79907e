#include "cloud/sagemaker.h"

#include <algorithm>

#include "cloud/iam.h"
#include "cloud/json_text.h"
#include "cloud/policy.h"
#include "cloud/presign.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxJobs = 1000, kMaxChannels = 20, kMaxObjects = 200, kMaxHyperparameters = 100;
constexpr long kMaxRuntime = 2419200;
constexpr unsigned kUrlSeconds = 43200;
constexpr const char* kServiceName = "sagemaker.amazonaws.com";

[[noreturn]] void invalid(const std::string& message) {
  throw ApiError(400, "ValidationException", message);
}

bool is_name(const std::string& name, size_t most) {
  return !name.empty() && name.size() <= most && name.front() != '-' && name.back() != '-' &&
         lower(name).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
             std::string::npos;
}

std::string job_name(const Members& in) {
  const std::string name = in.text("TrainingJobName", 63);
  if (!is_name(name, 63)) {
    in.refuse("TrainingJobName",
              "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}");
  }
  return name;
}

S3Place s3_place(const Members& in, const char* name) {
  const auto place = parse_s3_uri(in.text(name));
  if (!place) in.refuse(name, "Member must satisfy regular expression pattern: (https|s3)://...");
  return *place;
}

/// The toolkit writes a text as JSON, other callers as it is.
std::string plain(const std::string& value) {
  const auto parsed = nlohmann::json::parse(value, nullptr, false);
  return parsed.is_string() ? parsed.get<std::string>() : value;
}

Principal role_session(const std::string& account, const Role& role) {
  return {Principal::Kind::kRoleSession, account, role.name, "SageMaker", role.id};
}

}  // namespace

SageMaker::SageMaker(Directory& directory, VmHost& vms, S3& s3, std::string region)
    : directory_(directory), vms_(vms), s3_(s3), region_(std::move(region)) {}

void SageMaker::stop() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, job] : jobs_) job.metadata.reset();
}

std::string SageMaker::job_arn(const std::string& account, const std::string& name) const {
  return "arn:aws:sagemaker:" + region_ + ":" + account + ":training-job/" + lower(name);
}

Response SageMaker::handle(const Request& request, const Caller& caller) {
  const JsonCall call(request, "SageMaker.");
  using Page = nlohmann::json (SageMaker::*)(const Members&, const Caller&);
  static const std::map<std::string, Page> kPages = {
      {"CreateTrainingJob", &SageMaker::create},
      {"DescribeTrainingJob", &SageMaker::describe},
      {"ListTrainingJobs", &SageMaker::list},
      {"StopTrainingJob", &SageMaker::stop_job},
  };
  const auto page = kPages.find(call.action());
  if (page == kPages.end()) unknown_operation(call.action());
  const std::string resource = call.action() == "ListTrainingJobs"
                                   ? "*"
                                   : job_arn(caller.principal.account_id, job_name(call.in()));
  require_allowed(directory_, caller, Service::kSageMaker, "sagemaker:" + call.action(), resource);
  const std::lock_guard lock(mutex_);
  return json_rpc_answer((this->*page->second)(call.in(), caller));
}

SageMaker::Job& SageMaker::find(const std::string& name, const std::string& account) {
  for (auto& [id, job] : jobs_) {
    if (job.account == account && job.name == name) return job;
  }
  invalid("Requested resource not found.");
}

Role SageMaker::assumed(const std::string& arn, const Caller& caller) const {
  const std::string& account = caller.principal.account_id;
  const std::string prefix = "arn:aws:iam::" + account + ":role/";
  const auto role = arn.starts_with(prefix)
                        ? directory_.find_role(account, arn.substr(prefix.size()))
                        : std::nullopt;
  if (!role ||
      evaluate_trust(role->trust, "sts:AssumeRole", kServiceName, "") != Decision::kAllow) {
    invalid("Could not assume role " + arn +
            ". Please ensure that the role exists and allows "
            "principal '" +
            kServiceName + "' to assume the role.");
  }
  // Otherwise a user could reach a role's rights that are not its own.
  require_allowed(directory_, caller, Service::kSageMaker, "iam:PassRole", arn);
  return *role;
}

void SageMaker::read_resources(const Members& in, Job& job) const {
  const Members output = in.object("OutputDataConfig");
  output.only({"S3OutputPath"});
  S3Place place = s3_place(output, "S3OutputPath");
  if (!place.key.empty() && !place.key.ends_with("/")) place.key += "/";
  job.model = "s3://" + place.bucket + "/" + place.key + job.name + "/output/model.tar.gz";
  const Members resources = in.object("ResourceConfig");
  resources.only({"InstanceType", "InstanceCount", "VolumeSizeInGB"});
  if (!resources.text("InstanceType", 64).starts_with("ml.")) {
    resources.refuse("InstanceType", "Member must be an instance type, ml...");
  }
  if (resources.whole("InstanceCount", 1, 100) != 1) {
    throw ApiError(400, "ResourceLimitExceeded",
                   "The account-level service limit 'instances of one training job' is 1.");
  }
  resources.whole("VolumeSizeInGB", 1, 16384);
  const Members stopping = in.object("StoppingCondition");
  stopping.only({"MaxRuntimeInSeconds"});
  job.plan.max_seconds = stopping.whole_or("MaxRuntimeInSeconds", 1, kMaxRuntime, 86400);
  for (const Members& channel : in.objects("InputDataConfig", kMaxChannels)) {
    channel.only({"ChannelName", "DataSource", "ContentType", "CompressionType", "InputMode"});
    const std::string name = channel.text("ChannelName", 64);
    const auto& known = job.plan.channels;
    if (!is_name(name, 64) || std::find(known.begin(), known.end(), name) != known.end()) {
      channel.refuse("ChannelName", "Member must be a name, and each another one");
    }
    if (channel.text_or("CompressionType", "None") != "None") {
      channel.refuse("CompressionType", "Member is not offered here");
    }
    const Members source = channel.object("DataSource").object("S3DataSource");
    source.only({"S3DataType", "S3Uri", "S3DataDistributionType"});
    if (source.text("S3DataType") != "S3Prefix") {
      source.refuse("S3DataType", "Member must be S3Prefix here");
    }
    s3_place(source, "S3Uri");
    job.plan.channels.push_back(name);
  }
}

void SageMaker::read_program(const Members& in, Job& job) const {
  const Members algorithm = in.object("AlgorithmSpecification");
  algorithm.only({"TrainingImage", "TrainingInputMode"});
  algorithm.text("TrainingImage", 255);
  if (algorithm.text("TrainingInputMode") != "File") {
    algorithm.refuse("TrainingInputMode", "Member must be File here");
  }
  auto hyperparameters = nlohmann::json::object();
  for (const auto& [name, value] : in.text_map("HyperParameters", kMaxHyperparameters)) {
    if (name.size() > 256 || value.size() > 2500) {
      in.refuse("HyperParameters", "Map must have short names and values");
    }
    hyperparameters[name] = value;
    if (name == "sagemaker_program") {
      job.plan.program = plain(value);
      if (!is_plain_path(job.plan.program)) invalid("sagemaker_program is no path of the source");
    } else if (!name.starts_with("sagemaker_")) {
      job.plan.arguments.push_back("--" + name);
      job.plan.arguments.push_back(plain(value));
    }
  }
  job.plan.hyperparameters = json_text(hyperparameters);
}

void SageMaker::read(const Members& in, Job& job) const {
  in.only({"TrainingJobName", "RoleArn", "AlgorithmSpecification", "OutputDataConfig",
           "ResourceConfig", "StoppingCondition", "HyperParameters", "InputDataConfig", "Tags",
           "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
           "EnableManagedSpotTraining"});
  for (const char* name : {"EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
                           "EnableManagedSpotTraining"}) {
    if (in.flag(name, false)) in.refuse(name, "Member must be false here");
  }
  for (const Members& tag : in.objects("Tags", 50)) {
    tag.only({"Key", "Value"});
    tag.text("Key", 128);
  }
  read_resources(in, job);
  read_program(in, job);
}

nlohmann::json SageMaker::create(const Members& in, const Caller& caller) {
  Job job;
  job.name = job_name(in);
  job.account = caller.principal.account_id;
  job.arn = job_arn(job.account, job.name);
  job.role = in.text("RoleArn", 2048);
  read(in, job);
  for (const auto& [id, other] : jobs_) {
    if (other.account == job.account && lower(other.name) == lower(job.name)) {
      throw ApiError(400, "ResourceInUse",
                     "Training job names must be unique within an AWS account. A training job with "
                     "the name " +
                         job.name + " already exists.");
    }
  }
  const Role role = assumed(job.role, caller);
  forget_old();
  job.id = "tj-" + random_hex(16);
  job.created = std::time(nullptr);
  job.plan.job_name = job.name;
  for (const char* name : {"AlgorithmSpecification", "OutputDataConfig", "ResourceConfig",
                           "StoppingCondition", "HyperParameters", "InputDataConfig"}) {
    if (in.has(name)) job.described[name] = in.raw(name);
  }
  const std::string arn = job.arn;
  Job& kept = jobs_[job.id] = std::move(job);
  change(kept, "InProgress", "Starting", "Preparing the instance for training");
  try {
    begin(kept, in, role);
  } catch (const ApiError&) {
    jobs_.erase(std::string(kept.id));  // no instance: nothing was begun
    throw;
  }
  return {{"TrainingJobArn", arn}};
}

void SageMaker::change(Job& job, const std::string& status, const std::string& secondary,
                       const std::string& message) {
  job.status = status;
  job.transitions.push_back({secondary, message, std::time(nullptr)});
  if (status != "InProgress" && status != "Stopping") job.ended = std::time(nullptr);
}

void SageMaker::fill_urls(Job& job, const Members& in, const Principal& principal,
                          const SessionKey& session) {
  const auto fail = [](const std::string& why) { throw ApiError(400, "ClientError", why); };
  const std::time_t now = std::time(nullptr);
  const auto url = [&](const char* method, const S3Place& place) {
    return presigned_url(session, method, place, region_, kUrlSeconds, now);
  };
  job.plan.model_url = url("PUT", *parse_s3_uri(job.model));
  Caller caller;
  caller.principal = principal;
  size_t channel = 0;
  for (const Members& input : in.objects("InputDataConfig", kMaxChannels)) {
    const S3Place place = s3_place(input.object("DataSource").object("S3DataSource"), "S3Uri");
    const size_t folder = place.key.rfind('/') == std::string::npos ? 0 : place.key.rfind('/') + 1;
    const auto keys = s3_.keys(caller, place.bucket, place.key, kMaxObjects);
    if (keys.empty()) fail("no object is in " + place.bucket + "/" + place.key);
    for (const std::string& key : keys) {
      if (key.ends_with("/")) continue;
      const std::string path =
          "input/data/" + job.plan.channels[channel] + "/" + key.substr(folder);
      if (!is_plain_path(path)) fail("an object's key is no name of a file");
      job.plan.files.push_back({path, url("GET", {place.bucket, key})});
    }
    ++channel;
  }
  if (!job.plan.program.empty()) {
    std::string source;
    for (const auto& [name, value] : in.text_map("HyperParameters", kMaxHyperparameters)) {
      if (name == "sagemaker_submit_directory") source = plain(value);
    }
    const auto place = parse_s3_uri(source);
    if (!place) fail("sagemaker_submit_directory is no object of S3");
    job.plan.source_url = url("GET", *place);
    return;
  }
  const std::string image = in.object("AlgorithmSpecification").text("TrainingImage", 255);
  const size_t at = image.find("@sha256:"), slash = image.find('/');
  if (at == std::string::npos || slash > at) {
    fail(
        "Cannot pull algorithm container. This cloud runs scripts: "
        "BUCKET.s3." +
        region_ + ".amazonaws.com/KEY@sha256:HEX");
  }
  const auto bucket = bucket_of_host(image.substr(0, slash), region_);
  job.plan.script_sha256 = image.substr(at + 8);
  const bool digest =
      job.plan.script_sha256.size() == 64 &&
      job.plan.script_sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!bucket || !digest) fail("Cannot pull algorithm container. The image names no script");
  job.plan.script_url = url("GET", {*bucket, image.substr(slash + 1, at - slash - 1)});
}

void SageMaker::begin(Job& job, const Members& in, const Role& role) {
  const Principal principal = role_session(job.account, role);
  try {
    fill_urls(job, in, principal, directory_.create_session(principal, std::chrono::hours(12)));
  } catch (const ApiError& error) {
    // As the provider: the call was good, the job is not.
    job.failure = std::string("ClientError: ") + error.what();
    change(job, "Failed", "Failed", "Training job failed");
    return;
  }
  const auto slot = vms_.acquire_slot();
  if (!slot) {
    throw ApiError(400, "ResourceLimitExceeded",
                   "The account-level service limit for training jobs is " +
                       std::to_string(VmHost::kMaxVms) + " Instances.");
  }
  job.started = std::time(nullptr);
  change(job, "InProgress", "Training", "Training in progress");
  try {
    boot(job, *slot, principal);
  } catch (const std::exception&) {
    job.metadata.reset();
    job.failure = "InternalServerError: We encountered an internal error. Please try again.";
    change(job, "Failed", "Failed", "Training job failed");
  }
}

void SageMaker::boot(Job& job, unsigned slot, const Principal& principal) {
  MetadataFacts facts;
  facts.instance_id = job.id;
  facts.image_id = kImageId;
  facts.instance_type = "ml";
  facts.account_id = job.account;
  facts.region = region_;
  facts.private_ip = "172.31.0." + std::to_string(10 + slot);
  facts.hostname = "ip-172-31-0-" + std::to_string(10 + slot) + ".ec2.internal";
  facts.role = principal.name;
  facts.launched = job.started;
  job.metadata = std::make_shared<MetadataService>(
      std::move(facts), vms_.uid(slot),
      [this, principal] { return directory_.create_session(principal, std::chrono::hours(6)); });
  VmMetadata metadata;
  metadata.serve = [service = job.metadata](Fd listener) {
    return service->adopt(std::move(listener));
  };
  if (vms_.isolation() != VmIsolation::kNamespaces) {
    metadata.endpoint = job.metadata->listen(vms_.metadata_address(slot));
  }
  vms_.launch(job.id, slot, training_boot(job.plan), std::move(metadata),
              [this, id = job.id](VmEnd end) { ended(id, end); });
}

void SageMaker::ended(const std::string& id, VmEnd end) {
  const auto verdict = training_end(vms_.console(id));
  // Its threads end outside the lock; the address must be free before the slot is.
  std::shared_ptr<MetadataService> metadata;
  const std::lock_guard lock(mutex_);
  Job& job = jobs_.at(id);
  metadata.swap(job.metadata);
  job.plan = TrainingPlan();  // the URLs are over
  if (job.status == "Stopping") {
    change(job, "Stopped", "Stopped", "Training job was stopped");
  } else if (end == VmEnd::kDeadline ||
             (end == VmEnd::kPoweroff && verdict && verdict->out_of_time)) {
    change(job, "Stopped", "MaxRuntimeExceeded",
           "Training job runtime exceeded MaxRuntimeInSeconds");
  } else if (end == VmEnd::kPoweroff && verdict && verdict->completed) {
    change(job, "Completed", "Completed", "Training job completed");
  } else {
    job.failure =
        verdict ? verdict->reason : "AlgorithmError: the instance ended before the program";
    change(job, "Failed", "Failed", "Training job failed");
  }
}

nlohmann::json SageMaker::describe(const Members& in, const Caller& caller) {
  in.only({"TrainingJobName"});
  const Job& job = find(job_name(in), caller.principal.account_id);
  nlohmann::json out = job.described;
  out["TrainingJobName"] = job.name;
  out["TrainingJobArn"] = job.arn;
  out["RoleArn"] = job.role;
  out["TrainingJobStatus"] = job.status;
  out["SecondaryStatus"] = job.transitions.back().status;
  out["CreationTime"] = json_time(job.created);
  out["LastModifiedTime"] = json_time(job.transitions.back().begin);
  for (const char* name : {"EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
                           "EnableManagedSpotTraining"}) {
    out[name] = false;
  }
  if (job.started != 0) out["TrainingStartTime"] = json_time(job.started);
  if (job.ended != 0) out["TrainingEndTime"] = json_time(job.ended);
  if (job.started != 0 && job.ended != 0) {
    out["TrainingTimeInSeconds"] = job.ended - job.started;
    out["BillableTimeInSeconds"] = job.ended - job.started;
  }
  if (!job.failure.empty()) out["FailureReason"] = job.failure;
  if (job.status == "Completed") out["ModelArtifacts"] = {{"S3ModelArtifacts", job.model}};
  out["SecondaryStatusTransitions"] = nlohmann::json::array();
  for (size_t i = 0; i < job.transitions.size(); ++i) {
    const Transition& one = job.transitions[i];
    nlohmann::json step = {{"Status", one.status},
                           {"StartTime", json_time(one.begin)},
                           {"StatusMessage", one.message}};
    if (i + 1 < job.transitions.size()) step["EndTime"] = json_time(job.transitions[i + 1].begin);
    out["SecondaryStatusTransitions"].push_back(step);
  }
  return out;
}

/// Newest first.
nlohmann::json SageMaker::list(const Members& in, const Caller& caller) {
  in.only({"NextToken", "MaxResults", "NameContains", "StatusEquals"});
  std::vector<const Job*> chosen;
  const std::string part = in.text_or("NameContains", ""), status = in.text_or("StatusEquals", "");
  for (const auto& [id, job] : jobs_) {
    if (job.account == caller.principal.account_id && job.name.find(part) != std::string::npos &&
        (status.empty() || job.status == status)) {
      chosen.push_back(&job);
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const Job* a, const Job* b) { return a->created > b->created; });
  const ListPage page =
      list_page(chosen.size(), static_cast<size_t>(in.whole_or("MaxResults", 1, 100, 10)),
                in.text_or("NextToken", ""), "ValidationException");
  nlohmann::json out = {{"TrainingJobSummaries", nlohmann::json::array()}};
  for (size_t i = page.begin; i < page.end; ++i) {
    const Job& job = *chosen[i];
    out["TrainingJobSummaries"].push_back(
        {{"TrainingJobName", job.name},
         {"TrainingJobArn", job.arn},
         {"TrainingJobStatus", job.status},
         {"CreationTime", json_time(job.created)},
         {"LastModifiedTime", json_time(job.transitions.back().begin)}});
  }
  if (!page.next.empty()) out["NextToken"] = page.next;
  return out;
}

nlohmann::json SageMaker::stop_job(const Members& in, const Caller& caller) {
  in.only({"TrainingJobName"});
  Job& job = find(job_name(in), caller.principal.account_id);
  if (job.status != "InProgress") {
    invalid("The request was rejected because the training job is in status " + job.status + ".");
  }
  change(job, "Stopping", "Stopping", "Stopping the training job");
  vms_.terminate(job.id);
  return nullptr;
}

void SageMaker::forget_old() {
  while (jobs_.size() >= kMaxJobs) {
    auto oldest = jobs_.end();
    for (auto it = jobs_.begin(); it != jobs_.end(); ++it) {
      if (it->second.ended == 0) continue;
      if (oldest == jobs_.end() || it->second.created < oldest->second.created) oldest = it;
    }
    if (oldest == jobs_.end()) {
      throw ApiError(400, "ResourceLimitExceeded", "There are too many training jobs.");
    }
    vms_.forget(oldest->first);
    jobs_.erase(oldest);
  }
}

}  // namespace flexroom::cloud
