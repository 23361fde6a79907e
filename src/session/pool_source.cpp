#include "session/pool_source.h"

#include <algorithm>
#include <cstring>

#include "base/codec.h"
#include "base/error.h"
#include "store/row_reader.h"

namespace flexroom::session {
namespace {

using prep::AuthBits;

// Items of one portion: what is burned at once, so what a session loses at most of each kind.
constexpr size_t kPortion = 1024;
constexpr char kTriples = 't', kBits = 'b';
constexpr size_t kTripleParts = 3;

// On disk a portion is, part by part and peer by peer, its macs and then its keys.
size_t unit_bytes(size_t num_parts, size_t num_parties) {
  return num_parts * (num_parties - 1) * 2 * sizeof(Block);
}

size_t parts_of(char kind) { return kind == kTriples ? kTripleParts : 1; }

std::vector<AuthBits> blank_parts(const net::Party& party, size_t num_parts, size_t size) {
  std::vector<AuthBits> out;
  for (size_t p = 0; p < num_parts; ++p) {
    out.push_back(AuthBits::unwritten(party.id(), party.num_parties(), size));
  }
  return out;
}

void copy_blocks(BlockVec& to, size_t to_offset, ByteView from) {
  if (from.empty()) return;
  std::memcpy(static_cast<void*>(to.data() + to_offset), from.data(), from.size());
}

// Items [from, from + count) of a stored portion.
void read_portion(ByteView portion, size_t portion_size, size_t from, size_t count,
                  std::vector<AuthBits>& out, size_t offset) {
  const uint8_t* at = portion.data();
  for (AuthBits& part : out) {
    for (PartyId j = 0; j < part.num_parties(); ++j) {
      if (j == part.self()) continue;
      for (BlockVec* array : {&part.mac[j], &part.key[j]}) {
        copy_blocks(*array, offset, {at + from * sizeof(Block), count * sizeof(Block)});
        at += portion_size * sizeof(Block);
      }
    }
  }
  FLEXROOM_ASSERT(at == portion.data() + portion.size());
  for (const AuthBits& part : out) {
    if (!part.pinned(offset, count)) {
      throw InputError("the pool on disk", "an item contradicts itself",
                       "remove the pool's files; the next run makes new stock");
    }
  }
}

// Moves items between arrays: their old place is wiped.
void move_items(std::vector<AuthBits>& out, size_t offset, std::vector<AuthBits>& in, size_t from,
                size_t count) {
  for (size_t p = 0; p < out.size(); ++p) {
    for (PartyId j = 0; j < out[p].num_parties(); ++j) {
      if (j == out[p].self()) continue;
      for (const auto array : {&AuthBits::mac, &AuthBits::key}) {
        BlockVec& source = (in[p].*array)[j];
        copy_blocks((out[p].*array)[j], offset,
                    source.bytes().subspan(from * sizeof(Block), count * sizeof(Block)));
        wipe(source.data() + from, count * sizeof(Block));
      }
    }
  }
}

}  // namespace

PoolStock summarise(std::span<const store::Pool::Stock> batches, size_t num_parties) {
  PoolStock out;
  for (const store::Pool::Stock& batch : batches) {
    const char kind = static_cast<char>(batch.batch_id.front());
    const uint64_t bytes = batch.left() * batch.item_bytes;
    (kind == kTriples ? out.triples : out.bits) += bytes / unit_bytes(parts_of(kind), num_parties);
    out.bytes += bytes;
  }
  return out;
}

PooledSource::PooledSource(net::Party& party, store::OnceDb& once, const Block& delta, size_t batch,
                           MakeLive make_live, uint16_t protocol)
    : party_(party),
      once_(once),
      delta_(delta),
      batch_(batch),
      make_live_(std::move(make_live)),
      protocol_(protocol) {
  FLEXROOM_ASSERT(batch > 0 && batch % std::min(batch, kPortion) == 0);
}

PooledSource::~PooledSource() = default;

template <typename Body>
auto PooledSource::guarded(std::string_view what, Body body) {
  if (dead_) throw ProtocolAbort(AbortCode::kCancelled, what, "this session was aborted before");
  try {
    return body();
  } catch (...) {
    dead_ = true;
    triples_ = {};
    bits_ = {};
    live_.reset();
    throw;
  }
}

prep::Source& PooledSource::live() {
  if (live_ == nullptr) live_ = make_live_();
  return *live_;
}

/// Whole portions, from batches in the order of their ids: the same at all members.
std::vector<store::Pool::Range> PooledSource::ranges_for(char kind, size_t unit, size_t count) {
  std::vector<store::Pool::Range> ranges;
  size_t planned = 0;
  for (store::Pool::Stock& batch : once_.pool().stock()) {
    if (planned >= count) break;
    if (batch.batch_id.front() != static_cast<uint8_t>(kind)) continue;
    if (batch.item_bytes % unit != 0) {
      throw store::damaged_row("once.db, a batch of the pool", "items of another size");
    }
    const size_t portion = batch.item_bytes / unit;
    const uint64_t portions =
        std::min<uint64_t>(batch.left(), (count - planned + portion - 1) / portion);
    planned += portions * portion;
    ranges.push_back({std::move(batch.batch_id), portions});
  }
  return ranges;
}

PooledSource::Parts PooledSource::make(char kind, size_t count) {
  Parts made;
  if (kind == kTriples) {
    prep::AndTriples fresh = live().and_triples(count);
    made.push_back(std::move(fresh.x));
    made.push_back(std::move(fresh.y));
    made.push_back(std::move(fresh.z));
  } else {
    made.push_back(live().random_bits(count));
  }
  return made;
}

PooledSource::Parts PooledSource::take(char kind, size_t num_parts, size_t count, Rest& rest) {
  if (once_.counters().burned) {
    throw ProtocolAbort(AbortCode::kEpochBurned, "pool", "the epoch is burned");
  }
  size_t done = std::min(count, rest.left());
  const size_t unit = unit_bytes(num_parts, party_.num_parties());
  const std::vector<store::Pool::Range> ranges = ranges_for(kind, unit, count - done);
  if (count > 0 && done == 0 && ranges.empty()) return make(kind, count);

  Parts out = blank_parts(party_, num_parts, count);
  if (done > 0) move_items(out, 0, rest.parts, rest.next, done);
  rest.next += done;
  if (rest.left() == 0) rest = {};
  if (!ranges.empty()) {
    once_.pool().take(ranges, [&](ByteView item) {
      const size_t portion = item.size() / unit, here = std::min(portion, count - done);
      read_portion(item, portion, 0, here, out, done);
      done += here;
      if (here == portion) return;
      rest.parts = blank_parts(party_, num_parts, portion - here);
      read_portion(item, portion, here, portion - here, rest.parts, 0);
    });
  }
  if (done == count) return out;
  Parts made = make(kind, count - done);
  move_items(out, done, made, 0, count - done);
  return out;
}

prep::AndTriples PooledSource::and_triples(size_t count) {
  return guarded("and triples", [&] {
    Parts parts = take(kTriples, kTripleParts, count, triples_);
    return prep::AndTriples{std::move(parts[0]), std::move(parts[1]), std::move(parts[2])};
  });
}

AuthBits PooledSource::random_bits(size_t count) {
  return guarded("random bits", [&] { return std::move(take(kBits, 1, count, bits_)[0]); });
}

AuthBits PooledSource::owned_bits(PartyId owner, size_t count) {
  return guarded("owned bits", [&] { return live().owned_bits(owner, count); });
}
AuthBits PooledSource::owned_bits_of(PartyId owner, size_t count, std::span<const uint8_t> bits) {
  return guarded("owned bits", [&] { return live().owned_bits_of(owner, count, bits); });
}
prep::VecTriple PooledSource::vec_triple(size_t count) {
  return guarded("field products", [&] { return live().vec_triple(count); });
}
std::vector<prep::VecTriple> PooledSource::vec_triples(std::span<const size_t> counts) {
  return guarded("field products", [&] { return live().vec_triples(counts); });
}
prep::Powers PooledSource::powers(size_t max_power) {
  return guarded("powers", [&] { return live().powers(max_power); });
}
prep::Source::RotSender PooledSource::rot_send(PartyId receiver, size_t count) {
  return guarded("rot", [&] { return live().rot_send(receiver, count); });
}
prep::Source::RotReceiver PooledSource::rot_receive(PartyId sender, size_t count,
                                                    std::span<const uint8_t> choices) {
  return guarded("rot", [&] { return live().rot_receive(sender, count, choices); });
}

// --- filling ------------------------------------------------------------------------------------

void PooledSource::store(char kind, const Parts& parts) {
  constexpr std::string_view kLabel = "pool/durable";
  const size_t size = parts.front().size(), portion = std::min(size, kPortion);
  SecretBytes items(size * unit_bytes(parts.size(), party_.num_parties()));
  auto at = items.writable().begin();
  for (size_t from = 0; from < size; from += portion) {
    for (const AuthBits& part : parts) {
      for (const PartyId j : party_.peers()) {
        for (const BlockVec* array : {&part.mac[j], &part.key[j]}) {
          const ByteView blocks =
              array->bytes().subspan(from * sizeof(Block), portion * sizeof(Block));
          at = std::copy(blocks.begin(), blocks.end(), at);
        }
      }
    }
  }
  Writer id;
  id.u8(static_cast<uint8_t>(kind)).u32(next_batch_++).raw(party_.scope().sid);
  once_.pool().add(id.bytes(), party_.scope().eid,
                   portion * unit_bytes(parts.size(), party_.num_parties()), items.reveal(),
                   protocol_);
  const Digest durable = RandomOracle("durable", party_.scope())
                             .field(id.bytes())
                             .field(uint64_t{size})
                             .field(uint64_t{portion})
                             .digest();
  const std::vector<Bytes> all = party_.exchange(kLabel, durable);
  for (const PartyId j : party_.peers()) {
    if (all[j] == all[party_.id()]) continue;
    throw ProtocolAbort(AbortCode::kDisagreement, kLabel, "stored another batch", j);
  }
  party_.echo(kLabel, AbortCode::kDisagreement);
  once_.pool().confirm(id.bytes());
}

size_t PooledSource::fill(size_t num_triples, size_t num_bits, const prep::Progress& progress) {
  return guarded("fill", [&] {
    if (!once_.pool().connected()) {
      throw InputError("pool", "another session of one of the members uses it",
                       "wait until it has ended");
    }
    const size_t triples = (num_triples + batch_ - 1) / batch_;
    const size_t batches = triples + (num_bits + batch_ - 1) / batch_;
    const size_t at_once =
        prep::batches_at_once(protocol_ == prep::kMaskedProtocol ? prep::TripleProtocol::kMasked
                                                                 : prep::TripleProtocol::kBucket,
                              party_.num_parties());
    for (size_t b = 0; b < batches;) {
      if (progress) progress("stock", b * batch_, batches * batch_);
      if (b >= triples) {
        Parts made;
        made.push_back(live().random_bits(batch_));
        store(kBits, made);
        ++b;
        continue;
      }
      // Masked ones several in one call: made in one go, stored one after the other. What of them
      // is not stored when it is stopped is lost.
      const size_t here = std::min(at_once, triples - b);
      prep::AndTriples fresh = live().and_triples(here * batch_);
      for (const size_t end = b + here; b < end; ++b) {
        Parts made;
        for (AuthBits* part : {&fresh.x, &fresh.y, &fresh.z}) {
          made.push_back(part->take_front(batch_));
        }
        store(kTriples, made);
      }
    }
    if (progress) progress("stock", batches * batch_, batches * batch_);
    return batches;
  });
}

PoolStock PooledSource::stock() { return summarise(once_.pool().stock(), party_.num_parties()); }

}  // namespace flexroom::session
