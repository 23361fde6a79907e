#include "agreement/member_statements.h"

#include <fmt/core.h>

#include <algorithm>

#include "agreement/proposal.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "base/read_array.h"

namespace flexroom::agreement {
namespace {

constexpr std::string_view kApprovalDomain = "flexroom/proposal/1";
constexpr uint8_t kJointForm = 2;

// Reads a whole body; what is short or too long is an input error at its place.
template <typename Read>
auto whole(ByteView body, std::string_view place, Read read) {
  try {
    Reader in(body, place);
    auto out = read(in);
    in.finish();
    return out;
  } catch (const ProtocolAbort& abort) {
    throw InputError(place, abort.detail());
  }
}

Bytes copy(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

Bytes signed_text(const Digest& session, const Digest& digest) {
  return Writer().raw(session).raw(digest).take();
}

}  // namespace

Bytes InputBody::encode() const {
  return Writer().raw(proposal).field(slot).field(public_part).raw(commitment).take();
}

InputBody InputBody::decode(ByteView body, std::string_view place) {
  return whole(body, place, [&](Reader& in) {
    InputBody out;
    out.proposal = in.digest();
    out.slot = to_text(in.field(Proposal::kMaxName));
    out.public_part = copy(in.field(kMaxInputBytes));
    out.commitment = in.digest();
    return out;
  });
}

Bytes WithdrawBody::encode() const {
  return Writer().raw(complete).u8(static_cast<uint8_t>(what)).take();
}

WithdrawBody WithdrawBody::decode(ByteView body, std::string_view place) {
  return whole(body, place, [&](Reader& in) {
    WithdrawBody out;
    out.complete = in.digest();
    const uint8_t what = in.u8();
    if (what > 1) throw InputError(place, "withdraws neither a proposal nor an approval");
    out.what = static_cast<What>(what);
    return out;
  });
}

Digest complete_digest(const Digest& proposal, const std::vector<GivenInput>& inputs) {
  RandomOracle ro("complete", RoScope{});
  ro.field(proposal).field(uint64_t{inputs.size()});
  for (const GivenInput& input : inputs) ro.field(input.member).field(input.body.encode());
  return ro.digest();
}

std::string inputs_text(const std::vector<GivenInput>& inputs,
                        const std::vector<std::string>& names) {
  std::string out;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const InputBody& body = inputs[k].body;
    const std::string id = to_hex(inputs[k].member);
    out +=
        fmt::format("\ninput `{}` of {}: {}", display_text(body.slot),
                    k < names.size() ? fmt::format("{} ({})", display_text(names[k]), id) : id,
                    body.public_part.empty() ? "private" : display_text(to_text(body.public_part)));
  }
  return out;
}

Digest run_id(const Digest& room, const Digest& complete, uint32_t index) {
  return RandomOracle("run", RoScope{}).field(room).field(complete).field(uint64_t{index}).digest();
}

Digest input_commitment(std::string_view slot, const std::array<uint8_t, 16>& nonce,
                        ByteView value) {
  return RandomOracle("commitment", RoScope{}).field(slot).field(nonce).field(value).digest();
}

bool is_joint_start(ByteView body) { return !body.empty() && body[0] == kJointForm; }

Digest start_digest(const std::vector<Bytes>& sayings) {
  RandomOracle ro("start", RoScope{});
  for (const Bytes& saying : sayings) ro.field(saying);
  return ro.digest();
}

Digest JointStart::digest() const { return start_digest(sayings); }

bool JointStart::verify(const std::vector<net::SigningKey>& keys) const {
  if (signatures.size() != keys.size() || sayings.size() != keys.size()) return false;
  for (const Bytes& bytes : sayings) {
    const StartSaying said = StartSaying::decode(bytes, "START");
    if (said.configuration != configuration || said.complete != complete || said.index != index ||
        said.decision != Answer::kYes) {
      return false;
    }
  }
  const Digest said = digest();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!verify_start(keys[i], session, said, signatures[i])) return false;
  }
  return true;
}

