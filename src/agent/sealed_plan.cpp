#include "agent/sealed_plan.h"

#include <algorithm>
#include <functional>

#include "base/codec.h"
#include "base/error.h"
#include "http/text.h"

namespace flexroom::agent {
namespace {

[[noreturn]] void refuse(std::string_view problem, std::string_view remedy = "") {
  throw InputError("sealed answer", problem, remedy);
}

bool is_body(const SealedPlace& at) {
  return !std::holds_alternative<SealedCookie>(at) && !std::holds_alternative<SealedHeader>(at);
}

/// Of a place in a body.
SealedBodyKind kind_of(const SealedPlace& at) {
  if (std::holds_alternative<SealedXml>(at)) return SealedBodyKind::kXml;
  return std::holds_alternative<SealedPattern>(at) ? SealedBodyKind::kText : SealedBodyKind::kJson;
}

SealedPlace place_of(const SealedCodes& codes) {
  if (const auto* json = std::get_if<SealedJson>(&codes.at)) return *json;
  return std::get<SealedXml>(codes.at);
}

void write_set(Writer& out, const http::CharSet& set) {
  for (const uint64_t word : set.bits()) out.u64(word);
}

struct PlaceWriter {
  Writer& out;

  void operator()(const SealedCookie& cookie) const {
    const http::CookieQuery& query = cookie.query;
    out.u8(1).field(query.name).field(query.path).field(query.host).field(query.domain);
    out.field(query.default_path).u64(static_cast<uint64_t>(query.now)).u8(cookie.missing_same);
  }
  void operator()(const SealedHeader& header) const {
    out.u8(2).field(header.name).field(header.before).field(header.after);
  }
  void operator()(const SealedJson& json) const {
    out.u8(3).u8(json.number).u32(static_cast<uint32_t>(json.path.size()));
    for (const http::JsonStep& step : json.path) {
      if (const auto* key = std::get_if<std::string>(&step)) {
        out.u8(1).field(*key);
      } else if (const auto* index = std::get_if<size_t>(&step)) {
        out.u8(2).u64(*index);
      } else {
        item(std::get<http::JsonItem>(step));
      }
    }
  }
  void operator()(const SealedXml& xml) const {
    out.u8(4);
    path(xml.path);
  }
  void operator()(const SealedPattern& pattern) const {
    out.u8(5).field(pattern.literal);
    write_set(out, pattern.run_class);
    write_set(out, pattern.terminator);
    out.u32(static_cast<uint32_t>(pattern.blanks.size()));
    for (const size_t blank : pattern.blanks) out.u64(blank);
  }

