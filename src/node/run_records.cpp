#include "node/run_records.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "base/private_file.h"

namespace flexroom::node {
namespace {

constexpr size_t kMaxBody = size_t{256} << 20;

bool is_hex(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

void replace_file(const std::filesystem::path& file, ByteView content) {
  const std::filesystem::path fresh = file.string() + ".new";
  (void)::unlink(fresh.c_str());
  if (!write_new_file(fresh, content) || ::rename(fresh.c_str(), file.c_str()) != 0) {
    throw InputError(file.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "free some space, or let this user write there");
  }
  sync_directory(file.parent_path());
}

}  // namespace

RunRecords::RunRecords(const std::filesystem::path& state_dir)
    : folder_(state_dir / "node" / "runs") {
  make_private_folder(folder_.parent_path());
  make_private_folder(folder_);
}

nlohmann::json RunRecords::Record::to_json() const {
  return {{"id", id},
          {"proposal", proposal},
          {"kind", kind},
          {"title", title},
          {"index", index},
          {"state", state},
          {"started", started},
          {"ended", ended},
          {"status", status},
          {"detail", detail},
          {"body_bytes", body_bytes},
          {"phases", phases},
          {"instance_id", instance_id},
          {"client_token", client_token},
          {"file", file}};
}

void RunRecords::put(const Record& record) {
  const std::string text =
      record.to_json().dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  replace_file(folder_ / (record.id + ".json"), as_bytes(text));
}

void RunRecords::put_body(const std::string& id, const std::string& body) {
  replace_file(folder_ / (id + ".body"), as_bytes(body));
}

std::optional<RunRecords::Record> RunRecords::read(const std::filesystem::path& file) const {
  try {
    const SecretBytes bytes = read_private_file(file, kMaxRecordBytes, "");
    const auto object = nlohmann::json::parse(bytes.reveal().begin(), bytes.reveal().end());
    Record out;
    object.at("id").get_to(out.id);
    object.at("proposal").get_to(out.proposal);
    object.at("kind").get_to(out.kind);
    object.at("title").get_to(out.title);
    object.at("index").get_to(out.index);
    object.at("state").get_to(out.state);
    object.at("started").get_to(out.started);
    object.at("ended").get_to(out.ended);
    object.at("status").get_to(out.status);
    object.at("detail").get_to(out.detail);
    object.at("body_bytes").get_to(out.body_bytes);
    out.phases = object.at("phases");
    out.instance_id = object.value("instance_id", "");
    out.client_token = object.value("client_token", "");
    out.file = object.value("file", "");
    return out;
  } catch (const std::exception&) {  // a file that is none of ours, or damaged, is none
    return std::nullopt;
  }
}

std::vector<RunRecords::Record> RunRecords::list(size_t most) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, problem)) {
    if (entry.path().extension() == ".json") {
      files.emplace_back(entry.last_write_time(problem), entry.path());
    }
  }
  std::sort(files.rbegin(), files.rend());
  std::vector<Record> out;
  for (const auto& [time, file] : files) {
    if (out.size() >= most) break;
    if (auto record = read(file)) out.push_back(std::move(*record));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Record& a, const Record& b) { return a.started > b.started; });
  return out;
}

std::optional<RunRecords::Record> RunRecords::find(const std::string& id) {
  if (!is_hex(id)) return std::nullopt;
  if (id.size() == 64) return read(folder_ / (id + ".json"));
  std::optional<std::filesystem::path> found;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, problem)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(id) || entry.path().extension() != ".json") continue;
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found ? read(*found) : std::nullopt;
}

std::string RunRecords::body(const Record& record) {
  if (!is_hex(record.id)) return "";
  constexpr std::string_view kGone = "the run's answer was here once";
  if (!record.file.empty()) return read_own_file(record.file, kMaxBody, std::string(kGone));
  const SecretBytes bytes =
      read_private_file(folder_ / (record.id + ".body"), kMaxBody, std::string(kGone));
  return to_text(bytes.reveal());
}

}  // namespace flexroom::node
