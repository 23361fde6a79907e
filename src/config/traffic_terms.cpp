#include "config/traffic_terms.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace flexroom {
namespace {

using std::chrono::seconds;

constexpr seconds kShortest{1}, kLongest{24 * 3600};

tls::Padding load_pad(const TomlTable& table, tls::Padding fallback) {
  const std::string text = table.text_or("pad", tls::to_string(fallback));
  const auto pad = tls::parse_padding(text);
  if (pad) return *pad;
  table.fail("pad", fmt::format("is '{}'", text),
             fmt::format("write one of {}, in quotes", tls::known_paddings()));
}

/// A method without effect and a path, of printable characters.
std::string load_cover(const TomlTable& table, const std::string& fallback) {
  const std::string text = table.text_or("cover", fallback);
  if (!table.has("cover")) return fallback;
  const size_t blank = text.find(' ');
  const std::string method = text.substr(0, blank);
  const std::string path = blank == std::string::npos ? "" : text.substr(blank + 1);
  const bool printable =
      std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
  if ((method != "HEAD" && method != "GET") || !path.starts_with('/') || !printable ||
      path.size() > 1024) {
    table.fail("cover", "is no request that may be made at any time",
               "write HEAD or GET and a path of the host, for example \"HEAD /\"");
  }
  return text;
}

/// "every 10 min": a number and s, min or h.
std::optional<seconds> load_period(const TomlTable& table, const std::optional<seconds>& fallback) {
  const std::string text = table.text_or("slots", "");
  if (!table.has("slots")) return fallback;
  constexpr std::string_view kEvery = "every ";
  uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const char* at = end;
  if (text.starts_with(kEvery)) {
    const auto parsed = std::from_chars(text.data() + kEvery.size(), end, number);
    if (parsed.ec == std::errc() && number <= 86'400) at = parsed.ptr;
  }
  const std::string_view unit(at, static_cast<size_t>(end - at));
  const int each = unit == " s" ? 1 : unit == " min" ? 60 : unit == " h" ? 3600 : 0;
  const seconds out = seconds(each) * number;
  if (out < kShortest || out > kLongest) {
    table.fail("slots", fmt::format("is '{}'", text),
               "write \"every N s\", \"every N min\" or \"every N h\", at most a day");
  }
  return out;
}

}  // namespace

bool TrafficTerms::is_said(const TomlTable& table) {
  return table.has("pad") || table.has("cover") || table.has("slots");
}

TrafficTerms TrafficTerms::load(const TomlTable& table, const TrafficTerms& fallback) {
  TrafficTerms out;
  out.pad = load_pad(table, fallback.pad);
  out.cover = load_cover(table, fallback.cover);
  out.period = load_period(table, fallback.period);
  if (!out.cover.empty() && !out.period) {
    table.fail("cover", "hides nothing without a timetable that real calls keep to as well",
               "add slots = \"every 10 min\"");
  }
  if (!out.cover.empty() && out.pad == tls::Padding::kNone) {
    table.fail("cover", "hides nothing beside requests that are as long as they are",
               "add pad = \"1024\", or \"padme\"");
  }
  return out;
}

std::string TrafficTerms::slots_text() const {
  if (!period) return "";
  const auto count = period->count();
  if (count % 3600 == 0) return fmt::format("every {} h", count / 3600);
  if (count % 60 == 0) return fmt::format("every {} min", count / 60);
  return fmt::format("every {} s", count);
}

}  // namespace flexroom
