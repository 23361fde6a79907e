#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/template.h"

namespace flexroom::http {

/// What a reader of a request finds in one place: public text and slots, in order. What the place
/// itself demands (%XX of a query or form, \u00XX and other escapes of JSON) is taken off.
struct RequestText {
  struct Piece {
    std::string text;          // public; of a slot: empty
    std::optional<Slot> slot;  //
    /// What still stands around the slot's bytes: kNone, kBase64 or kHex.
    Encoding encoding = Encoding::kNone;
  };
  std::vector<Piece> pieces;
  /// What stands there is the base64 of the pieces taken together.
  bool in_base64 = false;
  size_t at = 0;  // of the first byte in the request, for messages

  bool is_public() const;
  /// Slots as {{NAME}}, the one called `self` as {{}}.
  std::string shown(std::string_view self = "") const;
  bool holds(std::string_view slot) const;
  /// Of equal public text, and of nothing with a slot.
  bool is(std::string_view text) const { return is_public() && shown() == text; }

  void add(char c);
  void add(const Slot& slot, Encoding encoding);
};

/// The text that this one is the base64 of (RFC 4648 §4, padded). Nothing unless every reader must
/// find that: public characters in whole groups, slots under base64 that begin and end a group.
std::optional<RequestText> base64_decoded(const RequestText& text);

struct Parameter {
  std::string name;
  RequestText value;
};

/// A request as a server reads it: the only thing that allow-lists, purposes, positions and the
/// names shown to approvers are judged on (tls-in-mpc.md §5.1, §5.2). Built once from a template
/// that validate() accepts.
///
/// A request with slots (a signature is one) is refused where two servers could read two things:
/// names that stand there twice or differ in case only, escapes of characters that need none in a
/// name, '+' in a query, empty fields, dot segments, an escaped '/', a body without the type that
/// it has, JSON that is not strict, a charset other than UTF-8, a body of a GET. Without slots
/// there is nothing to judge, and only what cannot be decoded is refused.
struct RequestModel {
  enum class Body { kNone, kForm, kJson, kXml, kOther };

  std::string host;
  uint16_t port = 443;
  std::string method;
  std::vector<std::string> path;      // decoded segments
  std::vector<Parameter> query;       // names and values decoded
  std::vector<Parameter> headers;     // names in lower case
  std::string media_type;             // of the body, lower case, without parameters
  Body body_kind = Body::kNone;       //
  std::vector<Parameter> body;        // kForm: fields; kJson: scalars by RFC 6901 pointer
  std::optional<RequestText> opaque;  // kXml and kOther: the whole body
  /// Strings in values that are JSON themselves: scalars by "NAME>/POINTER".
  std::vector<Parameter> nested;
  bool has_slots = false;

  /// Throws InputError with place and remedy.
  static RequestModel of(const Template& request);

  /// "/v1/a%2Fb": one spelling for one path.
  std::string path_text() const;
  const RequestText* header(std::string_view name) const;
  const RequestText* query_value(std::string_view name) const;
  const RequestText* body_value(std::string_view name) const;
};

/// One spelling for a path of decoded segments, and for a path as it is written; nothing for one
/// that cannot be decoded.
std::string spell_path(const std::vector<std::string>& segments);
std::optional<std::string> spell_path(std::string_view path);

}  // namespace flexroom::http
