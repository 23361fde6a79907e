#include "agreement/render.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include <fmt/core.h>

#include "base/display.h"
#include "base/error.h"
#include "base/hex_digest.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kPrivate = "(private)";
constexpr std::string_view kNoEnd = "\\ no line end here";
constexpr size_t kMaxNamed = 8;
constexpr size_t kWindowBefore = 24, kWindow = 64;
// Text form 3: a line that a terminal would break goes on behind this mark, with which no other
// line begins. What a line's end is, text cannot choose then.
constexpr size_t kColumns = 79;
constexpr std::string_view kGoesOn = "    : ";
constexpr size_t kMaxNameColumn = 32;

void add_line(std::string& out, std::string_view line, uint8_t text_form) {
  const bool whole = text_form < 3 || line.size() <= kColumns;
  out.append(line.substr(0, whole ? line.size() : kColumns)).push_back('\n');
  line.remove_prefix(whole ? line.size() : kColumns);
  for (constexpr size_t kMore = kColumns - kGoesOn.size(); !line.empty();) {
    out.append(kGoesOn).append(line.substr(0, kMore)).push_back('\n');
    line.remove_prefix(std::min(line.size(), kMore));
  }
}

/// Hex digits look like no other line, and people copy and compare them: they are not broken.
bool looks_like_digest(std::string_view value) {
  return value.size() <= 2 * sizeof(Digest) && is_hex(value);
}

// Lines without their ends; a last line without an end is followed by kNoEnd, which no text line
// can be taken for: lines of text are shown behind a bar.
struct Lines {
  std::vector<std::string> lines;
  bool ended = true;
};
Lines split(std::string_view text) {
  Lines out;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    out.ended = end != std::string_view::npos;
    out.lines.push_back(display_text(text.substr(0, end)));
    text.remove_prefix(out.ended ? end + 1 : text.size());
  }
  return out;
}

/// Text with slots, line by line. Public text cannot look like a slot: its "{{" is written out.
///
/// A line of a request's head ends in CR LF. In its body (text form 2), and in other text, it ends
/// in LF; every other CR and LF is written out, so that two texts never look alike.
class MarkedText {
 public:
  MarkedText(Proposal::Form form, uint8_t text_form)
      : head_(form == Proposal::Form::kRequest), has_body_(text_form >= 2) {}

  void add(uint8_t byte) {
    const bool after_cr = !raw_.empty() && raw_.back() == '\r';
    if (byte != '\n' || (head_ && !after_cr)) {
      raw_.push_back(static_cast<char>(byte));
      return;
    }
    if (head_) raw_.pop_back();
    if (has_body_ && raw_.empty() && !slot_in_line_) head_ = false;
    flush(false);
    out_ += '\n';
    slot_in_line_ = false;
  }
  void add_slot(const RequestPart& slot) {
    flush(true);
    slot_in_line_ = true;
    out_ += fmt::format("{{{{{}: {} bytes, {}}}}}", display_text(slot.slot), slot.bytes,
                        display_text(slot.what));
  }
  std::string take() {
    flush(false);
    return std::move(out_);
  }

 private:
  void flush(bool before_slot) {
    std::string shown = display_text(raw_);
    if (before_slot && !shown.empty() && shown.back() == '{') {
      shown.replace(shown.size() - 1, 1, "\\u{7b}");
    }
    for (size_t at = 0; (at = shown.find("{{", at)) != std::string::npos;) {
      shown.replace(at, 2, "\\u{7b}\\u{7b}");
    }
    out_ += shown;
    raw_.clear();
  }

  bool head_, has_body_;
  bool slot_in_line_ = false;
  std::string raw_;  // of one line, until it is shown
  std::string out_;
};

std::string marked_text(const Proposal::Field& field, uint8_t text_form) {
  MarkedText out(field.form, text_form);
  for (const RequestPart& part : request_parts(field.value, "request")) {
    for (const uint8_t byte : part.text) out.add(byte);
    if (!part.slot.empty()) out.add_slot(part);
  }
  return out.take();
}

