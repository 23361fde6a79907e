#include "net/party.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/codec.h"
#include "base/ct.h"
#include "base/display.h"
#include "base/secret.h"
#include "net/abort_reason.h"
#include "net/coin.h"
#include "net/sub_mesh.h"

namespace flexroom::net {
namespace {

constexpr size_t kMaxLabelBytes = 96;
constexpr size_t kHeaderBytes = 12;  // sequence number, length of the label
constexpr std::string_view kAbortLabel = "abort";

std::string where(std::string_view label) { return std::string(label); }

/// What came behind "abort", in our words: of anything but one known number nothing is said.
std::string why(ByteView more) {
  if (more.size() != 1) return "";
  switch (static_cast<AbortReason>(more[0])) {
    case AbortReason::kSaidNo:
      return ": its operator, or a rule of its own, said no";
    case AbortReason::kStopped:
      return ": its operator stopped it";
    case AbortReason::kOwn:
      return ": something of its own is wrong (a file, a link, its state, its disk); it says there "
             "what";
    case AbortReason::kNothing:
      break;
  }
  return "";
}

}  // namespace

Party::Party(std::unique_ptr<Transport> transport, Prg prg)
    : transport_(std::move(transport)),
      prg_(std::move(prg)),
      id_(transport_->self()),
      num_parties_(transport_->num_parties()),
      next_send_(num_parties_),
      next_receive_(num_parties_),
      echo_log_(num_parties_) {
  FLEXROOM_ASSERT(num_parties_ >= 2 && id_ < num_parties_);
  for (PartyId j = 0; j < num_parties_; ++j) {
    if (j != id_) peers_.push_back(j);
  }
}

Party::~Party() {
  wipe(zero_keys_.data(), zero_keys_.size() * sizeof(Block));
  if (of_ == nullptr) return;
  of_->traffic_.add(traffic_);
  for (const auto& [key, count] : sent_with_label_) {
    of_->sent_with_label_[{part_[key.first], key.second}] += count;
  }
}

std::unique_ptr<Party> Party::among(std::vector<PartyId> members) {
  auto out = std::make_unique<Party>(std::make_unique<SubMesh>(*transport_, members),
                                     Prg(prg_.next_block()));
  out->of_ = this;
  out->part_ = members;
  const auto here = [this, members = std::move(members)](MessageId message) {
    message.sender = members[message.sender];
    message.receiver = members[message.receiver];
    const auto before = sent_with_label_.find({message.receiver, message.label});
    if (before != sent_with_label_.end()) message.index += before->second;
    return message;
  };
  if (tamper_) {
    out->tamper_ = [this, here](const MessageId& message, Bytes& payload) {
      tamper_(here(message), payload);
    };
  }
  if (observer_) {
    out->observer_ = [this, here](const MessageId& message, ByteView payload) {
      observer_(here(message), payload);
    };
  }
  return out;
}

// Frame: sequence number, label, payload. The channel below already guarantees order and
// integrity; the sequence number turns an implementation error there into a clean abort.
void Party::send(PartyId to, std::string_view label, ByteView payload) {
  FLEXROOM_ASSERT(to < num_parties_ && to != id_ && label.size() <= kMaxLabelBytes);
  const auto key = std::make_pair(to, std::string(label));
  const MessageId message{id_, to, key.second, sent_with_label_[key]++, payload.size()};
  Bytes altered;
  if (tamper_) {
    altered.assign(payload.begin(), payload.end());
    tamper_(message, altered);
    payload = altered;
  }
  Writer header;
  header.u64(next_send_[to]++).field(label);
  Bytes frame = transport_->buffer(header.size() + payload.size());
  std::copy(header.bytes().begin(), header.bytes().end(), frame.begin());
  std::copy(payload.begin(), payload.end(), frame.begin() + static_cast<ptrdiff_t>(header.size()));
  declassify(frame.data(), frame.size());  // what leaves is no secret of this party any more
  traffic_.bytes_sent += frame.size();
  traffic_.messages_sent += 1;
  traffic_.bytes_sent_by_label[key.second] += frame.size();
  last_was_send_ = true;
  transport_->send(to, std::move(frame));
  if (observer_) observer_(message, payload);
  if (trace_) trace(message, payload);
}

void Party::trace(const MessageId& message, ByteView payload) {
  TraceEntry entry{message, traffic_.half_rounds, sha256(payload)};
  entry.message.bytes = payload.size();
  trace_(entry);
}

std::pair<Bytes, size_t> Party::receive_frame(PartyId from, std::string_view label,
                                              size_t max_bytes) {
  FLEXROOM_ASSERT(from < num_parties_ && from != id_);
  if (last_was_send_) {
    traffic_.half_rounds += 1;
    last_was_send_ = false;
  }
  Bytes frame = transport_->receive(from, kHeaderBytes + kMaxLabelBytes + max_bytes);
  traffic_.bytes_received += frame.size();
  Reader reader(frame, where(label), from);
  const uint64_t sequence = reader.u64();
  const ByteView got = reader.field(kMaxLabelBytes);
  if (as_text(got) == kAbortLabel) {
    throw ProtocolAbort(AbortCode::kCancelled, label,
                        "the member stopped the run" + why(reader.raw(reader.remaining())), from);
  }
  if (sequence != next_receive_[from]) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                        "message number " + std::to_string(sequence) + ", expected " +
                            std::to_string(next_receive_[from]),
                        from);
  }
  if (as_text(got) != label) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                        "got a message '" + display_short(as_text(got)) + "' instead", from);
  }
  ++next_receive_[from];
  const size_t begin = frame.size() - reader.remaining();
  if (trace_) {
    const auto key = std::make_pair(from, std::string(label));
    const ByteView payload = ByteView(frame).subspan(begin);
    trace({from, id_, key.second, received_with_label_[key]++, payload.size()}, payload);
  }
  return {std::move(frame), begin};
}

