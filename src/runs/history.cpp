#include "runs/history.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hex_digest.h"
#include "base/private_file.h"
#include "base/replace_file.h"

namespace flexroom::runs {
namespace {

constexpr size_t kMaxRecordBytes = 1 << 16;
constexpr size_t kFolderDigits = 16;
constexpr const char* kRecord = "run.json";
constexpr const char* kLink = "link";
constexpr const char* kSeed = "seed";

constexpr std::pair<RunState, std::string_view> kStates[] = {
    {RunState::kStarting, "starting"},  {RunState::kUnknown, "unknown"},
    {RunState::kRefused, "refused"},    {RunState::kNotStarted, "not started"},
    {RunState::kRunning, "running"},    {RunState::kSucceeded, "succeeded"},
    {RunState::kFailed, "failed"},      {RunState::kElsewhere, "too large"},
    {RunState::kNoResult, "no result"}, {RunState::kStopped, "stopped"},
    {RunState::kGone, "gone"}};

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view what) {
  throw InputError(file.string(), fmt::format("{}: {}", what, std::strerror(errno)),
                   "free some space, or let this user write there");
}

constexpr size_t kDigestDigits = 2 * sizeof(Digest);

InputError damage(const std::filesystem::path& file) {
  return {file.string(), "is damaged",
          "put a good copy back; if there is none, move its folder out of " +
              file.parent_path().parent_path().string()};
}

std::string encode(const Run& run) {
  return nlohmann::json{{"format", 1},
                        {"id", run.id},
                        {"job", run.job},
                        {"provider", run.provider},
                        {"region", run.region},
                        {"access_key_id", run.access_key_id},
                        {"secret", run.secret},
                        {"proposal", run.proposal},
                        {"session", run.session},
                        {"client_token", run.client_token},
                        {"instance_id", run.instance_id},
                        {"started", run.started},
                        {"deadline_minutes", run.deadline_minutes},
                        {"state", to_string(run.state)},
                        {"detail", run.detail},
                        {"before", run.before},
                        {"result_name", run.result_name},
                        {"carrier", run.carrier},
                        {"link_ends", run.link_ends},
                        {"link_answers", run.link_answers},
                        {"links_tried", run.links_tried},
                        {"machine_since", run.machine_since},
                        {"flow_run", run.flow_run},
                        {"loader", run.loader},
                        {"machine", run.machine},
                        {"id_before", run.id_before},
                        {"flow_done", run.flow_done},
                        {"result", run.result}}
             .dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

/// It becomes a part of a path.
bool is_file_name(std::string_view name) {
  return !name.empty() && name[0] != '.' && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

Run decode(const std::filesystem::path& file) {
  const SecretBytes bytes =
      read_private_file(file, kMaxRecordBytes, "it was removed while this command ran");
  const auto json = nlohmann::json::parse(as_text(bytes.reveal()), nullptr, false);
  try {
    if (json.at("format") != 1) {
      throw InputError(file.string(), "was written by a newer flexroom", "use that one to read it");
    }
    Run run;
    for (const auto& [name, field] : {std::pair("id", &run.id),
                                      {"job", &run.job},
                                      {"provider", &run.provider},
                                      {"region", &run.region},
                                      {"access_key_id", &run.access_key_id},
                                      {"secret", &run.secret},
                                      {"proposal", &run.proposal},
                                      {"client_token", &run.client_token},
                                      {"instance_id", &run.instance_id},
                                      {"detail", &run.detail},
                                      {"before", &run.before},
                                      {"result_name", &run.result_name},
                                      {"result", &run.result}}) {
      json.at(name).get_to(*field);
    }
    run.session = json.value("session", "");
    run.carrier = json.value("carrier", "");
    run.flow_run = json.value("flow_run", "");
    run.loader = json.value("loader", "");
    run.machine = json.value("machine", "");
    run.id_before = json.value("id_before", uint32_t{0});
    run.flow_done = json.value("flow_done", false);
    if (json.contains("link_ends")) json["link_ends"].get_to(run.link_ends);
    if (json.contains("link_answers")) json["link_answers"].get_to(run.link_answers);
    run.links_tried = json.value("links_tried", int64_t{0});
    run.machine_since = json.value("machine_since", int64_t{0});
    json.at("started").get_to(run.started);
    json.at("deadline_minutes").get_to(run.deadline_minutes);
    const std::string state = json.at("state");
    const auto* const known = std::find_if(std::begin(kStates), std::end(kStates),
                                           [&](const auto& pair) { return pair.second == state; });
    if (known == std::end(kStates) || !is_hex(run.id, kDigestDigits) ||
        !is_hex(run.proposal, kDigestDigits) ||
        !(run.session.empty() || is_hex(run.session, kDigestDigits)) ||
        !is_file_name(run.result_name) || !(run.result.empty() || is_file_name(run.result))) {
      throw damage(file);
    }
    run.state = known->first;
    return run;
  } catch (const nlohmann::json::exception&) {
    throw damage(file);
  }
}

}  // namespace

std::string_view to_string(RunState state) {
  for (const auto& [known, name] : kStates) {
    if (known == state) return name;
  }
  return "?";
}

std::string run_id(const Digest& rid, const Digest& proposal, uint64_t index) {
  return to_hex(RandomOracle("run", RoScope{}).field(rid).field(proposal).field(index).digest());
}

RunHistory::RunHistory(const std::filesystem::path& state_dir, const Digest& rid)
    : dir_(state_dir / "runs" / to_hex(rid).substr(0, kFolderDigits)) {}

std::filesystem::path RunHistory::folder(const Run& run) const {
  return dir_ / run.id.substr(0, kFolderDigits);
}

void RunHistory::begin(const Run& run, std::string_view link, ByteView seed) {
  const std::filesystem::path dir = folder(run);
  const std::filesystem::path runs = dir_.parent_path();
  for (const auto& made : {runs.parent_path(), runs, dir_, dir}) make_private_folder(made);
  if (!link.empty()) replace_file(dir / kLink, as_bytes(link));
  if (!seed.empty()) replace_file(dir / kSeed, seed);
  replace_file(dir / kRecord, as_bytes(encode(run)));
}

void RunHistory::update(const Run& run) {
  replace_file(folder(run) / kRecord, as_bytes(encode(run)));
}

RunHistory::Found RunHistory::look() const {
  Found out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir_, error), end; !error && it != end;
       it.increment(error)) {
    const std::string digits = it->path().filename().string();
    if (!is_hex(digits, kFolderDigits)) continue;  // no run's: something that was moved aside
    // A folder without a record: the program was killed before it wrote one.
    std::error_code unknown;
    if (!std::filesystem::exists(it->path() / kRecord, unknown) && !unknown) continue;
    try {
      Run run = decode(it->path() / kRecord);
      if (!run.id.starts_with(digits)) throw damage(it->path() / kRecord);
      out.runs.push_back(std::move(run));
    } catch (const InputError& problem) {
      out.damaged.push_back({digits, problem.what()});
    }
  }
  std::sort(out.runs.begin(), out.runs.end(), [](const Run& a, const Run& b) {
    return std::pair(a.started, a.id) < std::pair(b.started, b.id);
  });
  std::sort(out.damaged.begin(), out.damaged.end(),
            [](const Damaged& a, const Damaged& b) { return a.digits < b.digits; });
  return out;
}