std::string shown_value(const Proposal::Field& field, uint8_t text_form) {
  if (field.secret) return std::string(kPrivate);
  switch (field.form) {
    case Proposal::Form::kText:
      return display_text(as_text(field.value));
    case Proposal::Form::kBytes:
      return to_hex(field.value);
    case Proposal::Form::kRequest:
    case Proposal::Form::kMarked:
      return marked_text(field, text_form);
    case Proposal::Form::kBlock: {
      std::string out;
      const Lines lines = split(as_text(field.value));
      for (size_t k = 0; k < lines.lines.size(); ++k) out += (k == 0 ? "" : "\n") + lines.lines[k];
      return out;
    }
    case Proposal::Form::kSection:
      break;
  }
  return "";
}

bool stands_below(const Proposal::Field& field) {
  return !field.secret &&
         (field.form == Proposal::Form::kBlock || field.form == Proposal::Form::kRequest ||
          field.form == Proposal::Form::kMarked);
}

void add_field(std::string& out, const Proposal::Field& field, size_t width, uint8_t text_form) {
  if (field.form == Proposal::Form::kSection) {
    add_line(out, display_text(field.name), text_form);
    return;
  }
  if (!stands_below(field)) {
    const std::string value = shown_value(field, text_form);
    add_line(
        out, fmt::format("  {:<{}} {}", field.name, width, value),
        looks_like_digest(value) && field.name.size() <= kMaxNameColumn ? uint8_t{1} : text_form);
    return;
  }
  add_line(out, fmt::format("  {}", field.name), text_form);
  if (field.value.empty()) return;
  const std::string text = shown_value(field, text_form);
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    add_line(out, "    | " + text.substr(begin, end - begin), text_form);
    begin = end + 1;
  }
  if (field.form == Proposal::Form::kBlock && !split(as_text(field.value)).ended) {
    out += fmt::format("    {}\n", kNoEnd);
  }
}

/// Every field with what it is found by, the header's among them.
using Key = std::tuple<std::string, std::string, size_t>;  // section, name, how often before
using Keyed = std::vector<std::pair<Key, Proposal::Field>>;
Keyed keyed(const Proposal& proposal) {
  std::vector<Proposal::Field> all;
  const auto bytes_of = [](const Digest& d) { return Bytes(d.begin(), d.end()); };
  all.push_back({"kind", to_bytes(proposal.kind), false, Proposal::Form::kText});
  all.push_back({"title", to_bytes(proposal.title), false, Proposal::Form::kText});
  all.push_back({"room id", bytes_of(proposal.room), false, Proposal::Form::kBytes});
  all.push_back({"terms", bytes_of(proposal.terms), false, Proposal::Form::kBytes});
  all.push_back(
      {"text form", to_bytes(std::to_string(proposal.text_form)), false, Proposal::Form::kText});
  all.insert(all.end(), proposal.fields.begin(), proposal.fields.end());
  Keyed out;
  std::string section;
  std::map<std::pair<std::string, std::string>, size_t> seen;
  for (Proposal::Field& field : all) {
    if (field.form == Proposal::Form::kSection) section = field.name;
    const size_t again = seen[{section, field.name}]++;
    out.emplace_back(Key{section, field.name, again}, std::move(field));
  }
  return out;
}

std::string name_of(const Key& key) {
  const auto& [section, name, again] = key;
  return (section.empty() || section == name ? "" : section + ": ") + name +
         (again == 0 ? "" : fmt::format(" (number {})", again + 1));
}

const Proposal::Field* find(const Keyed& in, const Key& key) {
  const auto at = std::find_if(in.begin(), in.end(), [&](const auto& e) { return e.first == key; });
  return at == in.end() ? nullptr : &at->second;
}

std::string shown_whole(const Proposal::Field* field) {
  if (field == nullptr) return "(no such field)";
  if (field->secret) return "(not shown)";
  if (field->form == Proposal::Form::kSection) return "(a heading)";
  return value_text(*field);
}