Bytes Party::receive_up_to(PartyId from, std::string_view label, size_t max_bytes) {
  auto [frame, begin] = receive_frame(from, label, max_bytes);
  if (frame.size() - begin > max_bytes) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                        std::to_string(frame.size() - begin) + " bytes, at most " +
                            std::to_string(max_bytes) + " expected",
                        from);
  }
  frame.erase(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(begin));
  return std::move(frame);
}

void Party::require_size(PartyId from, std::string_view label, size_t got, size_t bytes) const {
  if (got == bytes) return;
  throw ProtocolAbort(AbortCode::kUnexpectedMessage, label,
                      std::to_string(got) + " bytes, " + std::to_string(bytes) + " expected", from);
}

Bytes Party::receive(PartyId from, std::string_view label, size_t bytes) {
  auto [frame, begin] = receive_frame(from, label, bytes);
  require_size(from, label, frame.size() - begin, bytes);
  frame.erase(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(begin));
  return std::move(frame);
}

void Party::receive_into(PartyId from, std::string_view label, std::span<uint8_t> out) {
  auto [frame, begin] = receive_frame(from, label, out.size());
  require_size(from, label, frame.size() - begin, out.size());
  std::copy(frame.begin() + static_cast<ptrdiff_t>(begin), frame.end(), out.begin());
  transport_->recycle(std::move(frame));
}

void Party::absorb(PartyId sender, std::string_view label, ByteView payload) {
  if (num_parties_ == 2) return;
  echo_log_[sender].push_back(
      RandomOracle("echo item", scope_).field(label).field(payload).digest());
}

void Party::broadcast(std::string_view label, ByteView payload) {
  absorb(id_, label, payload);
  for (const PartyId j : peers_) send(j, label, payload);
}

Bytes Party::receive_broadcast(PartyId from, std::string_view label, size_t bytes) {
  Bytes payload = receive(from, label, bytes);
  absorb(from, label, payload);
  return payload;
}

Bytes Party::receive_broadcast_up_to(PartyId from, std::string_view label, size_t max_bytes) {
  Bytes payload = receive_up_to(from, label, max_bytes);
  absorb(from, label, payload);
  return payload;
}