std::vector<Run> RunHistory::all() const { return look().runs; }

std::vector<RunHistory::Damaged> RunHistory::damaged() const { return look().damaged; }

Run RunHistory::find(std::string_view prefix) const {
  const auto [runs, damaged] = look();
  constexpr std::string_view kRemedy = "`flexroom runs` lists them";
  const bool last = prefix == "last";
  if (last && !damaged.empty()) {
    throw InputError("last", "may be a run whose record cannot be read: " + damaged[0].text,
                     "give the first digits of a run's id; `flexroom runs` lists them");
  }
  if (last && !runs.empty()) return runs.back();
  std::vector<Run> found;
  for (const Run& run : runs) {
    if (!prefix.empty() && run.id.starts_with(prefix)) found.push_back(run);
  }
  for (const Damaged& one : damaged) {
    const size_t known = std::min(prefix.size(), one.digits.size());
    if (known == 0 || prefix.substr(0, known) != one.digits.substr(0, known)) continue;
    if (!found.empty())
      throw InputError(prefix, "may be the id of several runs", "give more digits");
    throw InputError("run " + one.digits, "cannot be read: " + one.text);
  }
  if (found.empty()) throw InputError(prefix, "is no run of this room", kRemedy);
  if (found.size() > 1) {
    throw InputError(prefix, fmt::format("begins the ids of {} runs", found.size()),
                     "give more digits");
  }
  return found[0];
}

std::optional<Run> RunHistory::find_flow(std::string_view flow_run) const {
  std::optional<Run> out;
  for (Run& run : look().runs) {
    if (!flow_run.empty() && run.flow_run == flow_run) out = std::move(run);
  }
  return out;
}

std::optional<SecretBytes> RunHistory::seed(const Run& run) const {
  const std::filesystem::path file = folder(run) / kSeed;
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_private_file(file, kMaxRecordBytes, "");
}

uint64_t RunHistory::count(std::string_view proposal) const {
  const auto [runs, damaged] = look();
  const auto same = std::count_if(runs.begin(), runs.end(),
                                  [&](const Run& run) { return run.proposal == proposal; });
  return static_cast<uint64_t>(same) + damaged.size();
}

std::optional<SecretBytes> RunHistory::link(const Run& run) const {
  const std::filesystem::path file = folder(run) / kLink;
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_private_file(file, kMaxRecordBytes, "");
}

std::string RunHistory::keep(const Run& run, std::string_view name, ByteView bytes) const {
  const std::string wanted(name);
  const size_t dot = wanted.find('.', 1);
  std::string free = wanted;
  // kRecord, kLink and kSeed are taken before any result comes.
  for (int i = 2; !write_new_file(folder(run) / free, bytes); ++i) {
    if (errno != EEXIST) fail(folder(run) / free, "cannot be written");
    free = fmt::format("{}-{}{}", wanted.substr(0, dot), i,
                       dot == std::string::npos ? "" : wanted.substr(dot));
  }
  return free;
}

void RunHistory::forget_link(const Run& run) const {
  std::error_code ignored;
  std::filesystem::remove(folder(run) / kLink, ignored);
}

void RunHistory::forget_seed(const Run& run) const { wipe_file(folder(run) / kSeed); }

std::string result_name(std::string_view url) {
  constexpr size_t kEndings = 2, kEndingBytes = 8;  // ".csv.gz"
  std::string_view path = url.substr(0, url.find('?'));
  path = path.substr(path.rfind('/') + 1);
  std::string ending;
  for (size_t k = 0; k < kEndings; ++k) {
    const size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) break;
    const std::string_view last = path.substr(dot);
    const bool plain =
        last.size() > 1 && last.size() <= kEndingBytes + 1 &&
        std::all_of(last.begin() + 1, last.end(), [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        });
    if (!plain) break;
    ending.insert(0, last);
    path = path.substr(0, dot);
  }
  return "result" + ending;
}

}  // namespace flexroom::runs
