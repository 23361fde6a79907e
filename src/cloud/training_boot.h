#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cloud/encoding.h"

namespace flexroom::cloud {

/// What a training job fetches, runs and hands over. Every URL is pre-signed as the job's role.
struct TrainingPlan {
  struct File {
    std::string path, url;  // path below ml/
  };
  std::string job_name;
  std::string hyperparameters;         // JSON
  std::vector<std::string> arguments;  // of the program: --NAME VALUE ...
  std::vector<std::string> channels;
  std::vector<File> files;  // of the channels
  /// One program, whose SHA-256 is known, or ...
  std::string script_url, script_sha256;
  /// ... a tar.gz, and the program in it.
  std::string source_url, program;
  std::string model_url;  // PUT of model.tar.gz
  long max_seconds = 0;
};

/// The user data of the instance that runs the job: fetches into $HOME/ml, laid out as /opt/ml is,
/// runs the program with the variables of the SageMaker training toolkit (SM_MODEL_DIR, SM_HPS,
/// SM_CHANNEL_NAME, ...), hands over the model, says on the console how it ended and switches the
/// instance off.
std::string training_boot(const TrainingPlan& plan);

/// How a job ended, as its console says.
struct TrainingEnd {
  bool completed = false, out_of_time = false;
  std::string reason;  // of a failure
};
/// Nothing if the console does not say so: the instance ended before the program.
std::optional<TrainingEnd> training_end(const std::string& console);

/// A relative path of a few usual characters that leads nowhere else.
bool is_plain_path(const std::string& path);

}  // namespace flexroom::cloud