std::vector<Bytes> Party::exchange(std::string_view label, ByteView payload) {
  std::vector<Bytes> all(num_parties_);
  all[id_].assign(payload.begin(), payload.end());
  broadcast(label, payload);
  for (const PartyId j : peers_) all[j] = receive_broadcast(j, label, payload.size());
  return all;
}

void Party::echo(std::string_view label, AbortCode mismatch) {
  if (num_parties_ == 2) return;
  // Items are hashed in sender order and, within a sender, in the order they arrived on an ordered
  // channel, so that all parties hash the same sequence.
  RandomOracle hash("echo", scope_, next_counter("echo"));
  hash.field(label);
  for (PartyId j = 0; j < num_parties_; ++j) {
    hash.field(uint64_t{echo_log_[j].size()});
    for (const Digest& item : echo_log_[j]) hash.field(item);
    echo_log_[j].clear();
  }
  const Digest own = hash.digest();
  const std::string tag = std::string(label) + "/echo";
  for (const PartyId j : peers_) send(j, tag, own);
  for (const PartyId j : peers_) {
    if (!ct_equal(receive(j, tag, own.size()), own)) {
      throw ProtocolAbort(mismatch, tag, "a broadcast reached this member and that one differently",
                          j);
    }
  }
}

Digest Party::coin(std::string_view label) {
  Coin coin(*this, label);
  coin.commit();
  coin.receive_commitments();
  return coin.toss();
}

uint64_t Party::next_counter(std::string_view tag) {
  const auto it = counters_.find(tag);
  if (it != counters_.end()) return it->second++;
  counters_.emplace(std::string(tag), 1);
  return 0;
}

void Party::abort() noexcept {
  for (const PartyId j : peers_) {
    try {
      Writer frame;
      frame.u64(next_send_[j]++).field(kAbortLabel);
      transport_->send(j, frame.take());
    } catch (...) {  // a peer that is gone needs no notice; the others do
    }
  }
  transport_->close();
}

AbortReason reason_of(const ProtocolAbort& abort) {
  if (abort.peer()) return AbortReason::kNothing;
  if (abort.code() == AbortCode::kRefusedByRule) return AbortReason::kSaidNo;
  if (abort.code() == AbortCode::kCancelled) return AbortReason::kStopped;
  // Of its own state, which says so before anything is begun.
  const bool own = abort.code() == AbortCode::kTooManyUnfinished;
  return own ? AbortReason::kOwn : AbortReason::kNothing;
}

void abort_saying(Party& party, AbortReason reason) noexcept {
  const auto number = static_cast<uint8_t>(reason);
  for (const PartyId j : party.peers()) {
    if (reason == AbortReason::kNothing) break;
    try {
      party.send(j, kAbortLabel, {&number, 1});
    } catch (...) {  // as in abort()
    }
  }
  party.abort();
}

std::optional<ProtocolAbort> said_why(Party& party, const ProtocolAbort& lost) {
  constexpr size_t kMostFrames = 64, kMostBytes = size_t{1} << 20;
  if (lost.code() != AbortCode::kPeerLost || !lost.peer()) return std::nullopt;
  const PartyId peer = *lost.peer();
  const std::string at = lost.operation();
  try {
    (void)party.transport().set_receive_timeout(std::chrono::seconds(1));
    for (size_t k = 0; k < kMostFrames; ++k) {
      const Bytes frame = party.transport().receive(peer, kMostBytes);
      Reader reader(frame, at, peer);
      (void)reader.u64();
      if (as_text(reader.field(kMaxLabelBytes)) != kAbortLabel) continue;
      return ProtocolAbort(AbortCode::kCancelled, at,
                           "the member stopped the run" + why(reader.raw(reader.remaining())),
                           peer);
    }
  } catch (const ProtocolAbort&) {  // it did not
  }
  return std::nullopt;
}

void send_blocks(Party& party, PartyId to, std::string_view label, std::span<const Block> blocks) {
  party.send(to, label, {reinterpret_cast<const uint8_t*>(blocks.data()), blocks.size_bytes()});
}

void receive_blocks(Party& party, PartyId from, std::string_view label, std::span<Block> out) {
  party.receive_into(from, label, {reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()});
}

}  // namespace flexroom::net