// Of a text that may be long, what stands around the place.
std::string window(const std::string& text, size_t place) {
  const size_t line = place == 0 ? 0 : text.rfind('\n', place - 1) + 1;
  const size_t begin = std::max(line, place > kWindowBefore ? place - kWindowBefore : 0);
  const size_t end = std::min({text.find('\n', place), text.size(), begin + kWindow});
  if (end <= place && place >= text.size()) {
    return (begin > line ? "..." : "") + text.substr(begin) + "(ends here)";
  }
  return (begin > line ? "..." : "") + text.substr(begin, end - begin) +
         (end < text.size() && text[end] != '\n' ? "..." : "");
}

std::string one_difference(const Key& key, const Proposal::Field* here,
                           const Proposal::Field* there) {
  const std::string a = shown_whole(here), b = shown_whole(there);
  const std::string name = "field " + display_text(name_of(key));
  if (a.size() <= kWindow && b.size() <= kWindow && a.find('\n') == std::string::npos &&
      b.find('\n') == std::string::npos) {
    const bool alike = a == b && here != nullptr && there != nullptr && !here->secret;
    return fmt::format("{} differs{}\n  here:  {}\n  there: {}\n", name,
                       alike ? " in how it is shown" : "", a, b);
  }
  const size_t place =
      static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  const auto line = std::count(a.begin(), a.begin() + static_cast<ptrdiff_t>(place), '\n') + 1;
  const size_t line_begin = place == 0 ? 0 : a.rfind('\n', place - 1) + 1;
  return fmt::format("{} differs from line {}, character {}\n  here:  {}\n  there: {}\n", name,
                     line, place - line_begin + 1, window(a, place), window(b, place));
}

std::vector<std::string> lines_of(const Proposal::Field& field) {
  std::vector<std::string> out;
  const std::string text = value_text(field);
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::string diff_of_blocks(const Proposal::Field& before, const Proposal::Field& now,
                           size_t context) {
  std::string out;
  const std::vector<DiffLine> lines = diff_lines(lines_of(before), lines_of(now));
  std::vector<bool> wanted(lines.size(), false);
  for (size_t k = 0; k < lines.size(); ++k) {
    if (lines[k].mark == ' ') continue;
    const size_t from = k > context ? k - context : 0;
    for (size_t near = from; near < std::min(lines.size(), k + context + 1); ++near) {
      wanted[near] = true;
    }
  }
  for (size_t k = 0; k < lines.size(); ++k) {
    if (!wanted[k]) continue;
    if (k == 0 || !wanted[k - 1]) {
      out += lines[k].now != 0 ? fmt::format("    @ line {}\n", lines[k].now)
                               : fmt::format("    @ line {} before\n", lines[k].before);
    }
    add_line(out, fmt::format("    {} {}", lines[k].mark, lines[k].text), Proposal::kTextForm);
  }
  return out;
}

std::string marked(char mark, const Proposal::Field& field) {
  std::string out;
  for (const std::string& line : lines_of(field)) {
    add_line(out, fmt::format("    {} {}", mark, line), Proposal::kTextForm);
  }
  return out;
}

std::string diff_of(const Proposal::Field* before, const Proposal::Field* now, size_t context) {
  if (before != nullptr && now != nullptr) {
    if (before->secret || now->secret) return "    another private value\n";
    if (stands_below(*before) && stands_below(*now)) return diff_of_blocks(*before, *now, context);
    return marked('-', *before) + marked('+', *now);
  }
  return before != nullptr ? marked('-', *before) : marked('+', *now);
}

}  // namespace

std::string value_text(const Proposal::Field& field) {
  return shown_value(field, Proposal::kTextForm);
}

// Text forms 1, 2 and 3. A change of what this prints is another form, and these stay.
std::string render(ByteView canonical, std::string_view place) {
  const Proposal proposal = Proposal::decode(canonical, place);
  size_t width = std::string_view("proposal").size();
  for (const Proposal::Field& field : proposal.fields) {
    if (field.form != Proposal::Form::kSection && !stands_below(field)) {
      width = std::max(width, field.name.size());
    }
  }
  if (proposal.text_form >= 3) width = std::min(width, kMaxNameColumn);
  std::string out;
  if (!proposal.kind.empty()) {
    add_line(out, display_text(proposal.kind) + " " + display_text(proposal.title),
             proposal.text_form);
  }
  for (const Proposal::Field& field : proposal.fields) {
    add_field(out, field, width, proposal.text_form);
  }
  out += fmt::format("  {:<{}} {}\n", "room id", width, to_hex(proposal.room));
  out += fmt::format("  {:<{}} {}\n", "terms", width, to_hex(proposal.terms));
  out += fmt::format("  {:<{}} {}\n", "proposal", width, to_hex(proposal_digest(canonical)));
  return out;
}

