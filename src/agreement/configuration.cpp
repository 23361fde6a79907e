#include "agreement/configuration.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kDomain = "flexroom/configuration/1";

using Texts = std::vector<std::string>;

void put_texts(Writer& out, const Texts& texts) {
  out.u32(static_cast<uint32_t>(texts.size()));
  for (const std::string& text : texts) out.field(text);
}

std::string read_text(Reader& in) { return to_text(in.field(Configuration::kMaxText)); }

size_t read_count(Reader& in, size_t max, std::string_view place) {
  const size_t count = in.u32();
  if (count > max) throw InputError(place, "lists more than " + std::to_string(max) + " entries");
  return count;
}

Texts read_texts(Reader& in, std::string_view place) {
  Texts out(read_count(in, Configuration::kMaxList, place));
  for (std::string& text : out) text = read_text(in);
  return out;
}

void check(const Configuration& c, std::string_view place) {
  const auto fail = [&](std::string_view problem) { throw InputError(place, problem); };
  if (c.members.empty() || c.members.size() > Configuration::kMaxMembers) {
    fail("does not list 1 to 255 members");
  }
  for (size_t i = 0; i < c.members.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (c.members[i].id == c.members[j].id) fail("lists a member twice");
      if (c.members[i].key == c.members[j].key) fail("lists a key twice");
    }
    if (c.members[i].name.size() > Configuration::kMaxText ||
        c.members[i].address.size() > Configuration::kMaxText) {
      fail("holds a text that is too long");
    }
  }
  for (const MemberId& courier : c.couriers) {
    if (!c.index_of(courier)) fail("names a courier that is no member");
  }
  if (c.providers.size() > Configuration::kMaxProviders) fail("lists too many providers");
  for (size_t k = 0; k < c.providers.size(); ++k) {
    const Configuration::Provider& p = c.providers[k];
    if (k > 0 && c.providers[k - 1].name >= p.name) fail("lists providers unsorted or twice");
    for (size_t s = 1; s < p.settings.size(); ++s) {
      if (p.settings[s - 1] >= p.settings[s]) fail("lists settings unsorted or twice");
    }
  }
}

}  // namespace

Bytes Configuration::encode() const {
  check(*this, "configuration");
  Writer out;
  out.u8(kFormat).raw(room).u32(number).raw(previous).field(name).field(profile);
  out.u32(static_cast<uint32_t>(members.size()));
  for (const Member& m : members) {
    out.raw(m.id).field(m.name).raw(m.key).raw(m.certificate).field(m.address);
  }
  out.u32(static_cast<uint32_t>(couriers.size()));
  for (const MemberId& id : couriers) out.raw(id);
  out.u32(static_cast<uint32_t>(providers.size()));
  for (const Provider& p : providers) {
    out.field(p.name);
    put_texts(out, p.hosts);
    put_texts(out, p.settings);
    put_texts(out, p.open_calls);
  }
  out.field(quotas);
  if (out.size() > kMaxBytes) {
    throw InputError("room.toml", "takes more than 1 MiB as a configuration",
                     "shorten its lists of open calls and hosts");
  }
  // What the reader refuses is never written.
  (void)decode(out.bytes(), "configuration");
  return out.take();
}

Configuration Configuration::decode(ByteView bytes, std::string_view place) {
  if (bytes.size() > kMaxBytes) throw InputError(place, "is longer than 1 MiB");
  Configuration out;
  try {
    Reader in(bytes, place);
    if (in.u8() != kFormat) {
      throw InputError(place, "is a configuration of another format",
                       "use the program that wrote it, or a newer one");
    }
    out.room = in.digest();
    out.number = in.u32();
    out.previous = in.digest();
    out.name = read_text(in);
    out.profile = read_text(in);
    out.members.resize(read_count(in, kMaxMembers, place));
    for (Member& m : out.members) {
      m.id = read_array<16>(in);
      m.name = read_text(in);
      m.key = read_array<32>(in);
      m.certificate = in.digest();
      m.address = read_text(in);
    }
    out.couriers.resize(read_count(in, kMaxMembers, place));
    for (MemberId& id : out.couriers) id = read_array<16>(in);
    out.providers.resize(read_count(in, kMaxProviders, place));
    for (Provider& p : out.providers) {
      p.name = read_text(in);
      p.hosts = read_texts(in, place);
      p.settings = read_texts(in, place);
      p.open_calls = read_texts(in, place);
    }
    out.quotas = read_text(in);
    in.finish();
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
  check(out, place);
  return out;
}

Digest Configuration::digest() const {
  return RandomOracle("conf", RoScope{}).field(encode()).digest();
}

Digest Configuration::terms() const {
  Configuration bare = *this;
  bare.number = 0;
  bare.previous = {};
  bare.name.clear();
  bare.couriers.clear();
  for (Member& m : bare.members) {
    m.name.clear();
    m.address.clear();
  }
  return RandomOracle("terms", RoScope{}).field(bare.encode()).digest();
}

std::vector<net::SigningKey> Configuration::keys() const {
  std::vector<net::SigningKey> out;
  out.reserve(members.size());
  for (const Member& m : members) out.push_back(m.key);
  return out;
}

std::optional<size_t> Configuration::index_of(const MemberId& id) const {
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].id == id) return i;
  }
  return std::nullopt;
}

bool Configuration::same_content(const Configuration& other) const {
  Configuration a = *this;
  a.number = other.number;
  a.previous = other.previous;
  return a == other;
}

net::Signature sign_configuration(const net::Identity& identity, const Digest& digest) {
  return identity.sign(kDomain, digest);
}
bool verify_configuration(const net::SigningKey& key, const Digest& digest,
                          const net::Signature& signature) {
  return net::verify(key, kDomain, digest, signature);
}

}  // namespace flexroom::agreement
