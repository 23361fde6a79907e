#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::agreement {

/// A piece of a request as it will leave: public bytes, or a slot that is filled later, inside MPC
/// or (dates) when the request is made.
struct RequestPart {
  Bytes text;          // public; empty for a slot
  std::string slot;    // name of the slot; empty for public bytes
  std::string what;    // whose value and how it is encoded: "secret joint/key version 3, b64"
  uint32_t bytes = 0;  // that the slot takes up in the request
};

/// What all members must want alike before anything is contacted: named fields in a fixed order.
/// Its canonical bytes are what is compared, hashed, signed and logged; what people see is
/// render(canonical bytes) and nothing else (render.h, members.md 6.1). Format 2.
struct Proposal {
  /// How a field's value is shown. The numbers stand in the canonical bytes.
  enum class Form : uint8_t {
    kText,     // one line of text
    kBytes,    // hex
    kBlock,    // lines of text, in full: a script, a document
    kRequest,  // request_value(): a request with its slots marked
    kSection,  // a heading over the fields that follow; no value
    kMarked    // request_value(): lines of text with slots marked; text form 2
  };
  struct Field {
    std::string name;
    Bytes value;
    /// A private value enters as its commitment (32 bytes), which is never shown.
    bool secret = false;
    Form form = Form::kText;
    bool operator==(const Field&) const = default;
  };

  // Limits of writer and reader alike.
  static constexpr size_t kMaxBytes = 3 << 20;  // canonical; fits into a statement
  static constexpr size_t kMaxFields = 4096;
  static constexpr size_t kMaxName = 128, kMaxTitle = 256;
  static constexpr uint8_t kFormat = 2;
  static constexpr uint8_t kTextForm = 3;  // the newest that render() knows, from 1 on

  std::vector<Field> fields;
  std::string kind;   // of what is proposed: "call", "run-script"
  std::string title;  // of which: the recipe's or job's name
  Digest room{};      // rid
  Digest terms{};     // what must be equal in room.toml
  uint8_t text_form = kTextForm;

  Proposal& section(std::string name);
  Proposal& text(std::string name, std::string_view value);
  Proposal& bytes(std::string name, ByteView value);
  Proposal& block(std::string name, std::string_view value);
  Proposal& request(std::string name, const std::vector<RequestPart>& parts);
  Proposal& marked(std::string name, const std::vector<RequestPart>& parts);
  Proposal& commitment(std::string name, const Digest& value);

  /// Throws InputError when it is beyond the limits.
  Bytes canonical() const;
  Digest digest() const;
  /// The inverse of canonical(): refuses everything that canonical() would not write. Throws
  /// InputError at `place`.
  static Proposal decode(ByteView canonical, std::string_view place);
};

/// Of canonical bytes: RO("proposal", bytes) outside every session.
Digest proposal_digest(ByteView canonical);

/// The value of a kRequest or kMarked field, and back. Throws InputError at `place`.
Bytes request_value(const std::vector<RequestPart>& parts);
std::vector<RequestPart> request_parts(ByteView value, std::string_view place);

}  // namespace flexroom::agreement
