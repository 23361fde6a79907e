#include "store/record_meta.h"

#include <algorithm>

#include "base/error.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

/// Reader of a peer's message, or RowReader of the own disk. Nothing: an unknown descent.
template <typename In>
std::optional<RecordMeta> read(In& in) {
  RecordMeta meta;
  meta.epoch = in.digest();
  const ByteView id = in.raw(meta.id.size());
  std::copy(id.begin(), id.end(), meta.id.begin());
  meta.version = in.u32();
  meta.name = to_text(in.field(kMaxMetaTextBytes));
  meta.kind = to_text(in.field(kMaxMetaTextBytes));
  meta.value_class = to_text(in.field(kMaxMetaTextBytes));
  meta.bits = in.u32();
  meta.provenance = in.digest();
  if (in.remaining() > 0) {
    const uint8_t count = in.u8();
    // Of more than there may be, the first; finish() refuses the rest.
    for (uint8_t k = 0; k < std::min<size_t>(count, kMaxPurposes); ++k) {
      meta.purposes.push_back(to_text(in.field(kMaxPurposeBytes)));
    }
  }
  if (in.remaining() > 0) {
    meta.entropy = in.u32();
    meta.provider = to_text(in.field(kMaxMetaTextBytes));
    meta.owner = to_text(in.field(kMaxMetaTextBytes));
  }
  if (in.remaining() > 0) {
    const ByteView set = in.raw(meta.set.size());
    std::copy(set.begin(), set.end(), meta.set.begin());
  }
  bool known_descent = true;
  if (in.remaining() > 0) {
    meta.descent = static_cast<Descent>(in.u8());
    // kGiven is written as nothing: one meaning has one form.
    known_descent = meta.descent != Descent::kGiven && meta.descent <= kLastDescent;
  }
  in.finish();
  if (!known_descent) return std::nullopt;
  return meta;
}

constexpr std::string_view kUnknownDescent = "it came to be in no way that is known here";

}  // namespace

Bytes RecordMeta::encode() const {
  Writer out;
  out.raw(epoch).raw(id).u32(version).field(name).field(kind).field(value_class).u32(bits);
  out.raw(provenance);
  // Nothing for none: records made before there were purposes keep their digests.
  const bool has_descent = descent != Descent::kGiven;
  const bool has_set = has_descent || set != RowSet{};
  const bool has_terms = has_set || entropy != 0 || !provider.empty() || !owner.empty();
  if (!purposes.empty() || has_terms) {
    FLEXROOM_ASSERT(purposes.size() <= kMaxPurposes);
    out.u8(static_cast<uint8_t>(purposes.size()));
    for (const std::string& purpose : purposes) out.field(purpose);
  }
  if (has_terms) out.u32(entropy).field(provider).field(owner);
  if (has_set) out.raw(set);
  if (has_descent) out.u8(static_cast<uint8_t>(descent));
  return out.take();
}

RecordMeta RecordMeta::decode(ByteView bytes) {
  constexpr std::string_view kPlace = "state.db, a secret's metadata";
  RowReader in(bytes, kPlace);
  if (auto meta = read(in)) return std::move(*meta);
  throw damaged_row(kPlace, kUnknownDescent);
}

RecordMeta RecordMeta::decode_from(ByteView bytes, std::string_view label, PartyId peer) {
  Reader in(bytes, label, peer);
  if (auto meta = read(in)) return std::move(*meta);
  throw ProtocolAbort(AbortCode::kBadFrame, label, kUnknownDescent, peer);
}

Digest RecordMeta::digest() const {
  return RandomOracle("record", RoScope{}).field(encode()).digest();
}

Digest RecordMeta::origin() const {
  RecordMeta anywhere = *this;
  anywhere.epoch = {};
  anywhere.set = {};
  return RandomOracle("record origin", RoScope{}).field(anywhere.encode()).digest();
}

std::string_view first_difference(const RecordMeta& mine, const RecordMeta& theirs) {
  if (mine.id != theirs.id) return "record id";
  if (mine.name != theirs.name) return "name";
  if (mine.version != theirs.version) return "version";
  if (mine.kind != theirs.kind) return "kind";
  if (mine.value_class != theirs.value_class) return "class";
  if (mine.bits != theirs.bits) return "length";
  if (mine.purposes != theirs.purposes) return "set of purposes";
  if (mine.provider != theirs.provider) return "provider";
  if (mine.owner != theirs.owner) return "owner";
  if (mine.entropy != theirs.entropy) return "entropy";
  if (mine.descent != theirs.descent) return "descent";
  if (mine.provenance != theirs.provenance) return "provenance";
  if (mine.epoch != theirs.epoch) return "epoch";
  if (mine.set != theirs.set) return "set of rows";
  return {};
}

}  // namespace flexroom::store
