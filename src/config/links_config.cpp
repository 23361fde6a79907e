#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/host_name.h"
#include "base/private_file.h"
#include "base/secret.h"
#include "base/wipe_text.h"
#include "config/checked_text.h"
#include "config/config.h"
#include "config/file_keys.h"
#include "config/of_proposal.h"
#include "config/toml.h"

namespace flexroom {
namespace {

using config::character_at;
using config::is_alnum;

}  // namespace

PrivateUrl::~PrivateUrl() {
  wipe_text(path);
  wipe_text(tail);
}

LinksConfig::~LinksConfig() {
  wipe_text(data_url);
  wipe_text(result_url);
  for (auto* url : {&result_get_url, &loader_url, &loader_put_url}) {
    if (*url) wipe_text(**url);
  }
}

namespace {

constexpr size_t kMaxUrlBytes = 4096;

[[noreturn]] void refuse_character(std::string_view url, size_t at, std::string_view place) {
  const auto byte = static_cast<unsigned char>(url[at]);
  const std::string problem = "has " + character_at(url, at);
  const size_t entity = url.rfind("&amp;", at);
  if (byte == ';' && entity != std::string_view::npos && entity + 4 == at) {
    throw InputError(place, problem + ", of an `&amp;`",
                     "the link was copied from HTML: write & in place of every &amp;");
  }
  if (byte <= ' ') {
    throw InputError(place, problem + ", which no link has",
                     "write the link on one line, in \"...\"");
  }
  if (byte == '?') {
    throw InputError(place, problem + ", a second one", "write %3F in place of the second");
  }
  throw InputError(place, problem + ", which is not allowed in a link",
                   fmt::format("write %{:02X} in its place", byte));
}

}  // namespace

PrivateUrl split_private_url(std::string_view url, std::string_view place) {
  constexpr std::string_view kScheme = "https://";
  const auto refuse = [&](std::string_view problem, std::string_view remedy) {
    throw InputError(place, problem, remedy);
  };
  if (url.substr(0, kScheme.size()) != kScheme) refuse("is not an https:// URL", "use https://");
  const size_t slash = url.find('/', kScheme.size());
  if (slash == std::string_view::npos || slash == kScheme.size()) {
    refuse("has no path", "a link names an object: https://host/object");
  }
  if (slash + 1 == url.size() || url[slash + 1] == '?') {
    refuse("names no object", "a link names an object: https://host/object");
  }
  if (url.size() > kMaxUrlBytes) {
    refuse(fmt::format("has {} characters, more than {}", url.size(), kMaxUrlBytes),
           "sign it with a user's key: a session token makes links long");
  }
  for (size_t i = kScheme.size(); i < slash; ++i) {
    if (!is_alnum(url[i]) && url[i] != '.' && url[i] != '-' && url[i] != ':') {
      refuse(fmt::format("has {}, in its host", character_at(url, i)), "correct the host's name");
    }
  }
  const size_t question = std::min(url.find('?', slash), url.size());
  for (size_t i = slash + 1; i < url.size(); ++i) {
    const bool allowed =
        is_alnum(url[i]) || std::string_view("._~/=&%+:-").find(url[i]) != std::string_view::npos;
    if (i != question && !allowed) refuse_character(url, i, place);
  }
  PrivateUrl out;
  out.public_prefix = std::string(url.substr(0, slash + 1));
  out.path = std::string(url.substr(slash + 1, question - slash - 1));
  if (question != url.size()) {
    const std::string_view query = url.substr(question + 1);
    constexpr std::string_view kSignature = "X-Amz-Signature=";
    const size_t signature = query.find(kSignature);
    const bool last =
        signature != std::string_view::npos && query.find('&', signature) == std::string_view::npos;
    const size_t cut = last ? signature + kSignature.size() : 0;
    out.public_query = "?" + std::string(query.substr(0, cut));
    out.tail = std::string(query.substr(cut));
  }
  return out;
}

LinksConfig LinksConfig::load(const std::filesystem::path& path) {
  // A pre-signed link is all that protects what it leads to.
  const SecretBytes file = read_private_file(
      path, TomlTable::kMaxBytes,
      "write this member's links there (docs/files.md), or say with --links where they are");
  return parse_links(as_text(file.reveal()), path.string());
}

LinksConfig parse_links(std::string_view text, const std::string& name) {
  const TomlTable root = TomlTable::parse(text, name);
  LinksConfig out;
  out.data_url = root.text("data_url");
  out.result_url = root.text("result_url");
  const auto optional = [&](std::string_view key) {
    return root.has(key) ? std::optional(root.text(key)) : std::nullopt;
  };
  out.result_get_url = optional("result_get_url");
  out.loader_url = optional("loader_url");
  out.loader_put_url = optional("loader_put_url");
  (void)split_private_url(out.data_url, root.place("data_url"));
  (void)split_private_url(out.result_url, root.place("result_url"));
  for (const auto& [key, url] : {std::pair("result_get_url", &out.result_get_url),
                                 {"loader_url", &out.loader_url},
                                 {"loader_put_url", &out.loader_put_url}}) {
    if (*url) (void)split_private_url(**url, root.place(key));
  }
  if (out.loader_url.has_value() != out.loader_put_url.has_value()) {
    const std::string_view there = out.loader_url ? "loader_url" : "loader_put_url";
    const std::string_view missing = out.loader_url ? "loader_put_url" : "loader_url";
    root.fail(there, fmt::format("stands without `{}`", missing),
              "give both, the GET and the PUT of one object, or neither");
  }
  config::finish(root, config::FileTable::kLinksFile);
  return out;
}

}  // namespace flexroom
