#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "http/text.h"

namespace flexroom::http {

/// Where the bytes of a slot come from.
enum class SlotSource : uint8_t {
  kSecret,    // `from` names a secret of the store
  kMember,    // `from` names the member whose private input it is
  kComputed,  // `from` is "sigv4"
  kRandom,    // born in MPC, uniform over the class
  kTotp,      // six digits of RFC 6238; `from` names the secret of the store that is their key
};
/// How the bytes are written into the request.
enum class Encoding : uint8_t {
  kNone,
  kBase64,
  kBase64InForm,  // base64, then %XX for every base64 character
  kHex,           // lower case
  kPercent,       // %XX for every byte
  kJsonU,         // \u00XX for every byte
  kBase64Url,     // RFC 4648 §5, without padding
  kXml,           // &#xXX; for every byte
};
std::string_view to_string(SlotSource source);
std::string_view to_string(Encoding encoding);

/// A hole of the request. Lengths are public and fixed.
struct Slot {
  std::string name;
  SlotSource source = SlotSource::kSecret;
  std::string from;
  Encoding encoding = Encoding::kNone;
  CharClass char_class = CharClass::kRaw;
  uint32_t length = 0;      // bytes before encoding
  uint32_t key_length = 0;  // kTotp: bytes of the key, 1 to 64; else 0

  size_t encoded_length() const;
  /// What each byte before encoding is checked against in MPC: the class, and printable ASCII where
  /// the encoding demands it (tls-in-mpc.md §5.2).
  CharSet checked_set() const;
  /// What the encoded bytes can be.
  CharSet encoded_set() const;
  bool operator==(const Slot&) const = default;
};

/// Base64 (RFC 4648 §4) of public text and slots together, as the value of a form: '+', '/' and '='
/// of public characters as %XX. A group of three bytes with a slot's byte among them gives four
/// letters or digits, whatever the slot holds (the validator sees to it).
struct Base64Text {
  std::vector<std::variant<Bytes, Slot>> parts;  // slots without an encoding of their own
  bool operator==(const Base64Text&) const = default;

  /// Bytes before encoding.
  size_t size() const;
  /// The encoded text, `hole` four times for each group with a slot, and where these groups are: in
  /// the encoded text, and in the bytes before encoding (a multiple of three).
  struct Encoded {
    struct Group {
      size_t offset = 0, byte = 0;
    };
    std::string text;
    std::vector<Group> groups;
  };
  Encoded encoded(char hole) const;
};

using Part = std::variant<Bytes, Slot, Base64Text>;

/// A request with holes: request line, header and body as `parts`, in order.
struct Template {
  std::string host;
  uint16_t port = 443;
  std::string method;
  std::string target;  // slots written as {{name}}
  std::vector<Part> parts;

  /// Length with all slots filled.
  size_t size() const;
  /// Canonical bytes: every field with a 32-bit length prefix; equal templates and nothing else
  /// give equal bytes.
  Bytes serialise() const;
  /// SHA-256 of the serialisation under its own tag: what enters the request id.
  Digest digest() const;
  /// All of them, those in base64 text too, in order.
  std::vector<const Slot*> slots() const;
  bool operator==(const Template&) const = default;
};

/// Encodes a value as its slot prescribes, in the clear: the oracle of the circuits, and for values
/// that are public to this party. `value` has slot.length bytes of slot.checked_set().
Bytes encode_slot(const Slot& slot, ByteView value);
/// The request with `values[name]` in the slots.
Bytes render(const Template& request, const std::map<std::string, Bytes>& values);

/// Builds a template from raw text with `{{name}}` holes, the way recipes write it: header lines
/// may end in LF, the body follows an empty line and is taken as it is; `{{content-length}}`
/// becomes the length of the body with all slots filled. Method and target are read from the first
/// line. Throws InputError for a hole without declaration or a declaration without hole; call
/// validate() next.
Template template_from_text(std::string_view host, uint16_t port, std::string_view text,
                            const std::vector<Slot>& slots);

/// Bytes of a request with its slots at capacity: four records (tls-in-mpc.md §4.3).
inline constexpr size_t kMaxRequest = 65536;

/// The public validator of tls-in-mpc.md §5.2, run by every party on every template.
///
/// Checks   request line, header grammar, Host = SNI host, framing (one Content-Length equal to the
///          body with slots at capacity, no Transfer-Encoding, Expect, Upgrade), unique header
///          names, at most kMaxRequest bytes; every slot in a context where its encoded bytes
///          cannot end the field or change the layout; SigV4 signatures only in the fixed
///          Authorization line; script slots only in single quotes behind a public https:// prefix
///          (`kOwnScript`, for the boot loader that is part of this program: in single quotes, or a
///          hex nonce as a word)
/// Errors   InputError with the place ("request to ..., byte 120, slot token") and the remedy
enum class ScriptSource : uint8_t { kRecipe, kOwnScript };
void validate(const Template& request, ScriptSource script = ScriptSource::kRecipe);

}  // namespace flexroom::http
