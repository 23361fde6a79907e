#include "agreement/proposal.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"

namespace flexroom::agreement {
namespace {

constexpr size_t kMaxSlotText = 512;
constexpr size_t kMaxParts = 4096;

bool is_line(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// A name stands before its value on a line: nothing in it may look like the end of it.
bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= Proposal::kMaxName && is_line(name) &&
         name.front() != ' ' && name.back() != ' ';
}

[[noreturn]] void refuse(std::string_view place, std::string_view problem) {
  throw InputError(place, problem, "nothing was agreed; this is no proposal that can be shown");
}

void check_field(const Proposal::Field& field, std::string_view place) {
  const auto fail = [&](std::string_view problem) {
    refuse(place, fmt::format("field {} {}", display_text(field.name, 40), problem));
  };
  if (!is_field_name(field.name)) fail("has no name of 1 to 128 printable characters");
  if (field.form > Proposal::Form::kMarked) fail("has a form that is not known");
  if (field.secret && field.value.size() != Digest{}.size()) {
    fail("is private but holds no commitment");
  }
  if (field.form == Proposal::Form::kSection && (field.secret || !field.value.empty())) {
    fail("is a heading with a value");
  }
  const bool has_parts =
      field.form == Proposal::Form::kRequest || field.form == Proposal::Form::kMarked;
  if (has_parts && !field.secret) (void)request_parts(field.value, place);
}

void check(const Proposal& proposal, std::string_view place) {
  if (proposal.text_form == 0 || proposal.text_form > Proposal::kTextForm) {
    throw InputError(place, fmt::format("is written for text form {}", proposal.text_form),
                     "a newer program wrote it: update this one to show it");
  }
  if (proposal.kind.size() > Proposal::kMaxName || proposal.title.size() > Proposal::kMaxTitle) {
    refuse(place, "has a kind or title that is too long");
  }
  if (proposal.fields.size() > Proposal::kMaxFields) refuse(place, "has more than 4,096 fields");
  for (const Proposal::Field& field : proposal.fields) {
    check_field(field, place);
    if (field.form == Proposal::Form::kMarked && proposal.text_form < 2) {
      refuse(place, "has lines with slots, which text form 1 does not know");
    }
  }
}

Bytes to_value(std::string_view text) { return to_bytes(text); }

}  // namespace

Proposal& Proposal::section(std::string name) {
  fields.push_back({std::move(name), {}, false, Form::kSection});
  return *this;
}
Proposal& Proposal::text(std::string name, std::string_view value) {
  fields.push_back({std::move(name), to_value(value), false, Form::kText});
  return *this;
}
Proposal& Proposal::bytes(std::string name, ByteView value) {
  fields.push_back({std::move(name), Bytes(value.begin(), value.end()), false, Form::kBytes});
  return *this;
}
Proposal& Proposal::block(std::string name, std::string_view value) {
  fields.push_back({std::move(name), to_value(value), false, Form::kBlock});
  return *this;
}
Proposal& Proposal::request(std::string name, const std::vector<RequestPart>& parts) {
  fields.push_back({std::move(name), request_value(parts), false, Form::kRequest});
  return *this;
}
Proposal& Proposal::marked(std::string name, const std::vector<RequestPart>& parts) {
  fields.push_back({std::move(name), request_value(parts), false, Form::kMarked});
  return *this;
}
Proposal& Proposal::commitment(std::string name, const Digest& value) {
  fields.push_back({std::move(name), Bytes(value.begin(), value.end()), true, Form::kBytes});
  return *this;
}

Bytes Proposal::canonical() const {
  check(*this, "proposal");
  Writer out;
  out.u8(kFormat).u8(text_form).raw(room).raw(terms).field(kind).field(title);
  out.u32(static_cast<uint32_t>(fields.size()));
  for (const Field& field : fields) {
    out.u8(static_cast<uint8_t>(field.form)).u8(field.secret ? 1 : 0);
    out.field(field.name).field(field.value);
  }
  if (out.size() > kMaxBytes) {
    throw InputError("proposal",
                     fmt::format("takes {} bytes, at most {} are possible", out.size(), kMaxBytes),
                     "make the script or the request body smaller");
  }
  return out.take();
}

Digest Proposal::digest() const { return proposal_digest(canonical()); }

Digest proposal_digest(ByteView canonical) {
  return RandomOracle("proposal", RoScope{}).field(canonical).digest();
}

Proposal Proposal::decode(ByteView canonical, std::string_view place) {
  if (canonical.size() > kMaxBytes) refuse(place, "is longer than 3 MiB");
  Proposal out;
  try {
    Reader in(canonical, place);
    if (const uint8_t format = in.u8(); format != kFormat) {
      throw InputError(place,
                       fmt::format("is of format {}, this program reads {}", format, kFormat),
                       "use the program that wrote it, or a newer one");
    }
    out.text_form = in.u8();
    out.room = in.digest();
    out.terms = in.digest();
    out.kind = to_text(in.field(kMaxName));
    out.title = to_text(in.field(kMaxTitle));
    const uint32_t count = in.u32();
    if (count > kMaxFields) refuse(place, "has more than 4,096 fields");
    for (uint32_t k = 0; k < count; ++k) {
      Field& field = out.fields.emplace_back();
      field.form = static_cast<Form>(in.u8());
      const uint8_t secret = in.u8();
      if (secret > 1) refuse(place, "has a field that is neither private nor not");
      field.secret = secret == 1;
      field.name = to_text(in.field(kMaxName));
      const ByteView value = in.field(kMaxBytes);
      field.value.assign(value.begin(), value.end());
    }
    in.finish();
  } catch (const ProtocolAbort& abort) {
    refuse(place, abort.detail());
  }
  check(out, place);
  return out;
}

Bytes request_value(const std::vector<RequestPart>& parts) {
  Writer out;
  for (const RequestPart& part : parts) {
    if (part.slot.empty()) {
      out.u8(0).field(part.text);
    } else {
      out.u8(1).field(part.slot).field(part.what).u32(part.bytes);
    }
  }
  return out.take();
}

std::vector<RequestPart> request_parts(ByteView value, std::string_view place) {
  std::vector<RequestPart> parts;
  try {
    Reader in(value, place);
    while (in.remaining() > 0) {
      if (parts.size() == kMaxParts) refuse(place, "holds a request of more than 4,096 parts");
      RequestPart& part = parts.emplace_back();
      const uint8_t type = in.u8();
      if (type > 1) refuse(place, "holds a request with a part of unknown type");
      if (type == 0) {
        const ByteView text = in.field(Proposal::kMaxBytes);
        part.text.assign(text.begin(), text.end());
        continue;
      }
      part.slot = to_text(in.field(Proposal::kMaxName));
      part.what = to_text(in.field(kMaxSlotText));
      part.bytes = in.u32();
      if (!is_field_name(part.slot)) refuse(place, "holds a request with a slot without a name");
    }
  } catch (const ProtocolAbort& abort) {
    refuse(place, abort.detail());
  }
  return parts;
}

}  // namespace flexroom::agreement
