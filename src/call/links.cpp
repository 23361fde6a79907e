#include "call/links.h"

#include <fmt/core.h>

#include <algorithm>

#include "agent/secret_text.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/secret.h"
#include "call/link_check.h"

namespace flexroom {
namespace {

constexpr size_t kPadBytes = std::tuple_size_v<Digest>;
constexpr uint32_t kMaxPathBytes = 1024, kMaxTailBytes = 4096;
constexpr std::string_view kKeyAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A time that people can read.
bool is_told_end(int64_t end) {
  constexpr int64_t kYear9999 = 253'402'300'799;
  return end > 0 && end <= kYear9999;
}

PublicLink public_link(const PrivateUrl& url) {
  PublicLink out{url.public_prefix, static_cast<uint32_t>(url.path.size()), url.public_query,
                 static_cast<uint32_t>(url.tail.size()), 0};
  if (!link_end(url.public_query)) {
    std::string query = url.public_query + url.tail;
    const int64_t end = link_end(query).value_or(0);
    wipe(query.data(), query.size());
    if (is_told_end(end)) out.says_end = end;
  }
  return out;
}

/// Whether the private parts may stand in the user data, where only some characters may
/// (agent::private_link_class); in the loader they may have all of a link.
bool fits_user_data(const PrivateUrl& url) {
  const auto allowed = agent::private_link_class();
  const auto good = [&](const std::string& text) {
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return allowed[static_cast<uint8_t>(c)]; });
  };
  // curl takes these out of a path unless it is told not to, and every word there costs gates.
  const bool dots = ("/" + url.path + "/").find("/./") != std::string::npos ||
                    ("/" + url.path + "/").find("/../") != std::string::npos;
  return good(url.path) && good(url.tail) && !dots;
}

/// In bytes of public text: a private one costs twice as much inside MPC.
size_t weight(const PublicLink& link) {
  return link.public_prefix.size() + link.public_query.size() +
         size_t{2} * (link.path_bytes + link.tail_bytes);
}

void check_link(const PublicLink& link, const std::string& place) {
  if (link.path_bytes == 0 || link.path_bytes > kMaxPathBytes || link.tail_bytes > kMaxTailBytes) {
    throw InputError(place, "has an impossible length");
  }
  // The public part is read again by the code that splits a member's own links: the same rules.
  const std::string probe = link.public_prefix + "x" + link.public_query;
  const PrivateUrl again = split_private_url(probe, place);
  // Cut exactly where that code cuts it: no host, path or query hides in another part.
  if (again.public_prefix != link.public_prefix || again.path != "x" ||
      again.public_query != link.public_query || !again.tail.empty() ||
      (link.public_query.empty() && link.tail_bytes != 0)) {
    throw InputError(place, "has a malformed public part");
  }
  // Nobody says another end than the link's own public part does.
  if (link.says_end != 0 && (!is_told_end(link.says_end) || link_end(link.public_query))) {
    throw InputError(place, "has an impossible end");
  }
}

void put(Writer& writer, const PublicLink& link) {
  writer.field(link.public_prefix)
      .u32(link.path_bytes)
      .field(link.public_query)
      .u32(link.tail_bytes)
      .u64(static_cast<uint64_t>(link.says_end));
}
PublicLink read_link(Reader& reader) {
  PublicLink link;
  link.public_prefix = to_text(reader.field(512));
  link.path_bytes = reader.u32();
  link.public_query = to_text(reader.field(4096));
  link.tail_bytes = reader.u32();
  link.says_end = static_cast<int64_t>(reader.u64());
  return link;
}

PublicLinks read_links(ByteView bytes, const std::string& member, PartyId from) {
  Reader reader(bytes, "run/links", from);
  PublicLinks out;
  out.member = member;
  out.data = read_link(reader);
  out.result = read_link(reader);
  if (reader.u8() != 0) out.carrier = read_link(reader);
  out.sealed = to_hex(reader.field(2 * (kMaxPathBytes + kMaxTailBytes)));
  reader.finish();
  return out;
}

std::optional<PrivateUrl> carrier_link(const LinksConfig& links, std::string_view place) {
  const auto& url = links.loader_url ? links.loader_url : links.result_get_url;
  if (!url) return std::nullopt;
  return split_private_url(
      *url, fmt::format("{}: {}", place, links.loader_url ? "loader_url" : "result_get_url"));
}

}  // namespace

SecretBytes OwnLinks::draw_key(Prg& prg) {
  SecretBytes key(kKeyBytes);
  for (uint8_t& character : key.writable()) {
    character = static_cast<uint8_t>(kKeyAlphabet[prg.below(kKeyAlphabet.size())]);
  }
  return key;
}

