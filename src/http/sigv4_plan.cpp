#include <algorithm>

#include "base/error.h"
#include "base/split.h"
#include "http/layout.h"
#include "http/sigv4.h"

namespace flexroom::http {
namespace {

constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";

// The text between `from` and `to` of the Authorization line.
std::string between(const Layout& layout, const Layout::Header& header, std::string_view from,
                    std::string_view to) {
  const size_t start = header.value.find(from);
  const size_t end =
      header.value.find(to, start == std::string_view::npos ? 0 : start + from.size());
  if (start == std::string_view::npos || end == std::string_view::npos) {
    layout.fail(header.value_start, "the Authorization line is not the one of SigV4");
  }
  return std::string(header.value.substr(start + from.size(), end - start - from.size()));
}

BodyHash hash_body(const Layout& layout) {
  BodyHash out;
  const std::string_view body = layout.body();
  out.is_public = body.find(Layout::kHole) == std::string_view::npos;
  if (out.is_public) out.digest = sha256(as_bytes(body));
  return out;
}

// "head", cut at the holes of one signed header.
std::vector<Part> with_slots(const Layout& layout, const std::string& head,
                             const std::vector<std::string>& signed_names) {
  std::vector<const Slot*> slots;
  std::vector<std::string> order = signed_names;
  std::sort(order.begin(), order.end());
  for (const std::string& name : order) {
    const Layout::Header* header = layout.header(name);
    for (const Layout::Placed& placed : layout.slots()) {
      if (placed.start >= header->value_start &&
          placed.end() <= header->value_start + header->value.size()) {
        slots.push_back(placed.slot);
      }
    }
  }
  std::vector<Part> out;
  size_t next = 0;
  for (size_t at = 0; at < head.size();) {
    const size_t hole = std::min(head.find(Layout::kHole, at), head.size());
    if (hole != at) out.emplace_back(to_bytes(head.substr(at, hole - at)));
    at = hole;
    if (hole == head.size()) break;
    out.emplace_back(*slots.at(next));
    at += slots.at(next++)->encoded_length();
  }
  return out;
}

void check_signed_names(const Layout& layout, const std::vector<std::string>& names) {
  if (!std::is_sorted(names.begin(), names.end()) ||
      std::adjacent_find(names.begin(), names.end()) != names.end()) {
    layout.fail(0, "SignedHeaders are not in order");
  }
  for (const std::string& name : names) {
    const Layout::Header* header = layout.header(name);
    if (name != to_lower(name) || header == nullptr) {
      layout.fail(0, "signed header '" + name + "' is not in the request");
    }
  }
  for (const Layout::Header& header : layout.headers()) {
    const std::string name = to_lower(header.name);
    const bool must = name == "host" || name == "content-type" || name.starts_with("x-amz-");
    if (must && std::find(names.begin(), names.end(), name) == names.end()) {
      layout.fail(header.value_start, "header " + name + " is not signed",
                  "add it to SignedHeaders");
    }
  }
}

}  // namespace

bool SigV4Plan::canonical_head_is_public() const {
  return std::all_of(canonical_head.begin(), canonical_head.end(),
                     [](const Part& part) { return std::holds_alternative<Bytes>(part); });
}

std::string SigV4Plan::payload_hash_text() const {
  FLEXROOM_ASSERT(unsigned_payload || body.is_public);
  return unsigned_payload ? std::string(kUnsigned) : to_hex(body.digest);
}

std::string SigV4Plan::string_to_sign(const Digest& payload_hash) const {
  FLEXROOM_ASSERT(canonical_head_is_public());
  FLEXROOM_ASSERT(!body.is_public || unsigned_payload || payload_hash == body.digest);
  Bytes canonical;
  for (const Part& part : canonical_head) append(canonical, std::get<Bytes>(part));
  append(canonical, unsigned_payload ? std::string(kUnsigned) : to_hex(payload_hash));
  return sts_head + to_hex(sha256(canonical));
}

SigV4Plan plan_sigv4(const Template& request) {
  const Layout layout(request);
  const Layout::Header* authorization = layout.header("authorization");
  const Layout::Header* date = layout.header("x-amz-date");
  if (authorization == nullptr || date == nullptr) {
    layout.fail(0, "a signed request needs Authorization and X-Amz-Date headers");
  }
  if (layout.target().find(Layout::kHole) != std::string_view::npos) {
    layout.fail(layout.target_start(), "a signed request may not have a slot in its target");
  }
  const auto credential =
      split(between(layout, *authorization, "Credential=", ", SignedHeaders="), '/');
  const auto names =
      split(between(layout, *authorization, ", SignedHeaders=", ", Signature="), ';');
  SigV4Plan plan;
  parse_amz_date(date->value, "X-Amz-Date");
  plan.scope.date_time = date->value;
  if (credential.size() != 5 || credential[1] != plan.scope.date() ||
      credential[4] != "aws4_request") {
    layout.fail(authorization->value_start, "the credential scope does not fit X-Amz-Date");
  }
  plan.access_key_id = credential[0];
  plan.scope.region = credential[2];
  plan.scope.service = credential[3];
  check_signed_names(layout, names);

  Headers headers;
  for (const std::string& name : names) headers.emplace_back(name, layout.header(name)->value);
  const std::string_view target = layout.target();
  const size_t mark = target.find('?');
  const std::string head =
      canonical_request_head(layout.method(), target.substr(0, mark),
                             mark == std::string_view::npos ? "" : target.substr(mark + 1), headers,
                             PathRules::of(plan.scope.service));
  plan.canonical_head = with_slots(layout, head, names);
  plan.sts_head = string_to_sign_head(plan.scope);
  plan.body = hash_body(layout);
  if (const Layout::Header* stated = layout.header("x-amz-content-sha256")) {
    plan.unsigned_payload = stated->value == kUnsigned;
    if (!plan.unsigned_payload &&
        (!plan.body.is_public || stated->value != to_hex(plan.body.digest))) {
      layout.fail(stated->value_start, "X-Amz-Content-SHA256 is not the hash of the body",
                  "write the hash of a public body, or UNSIGNED-PAYLOAD");
    }
  }
  return plan;
}

void check_scope(const SigV4Plan& plan, std::string_view region, std::string_view service,
                 SystemTime now) {
  if (plan.scope.region != region || plan.scope.service != service) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "http/sigv4",
                        "the request is signed for " + plan.scope.text() + ", agreed was " +
                            std::string(region) + "/" + std::string(service));
  }
  const auto skew = parse_amz_date(plan.scope.date_time, "X-Amz-Date") - now;
  if (skew > std::chrono::minutes(5) || skew < -std::chrono::minutes(5)) {
    throw ProtocolAbort(AbortCode::kRefusedByRule, "http/sigv4",
                        "X-Amz-Date is more than 5 minutes from this machine's clock");
  }
}

}  // namespace flexroom::http