net::Signature sign_start(const net::Identity& identity, const Digest& session,
                          const Digest& digest) {
  return identity.sign(kApprovalDomain, signed_text(session, digest));
}

bool verify_start(const net::SigningKey& key, const Digest& session, const Digest& digest,
                  const net::Signature& signature) {
  return net::verify(key, kApprovalDomain, signed_text(session, digest), signature);
}

Bytes StartSaying::encode() const {
  FLEXROOM_ASSERT(ready.size() <= kMaxReady && unresolved.size() <= kMaxUnresolved);
  Writer out;
  out.raw(configuration).u8(place).u32(incarnation).u64(session_counter);
  out.raw(complete).u32(index).u32(try_number).raw(statements);
  out.u8(static_cast<uint8_t>(decision)).u64(now);
  out.u32(static_cast<uint32_t>(ready.size()));
  for (const Run& run : ready) out.raw(run.id).u32(run.tries);
  out.u32(static_cast<uint32_t>(unresolved.size()));
  for (const Digest& id : unresolved) out.raw(id);
  return out.take();
}

StartSaying StartSaying::decode(ByteView bytes, std::string_view place) {
  return whole(bytes, place, [&](Reader& in) {
    StartSaying out;
    out.configuration = in.digest();
    out.place = in.u8();
    out.incarnation = in.u32();
    out.session_counter = in.u64();
    out.complete = in.digest();
    out.index = in.u32();
    out.try_number = in.u32();
    out.statements = in.digest();
    const uint8_t decision = in.u8();
    if (decision > static_cast<uint8_t>(Answer::kNotNow) || out.place > kLastPlace) {
      throw InputError(place, "has a decision or a place that is not known");
    }
    out.decision = static_cast<Answer>(decision);
    out.now = in.u64();
    const uint32_t runs = in.u32();
    if (runs > kMaxReady) throw InputError(place, "lists too many runs");
    for (uint32_t i = 0; i < runs; ++i) {
      const Digest id = in.digest();
      if (i > 0 && out.ready.back().id >= id) throw InputError(place, "lists runs unsorted");
      out.ready.push_back({id, in.u32()});
    }
    const uint32_t open = in.u32();
    if (open > kMaxUnresolved) throw InputError(place, "lists too many unresolved runs");
    for (uint32_t i = 0; i < open; ++i) {
      const Digest id = in.digest();
      if (i > 0 && out.unresolved.back() >= id) throw InputError(place, "lists runs unsorted");
      out.unresolved.push_back(id);
    }
    return out;
  });
}

Bytes JointStart::encode() const {
  FLEXROOM_ASSERT(sayings.size() == signatures.size());
  Writer out;
  out.u8(kJointForm).raw(configuration).raw(complete).u32(index).raw(session);
  out.u32(static_cast<uint32_t>(sayings.size()));
  for (size_t i = 0; i < sayings.size(); ++i) out.field(sayings[i]).raw(signatures[i]);
  return out.take();
}

JointStart JointStart::decode(ByteView body, std::string_view place) {
  return whole(body, place, [&](Reader& in) {
    if (in.u8() != kJointForm) {
      throw InputError(place, "has a body of another form", "a newer program wrote it");
    }
    JointStart out;
    out.configuration = in.digest();
    out.complete = in.digest();
    out.index = in.u32();
    out.session = in.digest();
    const uint32_t count = in.u32();
    if (count > Configuration::kMaxMembers) throw InputError(place, "has too many signatures");
    for (uint32_t i = 0; i < count; ++i) {
      out.sayings.push_back(copy(in.field(kMaxSayingBytes)));
      out.signatures.push_back(read_array<sizeof(net::Signature)>(in));
    }
    return out;
  });
}

}  // namespace flexroom::agreement