std::string differences(const Proposal& here, const Proposal& there) {
  const Keyed a = keyed(here), b = keyed(there);
  std::string out;
  size_t found = 0;
  const auto add = [&](const Key& key, const Proposal::Field* x, const Proposal::Field* y) {
    if (++found <= kMaxNamed) out += one_difference(key, x, y);
  };
  for (const auto& [key, field] : a) {
    const Proposal::Field* other = find(b, key);
    if (other == nullptr || *other != field) add(key, &field, other);
  }
  for (const auto& [key, field] : b) {
    if (find(a, key) == nullptr) add(key, nullptr, &field);
  }
  if (found > kMaxNamed) out += fmt::format("and {} more fields\n", found - kMaxNamed);
  if (found == 0 && here.canonical() != there.canonical()) {
    out = "the fields stand in another order\n";
  }
  return out;
}

std::string diff(const Proposal& before, const Proposal& now, size_t context) {
  const Keyed a = keyed(before), b = keyed(now);
  std::string out;
  for (const auto& [key, field] : b) {
    const Proposal::Field* old = find(a, key);
    if (old != nullptr && *old == field) continue;
    add_line(out, fmt::format("  {}{}", display_text(name_of(key)), old == nullptr ? " (new)" : ""),
             Proposal::kTextForm);
    out += diff_of(old, &field, context);
  }
  for (const auto& [key, field] : a) {
    if (find(b, key) != nullptr) continue;
    add_line(out, fmt::format("  {} (gone)", display_text(name_of(key))), Proposal::kTextForm);
    out += diff_of(&field, nullptr, context);
  }
  return out;
}

std::vector<DiffLine> diff_lines(const std::vector<std::string>& before,
                                 const std::vector<std::string>& now) {
  size_t head = 0, tail = 0;
  while (head < before.size() && head < now.size() && before[head] == now[head]) ++head;
  while (tail < before.size() - head && tail < now.size() - head &&
         before[before.size() - 1 - tail] == now[now.size() - 1 - tail]) {
    ++tail;
  }
  const size_t n = before.size() - head - tail, m = now.size() - head - tail;
  std::vector<DiffLine> out;
  for (size_t k = 0; k < head; ++k) out.push_back({' ', k + 1, k + 1, now[k]});
  // Longest common subsequence of what is left; of too much, none.
  constexpr size_t kMaxCells = 4'000'000;
  const bool small = (n + 1) * (m + 1) <= kMaxCells;
  std::vector<uint32_t> common(small ? (n + 1) * (m + 1) : 0);
  const auto cell = [&](size_t i, size_t j) -> uint32_t& { return common[i * (m + 1) + j]; };
  for (size_t i = small ? n : 0; i-- > 0;) {
    for (size_t j = m; j-- > 0;) {
      cell(i, j) = before[head + i] == now[head + j] ? cell(i + 1, j + 1) + 1
                                                     : std::max(cell(i + 1, j), cell(i, j + 1));
    }
  }
  size_t i = 0, j = 0;
  while (i < n || j < m) {
    if (small && i < n && j < m && before[head + i] == now[head + j]) {
      out.push_back({' ', head + i + 1, head + j + 1, now[head + j]});
      ++i, ++j;
    } else if (i < n && (j == m || !small || cell(i + 1, j) >= cell(i, j + 1))) {
      out.push_back({'-', head + i + 1, 0, before[head + i]});
      ++i;
    } else {
      out.push_back({'+', 0, head + j + 1, now[head + j]});
      ++j;
    }
  }
  for (size_t k = tail; k > 0; --k) {
    out.push_back({' ', before.size() - k + 1, now.size() - k + 1, now[now.size() - k]});
  }
  return out;
}

}  // namespace flexroom::agreement
