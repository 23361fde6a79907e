#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "flow/flow.h"
#include "http/request_model.h"

// The request of a step as a template of http/: what is added to it, and what stands in its slots.

namespace flexroom::flow {

/// What is put into the slots of a request.
struct Filling {
  /// The text of a public value. It is escaped as its place wants it.
  std::function<std::string(const SlotUse&)> public_text;
  /// Bytes and class of a secret before encoding; nothing for a public one.
  struct Secret {
    uint32_t length = 0;
    http::CharClass char_class = http::CharClass::kRaw;
    uint32_t totp_key = 0;    // of a one-time code: bytes of its key
    std::string member = {};  // whose private value it is; empty: all members have shares of it
  };
  std::function<std::optional<Secret>(const SlotUse&)> secret;
  /// The boot script of a job that stands in an argument's place (operations.md (d), classic): its
  /// text is the argument's, with letters in the place of what members alone give. May be empty.
  std::function<const http::Base64Text*(const SlotUse&)> script = {};
  std::string access_key_id = {};  // of a signed step
  std::string date_time = {};      // of a signed step: X-Amz-Date
  /// Another request is to follow on the connection: it is not asked to be closed.
  bool keeps_connection = false;
};

/// The template of the request: Host, Content-Length, Accept-Encoding and Connection are added, of
/// a signed step date and Authorization (tls-in-mpc.md §5.2, §6). Secrets are slots called as in
/// SlotUse::slot, with the encoding of their place. Held to http::validate().
///
/// Errors  InputError at `request` of the step
http::Template request_template(const Step& step, const Filling& filling);

/// "%XX", JSON escapes or nothing, as the place wants it.
std::string public_text_in(SlotUse::Where where, std::string_view value);

/// The longest that a function gives: a compact JWE under a key of 4096 bits, or six digits.
uint32_t function_length(const SlotUse& slot, uint32_t value_length);

}  // namespace flexroom::flow
