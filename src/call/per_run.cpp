#include "call/per_run.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "agreement/render.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/hex_digest.h"
#include "call/replace_all.h"
#include "http/text.h"

namespace flexroom {
namespace {

using agreement::Proposal;
using agreement::RequestPart;
using Form = Proposal::Form;

constexpr char kBlank = '*';
// Where room/run_proposal.cpp and call/shown_request.cpp write them.
constexpr std::string_view kRun = "run-script (lean)";
constexpr std::string_view kLoader = "loader", kLoaderHash = "loader sha256";
constexpr std::string_view kToken = "form ClientToken", kWhole = "as it leaves";
constexpr std::string_view kBoot = "form UserData, decoded from base64";
constexpr std::string_view kTokenField = "&ClientToken=", kBootField = "&UserData=";
constexpr std::string_view kMemberLine = "\nmember ";

/// 8-4-4-4-12 hex digits.
bool is_token(std::string_view text) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != kShape.size()) return false;
  for (size_t k = 0; k < text.size(); ++k) {
    if (kShape[k] == '-' ? text[k] != '-' : !is_hex(text.substr(k, 1))) return false;
  }
  return true;
}

/// What is new in a run, and what stands for it in a comparison: of the same length.
struct Stand {
  std::string from, to;
};

/// The links of every member's line, blanked where they stand. Returns them.
std::vector<std::string> blank_sealed(std::string& loader) {
  std::vector<std::string> out;
  for (size_t at = 0; (at = loader.find(kMemberLine, at)) != std::string::npos;) {
    at += kMemberLine.size();
    const size_t end = std::min(loader.find_first_of(" \n", at), loader.size());
    const std::string sealed = loader.substr(at, end - at);
    if (sealed.empty() || !is_hex(sealed)) continue;
    loader.replace(at, sealed.size(), sealed.size(), kBlank);
    out.push_back(sealed);
  }
  return out;
}

/// In base64 text of a form, as far as it is whole groups of ours.
void replace_in_base64(std::string& text, const Stand& stand) {
  const auto plain = http::percent_decode(text);
  const auto bytes = plain ? base64_decode(*plain) : std::nullopt;
  const auto again = [](ByteView of) { return http::percent_encode(base64_encode(of)); };
  if (!bytes || again(*bytes) != text) return;
  std::string inside = to_text(*bytes);
  replace_all(inside, stand.from, stand.to);
  text = again(as_bytes(inside));
}

/// A run's proposal with blanks in place of what is new in it.
class Blanked {
 public:
  explicit Blanked(const Proposal& of) : proposal(of) {
    if (of.kind != kRun) return;
    if (Proposal::Field* const field = find(kLoader, Form::kBlock)) {
      std::string text = to_text(field->value);
      const Digest before = sha256(as_bytes(text));
      sealed = blank_sealed(text);
      field->value = to_bytes(text);
      Proposal::Field* const hash = find(kLoaderHash, Form::kBytes);
      if (hash != nullptr &&
          std::equal(before.begin(), before.end(), hash->value.begin(), hash->value.end())) {
        const Digest blank = sha256(as_bytes(text));
        hash->value.assign(blank.begin(), blank.end());
        hash_ = {to_hex(before), to_hex(blank)};
      }
    }
    if (Proposal::Field* const field = find(kToken, Form::kText)) {
      if (is_token(as_text(field->value))) {
        token_ = {to_text(field->value), std::string(field->value.size(), kBlank)};
        field->value = to_bytes(token_.to);
      }
    }
    change_parts(kBoot, Form::kMarked, [&](std::vector<RequestPart>& parts) {
      for (RequestPart& part : parts) {
        std::string text = to_text(part.text);
        if (!hash_.from.empty()) replace_all(text, hash_.from, hash_.to);
        part.text = to_bytes(text);
      }
    });
    change_parts(kWhole, Form::kRequest, [&](std::vector<RequestPart>& parts) { whole(parts); });
  }

  Proposal proposal;
  std::vector<std::string> sealed;

 private:
  Proposal::Field* find(std::string_view name, Form form) {
    const auto found = std::find_if(
        proposal.fields.begin(), proposal.fields.end(),
        [&](const Proposal::Field& f) { return f.name == name && f.form == form && !f.secret; });
    return found == proposal.fields.end() ? nullptr : &*found;
  }
  template <typename Change>
  void change_parts(std::string_view name, Form form, Change change) {
    Proposal::Field* const field = find(name, form);
    if (field == nullptr) return;
    std::vector<RequestPart> parts = agreement::request_parts(field->value, "proposal");
    change(parts);
    field->value = agreement::request_value(parts);
  }
  /// The token in its field, and the boot script in the base64 behind its own, which is the last.
  void whole(std::vector<RequestPart>& parts) const {
    bool boot = false;
    for (RequestPart& part : parts) {
      std::string text = to_text(part.text);
      if (!token_.from.empty()) {
        const std::string field = std::string(kTokenField);
        replace_all(text, field + token_.from + "&", field + token_.to + "&");
      }
      const size_t begins = boot ? 0 : text.find(kBootField);
      if (begins != std::string::npos && !hash_.from.empty()) {
        const size_t at = boot ? 0 : begins + kBootField.size();
        std::string value = text.substr(at);
        replace_in_base64(value, hash_);
        text = text.substr(0, at) + value;
        boot = true;
      }
      part.text = to_bytes(text);
    }
  }

  Stand hash_, token_;
};

/// Fields of both by what they are found by: section, name, how often before.
using Key = std::tuple<std::string, std::string, size_t>;
std::map<Key, size_t> places(const Proposal& proposal) {
  std::map<Key, size_t> out;
  std::map<std::pair<std::string, std::string>, size_t> seen;
  std::string section;
  for (size_t k = 0; k < proposal.fields.size(); ++k) {
    const Proposal::Field& field = proposal.fields[k];
    if (field.form == Form::kSection) section = field.name;
    out[{section, field.name, seen[{section, field.name}]++}] = k;
  }
  return out;
}

std::string shown_name(std::string_view field) {
  if (field == kToken) return "client token";
  if (field == kLoader) return "sealed links";
  if (field == kLoaderHash) return "SHA-256 of the loader";
  if (field == kBoot) return "user data";
  return "the request that holds them";
}

}  // namespace

ChangedSince changed_since(const Proposal& before, const Proposal& now) {
  Blanked a(before), b(now);
  ChangedSince out;
  const std::map<Key, size_t> of_before = places(before);
  const std::map<Key, size_t> of_now = places(now);
  for (const auto& [key, k] : of_now) {
    const auto found = of_before.find(key);
    Proposal::Field& mine = b.proposal.fields[k];
    if (found == of_before.end()) {
      mine = now.fields[k];
      continue;
    }
    Proposal::Field& other = a.proposal.fields[found->second];
    const bool is_loader = mine.name == kLoader && mine.form == Form::kBlock;
    const bool new_value = now.fields[k] != before.fields[found->second];
    if ((new_value && mine == other) || (is_loader && a.sealed != b.sealed && mine != other)) {
      out.new_each_run.push_back(shown_name(mine.name));
    } else if (new_value && mine != other &&
               !is_loader) {  // a real change is shown as it stands there
      mine = now.fields[k];
      other = before.fields[found->second];
    }
  }
  for (const auto& [key, k] : of_before) {
    if (!of_now.contains(key)) a.proposal.fields[k] = before.fields[k];
  }
  out.text = agreement::diff(a.proposal, b.proposal);
  return out;
}

}  // namespace flexroom
