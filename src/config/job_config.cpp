#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/hex_digest.h"
#include "base/private_file.h"
#include "config/checked_text.h"
#include "config/config.h"
#include "config/file_keys.h"
#include "config/of_proposal.h"
#include "config/text_file.h"
#include "config/toml.h"

namespace flexroom {
namespace {

using config::character_at;
using config::checked_hex;
using config::checked_name;
using config::is_alnum;
using config::relative_to;

/// A local copy of the script: its digest is checked, and what a machine would stumble over.
std::string read_script_file(const TomlTable& script, const JobConfig& job) {
  std::string text = read_own_file(*job.script_file, kMaxScriptBytes,
                                   "correct the path in script.file, or leave it out");
  if (to_hex(sha256(as_bytes(text))) != job.script_sha256) {
    script.fail("sha256", "does not match the script file",
                "the script changed: review it, then put its new SHA-256 into the job; every "
                "member has to approve again");
  }
  if (ends_in_crlf(text)) {
    script.fail("file", "names a script whose lines end in CR LF, which no shell reads",
                "convert it (sed -i 's/\\r$//' FILE), put it where `url` says, and its new SHA-256 "
                "here");
  }
  return text;
}

/// "0.0832 USD": at most six digits before and behind the point.
Price price_of(const TomlTable& job) {
  Price out;
  out.text = job.text("price_per_hour");
  const size_t blank = std::min(out.text.find(' '), out.text.size());
  const size_t point = std::min(out.text.find('.'), blank);
  const std::string whole = out.text.substr(0, point);
  std::string parts = point == blank ? "0" : out.text.substr(point + 1, blank - point - 1);
  const auto are = [](const std::string& text, char from, char to) {
    return std::all_of(text.begin(), text.end(), [&](char c) { return from <= c && c <= to; });
  };
  const auto is_number = [&](const std::string& digits) {
    return !digits.empty() && digits.size() <= 6 && are(digits, '0', '9');
  };
  out.currency = out.text.substr(std::min(blank + 1, out.text.size()));
  if (!is_number(whole) || !is_number(parts) || out.currency.size() != 3 ||
      !are(out.currency, 'A', 'Z')) {
    job.fail("price_per_hour", "is no price", "write it as \"0.0832 USD\"");
  }
  parts.resize(6, '0');
  out.millionths = std::stoull(whole) * 1'000'000 + std::stoull(parts);
  return out;
}

/// Every byte of a list of words is a printable ASCII character; what is checked is what bash gets.
std::vector<std::string> words_of(const TomlTable& table, std::string_view key) {
  std::vector<std::string> words = table.texts_or_empty(key);
  size_t bytes = 0;
  for (const std::string& word : words) {
    bytes += word.size();
    if (!std::all_of(word.begin(), word.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      table.fail(key, "has a character that is not printable ASCII", "put it into the script");
    }
  }
  if (words.size() > 64 || bytes > 4096) {
    table.fail(key, "is longer than 64 words or 4096 bytes", "put them into the script");
  }
  return words;
}

/// Letters, digits, -_./: and `more`.
std::string plain(const TomlTable& table, std::string_view key, std::string_view more = "") {
  std::string text = table.text(key);
  if (text.empty() || text.size() > 256) table.fail(key, "is empty or longer than 256 bytes");
  const auto bad = std::find_if(text.begin(), text.end(), [&](char c) {
    return !is_alnum(c) && std::string_view("-_./:").find(c) == std::string_view::npos &&
           more.find(c) == std::string_view::npos;
  });
  if (bad != text.end()) {
    table.fail(key,
               fmt::format("has {}, which is not allowed here",
                           character_at(text, static_cast<size_t>(bad - text.begin()))),
               fmt::format("use letters, digits and - _ . / : {}", more));
  }
  return text;
}

void load_script(const TomlTable& script, JobConfig& out) {
  out.script_url = plain(script, "url", "?=&%~+");
  if (out.script_url.rfind("https://", 0) != 0) script.fail("url", "is not an https:// URL");
  out.script_sha256 = checked_hex(script, "sha256", 64, "run `sha256sum SCRIPT`");
  if (script.has("interpreter")) out.interpreter = plain(script, "interpreter", " =+,");
  const std::vector<std::string> words = out.interpreter_words();
  if (std::find(words.begin(), words.end(), "") != words.end()) {
    script.fail("interpreter", "has a blank too many", "write one blank between its words");
  }
  out.arguments = words_of(script, "arguments");
  const std::string output = script.text_or("failure_output", "to nobody");
  if (output != "to nobody" && output != "to all") {
    script.fail("failure_output", "is neither \"to nobody\" nor \"to all\"",
                "\"to all\": if the script fails, all members read the end of what it printed");
  }
  out.failure_output_to_all = output == "to all";
  if (!out.file.empty() && script.has("file")) {  // of no proposal: it is each machine's own
    out.script_file = relative_to(out.file, script.text("file"));
    out.script_text = read_script_file(script, out);
  }
}

}  // namespace

std::vector<std::string> JobConfig::interpreter_words() const {
  std::vector<std::string> words(1);
  for (const char c : interpreter) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

namespace {

JobConfig read_job(const TomlTable& root, const std::filesystem::path& path) {
  const TomlTable job = root.table("job");
  JobConfig out;
  out.file = path;
  out.name = checked_name(job, "name");
  out.provider = checked_name(job, "provider");
  out.region = plain(job, "region");
  out.image_id = plain(job, "image_id");
  out.instance_type = plain(job, "instance_type");
  const bool names_key = job.has("access_key_id") || job.has("secret");
  if (names_key) out.access_key_id = plain(job, "access_key_id");
  if (names_key) out.secret = plain(job, "secret");
  if (job.has("instance_profile")) out.instance_profile = plain(job, "instance_profile");
  out.deadline_minutes = job.integer_or("deadline_minutes", 60, 1, 1440);
  if (job.has("price_per_hour")) out.price_per_hour = price_of(job);
  config::finish(job, config::FileTable::kJob);
  const TomlTable script = root.table("script");
  load_script(script, out);
  config::finish(script, config::FileTable::kScript);
  config::finish(root, config::FileTable::kJobFile);
  return out;
}

// The arguments of a job by their names: of [job] as they are called there, of [script] with a
// prefix.
constexpr std::string_view kOfScript = "script-", kWord = "script-argument-";
constexpr std::string_view kDeadline = "deadline_minutes";

/// A TOML string of any bytes that a person may write; what is no text fails where it is read.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += is_alnum(c) || byte >= 0x80 ? std::string(1, c) : fmt::format("\\u{:04X}", byte);
  }
  return out + '"';
}

}  // namespace

JobConfig JobConfig::load(const std::filesystem::path& path) {
  return read_job(
      TomlTable::load(path, "give the path of the agreed job (docs/files.md shows one)"), path);
}

std::map<std::string, std::string> arguments_of_job(const JobConfig& job) {
  std::map<std::string, std::string> out = {
      {"name", job.name},
      {"provider", job.provider},
      {"region", job.region},
      {"image_id", job.image_id},
      {"instance_type", job.instance_type},
      {std::string(kDeadline), std::to_string(job.deadline_minutes)},
      {"script-url", job.script_url},
      {"script-interpreter", job.interpreter},
      {"script-failure_output", job.failure_output_to_all ? "to all" : "to nobody"}};
  if (!job.access_key_id.empty()) out["access_key_id"] = job.access_key_id;
  if (!job.secret.empty()) out["secret"] = job.secret;
  if (!job.instance_profile.empty()) out["instance_profile"] = job.instance_profile;
  if (job.price_per_hour) out["price_per_hour"] = job.price_per_hour->text;
  for (size_t i = 0; i < job.arguments.size(); ++i) {
    out[fmt::format("{}{:02}", kWord, i + 1)] = job.arguments[i];
  }
  return out;
}

JobConfig job_of_proposal(const std::map<std::string, std::string>& arguments,
                          const std::string& script) {
  constexpr std::string_view kPlace = "the proposed job";
  std::string job = "[job]\n", of_script, words;
  for (const auto& [key, value] : arguments) {
    if (key == kDeadline) {
      if (value.empty() || value.size() > 4 ||
          value.find_first_not_of("0123456789") != std::string::npos || value[0] == '0') {
        throw InputError(kPlace, "has a `deadline_minutes` that is no number");
      }
      job += fmt::format("{} = {}\n", key, value);
    } else if (key.starts_with(kWord)) {
      words += toml_text(value) + ", ";
    } else {
      const bool own = key.starts_with(kOfScript);
      std::string& table = own ? of_script : job;
      table += fmt::format("{} = {}\n", toml_text(own ? key.substr(kOfScript.size()) : key),
                           toml_text(value));
    }
  }
  const std::string digest = to_hex(sha256(as_bytes(script)));
  const std::string text = fmt::format("{}\n[script]\n{}sha256 = \"{}\"\narguments = [{}]\n", job,
                                       of_script, digest, words);
  JobConfig out = read_job(TomlTable::parse(text, kPlace), "");
  if (script.size() > kMaxScriptBytes || ends_in_crlf(script)) {
    throw InputError(kPlace, "has a script that is too long, or whose lines end in CR LF",
                     "convert it, and propose it again");
  }
  out.script_text = script;
  // One way to write each: numbers of words, defaults.
  if (arguments_of_job(out) != arguments) {
    throw InputError(kPlace, "says its arguments in another way than it is written");
  }
  return out;
}

}  // namespace flexroom