OwnLinks::OwnLinks(PrivateUrl data, PrivateUrl result, std::optional<PrivateUrl> carrier, Prg& prg)
    : data_(std::move(data)),
      result_(std::move(result)),
      carrier_(std::move(carrier)),
      key_(to_text(draw_key(prg).reveal())) {}

OwnLinks::OwnLinks(const LinksConfig& links, std::string_view place, SecretBytes key)
    : data_(split_private_url(links.data_url, fmt::format("{}: data_url", place))),
      result_(split_private_url(links.result_url, fmt::format("{}: result_url", place))),
      carrier_(carrier_link(links, place)),
      key_(to_text(key.reveal())) {
  if (key_.size() != kKeyBytes || key_.find_first_not_of(kKeyAlphabet) != std::string::npos) {
    throw InputError(place, "stand beside a key that is none");
  }
}

OwnLinks::OwnLinks(const LinksConfig& links, std::string_view place, Prg& prg)
    : OwnLinks(split_private_url(links.data_url, fmt::format("{}: data_url", place)),
               split_private_url(links.result_url, fmt::format("{}: result_url", place)),
               carrier_link(links, place), prg) {}

OwnLinks::~OwnLinks() { wipe(key_.data(), key_.size()); }

PublicLinks OwnLinks::public_part(std::string_view member) const {
  PublicLinks out;
  out.member = member;
  out.data = public_link(data_);
  out.result = public_link(result_);
  if (carrier_ && fits_user_data(*carrier_)) out.carrier = public_link(*carrier_);
  std::string text = data_.path + data_.tail + result_.path + result_.tail;
  out.sealed = seal_links(key_, text);
  wipe(text.data(), text.size());
  return out;
}

std::string OwnLinks::private_part(bool carries) const {
  return carries ? carrier_->path + carrier_->tail + key_ : key_;
}

std::string seal_links(std::string_view key, std::string_view text) {
  Bytes sealed = to_bytes(text);
  for (size_t at = 0; at < sealed.size(); at += kPadBytes) {
    std::string block = fmt::format("{}.{}", key, at / kPadBytes);
    Digest pad = sha256(as_bytes(block));
    for (size_t k = 0; k < pad.size() && at + k < sealed.size(); ++k) sealed[at + k] ^= pad[k];
    wipe(pad.data(), pad.size());
    wipe(block.data(), block.size());
  }
  return to_hex(sealed);
}

std::vector<PublicLinks> exchange_links(net::Party& party, const RoomConfig& room,
                                        const PublicLinks& own) {
  Writer message;
  put(message, own.data);
  put(message, own.result);
  message.u8(own.carrier ? 1 : 0);
  if (own.carrier) put(message, *own.carrier);
  message.field(from_hex(own.sealed));
  party.echo("run/before links");  // earlier equivocation is a cheat, not a disagreement
  party.broadcast("run/links", message.bytes());
  std::vector<PublicLinks> all(party.num_parties());
  all[party.id()] = own;
  for (const PartyId j : party.peers()) {
    all[j] =
        read_links(party.receive_broadcast_up_to(j, "run/links", 32768), room.members[j].name, j);
    try {
      check_public_links(all[j]);
    } catch (const InputError& error) {
      throw ProtocolAbort(AbortCode::kRefusedByRule, "run/links", error.problem(), j);
    }
  }
  party.echo("run/links", AbortCode::kDisagreement);
  return all;
}

size_t carrier_of(const std::vector<PublicLinks>& links) {
  std::optional<size_t> best;
  for (size_t i = 0; i < links.size(); ++i) {
    if (!links[i].carrier) continue;
    if (!best || weight(*links[i].carrier) < weight(*links[*best].carrier)) best = i;
  }
  if (!best) {
    throw InputError("links.toml", "of no member has a link that can carry the loader",
                     "one member at least gives a result_get_url or a loader_url, with '%7E' in "
                     "place of '~'");
  }
  return *best;
}

void check_public_links(const PublicLinks& links) {
  const std::string place =
      is_name(links.member) ? fmt::format("links of member {}", links.member) : "links of a member";
  if (!is_name(links.member)) throw InputError(place, "name no member");
  check_link(links.data, place);
  check_link(links.result, place);
  if (links.carrier) check_link(*links.carrier, place);
  const size_t sealed_bytes = size_t{links.data.path_bytes} + links.data.tail_bytes +
                              links.result.path_bytes + links.result.tail_bytes;
  if (links.sealed.size() != 2 * sealed_bytes ||
      links.sealed.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw InputError(place, "are not sealed as they say");
  }
}

}  // namespace flexroom
