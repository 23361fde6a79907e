#include "cloud/training_boot.h"

#include <sstream>

namespace flexroom::cloud {

namespace {

constexpr std::string_view kVerdict = "sandbox: training ";

/// As one word of sh.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

constexpr const char* kHead = R"sh(#!/bin/bash
# Written by the sandbox: one training job.
cd "$HOME" && mkdir -p ml/code ml/input/config ml/input/data ml/model ml/output/data || exit 1
end() { echo; echo "sandbox: training $*"; poweroff; sleep 60; exit 0; }
fetch() {
  mkdir -p "$(dirname "$1")"
  curl -sSf --retry 2 --max-time 900 -o "$1" "$2" || end "failed ClientError: $3 cannot be fetched"
}
export SM_MODEL_DIR="$HOME/ml/model" SM_OUTPUT_DATA_DIR="$HOME/ml/output/data"
export SM_INPUT_DIR="$HOME/ml/input" SM_OUTPUT_DIR="$HOME/ml/output" SM_CURRENT_HOST=algo-1
export SM_HOSTS='["algo-1"]' SM_NUM_GPUS=0 SM_INPUT_CONFIG_DIR="$HOME/ml/input/config"
)sh";

constexpr const char* kRun = R"sh(began=$SECONDS
cd ml/code && timeout --kill-after=5 "$limit" "${command[@]}"
code=$?
cd "$HOME"
case $code in  # of timeout: its end, or its kill
  124 | 137) [ $((SECONDS - began)) -ge "$limit" ] && end 'ran out of time' ;;
esac
[ $code = 0 ] || end "failed AlgorithmError: exit code $code"
tar -czf model.tar.gz -C ml/model . || end 'failed ClientError: the model cannot be packed'
curl -sSf --retry 2 --max-time 900 -o /dev/null -T model.tar.gz "$model" ||
  end 'failed ClientError: the model cannot be handed over'
end completed
)sh";

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-' || c == '.') c = '_';
  }
  return text;
}

}  // namespace

bool is_plain_path(const std::string& path) {
  if (path.empty() || path.size() > 512 || path.front() == '/' ||
      path.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "-_.+=@,/ ") != std::string::npos) {
    return false;
  }
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

std::string training_boot(const TrainingPlan& plan) {
  std::string out = kHead;
  out += "export TRAINING_JOB_NAME=" + quoted(plan.job_name) + "\n";
  out += "export SM_HPS=" + quoted(plan.hyperparameters) + "\n";
  out += "printf '%s' \"$SM_HPS\" > ml/input/config/hyperparameters.json\n";
  for (const std::string& channel : plan.channels) {
    out += "mkdir -p ml/input/data/" + quoted(channel) + "\n";
    out += "export SM_CHANNEL_" + upper(channel) + "=\"$HOME\"/ml/input/data/" + quoted(channel) +
           "\n";
  }
  for (const TrainingPlan::File& file : plan.files) {
    out += "fetch ml/" + quoted(file.path) + " " + quoted(file.url) + " 'data of a channel'\n";
  }
  if (!plan.script_url.empty()) {
    out += "fetch ml/code/train " + quoted(plan.script_url) + " 'the training script'\n";
    out += "echo " + quoted(plan.script_sha256 + "  ml/code/train") +
           " | sha256sum -c --status || end 'failed ClientError: the training script has another "
           "SHA-256'\nchmod 700 ml/code/train\ncommand=(./train";
  } else {
    out += "fetch source.tar.gz " + quoted(plan.source_url) + " 'the source'\n";
    out +=
        "tar -xzf source.tar.gz -C ml/code || end 'failed ClientError: the source is no tar.gz'\n";
    const bool python = plan.program.ends_with(".py");
    out += "command=(" + std::string(python ? "python3 " : "bash ") + quoted(plan.program);
  }
  for (const std::string& argument : plan.arguments) out += " " + quoted(argument);
  out +=
      ")\nlimit=" + std::to_string(plan.max_seconds) + "\nmodel=" + quoted(plan.model_url) + "\n";
  return out + kRun;
}

std::optional<TrainingEnd> training_end(const std::string& console) {
  const size_t at = console.rfind("\n" + std::string(kVerdict));
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + 1 + kVerdict.size();
  const std::string verdict = console.substr(begin, console.find('\n', begin) - begin);
  if (verdict == "completed") return TrainingEnd{true, false, ""};
  if (verdict == "ran out of time") return TrainingEnd{false, true, ""};
  static constexpr std::string_view kFailed = "failed ";
  if (!verdict.starts_with(kFailed)) return std::nullopt;
  return TrainingEnd{false, false, verdict.substr(kFailed.size(), 1024)};
}

}  // namespace flexroom::cloud
