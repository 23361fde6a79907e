#include "agent/views.h"

namespace flexroom::agent {

RandomOracle Views::of(std::string_view step) const {
  RandomOracle hash("view", party_.scope(), number_);
  hash.field(step).field(terms_);
  return hash;
}

void Views::agree(std::string_view label, const Digest& own, AbortCode mismatch) const {
  for (const PartyId j : party_.peers()) party_.send(j, label, own);
  for (const PartyId j : party_.peers()) expect(j, label, own, mismatch);
}

void Views::expect(PartyId from, std::string_view label, const Digest& own,
                   AbortCode mismatch) const {
  if (party_.receive(from, label, own.size()) != Bytes(own.begin(), own.end())) {
    throw ProtocolAbort(mismatch, label, "this member's view differs from ours", from);
  }
}

Digest ReleaseView::digest(const Views& views) const {
  RandomOracle hash = views.of("A3");
  hash.field(h2)
      .field(request)
      .field(uint64_t{position.generation})
      .field(position.sequence)
      .field(server_offset)
      .field(uint64_t{records.size()})
      .field(uint64_t{flight != nullptr ? 1u : 0u});
  if (flight != nullptr) hash.field(flight->header).field(flight->ciphertext);
  for (const RecordText& record : records) {
    hash.field(record.header);
    hash.field(record.ciphertext);
  }
  return hash.digest();
}

Digest FreezeView::digest(const Views& views) const {
  return views.of("A4")
      .field(h2)
      .field(stream)
      .field(stream_bytes)
      .field(request_offset)
      .field(records)
      .field(uint64_t{trailing_partial ? 1u : 0u})
      .field(uint64_t{end})
      .digest();
}

}  // namespace flexroom::agent
