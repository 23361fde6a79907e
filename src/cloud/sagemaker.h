#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cloud/json_rpc.h"
#include "cloud/metadata.h"
#include "cloud/s3.h"
#include "cloud/training_boot.h"
#include "cloud/vm_host.h"

namespace flexroom::cloud {

/// SageMaker's training jobs: CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs,
/// StopTrainingJob. A job runs without a container, as an instance does (VmHost), with the rights
/// of its role: either the one script that `TrainingImage` names by the host and key of its object
/// and its SHA-256 (BUCKET.s3.REGION.amazonaws.com/KEY@sha256:HEX), or, with the hyperparameters
/// sagemaker_program and sagemaker_submit_directory, a program of a tar.gz. Jobs live in memory.
/// Thread-safe.
class SageMaker {
 public:
  SageMaker(Directory& directory, VmHost& vms, S3& s3, std::string region);
  Response handle(const Request& request, const Caller& caller);
  /// Once all instances have ended.
  void stop();

 private:
  struct Transition {
    std::string status, message;
    std::time_t begin = 0;
  };
  struct Job {
    std::string id, name, account, arn, role, status, failure;
    nlohmann::json described;  // what DescribeTrainingJob repeats of the call
    std::vector<Transition> transitions;
    std::string model;  // s3://
    std::time_t created = 0, started = 0, ended = 0;
    std::shared_ptr<MetadataService> metadata;
    TrainingPlan plan;
  };

  nlohmann::json create(const Members& in, const Caller& caller);
  nlohmann::json describe(const Members& in, const Caller& caller);
  nlohmann::json list(const Members& in, const Caller& caller);
  nlohmann::json stop_job(const Members& in, const Caller& caller);

  /// The role's name; throws if the service cannot assume it or the caller may not pass it.
  Role assumed(const std::string& arn, const Caller& caller) const;
  /// What the job will do, all but the URLs. Throws ValidationException.
  void read(const Members& in, Job& job) const;
  void read_resources(const Members& in, Job& job) const;
  void read_program(const Members& in, Job& job) const;
  /// Reads what stands where as the role, signs the URLs and boots; a job that cannot begin is
  /// Failed.
  void begin(Job& job, const Members& in, const Role& role);
  void fill_urls(Job& job, const Members& in, const Principal& principal,
                 const SessionKey& session);
  void boot(Job& job, unsigned slot, const Principal& principal);
  void ended(const std::string& id, VmEnd end);
  void change(Job& job, const std::string& status, const std::string& secondary,
              const std::string& message);
  Job& find(const std::string& name, const std::string& account);
  void forget_old();
  std::string job_arn(const std::string& account, const std::string& name) const;

  Directory& directory_;
  VmHost& vms_;
  S3& s3_;
  std::string region_;
  std::mutex mutex_;
  std::map<std::string, Job> jobs_;  // by id
};

}  // namespace flexroom::cloud
