#include "config/private_json.h"

#include <fmt/core.h>

#include <set>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/private_file.h"
#include "config/text_file.h"

namespace flexroom {
namespace {

using nlohmann::json;

void wipe_texts(json& value) {
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    wipe(text.data(), text.size());
  } else if (value.is_structured()) {
    for (json& item : value) wipe_texts(item);
  }
}

}  // namespace

PrivateJson::PrivateJson(const std::filesystem::path& file, size_t max_bytes,
                         std::string_view missing_remedy, std::string_view shape)
    : name_(file.string()), text_(read_private_file(file, max_bytes, missing_remedy)) {
  try {
    parse(shape);
  } catch (...) {
    wipe_texts(root_);
    throw;
  }
}

PrivateJson::~PrivateJson() { wipe_texts(root_); }

void PrivateJson::parse(std::string_view shape) {
  const std::string_view text = as_text(text_.reveal());
  require_utf8_text(text, name_);
  std::vector<std::set<std::string>> open;  // keys of the objects around
  std::string twice;
  const auto watch = [&](int, json::parse_event_t event, const json& key) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key && !open.back().insert(key.get<std::string>()).second) {
      twice = key.get<std::string>();
    }
    return true;
  };
  try {
    root_ = json::parse(text.begin(), text.end(), watch);
  } catch (const json::parse_error& error) {  // its words show the text
    throw InputError(place_in_text(name_, text, error.byte == 0 ? 0 : error.byte - 1),
                     "is not JSON from here on",
                     fmt::format("quotes around every text and name, a comma between entries, none "
                                 "after the last; {}",
                                 shape));
  } catch (const json::exception&) {  // so do those of a number that is too large
    throw InputError(name_, "holds a number that is none of its own",
                     fmt::format("quotes around every text, also one of digits; {}", shape));
  }
  if (!root_.is_object()) throw InputError(name_, "is not a JSON object", shape);
  if (!twice.empty()) {
    throw InputError(place_of(twice), fmt::format("`{}` stands twice", display_short(twice)),
                     "keep one of them");
  }
}

std::string PrivateJson::place_of(const std::string& key) const {
  const std::string_view text = as_text(text_.reveal());
  const std::string quoted = json(key).dump(-1, ' ', false, json::error_handler_t::replace);
  for (size_t found = text.find(quoted); found != std::string_view::npos;
       found = text.find(quoted, found + 1)) {
    const size_t next = text.find_first_not_of(" \t\r\n", found + quoted.size());
    if (next != std::string_view::npos && text[next] == ':') {
      return place_in_text(name_, text, found);
    }
  }
  return place_in_text(name_, text, text.find('{'));
}

}  // namespace flexroom
