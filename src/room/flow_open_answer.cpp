#include <fmt/core.h>

#include <algorithm>

#include "http/json_tree.h"
#include "http/xml_tree.h"
#include "room/flow_answer.h"

namespace flexroom::room {
namespace {

/// A named failure that is no fault of an outline.
struct Failure {
  std::string name;
};

/// The one Content-Type is the step's up to ';', in any case (tls-in-mpc.md §5.4); `none`: whether
/// it may be missing (§5.6).
void require_type(const flow::Step& step, const http::Response& response, http::NoType none) {
  size_t lines = 0;
  std::string type;
  for (const auto& [name, value] : response.headers) {
    if (!http::same_name(name, "content-type")) continue;
    ++lines;
    type = value.substr(0, value.find(';'));
  }
  if (lines > 1) throw http::OutlineError(http::OutlineFault::kTwice);
  if (lines == 0 && none == http::NoType::kTaken) return;
  if (lines == 0 || !http::same_name(type, step.type)) {
    throw http::OutlineError(http::OutlineFault::kOtherType);
  }
}

/// The body of an open answer as the tree that selectors walk.
class OpenBody {
 public:
  OpenBody(const flow::Step& step, const http::Response& response, const AnswerTerms& terms,
           http::NoType none)
      : step_(step), terms_(terms), text_(as_text(response.body)), bytes_(text_) {
    require_type(step, response, none);
    if (text_.size() > step.body_max) throw Failure{"too long"};
  }
  std::string select(const flow::Selector& at) {
    if (at.kind == flow::Selector::Kind::kXml) {
      const http::Span span = http::select_xml(xml(), at.steps, bytes_);
      return std::string(text_.substr(span.begin, span.size()));
    }
    const std::vector<http::JsonStep> path = json_path(step_, at, terms_);
    const http::Span span = at.kind == flow::Selector::Kind::kJsonNumber
                                ? http::select_json_number(json(), path, bytes_)
                                : http::select_json_string(json(), path, bytes_);
    return std::string(text_.substr(span.begin, span.size()));
  }
  /// Whether there is such a place, of whatever type.
  bool has(const flow::Selector& at) {
    try {
      if (at.kind == flow::Selector::Kind::kXml) {
        (void)http::select_xml(xml(), at.steps, bytes_);
      } else {
        (void)http::select_json(json(), json_path(step_, at, terms_), bytes_);
      }
      return true;
    } catch (const http::OutlineError& error) {
      if (error.fault() == http::OutlineFault::kNotFound) return false;
      throw;
    }
  }
  /// Throws kNoItem where there is none.
  void require_item() { (void)http::select_json(json(), item_path(step_, terms_), bytes_); }

 private:
  const http::JsonNode& json() {
    if (!json_) json_ = http::read_json(text_);
    return *json_;
  }
  const http::XmlOutline& xml() {
    if (!xml_) xml_ = http::XmlOutline{http::read_xml(text_), {}};
    return *xml_;
  }

  const flow::Step& step_;
  const AnswerTerms& terms_;
  const std::string_view text_;
  http::ClearBytes bytes_;
  std::optional<http::JsonNode> json_;
  std::optional<http::XmlOutline> xml_;
};

/// A place that is not there is `none` where the file has a rule for that (operations.md (c)).
std::string text_of(OpenBody& body, const flow::Step& step, const flow::Open& open) {
  try {
    return body.select(*open.at);
  } catch (const http::OutlineError& error) {
    const bool none = error.fault() == http::OutlineFault::kNotFound && !step.item &&
                      step.rule("none") != nullptr;
    if (none) throw http::OutlineError(http::OutlineFault::kNoItem);
    throw;
  }
}

std::string value_of(OpenBody& body, const flow::Step& step, const flow::Open& open) {
  std::string out = text_of(body, step, open);
  if (out.size() > open.max) throw Failure{"too long"};
  if (out.empty()) throw Failure{"too short"};
  const http::CharSet& set = flow::set_of(open.value_class);
  if (!std::all_of(out.begin(), out.end(), [&](char c) { return set.contains(c); })) {
    throw http::OutlineError(http::OutlineFault::kOutsideClass);
  }
  return out;
}

void read_values(const flow::Step& step, const http::Response& response, const AnswerTerms& terms,
                 flow::StepAnswer& out) {
  OpenBody body(step, response, terms, http::NoType::kRefused);
  if (step.item) body.require_item();
  std::map<std::string, std::string> opened;
  for (const flow::Open& open : step.opens) {
    opened[open.name] = value_of(body, step, open);
  }
  for (const flow::Assertion& one : step.asserts) {
    const bool holds =
        one.equals ? body.select(one.at) == terms.fill(*one.equals) : !body.has(one.at);
    if (!holds) throw Failure{"assert " + one.name};
  }
  out.opened = std::move(opened);
}

/// Which listed code a refusal names; never a failure of its own.
std::string code_of(const flow::Step& step, const http::Response& response,
                    const AnswerTerms& terms) {
  try {
    OpenBody body(step, response, terms, http::NoType::kTaken);
    const std::string code = body.select(step.code->at);
    const auto& list = step.code->one_of;
    if (std::find(list.begin(), list.end(), code) != list.end()) return code;
  } catch (const http::OutlineError&) {
  } catch (const Failure&) {
  }
  return "other";
}

}  // namespace

flow::StepAnswer open_answer(const flow::Step& step, const http::Response& response,
                             const AnswerTerms& terms) {
  flow::StepAnswer out;
  out.status = response.status;
  if (!step.is_ok(out.status)) {
    if (step.code && out.status != 429 && out.status < 500) {
      out.code = code_of(step, response, terms);
    }
    return out;
  }
  if (!step.item && step.opens.empty() && step.asserts.empty()) return out;
  try {
    read_values(step, response, terms, out);
  } catch (const Failure& failure) {
    out.failure = failure.name;
  } catch (const http::OutlineError& error) {
    out.none = error.fault() == http::OutlineFault::kNoItem;
    if (!out.none) out.failure = std::string(http::to_string(error.fault()));
  }
  return out;
}

http::PartialAnswer learnt_of(const agent::Reply& reply) {
  http::PartialAnswer out;
  if (reply.sealed != nullptr) return out;
  if (reply.unknown_outcome) return reply.partial;
  if (!reply.unconfirmed) return out;
  const http::Response& read = reply.response;
  out.status_line = fmt::format("HTTP/1.{} {} {}", read.minor_version, read.status, read.reason);
  std::string head = out.status_line + "\r\n";
  for (const auto& [name, value] : read.headers) head += name + ": " + value + "\r\n";
  out.received = to_bytes(head + "\r\n");
  append(out.received, read.body);
  out.read = read;
  return out;
}

}  // namespace flexroom::room