 private:
  void path(const std::vector<std::string>& names) const {
    out.u32(static_cast<uint32_t>(names.size()));
    for (const std::string& name : names) out.field(name);
  }
  void item(const http::JsonItem& element) const {
    out.u8(3).u8(element.first).u32(static_cast<uint32_t>(element.filters.size()));
    for (const http::JsonFilter& filter : element.filters) {
      path(filter.path);
      out.field(filter.text).u8(static_cast<uint8_t>(filter.kind)).u8(filter.equal);
    }
  }
};

bool is_code(const std::string& code) {
  const http::CharSet letters = http::CharSet::range('a', 'z') | http::CharSet::range('A', 'Z');
  const http::CharSet all = letters | http::CharSet::range('0', '9') | http::CharSet::of("._-");
  return !code.empty() && code.size() <= 64 && letters.contains(code.front()) && code != "other" &&
         std::all_of(code.begin(), code.end(), [&](char c) { return all.contains(c); });
}

/// Of a test the text itself is looked at: equal to it, a token is a number.
bool may_be_number(const SealedItem& item) {
  const http::CharSet first = http::CharSet::of("-0123456789");
  const http::CharSet all = http::CharSet::of("-+.0123456789Ee");
  if (item.fate != SealedItem::Fate::kTest) return !(item.char_class & first).empty();
  return !item.equals.empty() && first.contains(item.equals.front()) &&
         std::all_of(item.equals.begin(), item.equals.end(),
                     [&](char c) { return all.contains(c); });
}

bool is_domain_of(const http::CookieQuery& query) {
  return query.domain.empty() || query.domain == query.host ||
         query.host.ends_with("." + query.domain);
}

/// What is asked about the bytes of an answer has a text, and a name of no bytes is none of these.
bool names_nothing(const std::vector<std::string>& path) {
  return std::any_of(path.begin(), path.end(), [](const std::string& s) { return s.empty(); });
}

bool names_nothing(const http::JsonStep& step) {
  if (const auto* key = std::get_if<std::string>(&step)) return key->empty();
  const auto* element = std::get_if<http::JsonItem>(&step);
  return element != nullptr &&
         std::any_of(element->filters.begin(), element->filters.end(),
                     [](const http::JsonFilter& filter) { return names_nothing(filter.path); });
}

void require_names(const SealedPlace& at) {
  bool empty = false;
  if (const auto* cookie = std::get_if<SealedCookie>(&at)) empty = cookie->query.name.empty();
  if (const auto* header = std::get_if<SealedHeader>(&at)) empty = header->name.empty();
  if (const auto* xml = std::get_if<SealedXml>(&at)) {
    empty = xml->path.empty() || names_nothing(xml->path);
  }
  if (const auto* json = std::get_if<SealedJson>(&at)) {
    empty = std::any_of(json->path.begin(), json->path.end(),
                        [](const http::JsonStep& step) { return names_nothing(step); });
  }
  if (empty) refuse("a selector with an empty name, or of XML without a path");
}

/// A search reads the byte behind the text too, and must not take it, or the filler behind it, for
/// one of the run. In JSON a byte of the run stands for itself: no backslash, nothing below 0x20.
bool holds_the_end(const SealedItem& item) {
  if (std::holds_alternative<SealedXml>(item.at)) {
    return item.char_class.contains('<') || item.char_class.contains('\0');
  }
  return !item.char_class.subset_of(http::CharSet::range(0x20, 0xfe) - http::CharSet::of("\"\\"));
}

/// Where a pattern would find what a caller put into a text of the body (§5.4, decoys).
bool has_outline(std::string_view content_type) {
  const std::string type = http::to_lower(content_type);
  return type.find("json") != std::string::npos || type.find("xml") != std::string::npos;
}

/// What is searched is filled up with zero bytes: neither the literal nor the run may take them for
/// bytes of the text.
void require_valid_pattern(const SealedItem& item, const SealedPattern& pattern, size_t body_max) {
  if (item.behind) refuse("`after` behind a pattern");
  if (pattern.literal.empty() || pattern.literal.size() >= body_max ||
      pattern.literal.find('\0') != std::string::npos) {
    refuse("a pattern without a literal, or with one that no body holds");
  }
  if (item.fate == SealedItem::Fate::kAbsent) return;
  if (item.fate == SealedItem::Fate::kTest) refuse("`equals` of a pattern is not built");
  if (pattern.run_class.empty() || pattern.run_class.contains('\0') ||
      pattern.terminator.contains('\0') || pattern.terminator.subset_of(pattern.run_class)) {
    refuse("a pattern whose run has no class or no end");
  }
  if (pattern.blanks.empty()) return;
  const bool ascending = std::adjacent_find(pattern.blanks.begin(), pattern.blanks.end(),
                                            std::greater_equal<>()) == pattern.blanks.end();
  if (!ascending || !pattern.run_class.contains(' ') || pattern.blanks.back() >= body_max) {
    refuse("blanks of a pattern that its run cannot have");
  }
}

/// An element of an array, of whatever type: a test without a text is that it is there.
bool is_element(const SealedPlace& at) {
  const auto* json = std::get_if<SealedJson>(&at);
  return json != nullptr && !json->number && !json->path.empty() &&
         std::holds_alternative<http::JsonItem>(json->path.back());
}

void require_valid_item(const SealedItem& item, size_t num_members) {
  if (item.fate == SealedItem::Fate::kTest) {
    if (item.equals.empty() && !is_element(item.at)) refuse("a test without a text");
    if (item.behind) refuse("`assert` on a text that is searched is not built");
  } else if (item.fate == SealedItem::Fate::kAbsent) {
    // no value
  } else if (item.char_class.empty() || item.min_bytes < 1 || item.max_bytes < item.min_bytes) {
    refuse("a value without a class, or of no length");
  }
  if (item.to && (item.fate != SealedItem::Fate::kOpen || *item.to >= num_members)) {
    refuse("`to` names no member, or of a value that is not opened");
  }
  if (const auto* json = std::get_if<SealedJson>(&item.at)) {
    if (json->number && item.behind) refuse("`after` on a number");
    const bool has_value = item.fate != SealedItem::Fate::kAbsent;
    if (json->number && has_value && !may_be_number(item))
      refuse("a class or a text that no number has");
  }
  if (const auto* header = std::get_if<SealedHeader>(&item.at)) {
    if (http::same_name(header->name, "set-cookie")) refuse("Set-Cookie is read by `cookie` alone");
    // Blanks behind a value are not marked: one of them would make the text pass for absent.
    if (item.fate == SealedItem::Fate::kAbsent && !header->after.empty()) {
      refuse("`absent` of a header by how it ends", "say how it begins");
    }
  }
  require_names(item.at);
  const auto* cookie = std::get_if<SealedCookie>(&item.at);
  if (cookie != nullptr && item.fate != SealedItem::Fate::kKeep) {
    refuse("a cookie is never opened or tested", "keep it");
  }
  if (cookie != nullptr && !is_domain_of(cookie->query)) {
    refuse("a cookie of a domain that the host is not in");
  }
  if (item.behind &&
      (!is_body(item.at) || item.behind->empty() || item.behind->find('\0') != std::string::npos ||
       item.behind->size() >= SealedPlan::kCodeCapacity)) {
    refuse("`after` needs a literal, and a text of the body");
  }
  if (item.behind && std::holds_alternative<SealedJson>(item.at) &&
      !http::is_json_literal(*item.behind)) {
    refuse("`after` with a literal that no JSON string holds in one way");
  }
  if (item.behind && item.fate != SealedItem::Fate::kAbsent && holds_the_end(item)) {
    refuse("`after` with a class that holds the end of the text", "use a narrower class");
  }
}

}  // namespace

bool SealedPlan::reads_body() const {
  return std::any_of(items.begin(), items.end(),
                     [](const SealedItem& item) { return is_body(item.at); });
}

SealedBodyKind SealedPlan::body_kind() const {
  for (const SealedItem& item : items) {
    if (is_body(item.at)) return kind_of(item.at);
  }
  return codes ? kind_of(place_of(*codes)) : SealedBodyKind::kJson;
}

void SealedPlan::require_valid(size_t num_members) const {
  for (const int status : statuses) {
    if (status < 200 || status > 499 || status == 408) {
      refuse("`status` " + std::to_string(status) + " is no answer to select from",
             "use 200 to 499, not 408");
    }
  }
  if (header_max < 64 || header_max > kMaxHeader || body_max < 1 || body_max > kMaxBody ||
      max_chunks < 1 || max_chunks > kMaxChunks || records < 1 || records > kMaxRecords ||
      record_bytes < header_max || record_bytes > kMaxRecordBytes || tests_max < 1 ||
      tests_max > 1024 || spare_blocks > kMaxSpareBlocks || key_updates > kMaxKeyUpdates ||
      key_updates >= records) {
    refuse("a bound is outside of what is built");
  }
  for (const SealedItem& item : items) {
    require_valid_item(item, num_members);
    if (const auto* pattern = std::get_if<SealedPattern>(&item.at)) {
      require_valid_pattern(item, *pattern, body_max);
    }
    if (is_body(item.at) && kind_of(item.at) != body_kind()) {
      refuse("a body is JSON, XML or a text, not two of them");
    }
  }
  if (body_kind() == SealedBodyKind::kText && has_outline(content_type)) {
    refuse("a pattern on a body of JSON or XML", "use `json` or `xml`");
  }
  if (codes) {
    require_names(place_of(*codes));
    if (kind_of(place_of(*codes)) != body_kind()) {
      refuse("the codes are looked for in a body of the kind of the other selectors");
    }
    if (codes->one_of.empty() || codes->one_of.size() > 32 ||
        !std::all_of(codes->one_of.begin(), codes->one_of.end(), is_code)) {
      refuse("a listed code is not a letter and up to 63 of [A-Za-z0-9._-]");
    }
  }
}

Digest SealedPlan::digest() const {
  Writer out;
  out.field("flexroom sealed plan 2").u32(static_cast<uint32_t>(statuses.size()));
  for (const int status : statuses) out.u32(static_cast<uint32_t>(status));
  out.field(content_type);
  for (const size_t bound : {header_max, body_max, max_chunks, records, record_bytes, tests_max,
                             spare_blocks, key_updates}) {
    out.u64(bound);
  }
  out.u8(keep_alive);
  out.u32(static_cast<uint32_t>(items.size()));
  for (const SealedItem& item : items) {
    std::visit(PlaceWriter{out}, item.at);
    out.u8(item.behind.has_value()).field(item.behind.value_or(""));
    out.u8(static_cast<uint8_t>(item.fate)).u8(item.to.has_value()).u32(item.to.value_or(0));
    out.field(item.equals).u64(item.min_bytes).u64(item.max_bytes);
    write_set(out, item.char_class);
  }
  out.u8(codes.has_value());
  if (codes) {
    std::visit(PlaceWriter{out}, place_of(*codes));
    out.u32(static_cast<uint32_t>(codes->one_of.size()));
    for (const std::string& code : codes->one_of) out.field(code);
  }
  return sha256(out.bytes());
}

}  // namespace flexroom::agent
