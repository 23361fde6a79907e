#include "prep/protocol.h"

#include <algorithm>
#include <string>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::prep {
namespace {

constexpr std::string_view kName = "flexrm";  // random bytes are that with 2^-48

}  // namespace

Bytes hello_nonce(Prg& prg, uint16_t protocol) {
  Writer out;
  out.raw(as_bytes(kName)).u16(protocol);
  Bytes nonce = out.take();
  const size_t named = nonce.size();
  nonce.resize(kHelloNonceBytes);
  prg.fill(std::span<uint8_t>(nonce).subspan(named));
  return nonce;
}

void require_same_protocol(ByteView nonce, uint16_t protocol, std::string_view label,
                           PartyId peer) {
  FLEXROOM_ASSERT(nonce.size() == kHelloNonceBytes);
  const bool named = std::equal(kName.begin(), kName.end(), nonce.begin());
  const unsigned theirs = named ? static_cast<unsigned>(nonce[6] << 8 | nonce[7]) : 1;
  if (theirs == protocol) return;
  throw ProtocolAbort(AbortCode::kDisagreement, label,
                      "the member speaks protocol " + std::to_string(theirs) +
                          ", this one protocol " + std::to_string(protocol) +
                          "; bring all members to the same version of flexroom, with the same "
                          "`triples` in room.toml",
                      peer);
}

}  // namespace flexroom::prep
