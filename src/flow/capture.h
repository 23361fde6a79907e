#pragma once

#include <set>
#include <string>
#include <string_view>

namespace flexroom::flow {

/// A recorded request and its answer, in the clear: two HTTP messages one behind the other, or what
/// `curl -v` prints (lines with "> " and "< ", the body behind them).
struct Capture {
  std::string request, answer;  // LF or CRLF; the answer may be missing
};
/// Throws InputError naming `place`.
Capture parse_capture(std::string_view text, std::string_view place);

/// A first draft of a flow file with one step. Of the request every value is a slot: of the query,
/// a form and JSON (texts and numbers), cookies, every header but Accept, Accept-Charset,
/// Accept-Language, Cache-Control, Content-Type and User-Agent, and every segment of the path that
/// is no plain word (called path-1, path-2, ..). Names stand as recorded, and host, method, plain
/// words of the path, true, false and null; `show` has the names, in lower case, of values that a
/// person took for no secret. In the answer what looks like a secret is kept; no value of it is in
/// the draft. It loads; a person gives it purposes, rules and a name.
///
/// Errors  InputError at `place`: no request, a field or cookie without '=', an answer that the
///         strict parser refuses
std::string draft_flow(const Capture& capture, std::string_view name, std::string_view provider,
                       std::string_view place, const std::set<std::string>& show = {});

}  // namespace flexroom::flow
