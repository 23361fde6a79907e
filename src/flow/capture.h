#pragma once

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

/// A first draft of a flow file with one step: what looks like a secret of the request is a slot,
/// what looks like one in the answer is kept, the rest stands as recorded. No byte of a value that
/// was taken for a secret is in it. It loads; a person gives it purposes, rules and a name.
///
/// Errors  InputError at `place`: no request, an answer that the strict parser refuses
std::string draft_flow(const Capture& capture, std::string_view name, std::string_view provider,
                       std::string_view place);

}  // namespace flexroom::flow
