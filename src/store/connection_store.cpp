#include "store/connection_store.h"

#include <algorithm>
#include <tuple>

#include "base/codec.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kMaxText = 256;  // bytes of host and of what it was for
constexpr std::string_view kRecord = "state.db, a connection";
constexpr std::string_view kCount = "state.db, connections of a host";
constexpr std::string_view kFact = "state.db, a host";
constexpr uint8_t kRetried = 1, kGoesOn = 2, kLinksKept = 4, kInSlot = 8;
constexpr uint32_t kMostRecords = 16;  // of a request

void write(Writer& out, const ConnectionRecord& record) {
  const uint8_t flags =
      static_cast<uint8_t>((record.retried ? kRetried : 0) | (record.goes_on ? kGoesOn : 0) |
                           (record.links_kept ? kLinksKept : 0) | (record.delay_ms ? kInSlot : 0));
  out.u8(kFormat).u64(record.unix_seconds).raw(record.session);
  out.field(std::string_view(record.what).substr(0, kMaxText));
  out.field(std::string_view(record.host).substr(0, kMaxText));
  out.u8(static_cast<uint8_t>(record.group)).u8(flags);
  out.u32(record.delay_ms.value_or(0)).u32(record.pause_ms);
  const size_t count = std::min<size_t>(record.record_bytes.size(), kMostRecords);
  out.u32(static_cast<uint32_t>(count));
  for (size_t k = 0; k < count; ++k) out.u16(record.record_bytes[k]);
}

NamedGroup read_group(RowReader& in, std::string_view place) {
  const uint8_t code = in.u8();
  for (const NamedGroup group : all_groups()) {
    if (code == static_cast<uint8_t>(group)) return group;
  }
  throw damaged_row(place, "it names a group that there is none of");
}

ConnectionRecord read(RowReader& in, std::string_view place) {
  ConnectionRecord out;
  if (in.u8() != kFormat) {
    throw InputError(std::string(place), "has a form this program does not know",
                     "use the version of flexroom that wrote it, or a newer one");
  }
  out.unix_seconds = in.u64();
  out.session = in.digest();
  out.what = to_text(in.field(kMaxText));
  out.host = to_text(in.field(kMaxText));
  out.group = read_group(in, place);
  const uint8_t flags = in.u8();
  out.retried = (flags & kRetried) != 0;
  out.goes_on = (flags & kGoesOn) != 0;
  out.links_kept = (flags & kLinksKept) != 0;
  const uint32_t delay = in.u32();
  if ((flags & kInSlot) != 0) out.delay_ms = delay;
  out.pause_ms = in.u32();
  const uint32_t count = in.u32();
  if (count > kMostRecords) throw damaged_row(place, "it has more records than a request");
  for (uint32_t k = 0; k < count; ++k) out.record_bytes.push_back(in.u16());
  return out;
}

/// Big-endian, so that ids ascend as numbers do.
uint64_t number_of(const Bytes& id) {
  RowReader in(id, kRecord);
  const uint64_t out = in.u64();
  in.finish();
  return out;
}

Bytes id_of_count(const ConnectionRecord& record) {
  return Writer()
      .field(record.host)
      .u8(static_cast<uint8_t>(record.group))
      .u8(record.outlasts_recording() ? 1 : 0)
      .take();
}

}  // namespace

bool ConnectionRecord::outlasts_recording() const {
  return links_kept && group == NamedGroup::kX25519MlKem768;
}

ConnectionStore::ConnectionStore(SealedDb& db, const RoomId& rid)
    : db_(db),
      records_(rows_of_room("connection", rid)),
      counts_(rows_of_room("connections of host", rid)),
      facts_(rows_of_room("host fact", rid)) {}

void ConnectionStore::add(ConnectionRecord record) {
  record.host.resize(std::min(record.host.size(), kMaxText));
  db_.transaction([&] {
    const std::vector<Bytes> ids = db_.ids(records_);
    const uint64_t number = ids.empty() ? 0 : number_of(ids.back()) + 1;
    for (size_t k = 0; k + kKept <= ids.size(); ++k) db_.remove(records_, ids[k]);
    Writer row;
    write(row, record);
    db_.put(records_, Writer().u64(number).bytes(), row.bytes(), {});
    if (record.goes_on) return;  // of a connection that is counted
    const Bytes id = id_of_count(record);
    uint64_t count = 1;
    if (const auto before = db_.get(counts_, id)) count += RowReader(before->meta, kCount).u64();
    Writer counted;
    counted.u64(count);
    write(counted, record);
    db_.put(counts_, id, counted.bytes(), {});
    forget_curve(record.host);
    if (curve_of(record.group) != NamedGroup::kP256) return;
    db_.put(facts_, as_bytes(record.host), Bytes{static_cast<uint8_t>(record.group)}, {});
  });
}

std::vector<ConnectionRecord> ConnectionStore::newest() {
  std::vector<ConnectionRecord> out;
  for (const SealedDb::Label& label : db_.labels(records_)) {
    RowReader in(label.meta, kRecord);
    out.push_back(read(in, kRecord));
    in.finish();
  }
  return out;
}

std::vector<ConnectionCount> ConnectionStore::counts() {
  std::vector<ConnectionCount> out;
  for (const SealedDb::Label& label : db_.labels(counts_)) {
    RowReader in(label.meta, kCount);
    ConnectionCount one;
    one.count = in.u64();
    one.last = read(in, kCount);
    in.finish();
    one.host = one.last.host;
    one.group = one.last.group;
    one.outlasts_recording = one.last.outlasts_recording();
    out.push_back(std::move(one));
  }
  std::sort(out.begin(), out.end(), [](const ConnectionCount& a, const ConnectionCount& b) {
    return std::tie(a.host, a.group) < std::tie(b.host, b.group);
  });
  return out;
}

std::optional<NamedGroup> ConnectionStore::likely_curve(std::string_view host) {
  const auto row = db_.get(facts_, as_bytes(host));
  if (!row) return std::nullopt;
  RowReader in(row->meta, kFact);
  const NamedGroup group = read_group(in, kFact);
  in.finish();
  return group;
}

void ConnectionStore::forget_curve(std::string_view host) {
  if (db_.get(facts_, as_bytes(host))) db_.remove(facts_, as_bytes(host));
}

}  // namespace flexroom::store
